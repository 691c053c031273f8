"""How often flags are right, by what people said, and who stops paging by that."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.query.flags import VerdictCount
from watchpost.rules.precision import Precision, PrecisionSettings, Standing, wilson

HALF = PrecisionSettings(least=0.5, verdicts=10)


def score_interval(successes: int, n: int) -> tuple[float, float]:
    """The shares that the score test does not refuse, found by halving and not by the formula."""
    share, critical = successes / n, 1.959963984540054

    def refused(truth: float) -> bool:
        return abs(share - truth) > critical * math.sqrt(truth * (1 - truth) / n)

    def edge(outside: float) -> float:
        inside = share
        for _ in range(200):
            middle = (outside + inside) / 2
            outside, inside = (middle, inside) if refused(middle) else (outside, middle)
        return inside

    return edge(0.0), edge(1.0)


def counted(*counts: tuple[str, int, int], project: str = "p", kind: str = "LOOP_DETECTED") -> list[VerdictCount]:
    return [VerdictCount(project, kind, tool, confirmed, dismissed) for tool, confirmed, dismissed in counts]


def standing(precision: Precision, tool: str = "search", kind: str = "LOOP_DETECTED", project: str = "p") -> Standing:
    return precision.standing(project, kind, tool)


@given(st.integers(1, 500), st.data())
def test_the_interval_holds_the_shares_that_the_score_test_does_not_refuse(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    assert wilson(successes, n) == pytest.approx(score_interval(successes, n), abs=1e-9)


def test_the_interval_is_the_one_of_the_books() -> None:
    assert wilson(3, 15) == pytest.approx((0.0705, 0.4519), abs=5e-5)
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=5e-5)
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_detector_without_enough_verdicts_pages_however_bad_they_are() -> None:
    assert not standing(Precision(HALF, counted(("search", 0, 9)))).is_muted
    assert standing(Precision(HALF, counted(("search", 0, 10)))).is_muted


def test_a_detector_that_may_yet_be_good_enough_pages() -> None:
    assert wilson(3, 15)[1] < 0.5 < wilson(5, 15)[1]
    assert standing(Precision(HALF, counted(("search", 3, 12)))).is_muted
    assert not standing(Precision(HALF, counted(("search", 5, 10)))).is_muted


def test_who_stopped_paging_says_why() -> None:
    muted = standing(Precision(HALF, counted(("search", 3, 12))))
    assert muted.reason == "stopped paging: precision 0.20 [0.07, 0.45] of 15 verdicts, needs 0.5"
    assert not standing(Precision(HALF)).reason


def test_a_detector_pages_again_once_it_is_right_more_often() -> None:
    precision = Precision(HALF, counted(("search", 0, 12)))
    assert standing(precision).is_muted
    for _ in range(6):
        precision.add(VerdictCount("p", "LOOP_DETECTED", "search", 1, 0))
    assert not standing(precision).is_muted


def test_a_verdict_that_was_changed_counts_once() -> None:
    precision = Precision(HALF, counted(("search", 0, 10)))
    precision.add(VerdictCount("p", "LOOP_DETECTED", "search", 0, -1))
    precision.add(VerdictCount("p", "LOOP_DETECTED", "search", 1, 0))
    (row,) = precision.rows()
    assert (row.tally.confirmed, row.tally.dismissed) == (1, 9)


def test_a_kind_can_need_more_than_the_rest() -> None:
    strict = PrecisionSettings(least=0.5, verdicts=10, kinds={"LOOP_DETECTED": 0.8})
    precision = Precision(strict, counted(("search", 8, 12)) + counted(("search", 8, 12), kind="STALE_DATA"))
    assert standing(precision).is_muted
    assert not standing(precision, kind="STALE_DATA").is_muted
    assert "needs 0.8" in standing(precision).reason


def test_a_least_of_zero_mutes_nobody() -> None:
    assert not standing(Precision(PrecisionSettings(least=0.0), counted(("search", 0, 1000)))).is_muted


def test_a_tool_that_alone_is_bad_is_muted_alone() -> None:
    precision = Precision(HALF, counted(("search", 0, 15), ("pay", 9, 1), ("book", 3, 0)))
    assert standing(precision, "search").is_muted
    assert not any(standing(precision, tool).is_muted for tool in ("pay", "book", "never seen", ""))


def test_a_tool_that_alone_is_good_goes_on_paging() -> None:
    precision = Precision(HALF, counted(("pay", 12, 0), *((f"t{n}", 0, 4) for n in range(5))))
    assert not standing(precision, "pay").is_muted
    assert all(standing(precision, tool).is_muted for tool in ("t0", "t4", "never seen", ""))


def test_projects_and_kinds_are_judged_apart() -> None:
    precision = Precision(HALF, counted(("search", 0, 20)))
    assert standing(precision).is_muted
    assert not standing(precision, project="q").is_muted
    assert not standing(precision, kind="STALE_DATA").is_muted
    assert [row.project for row in precision.rows("p")] == ["p"]
    assert precision.rows("q") == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_the_order_of_verdicts_makes_no_difference(said: list[tuple[str, bool]]) -> None:
    counts = [VerdictCount("p", "K", tool, int(right), int(not right)) for tool, right in said]
    rows = [Precision(HALF, some).rows() for some in (counts, sorted(counts, key=str), reversed(counts))]
    assert all(one == other for one, other in itertools.pairwise(rows))
