"""When each agent of a trace called a model, and when it handed a task over by a step that tells so."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import accumulate


class Doings:
    """The model calls that agents had answered, and the handovers that have steps of their own, by the agent that did them."""

    def __init__(self) -> None:
        self._doers: dict[bytes, bytes] = {}
        self._calls: dict[bytes, dict[bytes, tuple[int, int]]] = {}
        self._handovers: dict[bytes, dict[bytes, int]] = {}
        self._sorted: dict[bytes, tuple[list[int], list[int], list[int]]] = {}

    def called(self, agent: bytes, span_id: bytes, start_ns: int, end_ns: int) -> None:
        """An agent called a model from one time to another."""
        self.drop(span_id)
        self._doers[span_id] = agent
        self._calls.setdefault(agent, {})[span_id] = (end_ns, start_ns)
        self._sorted.pop(agent, None)

    def handed_over(self, agent: bytes, span_id: bytes, start_ns: int) -> None:
        """An agent handed over at a time."""
        self.drop(span_id)
        self._doers[span_id] = agent
        self._handovers.setdefault(agent, {})[span_id] = start_ns
        self._sorted.pop(agent, None)

    def drop(self, span_id: bytes) -> None:
        """A span is neither, as far as is known."""
        agent = self._doers.pop(span_id, None)
        if agent is not None:
            self._calls.get(agent, {}).pop(span_id, None)
            self._handovers.get(agent, {}).pop(span_id, None)
            self._sorted.pop(agent, None)

    def gave(self, agent: bytes, at_ns: int) -> bool:
        """Whether an agent had called a model before a time, and from the latest such call until then not handed over."""
        found = self._sorted.get(agent)
        if found is None:
            calls = sorted(self._calls.get(agent, {}).values())
            latest = list(accumulate((start_ns for _, start_ns in calls), max))
            found = self._sorted[agent] = (
                [end_ns for end_ns, _ in calls],
                latest,
                sorted(self._handovers.get(agent, {}).values()),
            )
        ends, latest, handovers = found
        before = bisect_right(ends, at_ns)
        return before > 0 and bisect_left(handovers, latest[before - 1]) == bisect_right(handovers, at_ns)
