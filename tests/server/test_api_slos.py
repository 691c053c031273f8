"""How objectives stand is worked out from the measure that they are about."""

from __future__ import annotations

from server_fakes import START_NS, House

from watchpost.query.measures import Cell, Measured

DAYS_NS = 30 * 24 * 3600 * 10**9


def test_an_objective_says_how_much_of_its_budget_is_left_in_each_group() -> None:
    house = House()
    group = ("default", "1.2")
    house.gauge.answers = [
        Measured(2, [Cell(group, None, 400, 400, 0, 399, 400), Cell(("default", ""), None, 9, 0, 0, 0, 0)])
    ]
    (slo,) = house.get("/api/slos").json()["slos"]
    (question,) = house.gauge.asked
    assert (question.since_ns, question.until_ns, question.measure.name) == (
        START_NS - DAYS_NS,
        START_NS,
        "completion_rate",
    )
    assert (slo["name"], slo["objective"], slo["window_seconds"]) == ("RefundsComplete", 0.99, 30 * 86_400)
    first, none = slo["budgets"]
    assert (first["project"], first["group"], first["total"], first["bad"]) == ("default", {"release": "1.2"}, 400, 1)
    assert abs(first["left"] - 0.75) < 1e-9
    assert (none["total"], none["left"]) == (0, None)
