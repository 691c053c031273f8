"""The tools that agents call, those first that changed or fail most; for API and pages alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import msgspec

from watchpost.detect.contract import Guard
from watchpost.detect.schema_drift import KIND as DRIFT
from watchpost.model.flag import Flag
from watchpost.model.knowledge import Contract, Source
from watchpost.query.flags import FlagFilter
from watchpost.query.measures import MOST_GROUPS
from watchpost.server.contracts import ContractEntry, Contracts
from watchpost.server.measures import Measures, PointAnswer
from watchpost.store.state import FlagList

DAY_NS = 86_400 * 10**9
WEEK_NS = 7 * DAY_NS

_FLAGS = 2000
"""Flags of a week that are looked through, the latest."""

_SHAPE_CUT = 1000
"""Characters of a response's shape that a flag keeps."""

_Key = tuple[str, str]


class ToolAnswer(msgspec.Struct, frozen=True):
    """One tool of a project.

    `drift_day` and `drift_week` are flags of the last day and the last seven for responses that its contract does not allow now either, those
    that people dismissed left out. `calls` ended between `since` and `until`, of so many `sessions`; `error_rate` is the share of them that failed, `p95_seconds` how
    long they took at most in 95 of 100 cases, both null where there is none. The contract is as in `/api/contracts`; `changed_at` is when this one was published.
    """

    project: str
    tool: str
    drift_day: int
    drift_week: int
    calls: int
    sessions: int
    error_rate: float | None
    p95_seconds: float | None
    source: Source | str
    version: int
    changed_at: str | None
    candidates: int


class ToolsAnswer(msgspec.Struct, frozen=True):
    """The tools of which a contract is known or that were called in [`since`, `until`), the worst first."""

    since: str | None
    until: str | None
    tools: list[ToolAnswer]


class Called(msgspec.Struct, frozen=True):
    """How the calls of tools went that ended between `since` and `until`, by project and tool: the share that failed, and how long they took."""

    since: str | None
    until: str | None
    failed: dict[_Key, PointAnswer]
    took: dict[_Key, PointAnswer]


class Tools:
    """It reads the stores and blocks; call it from a worker thread."""

    def __init__(self, contracts: Contracts, measures: Measures, flags: FlagList, now_ns: Callable[[], int]) -> None:
        self._contracts = contracts
        self._measures = measures
        self._flags = flags
        self._now_ns = now_ns

    def every(self, project: str = "", since: str = "", until: str = "") -> ToolsAnswer:
        """The tools of a project, empty for every one; `since` and `until` are as for measures. Raises `ParameterError`."""
        return self.told(self.called(project, since, until), project)

    def called(self, project: str = "", since: str = "", until: str = "") -> Called:
        """What is counted over their calls, which takes long where much is stored. Raises `ParameterError`."""
        window = [("since", since), ("until", until)]
        asked = [pair for pair in (*window, ("project", project)) if pair[1]]
        asked += [("by", "project,tool"), ("top", str(MOST_GROUPS))]
        failed = self._measures.answer("tool_error_rate", asked)
        lasted = self._measures.answer("tool_duration_seconds", asked, tells_sessions=False)
        told, took = (
            {(each.group["project"], each.group["tool"]): each.total for each in answer.series}
            for answer in (failed, lasted)
        )
        return Called(failed.since, failed.until, told, took)

    def told(self, called: Called, project: str = "") -> ToolsAnswer:
        """With the contracts and the drift of this moment beside it."""
        entries = {(each.project, each.tool): each for each in self._contracts.every(project).contracts}
        drift = self._drift(project, self._now_ns())
        seen = {*called.failed, *entries, *drift[0], *drift[1]}
        # what is declared in every project stands there where it is called, and by itself only where it is not
        somewhere = {tool for owner, tool in seen if owner}
        found = [
            _tool(key, (drift[0][key], drift[1][key]), called.failed.get(key), called.took.get(key), entries)
            for key in seen
            if key[1] and (key[0] or key[1] not in somewhere)
        ]
        return ToolsAnswer(called.since, called.until, sorted(found, key=_badness))

    def _drift(self, project: str, now_ns: int) -> tuple[Counter[_Key], Counter[_Key]]:
        """Of each tool, its flags of the last day and of the last seven that still say something."""
        wanted = FlagFilter(project, kind=DRIFT, since_ns=now_ns - WEEK_NS, limit=_FLAGS)
        flags = [flag for flag in self._flags.flags_matching(wanted) if flag.state != "withdrawn"]
        said = {verdict.flag_id: verdict.verdict for verdict in self._flags.verdicts([flag.id for flag in flags])}
        standing = [flag for flag in flags if said.get(flag.id) != "dismiss"]
        differing = still_differing(standing, self._contracts.holding() if standing else {})
        week = Counter((flag.project, flag.tool) for flag in differing)
        return Counter((flag.project, flag.tool) for flag in differing if flag.at_ns >= now_ns - DAY_NS), week


def still_differing(flags: Iterable[Flag], holding: Mapping[_Key, Contract]) -> list[Flag]:
    """Those of these flags of drift whose response differs from the contract that holds now."""
    guards: dict[_Key, Guard] = {}
    found: list[Flag] = []
    for flag in flags:
        key = (flag.project, flag.tool)
        contract = holding.get(key) or holding.get(("", flag.tool))
        if contract is None:
            continue
        if key not in guards:
            guards[key] = Guard(contract)
        if differs(flag.evidence, guards[key]):
            found.append(flag)
    return found


def differs(evidence: Mapping[str, object], guard: Guard) -> bool:
    """Whether the response that a flag of drift was raised for differs from a contract."""
    line = evidence.get("response")
    # the shape of a long response was cut, and cannot be compared again
    return not isinstance(line, str) or len(line) >= _SHAPE_CUT or bool(guard.compare(line))


def _tool(
    key: _Key,
    drift: tuple[int, int],
    called: PointAnswer | None,
    took: PointAnswer | None,
    entries: Mapping[_Key, ContractEntry],
) -> ToolAnswer:
    entry = entries.get(("", key[1])) or entries.get(key)
    return ToolAnswer(
        *key,
        *drift,
        called.counted if called else 0,
        called.sessions if called else 0,
        _number(called),
        _number(took),
        entry.source if entry else "",
        entry.version if entry else 0,
        entry.at if entry else None,
        entry.candidates if entry else 0,
    )


def _number(point: PointAnswer | None) -> float | None:
    return None if point is None or point.value is None else float(point.value)


def _badness(tool: ToolAnswer) -> tuple[int, int, float, int, str, str]:
    """What puts the worst first: drift, then failures, then how much it is called."""
    return -tool.drift_day, -tool.drift_week, -(tool.error_rate or 0.0), -tool.calls, tool.tool, tool.project
