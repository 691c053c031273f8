"""All detectors over one session, kept in step with a session that changes behind its head."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from operator import itemgetter

from watchpost.detect.detector import Detector
from watchpost.model.flag import Finding
from watchpost.model.step import Step

DetectorFactory = Callable[[], Detector]


class DetectorRun:
    """Detectors and what they found in the ordered steps of one session.

    After any sequence of updates the findings are those of one pass of new detectors over the latest steps. An update
    costs the steps it changes and adds, not those it leaves: appending to a session is linear.
    """

    def __init__(self, factories: Sequence[DetectorFactory]) -> None:
        self._detectors = [make() for make in factories]
        self._seen = 0
        self._findings: list[tuple[int, Finding]] = []

    @property
    def findings(self) -> Sequence[tuple[int, Finding]]:
        """Each finding with the position of its step, from 0, in step order and then in the order of the factories."""
        return self._findings

    def update(self, steps: Sequence[Step], unchanged: int) -> int:
        """Take `steps` as all of the session's steps, of which the first `unchanged` are those of the last update.

        Says how many of the findings, from the first, are as they were. Raises ValueError where `unchanged` is more than
        the steps there are or were.
        """
        if not 0 <= unchanged <= min(len(steps), self._seen):
            raise ValueError(f"unchanged is {unchanged}, with {self._seen} steps before and {len(steps)} now")
        if unchanged < self._seen:
            self._rewind(unchanged)
        kept = len(self._findings)
        for position in range(unchanged, len(steps)):
            step = steps[position]
            for detector in self._detectors:
                for finding in detector.see(step):
                    self._findings.append((position, finding))
        self._seen = len(steps)
        return kept

    def _rewind(self, steps: int) -> None:
        for detector in self._detectors:
            detector.rewind(steps)
        del self._findings[bisect_left(self._findings, steps, key=itemgetter(0)) :]
