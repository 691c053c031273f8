"""Versions as points: where they lie, how sure their rate is, and that names lie over none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from watchpost.rules.precision import wilson
from watchpost.server.pages.scatter import BOTTOM, COST, RATE, TOP, scatter_of
from watchpost.server.release_versions import VersionAnswer, VersionsAnswer, VersionValue


def version(name: str, cost: str | None, rate: float | None, sessions: int = 100) -> VersionAnswer:
    measures = {COST: VersionValue(cost, sessions, 0), RATE: VersionValue(rate, sessions if rate is not None else 0, 0)}
    return VersionAnswer(name, sessions, measures)


def answer(*versions: VersionAnswer) -> VersionsAnswer:
    return VersionsAnswer("2026-01-01T00:00:00Z", "2026-01-15T00:00:00Z", "release", 0.95, list(versions), 0)


def test_the_dearer_lies_to_the_right_and_the_better_above() -> None:
    drawn = scatter_of(answer(version("1", "0.01", 0.9), version("2", "0.02", 0.7)))
    assert drawn is not None
    first, second = drawn.points
    assert first.x < second.x
    assert first.y < second.y
    assert (second.x - drawn.left) / (first.x - drawn.left) > 1.99


def test_the_line_of_a_point_is_the_interval_of_its_rate() -> None:
    drawn = scatter_of(answer(version("1", "0.01", 1.0, 10), version("2", "0.02", 0.5, 4)))
    assert drawn is not None
    low, high = wilson(2, 4)
    floor = 0.1
    second = drawn.points[1]
    heights = [BOTTOM - (BOTTOM - TOP) * (share - floor) / (1 - floor) for share in (low, high)]
    assert abs(second.low - heights[0]) < 0.1
    assert abs(second.high - heights[1]) < 0.1
    assert second.words == "2: 50 % completed (15 to 85 %) of 4, $0.0200 for each that did"


def test_fewer_than_two_are_not_compared_and_what_has_no_cost_is_counted() -> None:
    priceless = version("2", None, 0.5)
    assert scatter_of(answer(version("1", "0.01", 0.9), priceless)) is None
    drawn = scatter_of(answer(version("1", "0.01", 0.9), priceless, version("", "0.03", 0.8)))
    assert drawn is not None
    assert drawn.left_out == 1
    assert [(point.label.text, point.named) for point in drawn.points] == [("1", True), ("(not told)", False)]


COSTS = st.decimals(0, 1000, places=6).map(str)


@given(
    st.lists(st.tuples(st.text(max_size=40), COSTS, st.floats(0, 1), st.integers(1, 10**6)), min_size=2, max_size=12)
)
def test_every_point_lies_within_the_drawing(found: list[tuple[str, str, float, int]]) -> None:
    drawn = scatter_of(answer(*(version(*each) for each in found)))
    assert drawn is not None
    for point in drawn.points:
        assert drawn.left <= point.x <= drawn.right
        assert TOP - 0.1 <= point.high <= point.y + 0.1
        assert point.y <= point.low + 0.1 <= BOTTOM + 0.2
    assert all(drawn.left <= tick.at <= drawn.right for tick in drawn.across)


def test_names_of_versions_that_do_alike_stand_beneath_each_other() -> None:
    drawn = scatter_of(answer(*(version(f"gpt-4o-mini-{n}", f"0.0{50 + n}", 0.9) for n in range(4))))
    assert drawn is not None
    places = {(point.label.y, point.label.to_the_left) for point in drawn.points}
    assert len(places) == 4
