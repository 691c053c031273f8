"""What the budget detector says beside where it fires; where it fires is in tests/scenarios."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from detected import calls_of, detected, known, seen, steps
from hypothesis import given
from hypothesis import strategies as st

from watchpost.detect.budget import KIND, Budget, BudgetDetector, BudgetSettings
from watchpost.detect.catalogue import DetectorSettingsError, makes
from watchpost.detect.detector import Surroundings
from watchpost.model.knowledge import Norm
from watchpost.model.step import Tokens

TEXT = """workflow research
set budget.limits [{"workflow": "*", "tokens": 10000}]
step 1 human "Go."
step 2 llm says "a" tokens 3000/100 took 29s
step 3 llm says "b" tokens 2700/100 took 29s after 1s
step 4 llm says "c" tokens 200/100 took 29s after 1s"""


def test_a_warning_says_how_fast_it_goes_and_when_the_budget_is_spent() -> None:
    (found,) = detected(TEXT, KIND)
    assert (found.severity, found.refutable) == ("high", False)
    assert found.evidence["tokens"] == 6200
    assert found.evidence["share"] == 0.62
    assert found.evidence["model_calls"] == 3
    assert found.evidence["steps"] == 4
    assert found.evidence["rate"] == {"per_step": 1550.0, "per_minute": pytest.approx(6200 / 89 * 60, abs=0.01)}
    end = msgspec.convert(found.evidence["expected_end"], dict[str, object])
    assert end["steps"] == 3
    assert str(end["at"]).startswith("1970-01-01T00:02:2")
    assert "62%" in found.summary
    assert "3 more steps" in found.summary


def test_a_warning_names_the_calls_that_took_most() -> None:
    (found,) = detected(TEXT, KIND)
    assert [call["tokens"] for call in calls_of(found)] == [3100, 2800, 300]


def test_a_warning_says_what_sessions_of_the_workflow_usually_use() -> None:
    around = Surroundings(workflow="research", knowledge=known(workflow_tokens__research=Norm(80, 4e3, 8e3, 9e3)))
    detector = BudgetDetector(BudgetSettings((Budget(tokens=10_000),)), around)
    (found,) = seen(detector, *steps(TEXT))
    assert found.evidence["usual_tokens"] == {"p50": 4e3, "p95": 8e3, "p99": 9e3, "sessions": 80}


def test_one_call_past_the_whole_budget_is_one_finding() -> None:
    (found,) = detected(
        'set budget.limits [{"tokens": 1000}]\nstep 1 llm says "a" tokens 2000/1\nstep 2 llm tokens 1/1', KIND
    )
    assert (found.subject, found.severity, found.evidence["reason"]) == ("tokens exceeded", "critical", "exceeded")
    assert found.evidence["expected_end"] is None


def test_money_is_counted_exactly() -> None:
    settings = BudgetSettings((Budget(cost_usd=Decimal("0.000000003")),), warn=0.9)
    (call,) = steps('step 1 llm says "a" tokens 1/1 cost 0.000000001')
    several = [msgspec.structs.replace(call, span_id=bytes([n] * 8)) for n in range(3)]
    (found,) = seen(BudgetDetector(settings, Surroundings()), *several)
    assert found.evidence["cost_usd"] == "0.000000003"
    assert found.summary.startswith("0.000000003 of 0.000000003 USD spent")


@pytest.mark.parametrize("limit", ['{"tokens": 1000}', '{"cost_usd": "0.10"}'])
def test_what_was_spent_and_what_may_be_are_numbers_for_whoever_is_told(limit: str) -> None:
    (found,) = detected(f'set budget.limits [{limit}]\nstep 1 llm says "a" tokens 699/1 cost 0.07', KIND)
    value, threshold = found.evidence["value"], found.evidence["threshold"]
    assert isinstance(value, int | float)
    assert isinstance(threshold, int | float)
    assert value / threshold == pytest.approx(0.7)


def test_calls_whose_tokens_were_not_reported_count_nothing() -> None:
    text = 'set budget.limits [{"tokens": 1000}]\nstep 1-9 llm says "a" tokens ?/?\nstep 10 tool get {} -> "a"'
    assert detected(text, KIND) == []


def test_a_workflow_without_a_budget_is_not_looked_at() -> None:
    settings = BudgetSettings((Budget("refunds", tokens=1),))
    assert BudgetDetector(settings, Surroundings(workflow="research")).kinds == frozenset()
    assert BudgetDetector(settings, Surroundings(workflow="refunds")).kinds == {"llm", "retrieval"}


@given(used=st.lists(st.integers(0, 5_000), max_size=30))
def test_each_limit_is_said_once_where_the_sum_comes_to_it(used: list[int]) -> None:
    (call,) = steps('step 1 llm says "a" tokens 1/1')
    calls = [msgspec.structs.replace(call, tokens=Tokens(each, 0)) for each in used]
    detector = BudgetDetector(BudgetSettings((Budget(tokens=10_000),)), Surroundings())
    found = [(place, finding.subject) for place, each in enumerate(calls) for finding in detector.see(place, each)]
    sums = [sum(used[: place + 1]) for place in range(len(used))]
    warned = next((place for place, spent in enumerate(sums) if spent >= 6_000), None)
    spent = next((place for place, spent in enumerate(sums) if spent >= 10_000), None)
    expected = [(warned, "tokens")] if warned is not None and warned != spent else []
    assert found == expected + ([(spent, "tokens exceeded")] if spent is not None else [])


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"warn": 1}, "warn"),
        ({"limits": [{"tokens": -1}]}, "limits.0.tokens"),
        ({"limits": [{}, {"cost_usd": "-0.5"}]}, "limits.1.cost_usd"),
        ({"limits": [{"cost_usd": "0.0000000001"}]}, "limits.0.cost_usd"),
        ({"limits": [{"cost_usd": "NaN"}]}, "limits.0.cost_usd"),
        ({"limits": [{"cost_usd": "much"}]}, "cost_usd"),
    ],
)
def test_a_budget_that_means_nothing_is_refused_by_name(given: dict[str, object], named: str) -> None:
    with pytest.raises(DetectorSettingsError, match=f"budget: .*{named}"):
        makes({"budget": given})
