"""The schema drift detector: a tool that answers in another form than it used to.

Each response is compared with the tool's contract, which was declared, pinned, or learnt from sessions that went well: names that the contract
does not have, names it always had that are gone, types that are others. What is an error, empty, cut short or no structure at all is not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

import msgspec

from watchpost.detect.alike import digest_of, shown
from watchpost.detect.contract import CHANGES, Change, Guard
from watchpost.detect.contract_learning import digest_of_shape, response_shape
from watchpost.detect.contract_rename import Rename, renames
from watchpost.detect.contract_tally import Enough
from watchpost.detect.detector import Surroundings
from watchpost.detect.undo import Undo
from watchpost.model.flag import Finding, Severity
from watchpost.model.knowledge import Contract
from watchpost.model.step import Step, StepKind
from watchpost_core.similarity import entities

KIND = "TOOL_SCHEMA_DRIFT"

GUARDS = 1024
"""Contracts that are kept ready for comparison."""

_SHOWN = 10
_SHOWN_NAMES = 20
_REPORTED = 200
"""Findings of one session."""


class SchemaDriftSettings(msgspec.Struct, frozen=True):
    """Which responses are judged, and by what.

    `contracts` maps a tool to a file with the JSON Schema of its responses; `mcp_tools` are files with what an MCP server answered to
    `tools/list`, whose output schemas hold. What is declared so beats what is pinned or learnt. `ignore` are tool names or shell patterns
    that are not judged. A contract is learnt from at least `responses` responses in `sessions` sessions, and from `quiet` times as many
    sessions as passed until something was last new in it; null counts as new where a field never had it in `null_sessions` sessions.
    """

    enabled: bool = True
    contracts: dict[str, str] = {}
    mcp_tools: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    responses: int = 10
    sessions: int = 5
    quiet: float = 4.0
    null_sessions: int = 12
    severity: Severity = "high"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        for field in ("responses", "sessions", "null_sessions"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be at least 1, not {getattr(self, field)}")
        if not self.quiet >= 1:
            raise ValueError(f"quiet must be at least 1, not {self.quiet}")

    @property
    def enough(self) -> Enough:
        """How much has to be known of a tool."""
        return Enough(self.responses, self.sessions, self.quiet, self.null_sessions)


def guards(most: int = GUARDS) -> Callable[[Contract], Guard]:
    """What makes contracts ready, each once for as long as it is among the latest `most`."""
    ready: dict[int, tuple[Contract, Guard]] = {}

    def guard_of(contract: Contract) -> Guard:
        held = ready.get(id(contract))
        if held is None:
            if len(ready) >= most:
                ready.clear()
            held = ready[id(contract)] = (contract, Guard(contract))
        return held[1]

    return guard_of


class SchemaDriftDetector:
    """Finds tools whose responses are not as their contract says.

    One finding for each tool and way in which its responses differ, at the first step that shows it; no later step can refute it. Without a
    contract a tool is not judged. What is held is the findings made, at most `_REPORTED`.
    """

    kinds: frozenset[StepKind] = frozenset({"tool"})

    def __init__(
        self,
        settings: SchemaDriftSettings,
        surroundings: Surroundings,
        declared: Callable[[str], Contract | None],
        guard_of: Callable[[Contract], Guard],
    ) -> None:
        self._settings = settings
        self._knowledge = surroundings.knowledge
        self._declared = declared
        self._guard_of = guard_of
        self._reported: set[str] = set()
        self._undo = Undo()

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Take the next step in order and say how its response differs from its tool's contract."""
        tool = step.tool or step.name
        if step.status in {"error", "running"} or not tool:
            return ()
        contract = self._declared(tool) or self._knowledge.contract(tool)
        if contract is None or not (line := response_shape(step)):
            return ()
        changes = self._guard_of(contract).compare(line)
        if not changes or self._is_ignored(tool):
            return ()
        subject = f"{shown(tool)} {_digest(tool, changes)}"
        if subject in self._reported or len(self._reported) >= _REPORTED:
            return ()
        self._reported.add(subject)
        self._undo.note(place, lambda: self._reported.discard(subject))
        return (self._finding(step, tool, subject, line, changes),)

    def rewind(self, steps: int) -> None:
        """Forget all but the first `steps` steps."""
        self._undo.rewind(steps)

    def _is_ignored(self, tool: str) -> bool:
        return any(fnmatchcase(tool, pattern) for pattern in self._settings.ignore)

    def _finding(self, step: Step, tool: str, subject: str, line: str, changes: tuple[Change, ...]) -> Finding:
        renamed = renames(changes)
        paired = {id(change) for rename in renamed for change in (rename.gone, rename.new)}
        rest = [change for change in changes if id(change) not in paired]
        return Finding(
            KIND,
            subject,
            self._settings.severity,
            _summary(shown(tool), renamed, rest),
            self._evidence(step, tool, line, changes, renamed),
        )

    def _evidence(
        self, step: Step, tool: str, line: str, changes: tuple[Change, ...], renamed: Sequence[Rename]
    ) -> dict[str, object]:
        lesson = None if self._declared(tool) is not None else self._knowledge.lesson("contract", tool)
        return {
            "reason": "renamed" if renamed else changes[0].what,
            "tool": shown(tool),
            "value": len(changes),
            "threshold": 0,
            "window": "session",
            "calls": [{"span_id": step.span_id.hex(), "arguments": shown(step.arguments)}],
            "entities": [shown(each) for each in entities(step.arguments)[:_SHOWN_NAMES]] if step.arguments else [],
            "added": [_told(change) for change in changes if change.what == "added"][:_SHOWN],
            "removed": [_told(change) for change in changes if change.what == "removed"][:_SHOWN],
            "retyped": [_told(change) for change in changes if change.what == "retyped"][:_SHOWN],
            "renamed": [
                {"from": shown(each.gone.path), "to": shown(each.new.path), "alike": each.because}
                for each in renamed[:_SHOWN]
            ],
            "contract": {
                "source": "declared" if lesson is None else lesson.source,
                "version": 0 if lesson is None else lesson.version,
            },
            "candidate": digest_of_shape(line),
            "response": line[:1000],
        }


def _told(change: Change) -> dict[str, object]:
    told: dict[str, object] = {"path": shown(change.path)}
    if change.what != "added":
        told["expected"] = list(change.expected)
    if change.got:
        told["got"] = list(change.got)
    return told


def _digest(tool: str, changes: Sequence[Change]) -> str:
    parts = [f"{change.what} {change.path} {' '.join(change.got)}" for change in changes[:CHANGES]]
    return digest_of(tool, *sorted(parts))[:4].hex()


def _summary(tool: str, renamed: Sequence[Rename], rest: Sequence[Change]) -> str:
    """One sentence, of which the first part is the most likely cause."""
    told = [
        f"field {shown(each.gone.path)} is gone, {shown(each.new.path)} is new: probably renamed"
        for each in renamed[:2]
    ]
    told += [_sentence(change) for change in rest[: max(0, 3 - len(told))]]
    more = len(renamed) + len(rest) - len(told)
    return f"{tool}: {'; '.join(told)}" + (f"; and {more} more" if more > 0 else "")


def _sentence(change: Change) -> str:
    path = shown(change.path)
    if change.what == "added":
        return f"field {path} is new"
    if change.what == "removed":
        return f"field {path} is missing in some items" if change.got else f"field {path} is gone"
    what = f"field {path}" if path else "the response"
    return f"{what} is {' or '.join(change.got)}, was {' or '.join(change.expected)}"
