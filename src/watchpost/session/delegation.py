"""Handovers that no span tells of: an agent at work beneath another one that had called a model before."""

from __future__ import annotations

from watchpost.model.step import Status, Step
from watchpost.session.doings import Doings
from watchpost.session.node import UNREPORTED, Node
from watchpost.session.trace import Trace

_STRUCTURE = frozenset({"chain", "turn", "workflow", "other"})
_WRAPPERS = _STRUCTURE | {"llm"}


def note_delegations(trace: Trace) -> None:
    """Bring the handovers of a trace up to date with its touched spans; those that change are touched too.

    An agent's own span is a handoff to it if an agent of another name stands above, with nothing but structure between,
    and that one had called a model before: what worked by itself let another one work. If it handed over by a step of its own
    since that call, that step is the handoff. An agent that only comes after another one shows no handover: so do the
    turns of a conversation, the members of a crew and the stages of a pipeline.
    """
    agents = [trace.nodes[span_id] for span_id in trace.agent_spans]
    if not trace.touched or len({agent.agent for agent in agents}) < 2:
        return
    scope = set(trace.nodes) if trace.doings is None else _from_touched(trace)
    trace.doings = trace.doings or Doings()
    since_ns = min(_earliest(trace.nodes[span_id]) for span_id in scope)
    for span_id in scope:
        _note_doing(trace, trace.doings, trace.nodes[span_id])
    for agent in agents:
        if agent.span_id in scope or agent.start_ns >= since_ns:
            above = _agent_above(trace, agent, _STRUCTURE)
            given = (
                above is not None and above.agent != agent.agent and trace.doings.gave(above.span_id, agent.start_ns)
            )
            _take(trace, agent, _handoff(trace, above.agent, agent) if above is not None and given else None)


def _from_touched(trace: Trace) -> set[bytes]:
    """The touched spans and all beneath them: those for which the tree may have changed."""
    scope: set[bytes] = set()
    waiting = list(trace.touched)
    while waiting:
        span_id = waiting.pop()
        if span_id not in scope:
            scope.add(span_id)
            waiting.extend(trace.children(span_id))
    return scope


def _earliest(node: Node) -> int:
    return min(node.start_ns, node.end_ns or node.start_ns)


def _note_doing(trace: Trace, doings: Doings, node: Node) -> None:
    """Note a model call or a handover with the agent that did it itself, nothing but structure and wrappers of calls between."""
    handed = node.kind != "agent" and node.step is not None and node.step.kind == "handoff"
    called = node.kind == "llm" and node.counted and node.end_ns > 0
    doer = _agent_above(trace, node, _WRAPPERS) if handed or called else None
    if doer is None:
        doings.drop(node.span_id)
    elif handed:
        doings.handed_over(doer.span_id, node.span_id, node.start_ns)
    elif trace.agent(node.span_id) == doer.agent:
        doings.called(doer.span_id, node.span_id, node.start_ns, node.end_ns)
    else:
        doings.drop(node.span_id)


def _agent_above(trace: Trace, node: Node, between: frozenset[str]) -> Node | None:
    for above in trace.upward(node.parent_id):
        if above.kind == "agent":
            return above
        if above.kind not in between:
            return None
    return None


def _handoff(trace: Trace, giver: str, agent: Node) -> Step:
    status: Status = "error" if agent.failed else "ok" if agent.end_ns else "running"
    return Step(
        trace.trace_id,
        agent.span_id,
        agent.parent_id,
        agent.start_ns,
        agent.end_ns,
        "handoff",
        agent.name,
        giver,
        "",
        agent.agent,
        status,
        "handoff_failed" if agent.failed else "",
        UNREPORTED,
        None,
    )


def _take(trace: Trace, agent: Node, step: Step | None) -> None:
    if agent.step != step or agent.counted != (step is not None):
        agent.step = step
        agent.counted = step is not None
        trace.touched.add(agent.span_id)
