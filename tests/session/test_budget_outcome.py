"""A run that was stopped because its budget was spent is said to be that, and only where a span says so."""

from __future__ import annotations

import pytest
from folding import Fold, span

from watchpost.model.telemetry import Attributes
from watchpost.session.node import is_over_budget

SPENT: Attributes = {"error.type": "BudgetExceededError"}


@pytest.mark.parametrize(
    "error",
    [
        "BudgetExceededError: Budget has been exceeded! Current cost: 1.2, max budget: 1",
        "litellm.BudgetExceededError",
        "error_max_budget_usd",
        "UsageLimitExceeded: Exceeded the total_tokens_limit of 500 (total_tokens=612)",
        "the run exceeded its token budget",
        "TokenBudgetExceeded",
        "session budget exhausted",
    ],
)
def test_errors_say_in_many_words_that_a_budget_was_spent(error: str) -> None:
    assert is_over_budget(error)


@pytest.mark.parametrize(
    "error",
    [
        "",
        "RateLimitError: You exceeded your current quota",
        "UsageLimitExceeded: The next request would exceed the request_limit of 50",
        "MaxTurnsExceeded: Max turns (10) exceeded",
        "ContextWindowExceededError: too many tokens",
        "budget.xlsx not found",
    ],
)
def test_quotas_turns_and_windows_are_no_budgets(error: str) -> None:
    assert not is_over_budget(error)


def test_a_run_that_a_budget_stopped_is_over_budget_whether_the_call_or_the_agent_says_so() -> None:
    for stopped in (1, 2):
        fold = Fold()
        fold.receive(
            span(1, "agent", failed=True, end_s=9, also=SPENT if stopped == 1 else {}),
            span(2, "llm", 1, failed=stopped == 2, also=SPENT if stopped == 2 else {}),
        )
        fold.wait(100)
        assert fold.only.outcome == "budget_exceeded"


def test_a_run_that_went_silent_after_its_budget_was_spent_is_over_budget() -> None:
    fold = Fold()
    fold.receive(span(1, "agent", ended=False), span(2, "llm", 1, failed=True, also=SPENT))
    fold.wait(10_000)
    assert fold.only.outcome == "budget_exceeded"


def test_a_run_that_got_over_it_or_whose_tool_speaks_of_a_budget_is_not() -> None:
    spent, again = span(2, "llm", 1, failed=True, also=SPENT), span(3, "llm", 1, name="again")
    for outcome, *spans in (
        ("completed", span(1, "agent", end_s=9), spent, again),
        ("bad_output", span(1, "agent", failed=True, end_s=9), spent, again),
        ("tool_error", span(1, "agent", failed=True, end_s=9), span(2, "tool", 1, failed=True, also=SPENT)),
    ):
        fold = Fold()
        fold.receive(*spans)
        fold.wait(100)
        assert fold.only.outcome == outcome
