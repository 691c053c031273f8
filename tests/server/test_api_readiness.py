"""`/api/readiness` tells what services do not send, in the order in which it is to be mended, and whether they are ready."""

from __future__ import annotations

import msgspec
import pytest
from server_fakes import START_NS, House

from watchpost.query.readiness import FIELDS, FieldSeen, ServiceSeen

OF = {"llm": 60, "tool": 40, "session": 5}
WHOLE = ServiceSeen(
    "default",
    "shop",
    llm_calls=60,
    tool_calls=40,
    sessions=5,
    models_elsewhere=True,
    asked=0,
    families=0,
    family="",
    scopes=("pydantic-ai",),
    fields=tuple(FieldSeen(OF[field.of], OF[field.of]) for field in FIELDS),
)
TRACE, SPAN = b"t" * 16, b"s" * 8


def lacking(service: ServiceSeen, **missing: int) -> ServiceSeen:
    """The service with so many calls without each field, named `kind_field`."""
    fields = [
        FieldSeen(seen.of - missing.get(f"{field.of}_{field.name}", 0), seen.of, TRACE, SPAN)
        for field, seen in zip(FIELDS, service.fields, strict=True)
    ]
    return msgspec.structs.replace(service, fields=tuple(fields))


def asked(*services: ServiceSeen, query: str = "") -> dict[str, object]:
    house = House()
    house.shelf.services = list(services)
    answer = house.get(f"/api/readiness{query}")
    assert answer.status_code == 200
    found: dict[str, object] = answer.json()
    return found


def first(answer: dict[str, object]) -> dict[str, object]:
    (service,) = msgspec.convert(answer["services"], list[dict[str, object]])
    return service


def reasons(answer: dict[str, object]) -> list[tuple[str, bool]]:
    found = msgspec.convert(first(answer)["reasons"], list[dict[str, object]])
    return [(f"{one['of']}.{one['field']}", bool(one["decides"])) for one in found]


def test_a_service_that_sends_all_is_ready_and_every_field_is_listed() -> None:
    answer = asked(WHOLE)
    service = first(answer)
    fields = msgspec.convert(service.pop("fields"), list[dict[str, object]])
    assert [(one["of"], one["field"]) for one in fields] == [(field.of, field.name) for field in FIELDS]
    assert fields[0] == {
        "of": "llm",
        "field": "session",
        "weight": "decides",
        "seen": 60,
        "total": 60,
        "share": 1.0,
        "example": None,
    }
    assert service == {
        "project": "default",
        "service": "shop",
        "ready": True,
        "verdict": "ready",
        "reasons": [],
        "hints": [],
        "pages": ["docs/frameworks/pydantic-ai.md"],
        "llm_calls": 60,
        "tool_calls": 40,
        "sessions": 5,
    }
    assert {key: answer[key] for key in ("since", "calls", "share", "more")} == {
        "since": "2026-05-21T20:26:40.123456Z",
        "calls": 1000,
        "share": 0.99,
        "more": False,
    }


@pytest.mark.parametrize(
    "field", [field for field in FIELDS if field.weight == "decides"], ids=lambda field: field.name
)
def test_without_a_field_that_decides_a_service_is_not_ready(field: object) -> None:
    of, name = getattr(field, "of", ""), getattr(field, "name", "")
    answer = asked(lacking(WHOLE, **{f"{of}_{name}": 2}))
    assert (first(answer)["verdict"], first(answer)["ready"]) == ("not_ready", False)
    assert reasons(answer) == [(f"{of}.{name}", True)]


def test_what_decides_comes_first_in_the_order_of_the_minimum() -> None:
    service = lacking(
        WHOLE, llm_prompt=60, session_outcome=5, tool_response=40, tool_arguments=40, tool_session=40, llm_session=60
    )
    assert reasons(asked(service)) == [
        ("llm.session", True),
        ("tool.session", True),
        ("tool.arguments", True),
        ("tool.response", True),
        ("session.outcome", True),
        ("llm.prompt", False),
    ]


def test_a_reason_is_a_sentence_with_advice_and_an_example() -> None:
    service = first(asked(lacking(WHOLE, tool_arguments=3)))
    (reason,) = msgspec.convert(service["reasons"], list[dict[str, object]])
    assert reason["text"] == "3 of 40 tool calls without arguments"
    assert "gen_ai.tool.call.arguments" in str(reason["advice"])
    (field,) = (f for f in msgspec.convert(service["fields"], list[dict[str, object]]) if f["field"] == "arguments")
    assert field["example"] == {"trace_id": TRACE.hex(), "span_id": SPAN.hex()}
    assert field["share"] == 0.925


def test_a_service_that_lacks_what_does_not_decide_is_ready_all_the_same() -> None:
    answer = asked(lacking(WHOLE, llm_prompt=60, tool_latency=40))
    assert first(answer)["ready"] is True
    assert reasons(answer) == [("llm.prompt", False), ("tool.latency", False)]


def test_what_is_optional_is_counted_and_no_reason() -> None:
    assert reasons(asked(lacking(WHOLE, llm_summary=60, session_user_id=5, tool_call_id=40))) == []


def test_cached_and_reasoning_tokens_are_missing_only_where_they_never_come() -> None:
    assert reasons(asked(lacking(WHOLE, llm_cached_tokens=59, llm_reasoning_tokens=59))) == []
    assert reasons(asked(lacking(WHOLE, llm_cached_tokens=60))) == [("llm.cached_tokens", False)]


@pytest.mark.parametrize(
    ("share", "ready"), [("0.99", False), ("0.95", False), ("0.925", True), ("1", False), ("0", True)]
)
def test_the_share_that_is_enough_can_be_asked_for(share: str, ready: bool) -> None:
    assert first(asked(lacking(WHOLE, tool_arguments=3), query=f"?share={share}"))["ready"] is ready


def test_with_few_calls_there_is_too_little_to_tell_and_what_is_missing_is_listed() -> None:
    few = lacking(msgspec.structs.replace(WHOLE, llm_calls=10, tool_calls=9), tool_arguments=1)
    assert (first(asked(few))["verdict"], reasons(asked(few))) == ("too_little_seen", [("tool.arguments", True)])
    enough = msgspec.structs.replace(few, tool_calls=10)
    assert first(asked(enough))["verdict"] == "not_ready"


def test_calls_that_are_not_seen_at_all_are_the_first_reason() -> None:
    silent = msgspec.structs.replace(WHOLE, llm_calls=0, models_elsewhere=False)
    assert reasons(asked(silent)) == [("llm.calls", True)]
    served = msgspec.structs.replace(silent, models_elsewhere=True)
    assert reasons(asked(served)) == []
    toolless = msgspec.structs.replace(WHOLE, tool_calls=0, asked=7)
    assert reasons(asked(toolless)) == [("tool.calls", True)]
    assert reasons(asked(msgspec.structs.replace(toolless, asked=0))) == []


def test_a_family_of_models_is_a_hint() -> None:
    service = first(asked(msgspec.structs.replace(WHOLE, families=12, family="gpt-4o")))
    assert service["hints"] == ["12 of 60 model calls name a family of models (gpt-4o), not a version"]
    assert service["ready"] is True


@pytest.mark.parametrize(
    ("scopes", "pages"),
    [
        (("openinference.instrumentation.langchain", "my.app"), ["langgraph"]),
        (("openinference.instrumentation.openai_agents",), ["openai-agents"]),
        (("opentelemetry.instrumentation.openai.v1",), ["openai-sdk"]),
        (("pydantic-ai", "com.anthropic.sdk.python"), ["anthropic-sdk", "pydantic-ai"]),
        (("ai",), ["vercel-ai"]),
        (("aisle",), ["README"]),
        ((), ["README"]),
    ],
)
def test_the_pages_are_those_of_what_a_service_is_instrumented_with(scopes: tuple[str, ...], pages: list[str]) -> None:
    found = first(asked(msgspec.structs.replace(WHOLE, scopes=scopes)))["pages"]
    assert found == [f"docs/frameworks/{page}.md" for page in pages]


def test_services_are_asked_for_by_project_name_and_time_and_a_limit_cuts_the_list() -> None:
    services = [msgspec.structs.replace(WHOLE, service=name) for name in ("a", "b", "c")]
    assert asked(*services, query="?limit=2")["more"] is True
    assert asked(*services, query="?limit=3")["more"] is False
    assert first(asked(*services, query="?service=b"))["service"] == "b"
    assert asked(*services, query="?project=other")["services"] == []
    house = House()
    house.get("/api/readiness?since=2026-05-28T20:26:40Z")
    house.get("/api/readiness")
    seven_days = 7 * 86_400 * 10**9
    assert [one.since_ns for one in house.shelf.asked_services] == [1_780_000_000 * 10**9, START_NS - seven_days]


@pytest.mark.parametrize(
    ("query", "named"), [("since=yesterday", "since"), ("limit=0", "limit"), ("share=2", "share"), ("share=x", "share")]
)
def test_a_parameter_that_cannot_be_used_is_named(query: str, named: str) -> None:
    answer = House().get(f"/api/readiness?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, named)
