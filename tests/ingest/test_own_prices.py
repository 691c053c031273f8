"""The user's own prices win from and to the moment they say, are exact, and are refused by name where they cannot be used."""

from __future__ import annotations

import datetime as dt
import tomllib
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_messages import UNTIMED

from watchpost.ingest.own_prices import MAX_USD, PriceError, own_prices
from watchpost.ingest.price import Pricing
from watchpost.model.step import Tokens

NANO = 10**9
MILLION = Tokens(10**6, 0)


def at(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()) * NANO


NOW = at("2026-06-01T12:00:00")


def a_price(model: str = "our-model", **fields: object) -> dict[str, object]:
    return {"model": model, "input": 1, "output": 2} | {name.removesuffix("_"): value for name, value in fields.items()}


def cost(
    rows: list[dict[str, object]], model: str, provider: str = "", at_ns: int = NOW, tokens: Tokens = MILLION
) -> object:
    return Pricing(own_prices(rows)).cost(provider, model, tokens, at_ns)


def test_an_own_price_wins_over_the_published_one() -> None:
    assert cost([a_price("gpt-4o", input="1.10")], "gpt-4o", "openai") == 1_100_000_000


def test_a_model_without_an_own_price_keeps_the_published_one() -> None:
    assert cost([a_price("gpt-4o")], "gpt-4o-mini", "openai") == 150_000_000


@pytest.mark.parametrize(
    ("pattern", "model", "fits"),
    [
        ("our-model", "our-model", True),
        ("our-model", "our-model-2", False),
        ("our-*", "our-model-2", True),
        ("OUR-Model", "our-MODEL", True),
        ("our-model[[]1m]", "our-model[1m]", True),
        ("our-model[1m]", "our-model[1m]", True),
        ("our-model", "our-model[1m]", True),
        ("gpt-4o", "openai/gpt-4o", True),
        ("openai/gpt-4o", "openai/gpt-4o", True),
        ("gpt-4o", "gpt-4o-2024-08-06", False),
        ("*", "anything", True),
    ],
)
def test_a_model_is_named_exactly_or_by_a_pattern(pattern: str, model: str, *, fits: bool) -> None:
    assert (cost([a_price(pattern, input=7)], model) == 7 * NANO) is fits


@pytest.mark.parametrize("provider", ["azure", "azure.ai.openai", "AZURE_OPENAI"])
def test_a_price_may_be_that_of_one_provider_however_it_is_spelled(provider: str) -> None:
    rows = [a_price("gpt-4o", provider="azure", input=7)]
    assert cost(rows, "gpt-4o", provider) == 7 * NANO
    assert cost(rows, "gpt-4o", "openai") == 2_500_000_000


def test_a_model_on_a_machine_of_ones_own_can_be_priced() -> None:
    assert cost([a_price("llama*", provider="ollama", input=0, output=0)], "llama3.2", "ollama") == 0
    assert cost([a_price("ollama/llama3.2", input="0.01")], "ollama/llama3.2") == 10_000_000


DATED = [
    a_price(from_=dt.date(2026, 3, 1), input=3),
    a_price(from_="2026-01-01T00:00:00Z", to="2026-02-01", input=1),
    a_price(from_=dt.datetime(2026, 5, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))), input=5),
]


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2025-12-31T23:59:59", "no_price"),
        ("2026-01-01T00:00:00", 1 * NANO),
        ("2026-01-31T23:59:59", 1 * NANO),
        ("2026-02-01T00:00:00", "no_price"),
        ("2026-03-01T00:00:00", 3 * NANO),
        ("2026-04-30T23:59:59", 3 * NANO),
        ("2026-05-01T00:00:00", 5 * NANO),
        ("2030-01-01T00:00:00", 5 * NANO),
    ],
)
def test_of_several_prices_the_latest_that_had_begun_holds(moment: str, expected: object) -> None:
    assert cost(DATED, "our-model", at_ns=at(moment)) == expected


def test_outside_its_days_an_own_price_leaves_the_published_one() -> None:
    rows = [a_price("gpt-4o", input=1, from_="2026-06-01", to="2026-07-01")]
    costs = [cost(rows, "gpt-4o", "openai", at(day)) for day in ("2026-05-31", "2026-06-01", "2026-07-01")]
    assert costs == [2_500_000_000, NANO, 2_500_000_000]


def test_a_name_comes_before_a_pattern_and_a_provider_before_any() -> None:
    rows = [
        a_price("*", from_="2026-05-01", input=1),
        a_price("gpt-*", provider="openai", input=2),
        a_price("gpt-4o", input=3),
        a_price("gpt-4o", provider="openai", input=4),
    ]
    asked = [("x", "openai"), ("gpt-4", ""), ("gpt-4", "openai"), ("gpt-4o", "azure"), ("gpt-4o", "openai")]
    assert [cost(rows, *one) for one in asked] == [1 * NANO, 1 * NANO, 2 * NANO, 3 * NANO, 4 * NANO]


def test_cached_and_cache_writing_tokens_cost_what_is_said_or_what_input_costs() -> None:
    tokens = Tokens(10, 0, 3, 4)
    assert cost([a_price(cached="0.5", cache_write="1.25")], "our-model", tokens=tokens) == 3000 + 3 * 500 + 4 * 1250
    assert cost([a_price()], "our-model", tokens=tokens) == 10_000


TIERED = a_price(
    input=1,
    output=2,
    cached="0.1",
    tiers=[
        {"above_input_tokens": 1000, "input": 30, "output": 40},
        {"above_input_tokens": 100, "input": 10, "output": 20, "cached": 5},
    ],
)


@pytest.mark.parametrize(
    ("tokens", "nano"),
    [
        (Tokens(100, 1), 100_000 + 2000),
        (Tokens(100, 1, 100), 100 * 100 + 2000),
        (Tokens(101, 1), 101 * 10_000 + 20_000),
        (Tokens(101, 1, 1), 100 * 10_000 + 5000 + 20_000),
        (Tokens(1000, 1), 1000 * 10_000 + 20_000),
        (Tokens(1001, 1, 1), 1001 * 30_000 + 40_000),
    ],
)
def test_a_request_above_a_tier_is_priced_by_it_as_a_whole(tokens: Tokens, nano: int) -> None:
    assert cost([TIERED], "our-model", tokens=tokens) == nano


def test_numbers_of_a_file_are_what_is_written_there() -> None:
    assert cost([a_price(input=0.1, output="0.30")], "our-model", tokens=Tokens(10, 10)) == 1000 + 3000


def test_the_documented_example_can_be_used() -> None:
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    example = tomllib.loads(page.rpartition("```toml\n")[2].partition("```")[0])
    assert len(own_prices(example["prices"])) == 2


def test_half_a_billionth_of_a_dollar_is_rounded_to_the_even_one() -> None:
    rows = [a_price(input="0.0005")]
    assert [cost(rows, "our-model", tokens=Tokens(count, 0)) for count in (1, 2, 3, 5, 7)] == [0, 1, 2, 2, 4]


MONEY = st.decimals(0, MAX_USD, places=6, allow_nan=False)
COUNT = st.integers(0, 2**32 - 1)


@given(rates=st.tuples(MONEY, MONEY, MONEY, MONEY), shares=st.tuples(COUNT, COUNT, COUNT), output=COUNT)
@settings(UNTIMED)
def test_a_cost_is_the_sum_in_decimals_rounded_once_and_fits_the_store(
    rates: tuple[Decimal, Decimal, Decimal, Decimal], shares: tuple[int, int, int], output: int
) -> None:
    given_, made, cached, written = rates
    plain, hits, writes = (share // 3 for share in shares)
    rows = [a_price(input=str(given_), output=str(made), cached=str(cached), cache_write=str(written))]
    exact = (given_ * plain + cached * hits + written * writes + made * output) * 1000
    found = cost(rows, "our-model", tokens=Tokens(plain + hits + writes, output, hits, writes))
    assert found == int(exact.to_integral_value(ROUND_HALF_EVEN))
    assert isinstance(found, int)
    assert found < 2**63


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"input": 1, "output": 1}], r"^#1: model: "),
        ([a_price("")], r"^#1: model: must name"),
        (["gpt-4o"], r"^#1: price: "),
        ([a_price(), a_price("b", input=-1)], r"^#2 \(b\): input: must be from 0"),
        ([a_price(output="-0.01")], r"^#1 \(our-model\): output: must be from 0"),
        ([a_price(cached="NaN")], r"^#1 \(our-model\): cached: must be from 0"),
        ([a_price(cache_write=float("inf"))], r"^#1 \(our-model\): cache_write: must be from 0"),
        ([a_price(input=MAX_USD + 1)], r"input: must be from 0 to 100000 USD"),
        ([a_price(input="0.1234567890123")], r"input: must have at most 12 digits"),
        ([a_price(input="1e-400")], r"input: must have at most 12 digits"),
        ([a_price(input="cheap")], r"^#1 \(our-model\): input: "),
        ([a_price(input=True)], r"^#1 \(our-model\): input: "),
        ([{"model": "m", "input": 1}], r"^#1 \(m\): output: "),
        ([a_price(reasoning=1)], r"^#1 \(our-model\): reasoning: "),
        ([a_price(from_="soon")], r"from: 'soon' is no date"),
        ([a_price(from_=2026)], r"from: must be a date"),
        ([a_price(to=dt.time(1))], r"to: must be a date"),
        ([a_price(from_="2026-02-01", to="2026-02-01")], r"to: must be later than from"),
        ([a_price(from_="2026-02-01", to="2026-01-01")], r"to: must be later than from"),
        ([a_price(), a_price()], r"^#2 \(our-model\): from: #1 is for the same model from the same time"),
        ([a_price(), a_price("OUR-MODEL ")], r"^#2 .*from: #1 is for the same model"),
        ([a_price(to="2026-03-01"), a_price(from_="2026-02-01")], r"^#2 .*from: overlaps #1"),
        ([a_price(from_="2026-02-01"), a_price(to="2026-03-01")], r"^#2 .*from: overlaps #1"),
        ([a_price(tiers=[{"above_input_tokens": 5, "input": 1}])], r"^#1 \(our-model\): output: "),
        ([a_price(tiers=[{"above_input_tokens": -1, "input": 1, "output": 1}])], r"tiers #1 above_input_tokens: "),
        ([a_price(tiers=[{"above_input_tokens": 5, "input": 1, "output": 1}] * 2)], r"tiers #2 above_input_tokens: "),
        ([a_price(tiers=[{"above_input_tokens": 5, "input": 1, "output": -1}])], r"tiers #1 output: "),
    ],
)
def test_a_price_that_cannot_be_used_is_named_with_its_field(rows: list[object], said: str) -> None:
    with pytest.raises(PriceError, match=said):
        own_prices(rows)


@pytest.mark.parametrize(
    "rows",
    [
        [a_price(to="2026-03-01"), a_price(from_="2026-03-01")],
        [a_price(from_="2026-03-01"), a_price()],
        [a_price(), a_price(provider="azure"), a_price("our-*")],
    ],
)
def test_prices_that_follow_each_other_or_speak_of_others_do_not_overlap(rows: list[object]) -> None:
    assert len(own_prices(rows)) == len(rows)
