"""The catalogue says what it means, its page says the same, and values come out of cells exactly."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.query.catalogue import MEASURES
from watchpost.query.catalogue.infrastructure import INFRASTRUCTURE
from watchpost.query.catalogue.llm import LLM
from watchpost.query.catalogue.own import OWN
from watchpost.query.catalogue.quality import QUALITY
from watchpost.query.measures import DIMENSIONS, Cell, value_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "measures.md"
BIG = st.integers(0, 2**63 - 1)


def test_every_name_stands_once_and_every_tier_holds_its_own() -> None:
    rows = [*INFRASTRUCTURE, *LLM, *QUALITY, *OWN]
    assert len(MEASURES) == len(rows)
    for tier, held in (("infrastructure", (*INFRASTRUCTURE, *OWN)), ("llm", LLM), ("quality", QUALITY)):
        assert {row.tier for row in held} == {tier}


@pytest.mark.parametrize("name", MEASURES)
def test_the_page_says_what_the_catalogue_says(name: str) -> None:
    one = MEASURES[name]
    row = f"| `{name}` | {one.unit} | {one.of}s | {one.means} |\n"
    assert row in PAGE.read_text(encoding="utf-8")


def test_the_page_names_every_dimension() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in DIMENSIONS["flag"] if f"`{name}`" not in page] == []


def cell(over: int, per: int = 0, *, counted: int = 1, untold: int = 0) -> Cell:
    return Cell((), None, 1, counted, untold, over, per)


@given(over=BIG)
def test_counts_tokens_and_money_are_exact(over: int) -> None:
    for name in ("llm_calls", "input_tokens", "cost_usd", "active_sessions"):
        value = value_of(MEASURES[name], cell(over))
        assert value == over
        assert isinstance(value, int)


def test_money_per_session_is_rounded_half_to_even() -> None:
    measure = MEASURES["cost_per_session_usd"]
    assert [value_of(measure, cell(over, 2)) for over in (1, 2, 3, 5, 2**62 + 1)] == [0, 1, 2, 2, 2**61]


def test_seconds_shares_and_scores_are_told_in_their_units() -> None:
    assert value_of(MEASURES["tool_duration_seconds"], cell(1_500_000)) == 1.5
    assert value_of(MEASURES["llm_error_rate"], cell(1, 4)) == 0.25
    assert value_of(MEASURES["score_mean"], cell(3_000_000, 4)) == 0.75


@pytest.mark.parametrize("name", MEASURES)
def test_nothing_is_0_of_what_is_counted_or_added_up_and_null_of_all_else(name: str) -> None:
    value = value_of(MEASURES[name], None)
    counted = type(MEASURES[name].formula).__name__ in {"Count", "Distinct", "Sum"}
    assert value == (0 if counted else None)
    assert value_of(MEASURES[name], cell(0, counted=0)) == value
