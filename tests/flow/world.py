"""A small world of agent spans, and what must become of them, worked out the slow and simple way.

`Spec` describes one span. `spans_of` turns specs into spans as they come over the wire. `truth` says which sessions, steps and
loops follow from a set of specs; it shares no code with the fold.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from watchpost.model.telemetry import Attributes, Span

SECOND = 10**9
BASE = 1_790_000_000 * SECOND


@dataclasses.dataclass(frozen=True)
class Spec:
    """One span. `parent` numbers a span of the same trace, which may not exist; None is a root."""

    trace: int
    span: int
    parent: int | None
    kind: str
    start_s: int
    session: str = ""
    tool: str = ""
    argument: int = 0
    tokens: int | None = None
    failed: bool = False


@dataclasses.dataclass(frozen=True)
class Ending:
    """One session as it must look once everything is known and quiet."""

    session_id: str
    traces: frozenset[int]
    steps: tuple[tuple[int, int, str], ...]
    llm_calls: int | None
    tool_calls: int | None
    tool_errors: int | None
    input_tokens: int | None
    loops: frozenset[tuple[int, int]]


def trace_id(trace: int) -> bytes:
    """The 16 bytes of a trace number."""
    return (trace + 1).to_bytes(16, "big")


def span_id(trace: int, span: int) -> bytes:
    """The 8 bytes of a span number."""
    return ((trace + 1) << 32 | span + 1).to_bytes(8, "big")


def span_of(spec: Spec, *, ended: bool) -> Span:
    """A spec as it comes over the wire, as a start event or ended."""
    start_ns = BASE + spec.start_s * SECOND
    return Span(
        trace_id(spec.trace),
        span_id(spec.trace, spec.span),
        b"" if spec.parent is None else span_id(spec.trace, spec.parent),
        f"{spec.kind} {spec.span}",
        start_ns,
        start_ns + SECOND // 2 if ended else 0,
        1,
        2 if spec.failed and ended else 0,
        "",
        _attributes(spec),
    )


def _attributes(spec: Spec) -> Attributes:
    operation = {"llm": "chat", "tool": "execute_tool", "agent": "invoke_agent"}.get(spec.kind)
    attributes: Attributes = {"gen_ai.operation.name": operation} if operation else {}
    if spec.kind == "llm":
        attributes["gen_ai.request.model"] = "gpt-4o-mini"
        attributes["gen_ai.response.finish_reasons"] = '["stop"]'
    if spec.kind == "llm" and spec.tokens is not None:
        attributes["gen_ai.usage.input_tokens"] = spec.tokens
        attributes["gen_ai.usage.output_tokens"] = 1
    if spec.kind == "tool":
        attributes["gen_ai.tool.name"] = spec.tool
        attributes["gen_ai.tool.call.arguments"] = json.dumps({"order_id": spec.argument})
    if spec.session:
        attributes["gen_ai.conversation.id"] = spec.session
    return attributes


def truth(specs: Iterable[Spec]) -> dict[str, Ending]:
    """What must become of these spans, by session id."""
    by_trace: dict[int, dict[int, Spec]] = defaultdict(dict)
    for spec in specs:
        by_trace[spec.trace][spec.span] = spec
    by_session: dict[str, list[int]] = defaultdict(list)
    for trace, spans in by_trace.items():
        by_session[_session(trace, spans)].append(trace)
    return {
        session_id: _ending(session_id, {trace: by_trace[trace] for trace in traces})
        for session_id, traces in by_session.items()
        if any(spec.kind != "chain" for trace in traces for spec in by_trace[trace].values())
    }


def _line(spec: Spec, spans: Mapping[int, Spec]) -> list[Spec]:
    """The ancestors of a span that are known, nearest first."""
    line: list[Spec] = []
    parent = spec.parent
    while parent is not None and parent in spans:
        line.append(spans[parent])
        parent = spans[parent].parent
    return line


def _session(trace: int, spans: Mapping[int, Spec]) -> str:
    named = [spec for spec in spans.values() if spec.session]
    if not named:
        return trace_id(trace).hex()

    def place(spec: Spec) -> tuple[bool, int, int, bytes]:
        line = [spec, *_line(spec, spans)]
        return line[-1].parent is not None, len(line), spec.start_s, span_id(trace, spec.span)

    return min(named, key=place).session


def _kind(spec: Spec, spans: Mapping[int, Spec]) -> str | None:
    """What a span counts as; None if it is no step."""
    if spec.kind == "agent":
        return "handoff" if _is_given(spec, spans) else None
    if spec.kind not in {"llm", "tool"}:
        return None
    if spec.kind == "llm":
        around = any(spec in _line(other, spans) for other in spans.values() if other.kind == "llm")
        return None if around else "llm"
    nearest = next((a for a in _line(spec, spans) if a.kind in {"tool", "llm", "agent"}), None)
    if nearest is not None and nearest.kind == "tool" and nearest.tool == spec.tool:
        return None
    for agent in (other for other in spans.values() if other.kind == "agent"):
        employer = next((a for a in _line(agent, spans) if a.kind in {"tool", "agent"}), None)
        if employer == spec:
            return "handoff"
    return "tool"


def _is_given(agent: Spec, spans: Mapping[int, Spec]) -> bool:
    """Whether an agent works for one that had called a model before, and had not handed over by a step of its own since."""
    giver = _employer(agent, spans, {"chain"})
    done = [
        (other.start_s, _kind(other, spans))
        for other in spans.values()
        if giver is not None and other.kind in {"llm", "tool"} and _employer(other, spans, {"chain", "llm"}) == giver
    ]
    called_s = max((start_s for start_s, kind in done if kind == "llm" and start_s < agent.start_s), default=None)
    return called_s is not None and not any(
        kind == "handoff" and called_s <= start_s <= agent.start_s for start_s, kind in done
    )


def _employer(spec: Spec, spans: Mapping[int, Spec], between: set[str]) -> Spec | None:
    """The agent above a span, if nothing but these kinds stands between."""
    above = next((other for other in _line(spec, spans) if other.kind not in between), None)
    return above if above is not None and above.kind == "agent" else None


def _ending(session_id: str, traces: Mapping[int, Mapping[int, Spec]]) -> Ending:
    counted = [
        (spec, kind) for spans in traces.values() for spec in spans.values() if (kind := _kind(spec, spans)) is not None
    ]
    counted.sort(key=lambda one: (one[0].start_s, trace_id(one[0].trace), span_id(one[0].trace, one[0].span)))
    calls = [spec for spec, kind in counted if kind == "llm"]
    tools = [spec for spec, kind in counted if kind == "tool"]
    reported = [spec.tokens for spec in calls if spec.tokens is not None]
    retried = sum(
        one.kind == two.kind == "llm" and one.failed and (one.trace, one.parent) == (two.trace, two.parent)
        for (one, _), (two, _) in itertools.pairwise(counted)
        if one.parent is not None
    )
    worked = any(spec.kind in {"agent", "tool"} for spans in traces.values() for spec in spans.values())
    ran = any(kind in {"tool", "handoff"} for _, kind in counted)
    untold = not calls and not ran
    return Ending(
        session_id,
        frozenset(traces),
        tuple((spec.trace, spec.span, kind) for spec, kind in counted),
        None if not calls and worked else len(calls) - retried,
        None if untold else len(tools),
        None if untold else sum(has_failed(spec, traces[spec.trace]) for spec in tools),
        sum(reported) if reported else None,
        frozenset(_third_calls(tools)),
    )


def has_failed(call: Spec, spans: Mapping[int, Spec]) -> bool:
    """Whether a tool call failed, or any echo of it beneath."""
    return call.failed or any(other.failed and _call_of(other, spans) == call for other in spans.values())


def _call_of(spec: Spec, spans: Mapping[int, Spec]) -> Spec | None:
    """The counted tool call that a tool span is an echo of."""
    while spec.kind == "tool" and _kind(spec, spans) is None:
        spec = next(a for a in _line(spec, spans) if a.kind == "tool")
    return spec if spec.kind == "tool" else None


def _third_calls(tools: Sequence[Spec]) -> Iterable[tuple[int, int]]:
    """The third call of one tool with one argument is where a loop is flagged."""
    seen: Counter[tuple[str, int]] = Counter()
    for spec in tools:
        seen[spec.tool, spec.argument] += 1
        if seen[spec.tool, spec.argument] == 3:
            yield spec.trace, spec.span
