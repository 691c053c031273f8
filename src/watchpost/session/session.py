"""One session: the steps of its traces in order, what they add up to, and how it stands."""

from __future__ import annotations

from bisect import bisect_left

import msgspec

from watchpost.model.session import Outcome, State, Summary, Totals, session_key
from watchpost.model.step import Step
from watchpost.session.estimate import is_silent, untold
from watchpost.session.trace import Trace
from watchpost.session.twins import Twins

SLOT_NS = 600 * 10**9
"""The ledger keeps a session's steps in rows of ten minutes by their start."""

StepKey = tuple[int, bytes, bytes]

_Counts = tuple[int | None, int | None, int | None, int | None]
"""Input, output, cached and reasoning tokens."""


class Quiet(msgspec.Struct, frozen=True):
    """When a session counts as over, in nanoseconds without anything received: with all its roots ended, and without."""

    rooted_ns: int = 30 * 10**9
    idle_ns: int = 600 * 10**9


def step_key(step: Step) -> StepKey:
    """What steps are ordered by."""
    return step.start_ns, step.trace_id, step.span_id


class _Sum:
    """A sum that knows whether anything was ever reported."""

    __slots__ = ("_reports", "_sum")

    def __init__(self) -> None:
        self._sum = 0
        self._reports = 0

    def move(self, count: int | None, sign: int) -> None:
        if count is not None:
            self._sum += sign * count
            self._reports += sign

    @property
    def value(self) -> int | None:
        return self._sum if self._reports else None


class Session:
    """Steps in order, kept up to date one by one.

    `changed_from` is the place of the first step that is not as it was when detectors last looked; `slots` the slots whose
    ledger row is out of date. Both are taken back by whoever has dealt with them.
    """

    def __init__(self, project: str, session_id: str) -> None:
        self.project = project
        self.session_id = session_id
        self.key = session_key(project, session_id)
        self.traces: dict[bytes, Trace] = {}
        self.steps: list[Step] = []
        self.changed_from = 0
        self.slots: set[int] = set()
        self.state: State = "running"
        self.outcome: Outcome | None = None
        self.revision = 0
        self._order: list[StepKey] = []
        self.twins = Twins()
        self._names: dict[str, str] = {}
        self._counts = {
            "llm": 0,
            "retries": 0,
            "tool": 0,
            "tool_errors": 0,
            "ran": 0,
            "untold": 0,
            "asked": 0,
            "unsaid": 0,
            "silent": 0,
        }
        self._input, self._output, self._cached, self._reasoning, self._cost = (_Sum() for _ in range(5))

    def place(self, step: Step) -> None:
        """Add a step where its start puts it."""
        key = step_key(step)
        place = len(self._order)
        if place and key < self._order[-1]:
            place = bisect_left(self._order, key)
            self._count_retries(place - 1, place + 1, -1)
        self._order.insert(place, key)
        self.steps.insert(place, step)
        self._count_retries(place - 1, place + 2, 1)
        self._tally(step, 1)
        self._touch(place, step)

    def remove(self, step: Step) -> None:
        """Take out a step that was placed."""
        place = bisect_left(self._order, step_key(step))
        self._count_retries(place - 1, place + 2, -1)
        del self._order[place]
        del self.steps[place]
        self._count_retries(place - 1, place + 1, 1)
        self._tally(step, -1)
        self._touch(place, step)

    def slot_steps(self, slot: int) -> list[Step]:
        """The steps that start in a slot, given in Unix seconds."""
        low = bisect_left(self._order, (slot * 10**9, b"", b""))
        high = bisect_left(self._order, (slot * 10**9 + SLOT_NS, b"", b""))
        return self.steps[low:high]

    def received_ns(self) -> int:
        """When the last span came in, by our clock."""
        return max((trace.received_ns for trace in self.traces.values()), default=0)

    def due_ns(self, quiet: Quiet) -> int:
        """When it will have ended unless something more comes in."""
        runs = [trace for trace in self.traces.values() if not trace.is_remark]
        rooted = all(trace.ended_roots and not trace.open_roots for trace in runs)
        return self.received_ns() + (quiet.rooted_ns if rooted else quiet.idle_ns)

    def summary(self, due_ns: int, moved_to: str = "") -> Summary:
        """What the index of sessions holds of it."""
        traces = self.traces.values()
        return Summary(
            self.key,
            self.project,
            self.session_id,
            self.workflow(),
            self.user_id(),
            self.state,
            self.outcome,
            self.revision,
            min((trace.started_ns for trace in traces if trace.started_ns), default=0),
            max((trace.ended_ns for trace in traces), default=0),
            self.received_ns(),
            due_ns,
            self.totals(),
            moved_to,
            self.service(),
            self.org_id(),
            self.feature(),
            self.release(),
        )

    def workflow(self) -> str:
        """What it is an instance of: the name its spans give, else that of its first root, else the service's."""
        return self._named("workflow") or self._named("root") or self._named("service")

    def user_id(self) -> str:
        """The first user that its spans name."""
        return self._named("user_id")

    def org_id(self) -> str:
        """The first organization that its spans name."""
        return self._named("org_id")

    def feature(self) -> str:
        """The first feature that its spans name."""
        return self._named("feature")

    def release(self) -> str:
        """The release of the agent that its first span to tell of one names, else the version of its service."""
        return self._named("release")

    def service(self) -> str:
        """The `service.name` of its first span."""
        return self._named("service")

    def rename(self) -> None:
        """Its traces, or what they are named, changed."""
        self._names.clear()

    def totals(self) -> Totals:
        """What it used so far.

        A model call that failed and was made again at once is one call with the next. Where an agent worked and no model call
        was seen, their number is not reported, and tokens are what agents report as their total. Where calls were seen that
        told no tokens, what an agent above them reports beyond its other calls is added. Where a model asked for tools,
        or may have, and none was seen, the number of tool calls is not reported; nor is that of errors where a call does not tell.
        """
        counts = self._counts
        unseen = self._has_unseen_calls()
        silent = not counts["ran"] and (counts["asked"] > 0 or counts["unsaid"] > 0 or unseen)
        tokens = (self._input.value, self._output.value, self._cached.value, self._reasoning.value)
        estimated = False
        if unseen or counts["silent"]:
            more = self._untold(unseen=unseen)
            estimated = more[0] is not None if unseen else any(more)
            tokens = more if unseen else _sum(tokens, more)
        return Totals(
            len(self.steps),
            None if unseen else counts["llm"] - counts["retries"],
            None if silent else counts["tool"],
            None if silent or counts["untold"] else counts["tool_errors"],
            *tokens,
            self._cost.value,
            counts["retries"],
            max(counts["asked"] - counts["ran"], 0),
            estimated,
        )

    @property
    def is_agentic(self) -> bool:
        """Whether any of it is what an agent does."""
        return any(trace.is_agentic and not trace.is_remark for trace in self.traces.values())

    @property
    def is_sealed(self) -> bool:
        """Whether texts of it are no longer kept: it is counted as ever, and judged no more."""
        return any(trace.outlines for trace in self.traces.values())

    @property
    def is_awaited(self) -> bool:
        """Whether only feedback about it has come so far: it is no session before something of it does."""
        return bool(self.traces) and all(trace.is_remark for trace in self.traces.values())

    def _has_unseen_calls(self) -> bool:
        """Whether agents or tools worked for a model of which no call was seen, and no guardrail kept it from being called."""
        if self._counts["llm"]:
            return False
        traces = self.traces.values()
        return any(trace.agents or trace.tools for trace in traces) and not any(t.tripped for t in traces)

    def _untold(self, *, unseen: bool) -> _Counts:
        """What agents report of calls that were not seen, or told nothing."""
        found = [untold(trace, unseen=unseen) for trace in self.traces.values() if trace.usage]
        if not found:
            return None, None, None, None
        input_, output, cached, reasoning = (
            [count for count in column if count is not None]
            for column in zip(*[(t.input, t.output, t.cached, t.reasoning) for t in found], strict=True)
        )
        return _total(input_), _total(output), _total(cached), _total(reasoning)

    def _named(self, fact: str) -> str:
        """What the earliest claim of a fact says, in all its traces."""
        found = self._names.get(fact)
        if found is None:
            claims = [claim for trace in self.traces.values() if (claim := trace.claim(fact)) is not None]
            found = self._names[fact] = min(claims)[2] if claims else ""
        return found

    def _tally(self, step: Step, sign: int) -> None:
        counts = self._counts
        if step.kind == "llm":
            counts["llm"] += sign
            counts["asked"] += sign * (step.asked or 0)
            counts["unsaid"] += sign * (step.asked is None)
            counts["silent"] += sign * is_silent(step)
            self._input.move(step.tokens.input, sign)
            self._output.move(step.tokens.output, sign)
            self._cached.move(step.tokens.cached, sign)
            self._reasoning.move(step.tokens.reasoning, sign)
        elif step.tool and step.kind in {"tool", "handoff"}:
            counts["ran"] += sign
            if step.kind == "tool" and step.ran:
                counts["tool"] += sign
                counts["tool_errors"] += sign * (step.status == "error")
                counts["untold"] += sign * (step.status == "unknown")
        self._cost.move(step.cost_nano, sign)

    def _count_retries(self, first: int, end: int, sign: int) -> None:
        """Count the failed model calls among these places that the next step made again."""
        for place in range(max(first, 0), min(end, len(self.steps)) - 1):
            failed, again = self.steps[place], self.steps[place + 1]
            if (
                failed.kind == again.kind == "llm"
                and failed.status == "error"
                and failed.trace_id == again.trace_id
                and failed.parent_id == again.parent_id != b""
                and (failed.model == again.model or not failed.model or again.model.startswith(failed.model))
            ):
                self._counts["retries"] += sign

    def _touch(self, place: int, step: Step) -> None:
        self.changed_from = min(self.changed_from, place)
        self.slots.add(slot_of(step.start_ns))


def slot_of(start_ns: int) -> int:
    """The slot, in Unix seconds, of a step that starts at a time."""
    return start_ns // SLOT_NS * 600


def _sum(told: _Counts, more: _Counts) -> _Counts:
    """What was told with what is more; a total of zero adds nothing, for that is what agents report that counted nothing."""
    one, two, three, four = [(count or 0) + extra if extra else count for count, extra in zip(told, more, strict=True)]
    return one, two, three, four


def _total(counts: list[int]) -> int | None:
    return sum(counts) if counts else None
