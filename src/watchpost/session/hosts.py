"""Traces that belong where another one does: a call reported by itself, and an evaluation of what stands in another trace."""

from __future__ import annotations

from collections import deque

from watchpost.session.node import Node
from watchpost.session.trace import Trace

RECENT = 256
"""Model calls of one service among which the other span of a call without an id is looked for."""

SLACK_NS = 5_000_000
"""By how much a call may seem to outlast the call around it."""

_Ref = tuple[str, str | bytes]
"""A project and a trace id, or a provider's id of an answer."""


class Hosts:
    """Which held trace another one follows.

    Where two instrumentations do not share their context, the span of the client library is a trace by itself: a stray. Its
    host is the trace with the same answer, or with a model call around it in time that fits it; this is known
    only while both are held. The host of an evaluation that was sent as a trace by itself is the trace that it links to.
    """

    def __init__(self) -> None:
        self._traces: dict[_Ref, Trace] = {}
        self._answers: dict[_Ref, tuple[Trace, ...]] = {}
        self._targets: dict[_Ref, tuple[Trace, ...]] = {}
        self._hosts: dict[_Ref, Trace] = {}
        self._strays: set[_Ref] = set()
        self._recent: dict[tuple[str, str, bool], deque[tuple[_Ref, bytes]]] = {}

    def note(self, trace: Trace) -> list[Trace]:
        """Take notice of what changed in a trace; the traces that may follow it from now on."""
        ref = (trace.project, trace.trace_id)
        new = ref not in self._traces
        self._traces[ref] = trace
        if trace.target:
            _with(self._targets, (trace.project, trace.target[:16]), trace)
        found = list(self._targets.get(ref, ())) if new and self._targets else []
        stray = trace.is_stray
        touched = tuple(trace.nodes) if ref in self._strays and not stray else trace.touched
        (self._strays.add if stray else self._strays.discard)(ref)
        for span_id in touched:
            node = trace.nodes[span_id]
            if node.kind != "llm":
                continue
            if node.counted and (stray or not node.call) and node.end_ns:
                found += self._match(trace, node, stray=stray)
            if node.call:
                found += self._answered(trace, _with(self._answers, (trace.project, node.call), trace), stray=stray)
        return found

    def _answered(self, trace: Trace, answered: tuple[Trace, ...], *, stray: bool) -> list[Trace]:
        """Of the traces with one answer: let the stray ones follow one that is not."""
        others = [each for each in answered if each is not trace and each.is_stray != stray and self._holds(each)]
        for other in others:
            follower, host = (trace, other) if stray else (other, trace)
            self._hosts.setdefault((follower.project, follower.trace_id), host)
        return [] if stray else others

    def of(self, trace: Trace) -> Trace | None:
        """The trace that this one follows, if it does and that one is held."""
        if trace.target:
            host = self._traces.get((trace.project, trace.target[:16]))
            return None if host is trace else host
        host = self._hosts.get((trace.project, trace.trace_id)) if trace.is_stray else None
        return host if host is not None and self._holds(host) and not host.is_stray else None

    def followers(self, trace: Trace) -> list[Trace]:
        """Every held trace that follows this one."""
        found = list(self._targets.get((trace.project, trace.trace_id), ()))
        if not trace.is_stray:
            for node in trace.nodes.values():
                answered = self._answers.get((trace.project, node.call), ()) if node.call else ()
                found += [each for each in answered if each is not trace and each.is_stray]
        return [each for each in found if self._holds(each)]

    def forget(self, trace: Trace) -> None:
        """A trace is no longer held."""
        self._traces.pop((trace.project, trace.trace_id), None)
        self._hosts.pop((trace.project, trace.trace_id), None)
        self._strays.discard((trace.project, trace.trace_id))
        for node in trace.nodes.values():
            if node.kind == "llm" and node.call:
                _without(self._answers, (trace.project, node.call), trace)
        if trace.target:
            _without(self._targets, (trace.project, trace.target[:16]), trace)

    def _match(self, trace: Trace, node: Node, *, stray: bool) -> list[Trace]:
        """Look for the other span of a call among the latest ones, and give both the same id; the other's trace."""
        for ref, span_id in self._recent.get((trace.project, node.service, not stray), ()):
            other = self._traces.get(ref)
            candidate = None if other is None else other.nodes.get(span_id)
            if other is None or candidate is None or other.is_stray == stray:
                continue
            inner, outer = (node, candidate) if stray else (candidate, node)
            if outer.call or not _fits(inner, outer):
                continue
            inner.call = outer.call = inner.call or f"span {inner.span_id.hex()}"
            for each in (trace, other):
                _with(self._answers, (trace.project, inner.call), each)
            other.touched.add(span_id)
            return [other]
        latest = self._recent.setdefault((trace.project, node.service, stray), deque(maxlen=RECENT))
        latest.append(((trace.project, trace.trace_id), node.span_id))
        return []

    def _holds(self, trace: Trace) -> bool:
        return self._traces.get((trace.project, trace.trace_id)) is trace


def _fits(inner: Node, outer: Node) -> bool:
    """Whether a call could be what another one did: of another scope, within its time, of its model, with its tokens."""
    if inner.step is None or outer.step is None or inner.scope == outer.scope:
        return False
    one, two = inner.step, outer.step
    return (
        outer.start_ns - SLACK_NS <= inner.start_ns
        and inner.end_ns <= outer.end_ns + SLACK_NS
        and (one.model.startswith(two.model) or two.model.startswith(one.model))
        and (one.tokens.input is None or two.tokens.input is None or one.tokens.input == two.tokens.input)
        and (one.tokens.output is None or two.tokens.output is None or one.tokens.output == two.tokens.output)
    )


def _with(table: dict[_Ref, tuple[Trace, ...]], key: _Ref, trace: Trace) -> tuple[Trace, ...]:
    held = table.get(key, ())
    if trace not in held:
        held = table[key] = (*held, trace)
    return held


def _without(table: dict[_Ref, tuple[Trace, ...]], key: _Ref, trace: Trace) -> None:
    left = tuple(each for each in table.get(key, ()) if each is not trace)
    if left:
        table[key] = left
    else:
        table.pop(key, None)
