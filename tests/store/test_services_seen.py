"""Which required fields the latest calls of a service carry, of those that sessions count; embedded and over HTTP."""

from __future__ import annotations

import itertools

import msgspec

from watchpost.model.step import Reading, Tokens
from watchpost.model.telemetry import LogLine
from watchpost.query.readiness import FIELDS, FieldSeen, ReadinessFilter, ServiceSeen
from watchpost.store.contracts import LedgerRow, LedgerStep, Member, StoredLog, TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse

ENDED = 1 << 63
SLOT = 1_790_000_400
START = SLOT * 10**9
SECOND = 10**9
NUMBERS = itertools.count(1)
TOLD = {"summary": ("step_summary",), "anomaly": ("agent.anomaly",), "first_token": ("ttft_ms", "First Token")}
FLAT = {"prompt": r'"said\.\d+":', "completion": r'"told\.\d+":'}
LOGGED = {"prompt": "(?s)^asked.*hi", "completion": "(?s)^answered.*bye"}


def a_span(project: str, trace: int = 1, **changed: object) -> Reading:
    """A call in a trace of the project, each with a second of its own, in which nothing is missing that is required."""
    number = next(NUMBERS)
    values: dict[str, object] = {
        "parent_id": b"\1" * 8,
        "ver": ENDED | 7,
        "received_ns": START + number,
        "start_ns": START + number,
        "end_ns": START + number + SECOND,
        "kind": "llm",
        "name": "chat",
        "status": "ok",
        "service": "shop",
        "model": "gpt-4o-2024-08-06",
        "tokens": Tokens(10, 5, 0, 0, 0),
        "input": "hello",
        "output": "bye",
        "scope": "a.scope",
        **changed,
    }
    return Reading(project, trace_of(project, trace), number.to_bytes(8, "big"), **values)  # type: ignore[arg-type] # names are checked at run time


def trace_of(project: str, trace: int) -> bytes:
    return f"{project:>12.12}{trace:04}".encode()


def a_tool(project: str, trace: int = 1, **changed: object) -> Reading:
    return a_span(project, trace, **{"kind": "tool", "tool": "search", "call_id": "c", "tokens": Tokens(), **changed})


def a_root(project: str, trace: int = 1, **changed: object) -> Reading:
    return a_span(project, trace, **{"kind": "agent", "parent_id": b"", "model": "", "tokens": Tokens(), **changed})


def stored(
    telemetry: ClickHouse, number: int, spans: list[Reading], session: str = "s", outcome: str = "completed"
) -> None:
    """Spans of one project in one ended session, all calls counted."""
    project = spans[0].project
    row = a_row(number, spans, session, outcome)
    members = [Member(project, session, trace, number, live=True) for trace in {span.trace_id for span in spans}]
    telemetry.write(TelemetryBatch(number, readings=spans, members=members, ledger=[row]))


def a_row(seq: int, spans: list[Reading], session: str, outcome: str = "completed") -> LedgerRow:
    steps = tuple(counted(span) for span in spans if span.kind != "agent")
    project = spans[0].project
    return LedgerRow(project, SLOT, session, seq, gone=False, workflow="w", user_id="u", outcome=outcome, steps=steps)


def counted(span: Reading) -> LedgerStep:
    return LedgerStep(
        span.trace_id,
        span.span_id,
        span.parent_id,
        span.start_ns,
        1,
        span.kind,
        span.name,
        "",
        span.model,
        span.tool,
        span.status,
        "",
        span.tokens.input,
        span.tokens.output,
        None,
    )


def ask(telemetry: ClickHouse, project: str, **asked: object) -> list[ServiceSeen]:
    values = {
        "since_ns": 0,
        "told": TOLD,
        "flat": FLAT,
        "logged": LOGGED,
        "left_out": ("HIDDEN",),
        "project": project,
        **asked,
    }
    return telemetry.services_seen(ReadinessFilter(**values))  # type: ignore[arg-type] # names are checked at run time


def seen(service: ServiceSeen, of: str, name: str) -> FieldSeen:
    return next(s for f, s in zip(FIELDS, service.fields, strict=True) if (f.of, f.name) == (of, name))


def test_calls_that_tell_all_lack_nothing(telemetry: ClickHouse, project: str, number: int) -> None:
    rest = '{"attributes":{"step_summary":"done","agent.anomaly":null,"ttft_ms":3}}'
    root = a_root(project, user_id="u", workflow="w", own_session="s")
    stored(telemetry, number, [root, a_span(project, rest=rest), a_span(project, rest=rest), a_tool(project)])
    (service,) = ask(telemetry, project)
    assert (service.project, service.service) == (project, "shop")
    assert (service.llm_calls, service.tool_calls, service.sessions, service.families) == (2, 1, 1, 0)
    assert (service.models_elsewhere, service.asked, service.scopes) == (True, 0, ("a.scope",))
    of = {"llm": 2, "tool": 1, "session": 1}
    assert service.fields == tuple(FieldSeen(of[field.of], of[field.of]) for field in FIELDS)


LACKING_MODEL_CALLS: list[tuple[str, dict[str, object]]] = [
    ("prompt", {"input": ""}),
    ("prompt", {"input": "HIDDEN"}),
    ("completion", {"output": ""}),
    ("model", {"model": ""}),
    ("input_tokens", {"tokens": Tokens(None, 5, 0, 0, 0)}),
    ("output_tokens", {"tokens": Tokens(10, None, 0, 0, 0)}),
    ("cached_tokens", {"tokens": Tokens(10, 5, None, 0, 0)}),
    ("reasoning_tokens", {"tokens": Tokens(10, 5, 0, 0, None)}),
]
LACKING_TOOL_CALLS: list[tuple[str, dict[str, object]]] = [
    ("arguments", {"input": ""}),
    ("response", {"output": ""}),
    ("name", {"tool": ""}),
    ("status", {"status": "unknown"}),
    ("latency", {"start_ns": START, "end_ns": START}),
    ("latency", {"start_ns": START, "end_ns": START - 1}),
    ("call_id", {"call_id": ""}),
]


def test_a_call_that_lacks_a_field_is_counted_and_shown(telemetry: ClickHouse, project: str, number: int) -> None:
    spans: list[Reading] = [a_root(project)]
    lacking: dict[str, tuple[str, str, Reading]] = {}
    for of, make, cases in (("llm", a_span, LACKING_MODEL_CALLS), ("tool", a_tool, LACKING_TOOL_CALLS)):
        for place, (name, changed) in enumerate(cases):
            service = f"{of}-{place}"
            lacking[service] = of, name, msgspec.structs.replace(make(project, service=service), **changed)
            spans += [make(project, service=service), lacking[service][2], make(project, service=service)]
    stored(telemetry, number, spans)
    found = {service.service: service for service in ask(telemetry, project)}
    required = [(field.of, field.name) for field in FIELDS if field.weight == "expected" or field.name == "call_id"]
    for service, (of, name, span) in lacking.items():
        for other in (other for kind, other in required if kind == of):
            lacks = FieldSeen(2, 3, span.trace_id, span.span_id) if other == name else FieldSeen(3, 3)
            assert seen(found[service], of, other) == lacks, (service, other)


def test_a_failed_call_need_not_tell_what_only_an_answer_has(telemetry: ClickHouse, project: str, number: int) -> None:
    failed = a_span(project, status="error", output="", tokens=Tokens(), model="")
    tool = a_tool(project, status="error", output="", error="TimeoutError: 3 s")
    stored(telemetry, number, [a_root(project), failed, tool])
    (service,) = ask(telemetry, project)
    for name in ("completion", "model", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"):
        assert seen(service, "llm", name) == FieldSeen(0, 0)
    assert seen(service, "llm", "prompt") == FieldSeen(1, 1)
    assert seen(service, "tool", "response") == FieldSeen(1, 1)


def test_messages_in_many_attributes_are_a_prompt_and_a_completion(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    spans = [a_span(project, input="", output="", rest=f'{{"{word}.0": "hi"}}') for word in ("said", "told")]
    stored(telemetry, number, [a_root(project), *spans])
    (service,) = ask(telemetry, project)
    assert seen(service, "llm", "prompt") == FieldSeen(1, 2, spans[1].trace_id, spans[1].span_id)
    assert seen(service, "llm", "completion") == FieldSeen(1, 2, spans[0].trace_id, spans[0].span_id)


def test_messages_in_log_lines_of_a_call_are_a_prompt_and_a_completion(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    spans = [a_span(project, input="", output="") for _ in range(2)]
    lines = [("asked", {"content": "hi"}), ("answered", None)]
    logs = [
        StoredLog(project, number, place, START, LogLine(1, 9, span.trace_id, span.span_id, name, body, {}))
        for place, (span, (name, body)) in enumerate(zip(spans, lines, strict=True))
    ]
    stored(telemetry, number, [a_root(project), *spans])
    telemetry.write(TelemetryBatch(number + 1, logs=logs))
    (service,) = ask(telemetry, project)
    assert seen(service, "llm", "prompt") == FieldSeen(1, 2, spans[1].trace_id, spans[1].span_id)
    assert seen(service, "llm", "completion").seen == 0


def test_what_the_other_span_of_a_call_tells_is_told(telemetry: ClickHouse, project: str, number: int) -> None:
    inner = a_span(project, response_id="resp-1", input="", output="", tokens=Tokens(10, 5))
    outer = a_span(project, response_id="resp-1")
    other = a_span(project, input="", response_id="resp-2")
    stored(telemetry, number, [a_root(project), inner, other])
    telemetry.write(TelemetryBatch(number + 1, readings=[outer]))
    (service,) = ask(telemetry, project)
    assert service.llm_calls == 2
    assert seen(service, "llm", "prompt") == FieldSeen(1, 2, other.trace_id, other.span_id)
    assert seen(service, "llm", "cached_tokens") == FieldSeen(2, 2)


def test_a_session_named_after_a_trace_has_no_id_of_its_own(telemetry: ClickHouse, project: str, number: int) -> None:
    for trace, session in ((1, trace_of(project, 1).hex()), (2, "ours")):
        spans = [a_root(project, trace), a_span(project, trace), a_tool(project, trace)]
        stored(telemetry, number + trace, spans, session)
    (service,) = ask(telemetry, project)
    found = seen(service, "llm", "session"), seen(service, "tool", "session")
    assert [(one.seen, one.of, one.trace_id) for one in found] == [(1, 2, trace_of(project, 1))] * 2


def test_a_call_that_follows_a_trace_without_an_id_has_none_either(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    host = trace_of(project, 1).hex()
    stored(telemetry, number, [a_root(project, 1), a_span(project, 1), a_span(project, 2)], host)
    (service,) = ask(telemetry, project)
    assert (seen(service, "llm", "session").seen, seen(service, "llm", "session").of) == (0, 2)


def test_a_session_whose_last_run_never_ended_has_no_outcome(telemetry: ClickHouse, project: str, number: int) -> None:
    stored(telemetry, number, [a_root(project, 1), a_span(project, 1)], "ended")
    started = a_root(project, 2, end_ns=0, ver=7)
    stored(telemetry, number + 1, [started, a_root(project, 2), a_span(project, 2)], "open", "timeout")
    stored(telemetry, number + 2, [a_span(project, 3)], "unrooted", "timeout")
    resumed = [a_span(project, 4), a_root(project, 5), a_span(project, 5)]
    stored(telemetry, number + 3, resumed, "fell silent and went on")
    stored(telemetry, number + 4, [a_span(project, 6)], "still running", "")
    (service,) = ask(telemetry, project)
    assert service.sessions == 5
    outcome = seen(service, "session", "outcome")
    assert (outcome.seen, outcome.of, outcome.trace_id) == (2, 4, trace_of(project, 3))


def test_only_calls_that_a_session_counts_are_looked_at(telemetry: ClickHouse, project: str, number: int) -> None:
    call, wrapper, echo = a_span(project), a_span(project, input=""), a_tool(project, input="", service="tools")
    handoff, moved = a_tool(project, input=""), a_tool(project, 2, input="")
    stored(telemetry, number, [a_root(project), call])
    telemetry.write(TelemetryBatch(number + 1, readings=[wrapper, echo]))
    stored(telemetry, number + 3, [handoff], "handed over")
    stored(telemetry, number + 4, [moved], "left")
    rows = [
        a_row(number + 5, [msgspec.structs.replace(handoff, kind="handoff")], "handed over"),
        msgspec.structs.replace(a_row(number + 5, [moved], "left"), gone=True),
    ]
    telemetry.write(TelemetryBatch(number + 5, ledger=rows))
    running = a_span(project, end_ns=0, ver=7, status="running", input="")
    stored(telemetry, number + 2, [a_root(project), call, running])
    (service,) = ask(telemetry, project)
    assert (service.llm_calls, service.tool_calls) == (1, 0)
    assert seen(service, "llm", "prompt") == FieldSeen(1, 1)


def test_a_span_sent_again_is_one_call_and_its_last_copy_holds(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    first = a_span(project, output="")
    second = msgspec.structs.replace(first, ver=ENDED | 8, output="bye", received_ns=first.received_ns + 1)
    for again in range(3):
        stored(telemetry, number + again, [a_root(project), first if again == 2 else second])
    (service,) = ask(telemetry, project)
    assert service.llm_calls == 1
    assert seen(service, "llm", "completion") == FieldSeen(1, 1)


def test_the_latest_calls_of_each_kind_are_looked_at(telemetry: ClickHouse, project: str, number: int) -> None:
    spans = [a_span(project, input="") for _ in range(5)] + [a_tool(project)] + [a_span(project) for _ in range(3)]
    stored(telemetry, number, [a_root(project), *spans])
    (service,) = ask(telemetry, project, calls=3)
    assert (service.llm_calls, service.tool_calls) == (3, 1)
    assert seen(service, "llm", "prompt") == FieldSeen(3, 3)
    (service,) = ask(telemetry, project, calls=4)
    assert seen(service, "llm", "prompt") == FieldSeen(3, 4, spans[4].trace_id, spans[4].span_id)


def test_calls_received_before_a_time_are_left_out(telemetry: ClickHouse, project: str, number: int) -> None:
    spans = [a_span(project), a_span(project)]
    stored(telemetry, number, spans)
    assert [one.llm_calls for one in ask(telemetry, project, since_ns=spans[1].received_ns)] == [1]
    assert ask(telemetry, project, since_ns=spans[1].received_ns + 1) == []


def test_services_are_told_apart_the_one_with_the_most_calls_first(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    spans = [a_span(project, service="desk"), a_span(project), a_span(project), a_root(project, 2, service="boss")]
    stored(telemetry, number, spans)
    assert [(one.service, one.llm_calls) for one in ask(telemetry, project)] == [("shop", 2), ("desk", 1), ("boss", 0)]
    assert [one.service for one in ask(telemetry, project, limit=1)] == ["shop"]
    assert [one.service for one in ask(telemetry, project, service="desk")] == ["desk"]
    other = f"{project}-other"
    stored(telemetry, number + 1, [a_span(other)])
    everywhere = {(one.project, one.service) for one in ask(telemetry, "", limit=10_000)}
    assert {(project, "shop"), (other, "shop")} <= everywhere
    assert ask(telemetry, f"{project}-nobody") == []


def test_a_name_that_an_exporter_makes_up_is_no_service_name(telemetry: ClickHouse, project: str, number: int) -> None:
    names = {"shop": 1, "": 0, "unknown_service": 0, "unknown_service:py": 0}
    stored(telemetry, number, [a_span(project, service=name) for name in names])
    assert {one.service: seen(one, "session", "service").seen for one in ask(telemetry, project)} == names


def test_tools_asked_for_in_runs_without_any_are_counted(telemetry: ClickHouse, project: str, number: int) -> None:
    spans = [a_span(project, 1, asked=2), a_span(project, 2, asked=3), a_tool(project, 2, service="tools")]
    stored(telemetry, number, spans)
    shop, tools = ask(telemetry, project)
    assert (shop.asked, shop.tool_calls) == (2, 0)
    assert (tools.service, tools.models_elsewhere) == ("tools", True)


FAMILIES = {
    "gpt-4o",
    "gpt-4.1-mini",
    "claude-sonnet-4-5",
    "claude-3-opus-latest",
    "gemini-2.5-flash",
    "gpt-oss-120b",
    "o3",
}
VERSIONS = {
    "gpt-4o-2024-08-06",
    "claude-sonnet-4-5-20250929",
    "claude-sonnet-4-5@20250929",
    "anthropic.claude-sonnet-4-5-20250929-v1:0",
    "gemini-2.5-flash-001",
    "gemini-2.5-pro-preview-06-05",
    "gpt-4-0613",
    "gpt-4-1106-preview",
    "command-r-08-2024",
    "ft:gpt-4o-mini-2024-07-18:org::id",
}


def test_a_model_named_without_a_version_is_a_family(telemetry: ClickHouse, project: str, number: int) -> None:
    stored(telemetry, number, [a_span(project, service=model, model=model) for model in FAMILIES | VERSIONS])
    found = {one.service: (one.families, one.family) for one in ask(telemetry, project)}
    assert found == {model: (1, model) for model in FAMILIES} | dict.fromkeys(VERSIONS, (0, ""))
