"""`/api/measures`: the catalogue, what is asked of a measure and how it is answered, and the sessions behind a point."""

from __future__ import annotations

import pytest
from server_fakes import START_NS, House

from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import Cell, Contributor, Measured, Question

DAY_NS = 86_400 * 10**9


@pytest.fixture
def house() -> House:
    return House()


def question(house: House, query: str, name: str = "llm_calls") -> Question:
    answer = house.get(f"/api/measures/{name}?{query}")
    assert answer.status_code == 200, answer.text
    return house.gauge.asked[0]


def test_the_catalogue_tells_each_measure_once_with_what_it_means(house: House) -> None:
    rows = house.get("/api/measures").json()["measures"]
    assert [row["name"] for row in rows] == list(MEASURES)
    (row,) = (row for row in rows if row["name"] == "llm_error_rate")
    assert row["formula"]["type"] == "ratio"
    assert row["formula"]["over"]["where"]["failed"] is True
    assert (row["tier"], row["unit"], row["of"]) == ("infrastructure", "share", "step")
    assert {"model", "error_type", "release"} <= set(row["dimensions"])
    assert row["means"].endswith(".")


def test_names_say_their_unit_and_means_are_sentences() -> None:
    for name, measure in MEASURES.items():
        suffix = {"seconds": "_seconds", "usd": "_usd"}.get(measure.unit, "")
        assert name.endswith(suffix)
        assert measure.means.endswith(".")


@pytest.mark.parametrize(
    ("window", "step_s"),
    [
        ("since=2026-05-01T00:00&until=2026-05-01T01:00", 60),
        ("since=2026-05-01&until=2026-05-02", 1800),
        ("since=2026-05-01&until=2026-05-08", 4 * 3600),
        ("since=2026-04-01&until=2026-05-01", 12 * 3600),
        ("since=1970-01-02&until=2026-05-01", 28 * 86_400),
    ],
)
def test_a_step_can_be_left_to_the_length_of_the_window(house: House, window: str, step_s: int) -> None:
    assert question(house, f"{window}&step=auto").step_ns == step_s * 10**9


def test_without_parameters_the_last_day_is_one_point(house: House) -> None:
    house.gauge.answers = [Measured(1, [Cell((), None, 2, 3, 0, 3, 0)])]
    answer = house.get("/api/measures/llm_calls").json()
    asked = house.gauge.asked[0]
    assert (asked.since_ns, asked.until_ns, asked.step_ns, asked.by, asked.filters) == (
        START_NS - DAY_NS,
        START_NS,
        0,
        (),
        (),
    )
    assert answer["series"] == [
        {
            "group": {},
            "groups": 1,
            "total": {
                "since": "2026-05-27T20:26:40.123456Z",
                "until": "2026-05-28T20:26:40.123456Z",
                "value": 3,
                "sessions": 2,
                "counted": 3,
                "untold": 0,
                "before": None,
            },
            "points": [],
        }
    ]
    assert (answer["groups"], answer["rest"], answer["quantile"], answer["step"]) == (1, None, None, None)


def test_parameters_become_a_question(house: House) -> None:
    query = "since=2026-01-01&until=2026-01-02&step=10m&by=model,agent&model=a&model=b&agent=&project=&top=7"
    asked = question(house, query)
    assert asked.until_ns - asked.since_ns == DAY_NS
    assert (asked.step_ns, asked.by, asked.top) == (600 * 10**9, ("model", "agent"), 7)
    assert asked.filters == (("agent", ("",)), ("model", ("a", "b")))


@pytest.mark.parametrize(("given", "thousandths"), [("0.5", 500), ("p99", 990), ("p99.9", 999), ("1", 1000), ("", 950)])
def test_a_quantile_is_a_share_or_a_percentile(house: House, given: str, thousandths: int) -> None:
    assert question(house, f"quantile={given}", "tool_duration_seconds").quantile == thousandths


def test_steps_in_which_nothing_happened_are_0_of_what_is_counted_and_null_of_the_rest(house: House) -> None:
    window = "since=2026-01-01T00:00&until=2026-01-01T02:30&step=1h"
    for name, value, empty in (("llm_calls", 3, 0), ("cost_usd", "0.000000003", "0"), ("llm_error_rate", 0.75, None)):
        house.gauge.answers = [Measured(1, [Cell((), None, 1, 3, 1, 3, 4), Cell((), 1, 1, 3, 1, 3, 4)])]
        series = house.get(f"/api/measures/{name}?{window}").json()["series"][0]
        assert [point["value"] for point in series["points"]] == [empty, value, empty]
        assert series["points"][2]["until"] == "2026-01-01T02:30:00.000000Z"
        assert series["total"]["untold"] == 1


def test_dollars_that_nobody_told_are_null_and_not_0(house: House) -> None:
    house.gauge.answers = [Measured(1, [Cell((), None, 0, 0, 2, 0, 0)])]
    assert house.get("/api/measures/cost_usd").json()["series"][0]["total"]["value"] is None


def test_groups_come_with_their_names_and_the_rest_with_how_many_it_is(house: House) -> None:
    cells = [
        Cell(("b", ""), None, 1, 9, 0, 9, 0),
        Cell(("a", "x"), None, 1, 5, 0, 5, 0),
        Cell(None, None, 1, 2, 0, 2, 0),
    ]
    house.gauge.answers = [Measured(4, cells)]
    answer = house.get("/api/measures/llm_calls?by=model,tool&top=2").json()
    assert [(one["group"], one["total"]["value"]) for one in answer["series"]] == [
        ({"model": "b", "tool": ""}, 9),
        ({"model": "a", "tool": "x"}, 5),
    ]
    assert (answer["groups"], answer["rest"]["groups"], answer["rest"]["total"]["value"]) == (4, 2, 2)


def test_a_window_is_compared_with_the_one_before_group_by_group(house: House) -> None:
    house.gauge.answers = [
        Measured(1, [Cell(("a",), None, 1, 5, 0, 5, 0)]),
        Measured(2, [Cell(("a",), None, 1, 4, 0, 4, 0), Cell(None, None, 1, 3, 0, 3, 0)]),
    ]
    answer = house.get("/api/measures/llm_calls?by=model&since=2026-01-08&until=2026-01-09&compare=7d").json()
    total = answer["series"][0]["total"]
    assert (total["value"], total["before"]["value"], total["before"]["since"]) == (5, 4, "2026-01-01T00:00:00.000000Z")
    assert (answer["rest"]["total"]["value"], answer["rest"]["total"]["before"]["value"]) == (0, 3)
    now, earlier = house.gauge.asked
    assert (earlier.shown, earlier.top, now.since_ns - earlier.since_ns) == ((("a",),), 1, 7 * DAY_NS)


def test_the_sessions_behind_a_point_come_in_pages(house: House) -> None:
    house.gauge.behind = [Contributor("p", f"s-{number}", number) for number in range(1, 6)]
    found: list[str] = []
    address: str | None = "/api/measures/llm_error_rate/sessions?limit=2&part=over&model=m"
    while address:
        page = house.get(address).json()
        found += [one["session_id"] for one in page["sessions"]]
        assert len(page["sessions"]) <= 2
        assert all(len(one["key"]) == 26 for one in page["sessions"])
        address = page["next"] and f"/api/measures/llm_error_rate/sessions?limit=2&cursor={page['next']}"
    assert found == ["s-1", "s-2", "s-3", "s-4", "s-5"]
    assert house.gauge.asked_sessions[0].part == "over"
    assert house.gauge.asked_sessions[0].of.filters == (("model", ("m",)),)


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("nonsense", "name"),
        ("nonsense/sessions", "name"),
        ("sessions?model=a", "model"),
        ("sessions?by=model", "by"),
        ("llm_calls?colour=red", "colour"),
        ("llm_calls?by=model,tool,agent,status", "by"),
        ("llm_calls?since=2026-01-02&until=2026-01-01", "until"),
        ("llm_calls?since=2026-01-02&until=2026-01-02", "until"),
        ("llm_calls?since=soon", "since"),
        ("llm_calls?until=never", "until"),
        ("llm_calls?step=1s", "step"),
        ("llm_calls?step=0", "step"),
        ("llm_calls?step=fast", "step"),
        ("llm_calls?compare=before", "compare"),
        ("llm_calls?compare=9000w", "compare"),
        ("llm_calls?top=0", "top"),
        ("llm_calls?top=1001", "top"),
        ("tool_duration_seconds?quantile=p101", "quantile"),
        ("tool_duration_seconds?quantile=0", "quantile"),
        ("tool_duration_seconds?quantile=nan", "quantile"),
        ("tool_duration_seconds?quantile=0.12345", "quantile"),
        ("llm_calls/sessions?part=over", "part"),
        ("llm_calls/sessions?cursor=%21", "cursor"),
        ("llm_calls/sessions?limit=0", "limit"),
        ("llm_calls/sessions?step=1h", "step"),
        ("llm_calls?model=" + "m" * 1025, "model"),
        ("llm_calls?" + "&".join(["model=m"] * 201), "model"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_named(house: House, address: str, named: str) -> None:
    answer = house.get(f"/api/measures/{address}")
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, named)


def test_more_groups_than_can_be_told_apart_are_refused_with_advice_unless_the_top_is_asked_for(house: House) -> None:
    cells = [Cell((f"u{number}",), None, 1, 1, 0, 1, 0) for number in range(1000)]
    house.gauge.answers = [Measured(10_000, cells), Measured(10_000, cells[:5])]
    refused = house.get("/api/measures/llm_calls?by=user_id").json()
    assert refused["errors"][0]["parameter"] == "by"
    assert "top" in refused["errors"][0]["detail"]
    assert len(house.get("/api/measures/llm_calls?by=user_id&top=5").json()["series"]) == 5


def test_more_points_of_all_groups_than_are_answered_are_refused(house: House) -> None:
    house.gauge.answers = [Measured(100, [])]
    refused = house.get("/api/measures/llm_calls?by=user_id&step=1m").json()
    assert refused["errors"][0]["parameter"] == "step"


def test_the_description_names_the_parameters(house: House) -> None:
    paths = house.get("/openapi.json").json()["paths"]
    named = {each["name"] for each in paths["/api/measures/{name}"]["get"]["parameters"]}
    assert {"name", "since", "step", "by", "compare", "top", "model", "evaluator"} <= named
