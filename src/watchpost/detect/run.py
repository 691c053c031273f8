"""All detectors over one session, kept in step with a session that changes behind its head."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from operator import itemgetter

from watchpost.detect.detector import Make, Refutation, Surroundings
from watchpost.model.flag import Finding
from watchpost.model.step import Step, StepKind

See = Callable[[int, Step], Sequence[Finding | Refutation]]
"""How a detector takes a step."""


class DetectorRun:
    """Detectors and what they found in the ordered steps of one session.

    After any sequence of updates the findings are those of one pass of new detectors over the latest steps in the latest
    surroundings. An update costs the steps it changes and adds, not those it leaves: appending to a session is linear. When
    the workflow changes, the detectors that look at it see all steps again.
    """

    def __init__(self, makes: Sequence[Make], surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._steady = _Panel([make for make in makes if not make.by_workflow], surroundings)
        self._by_workflow = _Panel([make for make in makes if make.by_workflow], surroundings)
        self._findings: list[tuple[int, Finding]] = []
        self._is_mixed = False
        """Whether some of them are of detectors that look at the workflow."""

    @property
    def findings(self) -> Sequence[tuple[int, Finding]]:
        """Each finding with the position of its step, from 0, in step order."""
        return self._findings

    @property
    def surroundings(self) -> Surroundings:
        """Those of the last update."""
        return self._surroundings

    def update(self, steps: Sequence[Step], unchanged: int, surroundings: Surroundings) -> int:
        """Take `steps` as all of the session's steps, of which the first `unchanged` are those of the last update.

        Says how many of the findings, from the first, are as they were. Raises ValueError where `unchanged` is more than
        the steps there are or were.
        """
        if not 0 <= unchanged <= min(len(steps), self._steady.seen):
            raise ValueError(f"unchanged is {unchanged}, with {self._steady.seen} steps before and {len(steps)} now")
        again = unchanged
        if surroundings.workflow != self._surroundings.workflow:
            self._surroundings = surroundings
            if self._by_workflow.makes:
                self._by_workflow = _Panel(self._by_workflow.makes, surroundings)
                again = 0
        kept = self._steady.update(steps, unchanged)
        self._by_workflow.update(steps, again)
        was_mixed, self._is_mixed = self._is_mixed, bool(self._by_workflow.findings)
        if not was_mixed and not self._is_mixed:
            self._findings[kept:] = self._steady.findings[kept:]
            return kept
        merged = sorted((*self._steady.findings, *self._by_workflow.findings), key=itemgetter(0))
        same, kept = min(len(merged), bisect_left(self._findings, unchanged, key=itemgetter(0))), 0
        while kept < same and merged[kept] == self._findings[kept]:
            kept += 1
        self._findings[kept:] = merged[kept:]
        return kept


class _Panel:
    """Some detectors in step with each other."""

    def __init__(self, makes: Sequence[Make], surroundings: Surroundings) -> None:
        self.makes = makes
        self.seen = 0
        self.findings: list[tuple[int, Finding]] = []
        """Those that stand, in step order."""
        self._refuted: list[tuple[int, int, tuple[int, Finding]]] = []
        """Each finding that was refuted, behind the place of the step that did it and where among the findings it stood, in the order of those steps."""
        self._detectors = [make.detector(surroundings) for make in makes]
        self._sees: list[See] = [each.see for each in self._detectors]
        self._shown: dict[str, tuple[See, ...]] = {}
        """Who sees steps of a kind, as far as there were any."""

    def update(self, steps: Sequence[Step], unchanged: int) -> int:
        """Take the steps in, and say how many of the findings, from the first, are as they were."""
        kept = len(self.findings)
        if unchanged < self.seen:
            for detector in self._detectors:
                detector.rewind(unchanged)
            kept = self._take_back(unchanged)
        if self._detectors:
            shown = self._shown
            for place in range(unchanged, len(steps)):
                step = steps[place]
                sees = shown.get(step.kind)
                for see in self._who_sees(step.kind) if sees is None else sees:
                    if found := see(place, step):
                        kept = min(kept, self._take(place, found))
        self.seen = len(steps)
        return kept

    def _who_sees(self, kind: StepKind) -> tuple[See, ...]:
        pairs = zip(self._detectors, self._sees, strict=True)
        sees = self._shown[kind] = tuple([see for each, see in pairs if kind in each.kinds])
        return sees

    def _take(self, place: int, found: Sequence[Finding | Refutation]) -> int:
        """Take what one detector found at a step, and say how many of the findings, from the first, are as they were."""
        kept = len(self.findings)
        for each in found:
            if isinstance(each, Finding):
                self.findings.append((place, each))
            else:
                kept = min(kept, self._refute(place, each))
        return kept

    def _take_back(self, unchanged: int) -> int:
        """Take back what was found and refuted at the step at `unchanged` and beyond."""
        kept = bisect_left(self.findings, unchanged, key=itemgetter(0))
        del self.findings[kept:]
        while self._refuted and self._refuted[-1][0] >= unchanged:
            _, at, found = self._refuted.pop()
            if found[0] < unchanged:
                self.findings.insert(at, found)
                kept = min(kept, at)
        return kept

    def _refute(self, place: int, refutation: Refutation) -> int:
        """Let a finding stand no more; says which it was."""
        found = (refutation.place, refutation.finding)
        at = self.findings.index(found, bisect_left(self.findings, refutation.place, key=itemgetter(0)))
        del self.findings[at]
        self._refuted.append((place, at, found))
        return at
