"""`/api/tools`: the tools that agents call, the worst first."""

from __future__ import annotations

import pytest
from server_fakes import START_NS, House

from watchpost.model.fact import Verdict
from watchpost.model.knowledge import Contract, Field, Lesson
from watchpost.query.measures import Cell, Measured

DAY_NS = 86_400 * 10**9
TEXT = Field(("string",), required=True, seen=9)


@pytest.fixture
def house() -> House:
    return House()


def cells(*found: tuple[str, int, int]) -> Measured:
    """Of each tool of the project `default` how many of how many calls failed."""
    rows = [Cell(("default", tool), None, 1, calls, 0, failed, calls) for tool, failed, calls in found]
    return Measured(len(rows), rows)


def lasted(*found: tuple[str, int]) -> Measured:
    """Of each tool of the project `default` its length in microseconds."""
    return Measured(len(found), [Cell(("default", tool), None, 1, 1, 0, length, 0) for tool, length in found])


def publish(house: House, tool: str, *names: str, version: int = 1) -> None:
    contract = Contract({"": Field(("object",), required=True), **dict.fromkeys(names, TEXT)})
    house.base.published.append(Lesson("default", "contract", tool, version, "learnt", contract, START_NS))


def drifted(house: House, tool: str, shape: str, *, days_ago: float = 0.5) -> str:
    session = house.shelf.add_session(f"{tool} {shape} {days_ago}")
    step = house.shelf.add_step(session)
    at_ns = round(START_NS - days_ago * DAY_NS)
    evidence = {"tool": tool, "response": shape}
    return house.shelf.add_flag(session, step, kind="TOOL_SCHEMA_DRIFT", evidence=evidence, at_ns=at_ns).id


def listed(house: House, query: str = "") -> list[tuple[str, int, int, float | None]]:
    tools = house.get(f"/api/tools?{query}").json()["tools"]
    return [(one["tool"], one["drift_day"], one["drift_week"], one["error_rate"]) for one in tools]


def test_tools_that_drifted_stand_before_those_that_fail_and_those_before_the_others(house: House) -> None:
    house.gauge.answers = [cells(("sound", 0, 90), ("failing", 3, 6), ("worse", 9, 10)), lasted(("sound", 250_000))]
    publish(house, "drifting", "id", version=4)
    drifted(house, "drifting", '{"ident":"s"}')
    drifted(house, "drifting", '{"ident":"s"}', days_ago=3)
    assert listed(house) == [("drifting", 1, 2, None), ("worse", 0, 0, 0.9), ("failing", 0, 0, 0.5), ("sound", 0, 0, 0.0)]  # fmt: skip


def test_a_tool_is_told_with_its_calls_and_its_contract(house: House) -> None:
    house.gauge.answers = [cells(("get", 1, 4)), lasted(("get", 250_000))]
    publish(house, "get", "id", version=7)
    answer = house.get("/api/tools?since=2026-05-20").json()
    assert answer["since"] == "2026-05-20T00:00:00.000000Z"
    (tool,) = answer["tools"]
    assert (tool["calls"], tool["sessions"], tool["error_rate"], tool["p95_seconds"]) == (4, 1, 0.25, 0.25)
    assert (tool["source"], tool["version"], tool["changed_at"][:10]) == ("learnt", 7, "2026-05-28")
    first, second = house.gauge.asked
    assert first.since_ns == second.since_ns


def test_drift_that_the_contract_allows_now_and_drift_that_was_dismissed_count_no_more(house: House) -> None:
    publish(house, "get", "id")
    allowed, dismissed, standing = (drifted(house, "get", shape) for shape in ('{"id":"s"}', '{"a":"s"}', '{"b":"s"}'))
    house.shelf.given.append(Verdict(dismissed, "dismiss", "", "", START_NS))
    assert allowed != standing
    assert [(tool, day) for tool, day, *_ in listed(house)] == [("get", 1)]


def test_what_settings_declare_holds_in_the_projects_that_call_it_and_stands_alone_where_none_does(
    house: House,
) -> None:
    house.declared |= {"get": Contract({"a": TEXT}), "unused": Contract({"a": TEXT})}
    house.gauge.answers = [cells(("get", 0, 4))]
    tools = house.get("/api/tools").json()["tools"]
    assert [(one["project"], one["tool"], one["source"]) for one in tools] == [
        ("default", "get", "declared"),
        ("", "unused", "declared"),
    ]


def test_a_window_that_cannot_be_used_is_named(house: House) -> None:
    answer = house.get("/api/tools?since=soon")
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "since")
