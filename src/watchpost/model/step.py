"""What one span says in the one vocabulary, and what is left of it as a step of a session."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

StepKind = Literal["llm", "tool", "handoff", "guardrail", "retrieval", "evaluation", "state", "human"]
"""What counts as a step."""

SpanKind = Literal[
    "llm",
    "tool",
    "handoff",
    "guardrail",
    "retrieval",
    "evaluation",
    "state",
    "human",
    "agent",
    "workflow",
    "chain",
    "turn",
    "other",
]
"""A step kind, or a structural kind: agent, workflow, chain and turn give steps their nesting and are no steps.

`other` is a span that no convention describes, such as a web request or a query of a database.
"""

Status = Literal["ok", "error", "running", "unknown"]
"""How a step stands: `running` until its span has ended, `error` where any source says so, `unknown` where the span says nothing of
how it went, else `ok`."""

TEXT_KEPT = 8192
"""Characters of a text of a step that stay in the fold."""

WITHHELD = "…"
"""What stands in the place of a text that is no longer kept."""

STEP_KINDS: frozenset[str] = frozenset(get_args(StepKind))

FEEDBACK_SCOPE = "watchpost.feedback"
"""The instrumentation scope of what people say of a run: it is part of the run, and never a run by itself."""


class Tokens(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Token counts of one model call. `None` means the source did not report it, never zero.

    `input` includes `cached` and `cache_write`; `output` includes `reasoning`.
    """

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None


class Facets(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """By what use and cost are told apart: whose it was, for which feature, in which release of the agent, with which prompt."""

    org_id: str = ""
    feature: str = ""
    release: str = ""
    prompt: str = ""


class Judged(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an evaluation says: who or what judged, the score, and its label."""

    evaluator: str = ""
    score: float | None = None
    label: str = ""


class Reply(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a person said to a model that had answered, as it stands at the end of what a later call was given.

    `words` is the last message of role user, `before` the one that was answered, each empty where it holds no words or more of them than
    a person types (`watchpost_core.replies.LONGEST`). `answer` is the fingerprint of the answer between them, by which it is known whose
    answer it was; 0 where nobody replies. No first message is a reply, and neither is one that anything but an answer stands before.
    """

    words: str = ""
    before: str = ""
    answer: int = 0


NO_FACETS = Facets()
NOT_JUDGED = Judged()
NO_REPLY = Reply()


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One span as stored: its identity, what a dialect read in it, and everything else it carried.

    `ver` is `ended << 63 | log sequence`: of two copies of one span the greater wins, and an end beats a start event.
    `own_session` is the session id on the span itself when it is a real one, else empty. `cost_nano` is integer nano-USD
    or None where it cannot be priced. `tokens` of a structural span are the total it reports for all that is beneath it.
    `error_type` is of the taxonomy, empty unless the span failed; `error` the exception or error code as reported.
    `asked` is how many tools a model call asked for, None where that was not reported; `ran` is false for a tool call that was
    refused before its tool ran. `target` is the trace id and span
    id that an evaluation sent by itself speaks of. `input` and `output` are the text of the call as sent. `rest` is a JSON object of
    every attribute, event, link and resource field that no other field here holds; `refs` says, as `field=attribute key`
    pairs joined by commas, which attribute each held field was read from, so that the raw span can be shown again.
    `first_token_us` is how long a model call's first token took, in microseconds, None where that was not reported.
    `mentioned` is what `watchpost_core.mentions` finds in the texts that the fold does not keep: the input of a model call, and
    what is beyond `TEXT_KEPT` of any other. `reply` is what a person said that a model call was given at the end of its input.
    Empty text means absent. An `outline` is what is left for counting of a span whose contents are no longer kept: its texts are
    `WITHHELD` where there were any, `rest`, `refs`, `mentioned` and `reply` are empty, and all else is as it was.
    """

    project: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    ver: int
    received_ns: int
    start_ns: int
    end_ns: int
    kind: str
    name: str
    status: Status
    own_session: str = ""
    agent: str = ""
    workflow: str = ""
    service: str = ""
    user_id: str = ""
    provider: str = ""
    model: str = ""
    tool: str = ""
    call_id: str = ""
    response_id: str = ""
    error_type: str = ""
    error: str = ""
    scope: str = ""
    asked: int | None = None
    ran: bool = True
    target: bytes = b""
    tokens: Tokens = Tokens()
    cost_nano: int | None = None
    input: str = ""
    output: str = ""
    rest: str = "{}"
    refs: str = ""
    mentioned: bytes = b""
    facets: Facets = NO_FACETS
    first_token_us: int | None = None
    judged: Judged = NOT_JUDGED
    outline: bool = False
    reply: Reply = NO_REPLY


class Step(msgspec.Struct, frozen=True, gc=False):
    """One step as the fold hands it to detectors and to the ledger.

    `arguments` is a tool call's or handoff's input, empty for other kinds. `result` is what came of a step: a tool's output, the words
    of a model's answer or of a person, what was retrieved. Both are cut at `TEXT_KEPT` characters; `shape` is that of a tool's whole
    output where it was cut, as `watchpost_core.shape` writes it. `mentioned` is what the texts named that are not kept here, a model
    call's input among them; `informed` says that a model call's input was reported. `asked` is how many tools a
    model call asked for, None where that was not reported; `ran` is false for a tool call that was refused before its tool ran.
    Steps are ordered by
    `(start_ns, trace_id, span_id)`; a step's number is its place in that order, from 1, and is never its identity.
    """

    trace_id: bytes
    span_id: bytes
    parent_id: bytes
    start_ns: int
    end_ns: int
    kind: StepKind
    name: str
    agent: str
    model: str
    tool: str
    status: Status
    error_type: str
    tokens: Tokens
    cost_nano: int | None
    arguments: str = ""
    result: str = ""
    error: str = ""
    asked: int | None = None
    ran: bool = True
    mentioned: bytes = b""
    informed: bool = False
    shape: str = ""
    prompt: str = ""
    first_token_us: int | None = None
    judged: Judged = NOT_JUDGED
    reply: Reply = NO_REPLY
