"""One span as the fold keeps it."""

from __future__ import annotations

from sys import intern

import msgspec

from watchpost.model.step import STEP_KINDS, Reading, Step, Tokens

TEXT_KEPT = 8192
"""Characters of a tool call's arguments and of its result that stay in the fold."""

UNREPORTED = Tokens()


class Node(msgspec.Struct, gc=False):
    """One span in the tree. `step` is what it would count as, None for structural spans; `counted` whether it does.

    `own` is the step as its span alone tells it. `call` tells this call from all others: the provider's id of the answer, or
    the model's id of the tool call; empty where there is none. `failed` marks a model call or a structural span that ended in
    an error, `usage` is the total a structural span reports for all beneath it.
    """

    span_id: bytes
    parent_id: bytes
    ver: int
    received_ns: int
    start_ns: int
    end_ns: int
    kind: str
    name: str
    tool: str
    agent: str
    workflow: str
    service: str
    user_id: str
    own_session: str
    scope: str
    call: str
    failed: bool
    usage: Tokens
    step: Step | None
    own: Step | None
    counted: bool = False


def standing(node: Node) -> tuple[object, ...]:
    """What places a span in the tree and says what it is, whatever it turns out to have done."""
    return (
        node.parent_id,
        node.start_ns,
        node.kind,
        node.name,
        node.tool,
        node.agent,
        node.workflow,
        node.service,
        node.user_id,
        node.own_session,
        node.scope,
    )


def same_call(above: Node, below: Node) -> bool:
    """Whether two nested tool spans are one call."""
    return above.tool == below.tool or (above.call != "" and above.call == below.call)


def absorbed(step: Step, echo: Step | None) -> Step:
    """A call with what only an echo of it tells."""
    if echo is None:
        return step
    failed = step.status != "error" and echo.status == "error"
    if not failed and (step.arguments or not echo.arguments) and (step.result or not echo.result):
        return step
    return msgspec.structs.replace(
        step,
        status="error" if failed else step.status,
        error_type=echo.error_type if failed else step.error_type,
        error=echo.error if failed else step.error,
        arguments=step.arguments or echo.arguments,
        result=step.result or echo.result,
    )


def node_of(reading: Reading, trace_id: bytes) -> Node:
    """What the fold keeps of a reading. Texts that name something recur in every span of a kind, and are kept once."""
    kind, name, tool, agent = reading.kind, intern(reading.name), intern(reading.tool), intern(reading.agent)
    step: Step | None = None
    if kind in STEP_KINDS:
        called = kind == "tool"
        step = Step(
            trace_id,
            reading.span_id,
            reading.parent_id,
            reading.start_ns,
            reading.end_ns,
            kind,  # type: ignore[arg-type] # seen above to be a step kind
            name,
            agent,
            intern(reading.model),
            tool,
            reading.status,
            reading.error_type,
            reading.tokens,
            reading.cost_nano,
            reading.input[:TEXT_KEPT] if called else "",
            reading.output[:TEXT_KEPT] if called else "",
            reading.error,
            reading.asked,
            reading.ran,
        )
    return Node(
        reading.span_id,
        b"" if reading.parent_id == reading.span_id else reading.parent_id,
        reading.ver,
        reading.received_ns,
        reading.start_ns,
        reading.end_ns,
        kind,
        name,
        tool,
        agent,
        intern(reading.workflow),
        intern(reading.service),
        reading.user_id,
        intern(reading.own_session),
        intern(reading.scope),
        reading.response_id if kind == "llm" else reading.call_id if kind == "tool" else "",
        reading.status == "error" and (kind == "llm" or step is None),
        reading.tokens if step is None and reading.tokens != UNREPORTED else UNREPORTED,
        step,
        step,
    )
