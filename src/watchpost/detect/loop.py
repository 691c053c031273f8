"""The loop detector: an agent that asks the same thing again, or goes on for longer than it should.

Five reasons, each with its own setting: one tool called with arguments that are alike (`alike_calls`); two calls that
alternate (`cycle`); one tool that is asked about the same entities in other words and answers the same
(`unchanged_result`); too many tool calls in a turn (`calls_per_turn`); too many turns (`turns`).

Two argument texts are alike if they name the same numbers and ids and their canonical texts are at least 90 % alike. A
call whose arguments were not reported is never alike to another, and where the text of a result was not reported, is
empty or is an error, it is not an unchanged result.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import msgspec

from watchpost.detect.alike import SHOWN_CALLS, SHOWN_ENTITIES, TEXT_LIMIT, AlikeCalls, Call, Cluster, digest_of, shown
from watchpost.model.flag import Finding, Severity
from watchpost.model.step import Step, StepKind

KIND = "LOOP_DETECTED"

_NOTHING = ("", "[]", "{}", "null", '""')


LOOKS = 3
"""A call without arguments asks for what there is. As long as each brings something new it may be made so many times as often as others."""


class LoopSettings(msgspec.Struct, frozen=True):
    """When repetition is a loop. Zero switches a limit off.

    `alike` is the least similarity of two argument texts, above 0 and up to 1. A call fires when more than `repeats` calls
    of its tool, itself included, have alike arguments; when two calls have alternated for `cycle_rounds` rounds; when
    more than `unchanged` calls of its tool about the same entities brought the same result; when it is beyond
    `calls_per_turn`. A human step fires when it begins a turn beyond `turns`; a session without human steps is one turn.
    `polling` declares tools that may ask again: a tool name or shell pattern, and the alike calls it is allowed in a session,
    0 for any number; the first pattern that matches holds, and polling calls count for no cycle and no unchanged result.
    """

    alike: float = 0.90
    repeats: int = 2
    cycle_rounds: int = 2
    unchanged: int = 2
    calls_per_turn: int = 0
    turns: int = 25
    polling: dict[str, int] = {}
    severity: Severity = "high"
    limit_severity: Severity = "error"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        if not 0 < self.alike <= 1:
            raise ValueError(f"alike must be above 0 and at most 1, not {self.alike}")
        for field in ("repeats", "cycle_rounds", "unchanged", "calls_per_turn", "turns"):
            if getattr(self, field) < 0:
                raise ValueError(f"{field} must not be negative; 0 switches it off")
        if self.cycle_rounds == 1:
            raise ValueError("cycle_rounds must be at least 2, or 0 to switch it off")
        for tool, allowed in self.polling.items():
            if allowed < 0:
                raise ValueError(f"polling.{tool} must not be negative; 0 allows any number")


class _Answer(msgspec.Struct, eq=False, gc=False):
    """Calls of one tool about the same entities that brought the same result, and the clusters of the first few of them."""

    key: tuple[Cluster, str | bytes]
    count: int = 0
    calls: tuple[Call, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    flagged: bool = False


class _Entry(msgspec.Struct, eq=False, gc=False):
    """A tool call at its place among the steps, and what it was counted to, so that it can be taken back.

    The first call about some entities is counted to no answer before there is a second one; until then its own `result` is kept.
    """

    place: int
    cluster: Cluster | None = None
    call: Call | None = None
    answer: _Answer | None = None
    result: str | bytes | None = None


class LoopDetector:
    """Finds loops in the tool calls of one session.

    A loop gives one finding, at the call that crosses the limit; the calls that continue it give none. No later step can
    refute it. A step costs the same however long the session is, as `AlikeCalls` says. What is held grows by a bounded
    amount with each step, and by at most `TEXT_BUDGET` characters of arguments in a session.
    """

    kinds: frozenset[StepKind] = frozenset({"tool", "human"})

    def __init__(self, settings: LoopSettings) -> None:
        self._settings = settings
        self._calls: list[_Entry] = []
        self._order: list[_Entry] = []
        """The calls that a cycle may be made of: all but those of polling tools."""
        self._turns: list[tuple[int, int]] = []
        """The place of each human step, and the calls before it."""
        self._marks: list[tuple[int, Cluster | _Answer]] = []
        """What was flagged, and at which step."""
        self._grouped = AlikeCalls(settings.alike)
        self._answers: dict[tuple[Cluster, str | bytes], _Answer] = {}

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Take the next step in order and say which loop it completes."""
        if step.kind == "tool":
            found = self._called(step, place)
            return [*found, *self._beyond_calls(step)] if self._settings.calls_per_turn else found
        if step.kind == "human":
            self._turns.append((place, len(self._calls)))
            return self._beyond_turns(len(self._turns))
        return ()

    def rewind(self, steps: int) -> None:
        """Forget all but the first `steps` steps."""
        while self._marks and self._marks[-1][0] >= steps:
            self._marks.pop()[1].flagged = False
        while self._turns and self._turns[-1][0] >= steps:
            self._turns.pop()
        while self._calls and self._calls[-1].place >= steps:
            self._take_back(self._calls.pop())

    def _called(self, step: Step, place: int) -> Sequence[Finding]:
        """Count a tool call, and keep how to take it back."""
        tool, arguments = step.tool or step.name, step.arguments
        if not tool or not arguments or arguments.isspace():
            unreported = _Entry(place)
            self._calls.append(unreported)
            self._order.append(unreported)
            return ()
        allowed = self._polling(tool) if self._settings.polling else None
        cluster, call = self._grouped.join(tool, arguments, step.span_id)
        result = _result(step) if allowed is None else None
        if cluster.count == 1 and cluster.first is None:
            cluster.opened = len(self._calls)
            answer = None
        else:
            answer = self._answered(cluster, call, result) if result is not None else None
        entry = _Entry(place, cluster, call, answer, result)
        self._calls.append(entry)
        if allowed is None:
            self._order.append(entry)
        if cluster.count == 1 and (answer is None or answer.count == 1):
            return ()
        return self._judge(cluster, call, self._settings.repeats if allowed is None else allowed, answer)

    def _polling(self, tool: str) -> int | None:
        """The alike calls a declared polling tool is allowed, None for any other tool."""
        for pattern, allowed in self._settings.polling.items():
            if fnmatchcase(tool, pattern):
                return allowed
        return None

    def _answered(self, cluster: Cluster, call: Call, result: str | bytes) -> _Answer:
        """The calls of this tool about the same entities that brought this result."""
        first = cluster.first or cluster
        opening = self._calls[first.opened]
        if opening.answer is None and opening.call is not None and opening.result is not None:
            opening.answer = self._count(first, first, opening.call, opening.result)
        return self._count(first, cluster, call, result)

    def _count(self, first: Cluster, cluster: Cluster, call: Call, result: str | bytes) -> _Answer:
        key = (first, result)
        answer = self._answers.get(key)
        if answer is None:
            answer = self._answers[key] = _Answer(key)
        answer.count += 1
        cluster.answers += answer.count == 1
        if answer.count <= SHOWN_CALLS:
            answer.calls += (call,)
            answer.clusters += (cluster,)
        return answer

    def _judge(self, cluster: Cluster, call: Call, limit: int, answer: _Answer | None) -> Sequence[Finding]:
        """What the call just counted completes; marks what is part of a loop that has now been reported."""
        stalled = answer is not None and 0 < self._settings.unchanged < answer.count
        if cluster.flagged:
            if answer is not None and stalled:
                self._mark(answer)
            return ()
        if answer is not None and answer.flagged:
            self._mark(cluster)
            return ()
        if 0 < limit < cluster.count and not _looks_again(cluster, limit):
            self._mark(cluster)
            return (self._repeated(cluster, call, limit),)
        if (other := self._alternating(cluster)) is not None:
            self._mark(other, cluster)
            return (self._cycle(other, cluster),)
        if answer is not None and stalled:
            self._mark(answer, *answer.clusters, cluster)
            return (self._stalled(answer, cluster, call),)
        return ()

    def _mark(self, *groups: Cluster | _Answer) -> None:
        """Note that the loop these are part of is reported, at the latest step."""
        for each in groups:
            if not each.flagged:
                each.flagged = True
                self._marks.append((self._calls[-1].place, each))

    def _alternating(self, cluster: Cluster) -> Cluster | None:
        """What has taken turns with this call for the rounds that make a cycle, if its own loop is not yet reported."""
        length = 2 * self._settings.cycle_rounds
        if not length or len(self._order) < length:
            return None
        other = self._order[-2].cluster
        if other is None or other is cluster or other.flagged:
            return None
        latest = enumerate(self._order[-length:])
        return other if all(entry.cluster is (cluster if place % 2 else other) for place, entry in latest) else None

    def _take_back(self, entry: _Entry) -> None:
        """Undo the latest call."""
        if self._order and self._order[-1] is entry:
            self._order.pop()
        if (answer := entry.answer) is not None:
            answer.count -= 1
            answer.calls, answer.clusters = answer.calls[: answer.count], answer.clusters[: answer.count]
            if not answer.count:
                del self._answers[answer.key]
                if entry.cluster is not None:
                    entry.cluster.answers -= 1
        if entry.cluster is not None:
            self._grouped.leave(entry.cluster)

    def _repeated(self, cluster: Cluster, call: Call, limit: int) -> Finding:
        calls, tool = _with_latest(cluster, call), cluster.tool
        same = "the same" if all(each.same for each in calls) else "nearly the same"
        return self._loop(
            cluster,
            f"{tool} called {cluster.count} times with {same} arguments {call.shown}",
            _evidence("alike_calls", tool, cluster.count, limit, calls=calls, named=cluster.entities),
        )

    def _cycle(self, other: Cluster, cluster: Cluster) -> Finding:
        rounds, tools = self._settings.cycle_rounds, (other.tool, cluster.tool)
        calls = [entry.call for entry in self._order[-2 * rounds :] if entry.call]
        named = tuple(dict.fromkeys((*other.entities, *cluster.entities)))
        return self._loop(
            other,
            f"{tools[0]} {calls[0].shown} and {tools[1]} {calls[1].shown} called by turns, {rounds} rounds",
            _evidence("cycle", tools[0], rounds, rounds, calls=calls, named=named) | {"other_tool": tools[1]},
        )

    def _stalled(self, answer: _Answer, cluster: Cluster, call: Call) -> Finding:
        limit, calls, tool = self._settings.unchanged, _with_latest(answer, call), cluster.tool
        return self._loop(
            answer.clusters[0],
            f"{tool} called {answer.count} times and the result did not change, last with {call.shown}",
            _evidence("unchanged_result", tool, answer.count, limit, calls=calls, named=cluster.entities),
        )

    def _loop(self, cluster: Cluster, summary: str, evidence: dict[str, object]) -> Finding:
        """A finding whose subject is the tool and which of its calls: the same for the same call in every session."""
        return Finding(KIND, cluster.subject, self._settings.severity, summary, evidence)

    def _beyond_calls(self, step: Step) -> Sequence[Finding]:
        limit, tool = self._settings.calls_per_turn, step.tool or step.name
        calls = len(self._calls) - (self._turns[-1][1] if self._turns else 0)
        if not limit or calls != limit + 1:
            return ()
        summary = f"{calls} tool calls in one turn, more than {limit}; the latest is {shown(tool)}"
        evidence = _evidence("calls_per_turn", tool, calls, limit, window="turn")
        return (Finding(KIND, "calls_per_turn", self._settings.limit_severity, summary, evidence),)

    def _beyond_turns(self, turns: int) -> Sequence[Finding]:
        limit = self._settings.turns
        if not limit or turns != limit + 1:
            return ()
        summary = f"{turns} turns in the session, more than {limit}"
        evidence = _evidence("turns", "", turns, limit)
        return (Finding(KIND, "turns", self._settings.limit_severity, summary, evidence),)


def _result(step: Step) -> str | bytes | None:
    """What a call brought, so that it can be told from what others brought; None where it brought nothing."""
    result = step.result
    if step.status != "ok" or result.strip() in _NOTHING:
        return None
    return result if len(result) <= TEXT_LIMIT else digest_of(result)


def _looks_again(cluster: Cluster, limit: int) -> bool:
    """Whether these are calls without arguments, each of which brought something new, and there are not too many of them."""
    return cluster.answers == cluster.count <= LOOKS * limit and cluster.calls[0].shown in _NOTHING


def _with_latest(group: Cluster | _Answer, call: Call) -> list[Call]:
    """The first calls of a group and its latest, `SHOWN_CALLS` at most."""
    return [*group.calls[: min(group.count, SHOWN_CALLS) - 1], call]


def _evidence(
    reason: str,
    tool: str,
    value: int,
    threshold: int,
    *,
    window: str = "session",
    calls: Sequence[Call] = (),
    named: Sequence[str] = (),
) -> dict[str, object]:
    return {
        "reason": reason,
        "tool": shown(tool),
        "value": value,
        "threshold": threshold,
        "window": window,
        "calls": [{"span_id": call.span_id.hex(), "arguments": call.shown} for call in calls],
        "entities": list(named[:SHOWN_ENTITIES]),
    }
