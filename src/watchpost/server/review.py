"""Flags over all sessions, what people say of them, and how often detectors are right by that: for API, pages and CLI alike."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
from starlette.concurrency import run_in_threadpool

from watchpost.model.fact import Fact, Verdict, VerdictKind
from watchpost.model.flag import Flag, FlagState, Severity
from watchpost.model.session import session_key
from watchpost.query.flags import FlagFilter, KindCount
from watchpost.rules.precision import Precision, PrecisionSettings, Row, Standing, Tally
from watchpost.server.answers import FlagAnswer, FlagDetail, FlagEntry, FlagsAnswer, flag_answer, moment, verdict_answer
from watchpost.server.archive import Archive, write_cursor
from watchpost.server.problem import NotFoundError, ParameterError
from watchpost.store.state import FlagList

WAIT_S = 2.0
"""How long an answer waits until a verdict holds."""

COUNTED = 10_000
"""So many flags are counted by kind."""

BY_LENGTH = 200
NOTE_LENGTH = 2000


class Notebook(Protocol):
    """Where what people say is written down."""

    async def note(self, facts: Sequence[Fact]) -> int:
        """Return only when the facts are durable, with their log sequence. Raises `OverloadedError` for what is to be said again later."""
        ...

    async def settled(self, seq: int, timeout_s: float) -> bool:
        """Return true as soon as all up to a log sequence holds, and false where that is not so in time."""
        ...


class VerdictGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a reviewer says of a flag: `confirm` that it was right, or `dismiss` it; who says so, and why."""

    verdict: VerdictKind
    by: str = ""
    note: str = ""


class PrecisionAnswer(msgspec.Struct, frozen=True):
    """Of so many flags with a verdict, how many were right.

    `interval` is the 95 % Wilson interval of `precision`, which is null of none. `muted` says why nobody is told of such flags any
    more, null where people are.
    """

    verdicts: int
    confirmed: int
    dismissed: int
    precision: float | None
    interval: tuple[float, float]
    muted: str | None


class ToolPrecision(PrecisionAnswer, frozen=True, kw_only=True):
    """The same of flags about one tool, empty for those about none. It is judged by its `own` verdicts where there are enough."""

    tool: str
    own: bool


class DetectorPrecision(PrecisionAnswer, frozen=True, kw_only=True):
    """The same of all flags of a kind in a project. `others` are those about tools that are not judged by their `own` verdicts; `muted` is theirs."""

    project: str
    kind: str
    needs: float
    others: PrecisionAnswer
    tools: list[ToolPrecision]

    @property
    def paging(self) -> str:
        """In a few words, whether people are told of such flags."""
        quiet = [one for one in self.tools if one.own and one.muted]
        if self.muted:
            return self.muted
        return f"not for {len(quiet)} of {len(self.tools)} tools" if quiet else "yes"


class PrecisionsAnswer(msgspec.Struct, frozen=True):
    """Every kind of flag that has verdicts, and the `verdicts` from which on it is judged by them."""

    verdicts: int
    detectors: list[DetectorPrecision]


class KindsAnswer(msgspec.Struct, frozen=True):
    """How many flags are of which kind, the most frequent first, among the latest `of` flags; `more` where there are earlier ones that were not counted."""

    kinds: list[KindCount]
    of: int
    more: bool


class FlagGlimpse(msgspec.Struct, frozen=True):
    """A flag as far as it is known without its session, whose key may be that of one that was merged into another since."""

    id: str
    kind: str
    severity: Severity
    state: FlagState
    summary: str
    session: str
    session_id: str
    at: str | None
    verdict: Verdict | None


class Review:
    """Its methods read the stores and block, but for `give`; call them from a worker thread."""

    def __init__(
        self,
        archive: Archive,
        flags: FlagList,
        notes: Notebook,
        settings: PrecisionSettings,
        now_ns: Callable[[], int],
    ) -> None:
        self._archive = archive
        self._flags = flags
        self._notes = notes
        self._settings = settings
        self._now_ns = now_ns

    def page(self, wanted: FlagFilter, session: str = "") -> FlagsAnswer:
        """At most `wanted.limit` flags, of the session of a key where one is given; raises `NotFoundError` for a key never seen."""
        if session:
            project, session_id = self._archive.session_ref(session)
            if wanted.project not in {"", project} or wanted.session_id not in {"", session_id}:
                return FlagsAnswer([], None)
            wanted = msgspec.structs.replace(wanted, project=project, session_id=session_id)
        found = self._flags.flags_matching(msgspec.structs.replace(wanted, limit=wanted.limit + 1))
        shown = found[: wanted.limit]
        more = write_cursor(shown[-1].at_ns, shown[-1].id) if len(found) > len(shown) else None
        return FlagsAnswer(self._entries(shown), more)

    def kinds(self, wanted: FlagFilter) -> KindsAnswer:
        """How many of the latest `COUNTED` flags are of which kind; `kind` and the page of the filter do not matter."""
        asked = msgspec.structs.replace(wanted, kind="", before=None, limit=COUNTED)
        kinds = self._flags.flag_kinds(asked)
        counted = sum(each.flags for each in kinds)
        return KindsAnswer(kinds, counted, counted == COUNTED)

    def latest(self, project: str, limit: int) -> list[FlagGlimpse]:
        """The latest flags that were not withdrawn, at most so many, of every project for an empty one; sessions are not asked for."""
        found = self._flags.flags_matching(FlagFilter(project=project, limit=limit))
        said = self._archive.said(found)
        return [
            FlagGlimpse(
                flag.id,
                flag.kind,
                flag.severity,
                flag.state,
                flag.summary,
                session_key(flag.project, flag.session_id),
                flag.session_id,
                moment(flag.at_ns),
                said.get(flag.id),
            )
            for flag in found
            if flag.state != "withdrawn"
        ]

    def flag(self, flag_id: str) -> FlagDetail:
        """One flag with all that was said of it; raises `NotFoundError` for one never raised."""
        (entry,) = self._entries([self._flag(flag_id)])
        said = [verdict_answer(verdict) for verdict in self._flags.verdicts([flag_id])]
        fields = {name: getattr(entry, name) for name in FlagEntry.__struct_fields__}
        return FlagDetail(**fields, verdicts=[verdict for verdict in said if verdict is not None])

    def verdict(self, flag_id: str, given: VerdictGiven) -> Verdict:
        """What is to be noted of what somebody said; raises `NotFoundError` and `ParameterError`."""
        by, note = given.by.strip(), given.note.replace("\r\n", "\n").strip()
        _check("by", by, BY_LENGTH, "")
        _check("note", note, NOTE_LENGTH, "\n\t")
        return Verdict(self._flag(flag_id).id, given.verdict, by, note, self._now_ns())

    async def give(self, flag_id: str, given: VerdictGiven) -> tuple[FlagDetail, bool]:
        """Note what somebody said: the flag, and whether the verdict holds already. Raises as `verdict` and `Notebook.note` do."""
        verdict = await run_in_threadpool(self.verdict, flag_id, given)
        seq = await self._notes.note((verdict,))
        holds = await self._notes.settled(seq, WAIT_S)
        return await run_in_threadpool(self.flag, flag_id), holds

    def precision(self, project: str = "") -> PrecisionsAnswer:
        """How often each kind of flag is right; an empty `project` is every project."""
        rows = self._precision(project).rows()
        return PrecisionsAnswer(self._settings.verdicts, [self._detector(row) for row in rows])

    @staticmethod
    def _detector(row: Row) -> DetectorPrecision:
        return DetectorPrecision(
            *_numbers(row.tally, row.others),
            project=row.project,
            kind=row.kind,
            needs=row.others.needs,
            others=PrecisionAnswer(*_numbers(row.others.tally, row.others)),
            tools=[
                ToolPrecision(*_numbers(tally, standing), tool=tool, own=standing.is_own)
                for tool, (tally, standing) in row.tools.items()
            ],
        )

    def _precision(self, project: str) -> Precision:
        return Precision(self._settings, self._flags.verdict_counts(project))

    def _flag(self, flag_id: str) -> Flag:
        found = self._flags.flags_by_id([flag_id])
        if not found:
            raise NotFoundError(f"no flag has the id {flag_id}")
        return found[0]

    def _entries(self, flags: Sequence[Flag]) -> list[FlagEntry]:
        if not flags:
            return []
        said, places = self._archive.said(flags), self._archive.places(flags)
        projects = {flag.project for flag in flags}
        precision = self._precision(projects.pop() if len(projects) == 1 else "")
        return [
            _entry(flag, flag_answer(flag, place.number, said.get(flag.id)), place.session, precision)
            for flag, place in zip(flags, places, strict=True)
        ]


def way_on(flag: FlagAnswer, project: str) -> str:
    """The command that a dismissed flag of a project asks for: of a changed contract, to accept it; empty for other flags."""
    if flag.kind != "TOOL_SCHEMA_DRIFT" or flag.verdict is None or flag.verdict.verdict != "dismiss":
        return ""
    tool, candidate = flag.evidence.get("tool"), flag.evidence.get("candidate")
    if not isinstance(tool, str) or not isinstance(candidate, str) or not tool or not candidate:
        return ""
    named = [] if project == "default" else ["--project", project]
    # what begins like an option is one, unless it is said where options end
    last = ["--", tool] if tool.startswith("-") else [tool]
    return shlex.join(["watchpost", "contracts", "pin", "--candidate", candidate, *named, *last])


def _entry(flag: Flag, answer: FlagAnswer, session: str, precision: Precision) -> FlagEntry:
    return FlagEntry(
        **{name: getattr(answer, name) for name in FlagAnswer.__struct_fields__},
        project=flag.project,
        session=session,
        session_id=flag.session_id,
        tool=flag.tool,
        at=moment(flag.at_ns),
        muted=precision.standing(flag.project, flag.kind, flag.tool).reason or None,
    )


def _numbers(tally: Tally, standing: Standing) -> tuple[int, int, int, float | None, tuple[float, float], str | None]:
    """The fields of `PrecisionAnswer` in their order."""
    return (
        tally.verdicts,
        tally.confirmed,
        tally.dismissed,
        tally.precision,
        tally.interval,
        standing.reason or None,
    )


def _check(name: str, text: str, length: int, also: str) -> None:
    """Raise `ParameterError` for a text that is too long or holds what cannot be printed and is not `also` allowed."""
    if len(text) > length:
        raise ParameterError(name, f"is longer than {length} characters")
    if not all(char.isprintable() or char in also for char in text):
        raise ParameterError(name, "holds characters that cannot be printed")
