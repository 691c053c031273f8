"""One session: the steps of its traces in order, what they add up to, and how it stands."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

import msgspec

from watchpost.model.session import Outcome, State, Summary, Totals, session_key
from watchpost.model.step import Step
from watchpost.session.trace import Claim, Trace

SLOT_NS = 600 * 10**9
"""The ledger keeps a session's steps in rows of ten minutes by their start."""

StepKey = tuple[int, bytes, bytes]


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
        self._counts = {"llm": 0, "tool": 0, "tool_errors": 0}
        self._input, self._output, self._cached, self._reasoning, self._cost = (_Sum() for _ in range(5))

    def place(self, step: Step) -> None:
        """Add a step where its start puts it."""
        key = step_key(step)
        place = len(self._order) if not self._order or key > self._order[-1] else bisect_left(self._order, key)
        self._order.insert(place, key)
        self.steps.insert(place, step)
        self._tally(step, 1)
        self._touch(place, step)

    def remove(self, step: Step) -> None:
        """Take out a step that was placed."""
        place = bisect_left(self._order, step_key(step))
        del self._order[place]
        del self.steps[place]
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
        rooted = all(trace.ended_roots and not trace.open_roots for trace in self.traces.values())
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
            min((trace.started_ns for trace in traces), default=0),
            max((trace.ended_ns for trace in traces), default=0),
            self.received_ns(),
            due_ns,
            self.totals(),
            moved_to,
        )

    def workflow(self) -> str:
        """What it is an instance of: the name its spans give, else that of its first root, else the service's."""
        for fact in ("workflow", "root", "service"):
            if found := self._first(trace.claim(fact) for trace in self.traces.values()):
                return found
        return ""

    def user_id(self) -> str:
        """The first user that its spans name."""
        return self._first(trace.claim("user_id") for trace in self.traces.values())

    def service(self) -> str:
        """The `service.name` of its first span."""
        return self._first(trace.claim("service") for trace in self.traces.values())

    def totals(self) -> Totals:
        """What it used so far."""
        return Totals(
            len(self.steps),
            self._counts["llm"],
            self._counts["tool"],
            self._counts["tool_errors"],
            self._input.value,
            self._output.value,
            self._cached.value,
            self._reasoning.value,
            self._cost.value,
        )

    @property
    def held_bytes(self) -> int:
        """About what it holds in memory."""
        return sum(trace.held_bytes for trace in self.traces.values())

    @staticmethod
    def _first(claims: Iterator[Claim | None]) -> str:
        return min((claim for claim in claims if claim is not None), default=(0, b"", ""))[2]

    def _tally(self, step: Step, sign: int) -> None:
        if step.kind == "llm":
            self._counts["llm"] += sign
            self._input.move(step.tokens.input, sign)
            self._output.move(step.tokens.output, sign)
            self._cached.move(step.tokens.cached, sign)
            self._reasoning.move(step.tokens.reasoning, sign)
        elif step.kind == "tool":
            self._counts["tool"] += sign
            self._counts["tool_errors"] += sign * (step.status == "error")
        self._cost.move(step.cost_nano, sign)

    def _touch(self, place: int, step: Step) -> None:
        self.changed_from = min(self.changed_from, place)
        self.slots.add(slot_of(step.start_ns))


def slot_of(start_ns: int) -> int:
    """The slot, in Unix seconds, of a step that starts at a time."""
    return start_ns // SLOT_NS * 600
