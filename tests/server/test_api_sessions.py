"""The JSON API: its field names, what null means, paging, redirects, and every bad parameter named."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from server_fakes import START_NS, House

from watchpost.model.session import Totals
from watchpost.model.telemetry import LogLine
from watchpost.server.answers import moment, usd

SESSION = [
    "key", "session_id", "project", "workflow", "service", "user_id", "state", "outcome", "revision", "started_at", "ended_at",
    "totals", "flags", "success", "breaches", "within", "unchecked", "trace",
]  # fmt: skip
TOTALS = [
    "steps", "llm_calls", "tool_calls", "tool_errors", "input_tokens", "output_tokens", "cached_tokens",
    "reasoning_tokens", "cost_usd", "retries", "unseen_tool_calls", "estimated",
]  # fmt: skip
STEP = [
    "step_id", "trace_id", "parent_id", "number", "kind", "name", "agent", "model", "tool", "status", "error_type",
    "started_at", "duration_ms", "input_tokens", "output_tokens", "cost_usd", "flags",
]  # fmt: skip
FLAG = ["id", "kind", "step_id", "trace_id", "step", "severity", "state", "summary", "evidence", "verdict"]


def test_a_session_is_answered_with_the_fields_of_the_contract() -> None:
    house = House()
    totals = Totals(steps=2, llm_calls=1, tool_calls=1, input_tokens=12, cost_nano=1_234_567_890)
    session = house.shelf.add_session("conv/7 ü", totals=totals)
    house.shelf.add_step(session)
    flagged = house.shelf.add_step(session)
    house.shelf.add_flag(session, flagged)
    answer = house.get(f"/api/sessions/{session.key}").json()
    assert list(answer) == SESSION
    assert (answer["key"], answer["session_id"], answer["outcome"]) == (session.key, "conv/7 ü", "completed")
    assert answer["started_at"] == "2026-05-28T20:26:40.123456Z"
    assert answer["ended_at"] == "2026-05-28T20:26:42.623456Z"
    assert list(answer["totals"]) == TOTALS
    assert (answer["totals"]["input_tokens"], answer["totals"]["output_tokens"]) == (12, None)
    assert answer["totals"]["cost_usd"] == "1.23456789"
    assert list(answer["flags"][0]) == FLAG
    assert (answer["flags"][0]["step"], answer["flags"][0]["step_id"]) == (2, flagged.span_id.hex())
    assert house.get("/api/sessions").json() == {
        "sessions": [answer],
        "next": None,
        "matched": "",
        "searched_since": None,
        "words_since": None,
    }


def test_a_running_session_has_no_end_and_no_outcome() -> None:
    house = House()
    session = house.shelf.add_session("a", state="running", outcome=None)
    answer = house.get(f"/api/sessions/{session.key}").json()
    assert (answer["state"], answer["ended_at"], answer["outcome"]) == ("running", None, None)


def test_a_time_that_was_never_set_is_null() -> None:
    house = House()
    session = house.shelf.add_session("a", started_ns=0)
    assert house.get(f"/api/sessions/{session.key}").json()["started_at"] is None


def test_a_flag_at_a_span_that_is_no_step_has_no_number() -> None:
    house = House()
    session = house.shelf.add_session("a")
    step = house.shelf.add_step(session)
    house.shelf.add_flag(session, step, span_id=b"\xee" * 8)
    assert house.get(f"/api/sessions/{session.key}").json()["flags"][0]["step"] is None


def test_a_number_follows_its_step_when_the_session_changes() -> None:
    house = House()
    session = house.shelf.add_session("a")
    step = house.shelf.add_step(session)
    house.shelf.add_flag(session, step)
    assert house.get(f"/api/sessions/{session.key}").json()["flags"][0]["step"] == 1
    house.shelf.ledger[session.key].insert(0, house.shelf.add_step(house.shelf.add_session("other")))
    house.shelf.summaries.remove(session)
    house.shelf.add_session("a", revision=2)
    assert house.get(f"/api/sessions/{session.key}").json()["flags"][0]["step"] == 2


def test_withdrawn_flags_come_last_and_the_most_severe_first() -> None:
    house = House()
    session = house.shelf.add_session("a")
    step = house.shelf.add_step(session)
    for state, severity in (
        ("withdrawn", "critical"),
        ("provisional", "high"),
        ("confirmed", "info"),
        ("confirmed", "high"),
    ):
        house.shelf.add_flag(session, step, state=state, severity=severity)
    flags = house.get(f"/api/sessions/{session.key}").json()["flags"]
    assert [(f["state"], f["severity"]) for f in flags] == [
        ("confirmed", "high"),
        ("confirmed", "info"),
        ("provisional", "high"),
        ("withdrawn", "critical"),
    ]


def test_cursors_lead_through_every_session_once() -> None:
    house = House()
    for n in range(7):
        house.shelf.add_session(f"s{n}", at=n // 3)
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = house.get(f"/api/sessions?limit=3&cursor={cursor}").json()
        seen += [session["session_id"] for session in page["sessions"]]
        cursor = page["next"]
    assert len(seen) == 7
    assert sorted(seen) == [f"s{n}" for n in range(7)]


def test_filters_narrow_and_empty_ones_do_not() -> None:
    house = House()
    house.shelf.add_session("a", workflow="refunds", user_id="u1")
    house.shelf.add_session("b", workflow="research", state="running", outcome=None)
    house.shelf.add_session("c", project="shop", outcome="timeout")
    house.shelf.add_session("d", moved_to="k")

    def found(query: str) -> set[str]:
        return {session["session_id"] for session in house.get(f"/api/sessions?{query}").json()["sessions"]}

    assert found("project=&state=&outcome=&workflow=&user_id=&session_id=&cursor=") == {"a", "b", "c"}
    assert found("workflow=research") == {"b"}
    assert found("state=running") == {"b"}
    assert found("outcome=timeout") == {"c"}
    assert found("project=shop") == {"c"}
    assert found("user_id=u1&session_id=a") == {"a"}


def test_a_merged_session_redirects_with_its_query() -> None:
    house = House()
    new = house.shelf.add_session("new")
    old = house.shelf.add_session("old", moved_to=new.key)
    for address in (
        f"/api/sessions/{old.key}",
        f"/api/sessions/{old.key}/steps?after=3",
        f"/sessions/{old.key}?after=200",
    ):
        answer = house.get(address)
        assert (answer.status_code, answer.headers["location"]) == (308, address.replace(old.key, new.key))


def test_steps_are_answered_with_the_fields_of_the_contract() -> None:
    house = House()
    session = house.shelf.add_session("a")
    house.shelf.add_step(session, "llm", in_tok=10, cost_nano=500, dur_us=1_234_567, parent_id=b"\1" * 8, model="m")
    failed = house.shelf.add_step(session, dur_us=None, status="error", error_type="TimeoutError")
    flag = house.shelf.add_flag(session, failed)
    answer = house.get(f"/api/sessions/{session.key}/steps").json()
    first, second = answer["steps"]
    assert answer["next"] is None
    assert list(first) == STEP
    assert (first["number"], first["kind"], first["model"], first["parent_id"]) == (1, "llm", "m", "01" * 8)
    assert (first["input_tokens"], first["output_tokens"], first["cost_usd"]) == (10, None, "0.0000005")
    assert (first["duration_ms"], first["flags"]) == (1234.567, [])
    assert (second["parent_id"], second["duration_ms"], second["error_type"]) == (None, None, "TimeoutError")
    assert [(f["id"], f["step"]) for f in second["flags"]] == [(flag.id, 2)]


def test_steps_page_by_number() -> None:
    house = House()
    session = house.shelf.add_session("a")
    for _ in range(5):
        house.shelf.add_step(session)
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        page = house.get(f"/api/sessions/{session.key}/steps?after={after}&limit=2").json()
        seen += [step["number"] for step in page["steps"]]
        after = page["next"]
    assert seen == [1, 2, 3, 4, 5]
    assert house.get(f"/api/sessions/{session.key}/steps?after=99").json() == {"steps": [], "next": None}


def test_a_step_shows_what_its_span_carried_by_its_own_names() -> None:
    house = House()
    session = house.shelf.add_session("a")
    rest = {"attributes": {"temperature": 0.2}, "resource": {"service.name": "shop"}, "status_message": "late"}
    step = house.shelf.add_step(
        session, input='{"id": 7}', output="found", rest=json.dumps(rest), refs="input=tool.parameters,tool=tool.name"
    )
    house.shelf.lines += [
        ("default", LogLine(START_NS, 9, step.trace_id, step.span_id, "gen_ai.choice", {"a": 1}, {"raw": b"\x00\xff"})),
        ("default", LogLine(START_NS, 9, step.trace_id, b"\xee" * 8, "", "of another step", {})),
        ("shop", LogLine(START_NS, 9, step.trace_id, step.span_id, "", "of another project", {})),
    ]
    answer = house.get(f"/api/sessions/{session.key}/steps/{step.span_id.hex()}").json()
    assert list(answer) == [
        *STEP, "error", "error_handling", "input", "input_form", "output", "output_form", "reported", "attributes", "span", "logs", "missing",
    ]  # fmt: skip
    assert (answer["input"], answer["output"]) == ('{"id": 7}', "found")
    assert answer["attributes"] == {"temperature": 0.2, "tool.parameters": '{"id": 7}', "tool.name": "lookup_order"}
    assert answer["span"] == {"resource": {"service.name": "shop"}, "status_message": "late"}
    assert answer["logs"] == [
        {
            "time": "2026-05-28T20:26:40.123456Z",
            "severity": 9,
            "event_name": "gen_ai.choice",
            "body": {"a": 1},
            "attributes": {"raw": "AP8="},
        }
    ]


def test_two_steps_of_one_id_are_told_apart_by_their_trace() -> None:
    house = House()
    session = house.shelf.add_session("a")
    one = house.shelf.add_step(session, trace=1, input="first", span_id=b"\5" * 8)
    two = house.shelf.add_step(session, trace=2, input="second", span_id=b"\5" * 8)
    address = f"/api/sessions/{session.key}/steps/{'05' * 8}"
    unclear = house.get(address)
    assert unclear.status_code == 422
    assert unclear.json()["errors"][0]["parameter"] == "trace_id"
    assert house.get(f"{address}?trace_id={one.trace_id.hex()}").json()["input"] == "first"
    assert house.get(f"{address}?trace_id={two.trace_id.hex()}").json()["input"] == "second"


@pytest.mark.parametrize(
    "address",
    [
        "/api/sessions/nosuchkey",
        "/api/sessions/nosuchkey/steps",
        "/api/sessions/{key}/steps/ffffffffffffffff",
        "/api/sessions/{key}/steps/1",
        "/api/sessions/{key}/steps/zz",
        "/api/sessions/{key}/steps/0000000000000001?trace_id=00",
        "/api/sessions/{key}/steps/0000000000000001?trace_id=ffffffffffffffffffffffffffffffff",
        "/api/sessions/%00%ff",
        "/api/nothing",
        "/v1/nothing",
    ],
)
def test_what_does_not_exist_is_a_404_problem(address: str) -> None:
    house = House()
    session = house.shelf.add_session("a")
    house.shelf.add_step(session)
    answer = house.get(address.format(key=session.key))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json()["status"], answer.json()["title"]) == (404, "Not Found")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("state=dead", "state"),
        ("outcome=fine", "outcome"),
        ("cursor=%F0%9F%92%A3", "cursor"),
        ("cursor=MTIz", "cursor"),
        ("cursor=MTox", ""),
        ("cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OmE", "cursor"),
        ("cursor=" + "A" * 257, "cursor"),
        ("workflow=" + "a" * 1025, "workflow"),
    ],
)
def test_a_bad_parameter_is_a_422_problem_that_names_it(query: str, parameter: str) -> None:
    answer = House().get(f"/api/sessions?{query}")
    if not parameter:
        assert answer.status_code == 200
        return
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


@pytest.mark.parametrize(("query", "parameter"), [("after=-1", "after"), ("after=x", "after"), ("limit=1001", "limit")])
def test_a_bad_parameter_of_steps_is_named(query: str, parameter: str) -> None:
    house = House()
    session = house.shelf.add_session("a")
    answer = house.get(f"/api/sessions/{session.key}/steps?{query}")
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


def test_another_method_is_a_405_problem() -> None:
    answer = House().ask("DELETE", "/api/sessions")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.json()["title"] == "Method Not Allowed"


def test_a_failure_inside_says_nothing_of_the_inside() -> None:
    house = House()
    session = house.shelf.add_session("a", totals="secret")
    answer = house.get(f"/api/sessions/{session.key}")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in answer.text
    assert "str" not in answer.text


def test_the_description_names_every_field_that_is_answered() -> None:
    house = House()
    described = house.get("/openapi.json").json()
    schemas = described["components"]["schemas"]
    assert list(schemas["SessionAnswer"]["properties"]) == SESSION
    assert list(schemas["StepAnswer"]["properties"]) == STEP
    assert schemas["SessionAnswer"]["required"] == SESSION
    references = [part.split('"')[0] for part in json.dumps(described).split("#/components/schemas/")[1:]]
    assert set(references) <= set(schemas)
    assert set(described["paths"]) == {
        "/api/alerts",
        "/api/alerts/{alert_id}",
        "/api/alerts/{alert_id}/acknowledge",
        "/api/alerts/{alert_id}/notices",
        "/api/channels/{channel}/test",
        "/api/cohorts",
        "/api/cohorts/{cohort_id}",
        "/api/contracts",
        "/api/contracts/{tool}",
        "/api/contracts/{tool}/pin",
        "/api/erasures",
        "/api/erasures/{erasure_id}",
        "/api/feedback",
        "/api/flag-kinds",
        "/api/flags",
        "/api/flags/{flag_id}",
        "/api/flags/{flag_id}/verdict",
        "/api/health",
        "/api/inbound/alertmanager",
        "/api/inbound/pagerduty",
        "/api/inbound/slack",
        "/api/logs",
        "/api/measures",
        "/api/measures/{name}",
        "/api/measures/{name}/sessions",
        "/api/precision",
        "/api/readiness",
        "/api/received-metrics",
        "/api/received-metrics/{name}",
        "/api/releases",
        "/api/releases/{release_id}",
        "/api/releases/{release_id}/retract",
        "/api/routes",
        "/api/rules",
        "/api/rules/backtest",
        "/api/rules/review",
        "/api/rules/{name}",
        "/api/sessions",
        "/api/sessions/{key}",
        "/api/sessions/{key}/hold",
        "/api/sessions/{key}/logs",
        "/api/sessions/{key}/release",
        "/api/sessions/{key}/steps",
        "/api/sessions/{key}/steps/{step_id}",
        "/api/sessions/{key}/timeline",
        "/api/settings",
        "/api/silences",
        "/api/silences/{silence_id}",
        "/api/slos",
        "/api/spending",
        "/api/tools",
        "/api/unpriced-models",
        "/api/versions",
    }
    assert house.get("/docs").status_code == house.get("/redoc").status_code == 404


@given(st.integers(-(2**62), 2**62))
def test_money_is_exact(nano: int) -> None:
    text = usd(nano)
    assert text is not None
    assert Decimal(text) * 10**9 == nano
    assert "e" not in text.lower()
    assert not ("." in text and text.endswith("0"))


@given(st.integers(-(2**63), 2**63 - 1).filter(bool))
def test_every_nanosecond_of_64_bits_is_a_moment(ns: int) -> None:
    text = moment(ns)
    assert text is not None
    assert text.endswith("Z")
    assert len(text) == len("2026-05-28T20:26:40.123456Z")


def test_a_session_says_whether_it_was_a_success_and_kept_its_sla() -> None:
    house = House()
    session = house.shelf.add_session(
        "a", success=False, breaches=("latency",), within=("tokens",), unchecked=("cost",)
    )
    answer = house.get(f"/api/sessions/{session.key}").json()
    assert (answer["success"], answer["breaches"], answer["within"], answer["unchecked"]) == (
        False,
        ["latency"],
        ["tokens"],
        ["cost"],
    )
    page = house.get(f"/sessions/{session.key}").text
    assert "<dt>Success</dt><dd>no</dd>" in page
    assert '<div class="bad"><dt>SLA broken</dt><dd>latency</dd></div>' in page
    assert "<dt>SLA kept</dt><dd>tokens</dd>" in page
    assert "<dt>SLA not known</dt><dd>cost</dd>" in page
