"""One span as the fold keeps it."""

from __future__ import annotations

import re
from sys import intern

import msgspec

from watchpost.model.step import NO_REPLY, STEP_KINDS, TEXT_KEPT, Facets, Reading, Step, Tokens
from watchpost_core.shape import shape_of
from watchpost_core.utterance import said

UNREPORTED = Tokens()

_SPENT = re.compile(
    r"""budget[ _]?(?:limit[ ]?)?(?:has[ ]been[ ]|was[ ]|is[ ])?(?:exceeded|exhausted|spent|used[ ]up)
      | exceed(?:s|ed|ing)?[ ](?:the[ ]|its[ ]|your[ ]|max(?:imum)?[ ])*(?:\w+[ _])?budget | max[_ ]budget | over[_ ]budget
      | exceed(?:s|ed)?[ ]the[ ](?:total_|input_|output_|request_|response_)tokens_limit | (?:token|cost)_?budget_?(?:error|exceeded)
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""How errors say that a run may spend no more. A quota or a rate limit of a provider is none, and neither is a limit of turns."""


class Node(msgspec.Struct, gc=False):
    """One span in the tree. `step` is what it would count as, None for structural spans; `counted` whether it does.

    `own` is the step as its span alone tells it. `call` tells this call from all others: the provider's id of the answer, or
    the model's id of the tool call; empty where there is none. `failed` marks a model call or a structural span that ended in
    an error, `usage` is the total a structural span reports for all beneath it. `over_budget` says that the error is of a budget that was spent,
    `answered` that an output was reported, `outline` that the texts are no longer kept.
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
    facets: Facets
    own_session: str
    scope: str
    call: str
    failed: bool
    usage: Tokens
    step: Step | None
    own: Step | None
    counted: bool = False
    over_budget: bool = False
    answered: bool = False
    outline: bool = False


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
        node.facets,
        node.own_session,
        node.scope,
    )


def same_call(above: Node, below: Node) -> bool:
    """Whether two nested tool spans are one call."""
    return above.tool == below.tool or (above.call != "" and above.call == below.call)


def text_length(step: Step) -> int:
    """Characters of all texts that a step holds."""
    reply = step.reply
    texts = len(step.arguments) + len(step.result)
    return texts if reply is NO_REPLY else texts + len(reply.words) + len(reply.before)


_STOPS = frozenset({"llm", "guardrail", "agent", "workflow", "chain", "turn"})
"""Kinds of spans whose errors can stop a run: a tool that speaks of a budget speaks of its own business."""


def is_over_budget(error: str) -> bool:
    """Whether an error says that a budget was spent."""
    return bool(error) and _SPENT.search(error) is not None


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


def _texts(reading: Reading) -> tuple[str, str, str]:
    """Arguments, result and, where the result is cut, its shape, as a step holds them."""
    kind, output = reading.kind, reading.output
    if kind == "llm":
        return "", said(output)[:TEXT_KEPT] if output else "", ""
    if kind not in {"tool", "handoff"}:
        return "", said(output or reading.input)[:TEXT_KEPT], ""
    if len(output) <= TEXT_KEPT:
        return reading.input[:TEXT_KEPT], output, ""
    return reading.input[:TEXT_KEPT], output[:TEXT_KEPT], shape_of(output)


def node_of(reading: Reading, trace_id: bytes) -> Node:
    """What the fold keeps of a reading. Texts that name something recur in every span of a kind, and are kept once."""
    kind, name, tool, agent = intern(reading.kind), intern(reading.name), intern(reading.tool), intern(reading.agent)
    step: Step | None = None
    if kind in STEP_KINDS:
        arguments, result, shape = _texts(reading)
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
            arguments,
            result,
            reading.error,
            reading.asked,
            reading.ran,
            reading.mentioned,
            kind == "llm" and reading.input != "",
            shape,
            reading.facets.prompt if kind == "llm" else "",
            reading.first_token_us,
            reading.judged,
            reading.reply,
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
        reading.facets,
        intern(reading.own_session),
        intern(reading.scope),
        reading.response_id if kind == "llm" else reading.call_id if kind == "tool" else "",
        reading.status == "error" and (kind == "llm" or step is None),
        reading.tokens if step is None and reading.tokens != UNREPORTED else UNREPORTED,
        step,
        step,
        over_budget=reading.status == "error" and kind in _STOPS and is_over_budget(reading.error),
        answered=reading.output != "",
        outline=reading.outline,
    )
