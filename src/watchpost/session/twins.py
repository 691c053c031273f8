"""Calls that two instrumentations reported, each with a span of its own: the session counts them once."""

from __future__ import annotations

from collections.abc import Iterable

from watchpost.session.node import Node

SLACK_NS = 50_000_000
"""By how much the clocks that two instrumentations of one call read may differ."""

Place = tuple[bytes, Node]
"""A trace id and a node in it."""


class Twins:
    """The counted calls of one session that carry an id, grouped by it.

    Of a group the spans of one scope count, that of the span that tells most; those of another scope that overlap with one of
    these in time are the same call seen again. Spans of one scope are calls of their own: an id may be sent twice.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str], tuple[Place, ...]] = {}

    def put(self, trace_id: bytes, node: Node) -> Iterable[Place]:
        """Take a call with an id; those of its twins whose standing may have changed."""
        key = node.kind, node.call
        held = self._groups.get(key)
        if held is None:
            self._groups[key] = ((trace_id, node),)
            return ()
        others = tuple(place for place in held if (place[0], place[1].span_id) != (trace_id, node.span_id))
        self._groups[key] = (*others, (trace_id, node))
        return others

    def take(self, trace_id: bytes, kind: str, call: str, span_id: bytes) -> Iterable[Place]:
        """Let go of a call; those whose standing may have changed."""
        key = kind, call
        group = tuple(
            (other, node) for other, node in self._groups.get(key, ()) if (other, node.span_id) != (trace_id, span_id)
        )
        if group:
            self._groups[key] = group
        else:
            self._groups.pop(key, None)
        return group

    def counts(self, node: Node) -> bool:
        """Whether a call that was put is to be counted."""
        group = self._groups[node.kind, node.call]
        if len(group) == 1:
            return True
        best = min(group, key=_rank)[1]
        return node.scope == best.scope or not any(
            _overlap(node, other) for _, other in group if other.scope == best.scope
        )


def _rank(place: Place) -> tuple[int, int, bytes, bytes]:
    trace_id, node = place
    said = 0
    if node.step is not None:
        tokens = node.step.tokens
        counts = (tokens.input, tokens.output, tokens.cached, tokens.cache_write, tokens.reasoning)
        said = sum(count is not None for count in counts) + bool(node.step.arguments)
        said += node.answered if node.kind == "llm" else bool(node.step.result)
    return -said, node.start_ns, trace_id, node.span_id


def _overlap(one: Node, other: Node) -> bool:
    return (
        one.start_ns <= max(other.end_ns, other.start_ns) + SLACK_NS
        and other.start_ns <= max(one.end_ns, one.start_ns) + SLACK_NS
    )
