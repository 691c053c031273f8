"""All steps of a session as columns, to be drawn along a time axis, and what each agent did among them.

Fifty thousand steps are some 3 MB as columns; as objects they would be ten times that.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from watchpost.model.fact import Verdict
from watchpost.model.flag import Flag
from watchpost.model.session import State, Summary
from watchpost.server.answers import SpanRef, moment, usd
from watchpost.store.readers import SessionReader, StepRow

MOST_STEPS = 100_000
"""Steps in one answer, and steps of a session of which it is told what agents did."""


class TimelineFlags(msgspec.Struct, frozen=True):
    """The flags of a session that hold and that nobody dismissed, at steps, as lists of one length in the order of the steps.

    `step` is the number of the step of each; `kind` and `severity` are places in `kinds` and `severities`.
    """

    kinds: list[str]
    severities: list[str]
    step: list[int]
    kind: list[int]
    severity: list[int]


class TimelineAnswer(msgspec.Struct, frozen=True):
    """Steps `after + 1` onwards of a session as lists of one length, in order: the n-th of each is of step `after + n`.

    `kind`, `agent`, `name`, `status` and `trace` are places in `kinds`, `agents`, `names`, `statuses` and `traces`. `start_us` counts from
    `started_at`, in microseconds; `duration_us` is null while a step runs. `parent` is the number of the step that a step is part of, 0 where
    it is part of none in this answer. `steps` is how many the session has; `flags` are those of all of them.
    """

    key: str
    revision: int
    state: State
    started_at: str | None
    steps: int
    after: int
    next: int | None
    kinds: list[str]
    agents: list[str]
    names: list[str]
    statuses: list[str]
    traces: list[str]
    step_id: list[str]
    trace: list[int]
    parent: list[int]
    start_us: list[int]
    duration_us: list[int | None]
    kind: list[int]
    agent: list[int]
    name: list[int]
    status: list[int]
    input_tokens: list[int | None]
    output_tokens: list[int | None]
    cost_usd: list[str | None]
    flags: TimelineFlags


class AgentShare(msgspec.Struct, frozen=True):
    """What one agent did in a session: its steps from the number `first`, and what they used, None where nobody told."""

    name: str
    first: int
    steps: int
    errors: int
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: str | None


class _Table:
    """Texts by the place at which each was first met."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def column(self, texts: Iterable[str]) -> list[int]:
        places = self._places
        return [places.setdefault(text, len(places)) for text in texts]

    def texts(self) -> list[str]:
        return list(self._places)


class AgentShares:
    """What agents did in sessions, which takes reading all their steps; remembered for as long as a session does not change."""

    def __init__(self, sessions: SessionReader, remembered: int) -> None:
        self._sessions = sessions
        self._size = remembered
        self._known: OrderedDict[tuple[str, int], list[AgentShare]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, session: Summary) -> list[AgentShare]:
        """The agents of a session, in the order in which they first acted."""
        place = (session.key, session.revision)
        with self._lock:
            if place in self._known:
                return self._known[place]
        found = agents_of(self._sessions.steps(session, 0, MOST_STEPS))
        with self._lock:
            self._known[place] = found
            while len(self._known) > self._size:
                self._known.popitem(last=False)
        return found


def timeline_answer(
    session: Summary, rows: Sequence[StepRow], more: bool, after: int, flags: TimelineFlags
) -> TimelineAnswer:
    """Rows of steps that follow each other as columns; `more` says that others follow them."""
    steps = [row.step for row in rows]
    kinds, agents, names, statuses, traces = (_Table() for _ in range(5))
    begin_us = session.started_ns // 1000
    return TimelineAnswer(
        key=session.key,
        revision=session.revision,
        state=session.state,
        started_at=moment(session.started_ns),
        steps=session.totals.steps,
        after=after,
        next=rows[-1].number if more and rows else None,
        step_id=[step.span_id.hex() for step in steps],
        trace=traces.column(step.trace_id.hex() for step in steps),
        parent=_parents(rows),
        start_us=[step.start_ns // 1000 - begin_us for step in steps],
        duration_us=[step.dur_us for step in steps],
        kind=kinds.column(step.kind for step in steps),
        agent=agents.column(step.agent for step in steps),
        name=names.column(step.name or step.kind for step in steps),
        status=statuses.column(step.status for step in steps),
        input_tokens=[step.in_tok for step in steps],
        output_tokens=[step.out_tok for step in steps],
        cost_usd=[usd(step.cost_nano) for step in steps],
        kinds=kinds.texts(),
        agents=agents.texts(),
        names=names.texts(),
        statuses=statuses.texts(),
        traces=traces.texts(),
        flags=flags,
    )


def timeline_flags(
    flags: Iterable[Flag], numbers: Mapping[SpanRef, int | None], said: Mapping[str, Verdict]
) -> TimelineFlags:
    """Flags by the numbers of their steps, as far as they belong on a timeline."""
    placed = [
        (number, flag)
        for flag in flags
        if flag.state != "withdrawn"
        and (number := numbers.get((flag.trace_id, flag.span_id))) is not None
        and not (flag.id in said and said[flag.id].verdict == "dismiss")
    ]
    placed.sort(key=lambda one: one[0])
    kinds, severities = _Table(), _Table()
    return TimelineFlags(
        step=[number for number, _ in placed],
        kind=kinds.column(flag.kind for _, flag in placed),
        severity=severities.column(flag.severity for _, flag in placed),
        kinds=kinds.texts(),
        severities=severities.texts(),
    )


def agents_of(rows: Iterable[StepRow]) -> list[AgentShare]:
    """What each agent did, in the order in which they first acted; those without a name are one."""
    by_agent: dict[str, list[StepRow]] = {}
    for row in rows:
        by_agent.setdefault(row.step.agent, []).append(row)
    return [_share(name, own) for name, own in by_agent.items()]


def _share(name: str, rows: Sequence[StepRow]) -> AgentShare:
    steps = [row.step for row in rows]
    return AgentShare(
        name=name,
        first=rows[0].number,
        steps=len(steps),
        errors=sum(step.status == "error" for step in steps),
        input_tokens=_sum(step.in_tok for step in steps),
        output_tokens=_sum(step.out_tok for step in steps),
        cost_usd=usd(_sum(step.cost_nano for step in steps)),
    )


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _parents(rows: Sequence[StepRow]) -> list[int]:
    """The number of the step that each is part of; one that began later, by a clock that is off, is not taken for it."""
    numbers = {(row.step.trace_id, row.step.span_id): row.number for row in rows}
    found = (numbers.get((row.step.trace_id, row.step.parent_id), 0) for row in rows)
    return [number if number < row.number else 0 for number, row in zip(found, rows, strict=True)]
