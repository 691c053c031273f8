"""Calls cost what the published tables say, to the nano-dollar, or nothing is said."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_messages import UNTIMED

from watchpost.ingest.price import cost_nano
from watchpost.model.step import Tokens

NANO = 10**9


def at(year: int, month: int, day: int, hour: int = 12) -> int:
    return int(dt.datetime(year, month, day, hour, tzinfo=dt.UTC).timestamp()) * NANO


NOW = at(2026, 6, 1)


@pytest.mark.parametrize(
    ("model", "dollars_in", "dollars_out"),
    [
        ("gpt-4o", "2.50", "10.00"),
        ("gpt-4o-mini", "0.15", "0.60"),
        ("gpt-4.1", "2.00", "8.00"),
        ("gpt-4.1-mini", "0.40", "1.60"),
        ("gpt-4.1-nano", "0.10", "0.40"),
    ],
)
def test_a_million_tokens_cost_what_is_published(model: str, dollars_in: str, dollars_out: str) -> None:
    for provider in ("openai", ""):
        assert cost_nano(provider, model, Tokens(10**6, 0), NOW) == int(Decimal(dollars_in) * NANO)
        assert cost_nano(provider, model, Tokens(0, 10**6), NOW) == int(Decimal(dollars_out) * NANO)


COUNTS = st.integers(0, 1_000_000)


@given(
    model=st.sampled_from(
        [
            ("openai", "gpt-4o-mini"),
            ("openai", "o3"),
            ("anthropic", "claude-sonnet-4-5"),
            ("google", "gemini-2.5-pro"),
            ("google", "gemini-2.0-flash"),
            ("deepseek", "deepseek-chat"),
        ]
    ),
    shares=st.tuples(COUNTS, COUNTS, COUNTS),
    output=COUNTS,
    hour=st.integers(0, 23),
    write=st.booleans(),
)
@settings(UNTIMED, max_examples=300)
def test_every_call_costs_what_the_table_computes(
    model: tuple[str, str], shares: tuple[int, int, int], output: int, hour: int, *, write: bool
) -> None:
    provider, name = model
    plain, cached, written = shares
    written *= write
    tokens = Tokens(plain + cached + written, output, cached, written)
    moment = dt.datetime(2026, 3, 3, hour, tzinfo=dt.UTC)
    usage = Usage(input_tokens=tokens.input, output_tokens=output, cache_read_tokens=cached, cache_write_tokens=written)
    published = calc_price(usage, name, provider_id=provider, genai_request_timestamp=moment).total_price
    assert cost_nano(provider, name, tokens, at(2026, 3, 3, hour)) == int((published * NANO).to_integral_value())


def test_a_long_request_of_a_tiered_model_costs_more_than_its_parts() -> None:
    short = cost_nano("google", "gemini-2.5-pro", Tokens(100_000, 1_000), NOW)
    long = cost_nano("google", "gemini-2.5-pro", Tokens(300_000, 3_000), NOW)
    assert short is not None
    assert long is not None
    assert long > 3 * short


def test_cached_input_costs_less() -> None:
    plain = cost_nano("openai", "gpt-4o", Tokens(1000, 0), NOW)
    cached = cost_nano("openai", "gpt-4o", Tokens(1000, 0, 1000), NOW)
    assert (plain, cached) == (2_500_000, 1_250_000)


def test_a_price_is_that_of_its_day() -> None:
    may, july = (cost_nano("openai", "o3", Tokens(10**6, 0), at(2025, month, 1)) for month in (5, 7))
    assert (may, july) == (10 * NANO, 2 * NANO)


@pytest.mark.parametrize("provider", ["langchain", "my-proxy", ""])
def test_a_provider_nobody_knows_leaves_the_price_to_the_models_name(provider: str) -> None:
    assert cost_nano(provider, "gpt-4o", Tokens(10**6, 0), NOW) == 2_500_000_000


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("", Tokens(1, 1)),
        ("a-model-nobody-sells", Tokens(1, 1)),
        ("gpt-4o", Tokens()),
        ("gpt-4o", Tokens(None, 1)),
        ("gpt-4o", Tokens(1, None)),
        ("gpt-4o", Tokens(10, 1, 11)),
        ("gpt-4o", Tokens(10, 1, 6, 6)),
        ("gemini-2.5-pro", Tokens(10, 1, 11)),
    ],
)
def test_what_cannot_be_priced_has_no_price(model: str, tokens: Tokens) -> None:
    assert cost_nano("", model, tokens, NOW) is None


def test_no_tokens_cost_nothing_and_that_is_known() -> None:
    assert cost_nano("openai", "gpt-4o", Tokens(0, 0), NOW) == 0


def test_reasoning_is_part_of_the_output_and_not_paid_twice() -> None:
    assert cost_nano("openai", "o3", Tokens(0, 100, None, None, 90), NOW) == cost_nano(
        "openai", "o3", Tokens(0, 100), NOW
    )


@pytest.mark.parametrize("at_ns", [0, 2**63 - 1])
def test_a_call_at_any_time_has_an_answer(at_ns: int) -> None:
    cost = cost_nano("openai", "gpt-4o", Tokens(10**6, 0), at_ns)
    assert cost is None or cost > 0
