"""Calls cost what the published tables say, to the nano-dollar, or it is said why not."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_messages import TEXT, UNTIMED

from watchpost.ingest.price import Pricing, service_tier
from watchpost.ingest.published_prices import price_table
from watchpost.model.cost import UNPRICED_REASONS
from watchpost.model.step import Reading, Tokens

NANO = 10**9
DAY = 86_400 * NANO


def at(year: int, month: int, day: int, hour: int = 12) -> int:
    return int(dt.datetime(year, month, day, hour, tzinfo=dt.UTC).timestamp()) * NANO


NOW = at(2026, 6, 1)
PRICING = Pricing()


def price(provider: str, model: str, tokens: Tokens, at_ns: int = NOW, tier: str = "") -> int:
    cost = PRICING.cost(provider, model, tokens, at_ns, tier)
    assert isinstance(cost, int), cost
    return cost


def a_call(**changed: object) -> Reading:
    values: dict[str, object] = {
        "received_ns": NOW,
        "start_ns": NOW,
        "end_ns": NOW + 1,
        "kind": "llm",
        "name": "chat",
        "status": "ok",
        "provider": "openai",
        "model": "gpt-4o",
        "tokens": Tokens(10**6, 10**6),
        **changed,
    }
    return Reading("p", bytes(16), bytes(8), b"", 1, **values)  # type: ignore[arg-type] # names are checked at run time


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
        assert price(provider, model, Tokens(10**6, 0)) == int(Decimal(dollars_in) * NANO)
        assert price(provider, model, Tokens(0, 10**6)) == int(Decimal(dollars_out) * NANO)


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
            ("perplexity", "sonar"),
            ("aws", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
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
    assert price(provider, name, tokens, at(2026, 3, 3, hour)) == int((published * NANO).to_integral_value())


@pytest.mark.parametrize(
    ("tokens", "dollars"),
    [(100_000, "0.125"), (200_000, "0.250"), (200_001, "0.5000025"), (250_000, "0.625")],
)
def test_a_request_above_a_threshold_is_repriced_as_a_whole(tokens: int, dollars: str) -> None:
    assert price("google", "gemini-2.5-pro", Tokens(tokens, 0)) == int(Decimal(dollars) * NANO)


def test_output_has_the_rate_of_the_level_that_the_input_reaches() -> None:
    short, long = (price("anthropic", "claude-sonnet-4-5", Tokens(n, 1000)) for n in (200_000, 200_001))
    assert (short, long) == (615_000_000, 1_222_506_000)


def test_cached_input_costs_less() -> None:
    plain = price("openai", "gpt-4o", Tokens(1000, 0))
    cached = price("openai", "gpt-4o", Tokens(1000, 0, 1000))
    assert (plain, cached) == (2_500_000, 1_250_000)


def test_a_price_is_that_of_its_day() -> None:
    may, july = (price("openai", "o3", Tokens(10**6, 0), at(2025, month, 1)) for month in (5, 7))
    assert (may, july) == (10 * NANO, 2 * NANO)


def test_a_price_is_that_of_its_hour() -> None:
    day, night = (price("deepseek", "deepseek-chat", Tokens(10**6, 0), at(2025, 7, 1, hour)) for hour in (3, 20))
    assert (day, night) == (270_000_000, 135_000_000)


def test_a_service_tier_has_its_own_price_where_one_is_published() -> None:
    standard, priority, batch = (
        price("openai", "gpt-5", Tokens(10**6, 0), at(2026, 11, 20), tier) for tier in ("", "priority", "batch")
    )
    assert (standard, priority, batch) == (1_250_000_000, 2_500_000_000, 625_000_000)


def test_a_service_tier_without_a_published_price_has_the_standard_one() -> None:
    assert price("openai", "gpt-4", Tokens(10**6, 0), NOW, "flex") == price("openai", "gpt-4", Tokens(10**6, 0))


@pytest.mark.parametrize(
    ("attributes", "tier"),
    [
        ({}, ""),
        ({"openai.response.service_tier": "priority"}, "priority"),
        ({"gen_ai.openai.response.service_tier": "default", "openai.request.service_tier": "priority"}, "default"),
        ({"gen_ai.openai.request.service_tier": "flex"}, "flex"),
        ({"anthropic.response.service_tier": "standard"}, ""),
        ({"gen_ai.openai.request.service_tier": "auto"}, ""),
        ({"openai.response.service_tier": "x" * 10**6}, ""),
        ({"openai.response.service_tier": ["priority"]}, ""),
    ],
)
def test_the_service_tier_is_what_was_served_else_what_was_asked_for(attributes: dict[str, object], tier: str) -> None:
    assert service_tier(attributes) == tier


def test_a_call_is_priced_by_the_tier_its_span_names() -> None:
    call = a_call(model="gpt-5", start_ns=at(2026, 11, 20), received_ns=at(2026, 11, 20), tokens=Tokens(10**6, 0))
    assert PRICING.price(call, {"openai.response.service_tier": "priority"}).cost_nano == 2_500_000_000


@pytest.mark.parametrize("provider", ["langchain", "langgraph", "strands-agents", "crewai", "my-proxy", "litellm", ""])
def test_a_provider_nobody_knows_leaves_the_price_to_the_models_name(provider: str) -> None:
    assert price(provider, "gpt-4o", Tokens(10**6, 0)) == 2_500_000_000


@pytest.mark.parametrize(
    ("provider", "model", "dollars_in", "dollars_out"),
    [
        ("openai", "gpt-4o-mini-2024-07-18", "0.15", "0.60"),
        ("openai.responses", "gpt-4o-mini", "0.15", "0.60"),
        ("OpenAI", "GPT-4o-mini", "0.15", "0.60"),
        ("", "gpt-4o-2024-08-06", "2.50", "10"),
        ("", "gpt-4o-20240806", "2.50", "10"),
        ("", "openai/gpt-4o", "2.50", "10"),
        ("crewai", "openai/gpt-4o", "2.50", "10"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc123", "0.30", "1.20"),
        ("", "ft:gpt-4o-mini-2024-07-18:acme::abc123", "0.30", "1.20"),
        ("azure.ai.openai", "gpt-4o-2024-08-06", "2.50", "10"),
        ("azure.ai.inference", "gpt-4o", "2.50", "10"),
        ("az.ai.openai", "gpt-4o", "2.50", "10"),
        ("azure", "gpt-35-turbo", "0.50", "1.50"),
        ("", "azure/gpt-4o", "2.50", "10"),
        ("gcp.gemini", "gemini-2.5-flash", "0.30", "2.50"),
        ("gcp.gen_ai", "gemini-2.5-flash", "0.30", "2.50"),
        ("gcp.vertex_ai", "gemini-2.5-flash", "0.30", "2.50"),
        ("gcp.vertex.agent", "gemini-2.0-flash", "0.10", "0.40"),
        ("", "models/gemini-2.5-flash", "0.30", "2.50"),
        ("google", "models/gemini-2.5-flash", "0.30", "2.50"),
        ("", "gemini/gemini-2.5-flash", "0.30", "2.50"),
        ("gcp.vertex_ai", "projects/p/locations/l/publishers/google/models/gemini-2.5-flash", "0.30", "2.50"),
        ("google_vertexai", "claude-sonnet-4@20250514", "3", "15"),
        ("anthropic", "claude-3-5-sonnet-latest", "3", "15"),
        ("", "anthropic/claude-3-5-sonnet-20241022", "3", "15"),
        ("", "claude-3-7-sonnet-20250219[1m]", "3", "15"),
        ("aws.bedrock", "us.anthropic.claude-3-7-sonnet-20250219-v1:0", "3", "15"),
        ("strands-agents", "us.anthropic.claude-3-7-sonnet-20250219-v1:0", "3", "15"),
        ("", "anthropic.claude-3-haiku-20240307-v1:0", "0.25", "1.25"),
        ("", "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0", "0.25", "1.25"),
        ("", "bedrock/eu.anthropic.claude-3-haiku-20240307-v1:0", "0.25", "1.25"),
        ("aws.bedrock", "claude-3-haiku-20240307", "0.25", "1.25"),
        ("aws.bedrock", "apac.amazon.nova-pro-v1:0", "0.80", "3.20"),
        ("groq", "llama-3.3-70b-versatile", "0.59", "0.79"),
        ("litellm", "groq/llama-3.3-70b-versatile", "0.59", "0.79"),
        ("openai", "groq/llama-3.3-70b-versatile", "0.59", "0.79"),
        ("", "together_ai/meta-llama/Llama-3.3-70B-Instruct-Turbo", "0.88", "0.88"),
        ("", "mistral/mistral-large-latest", "2", "6"),
        ("mistral_ai", "mistral-large-latest", "2", "6"),
        ("xai.chat", "grok-4", "3", "15"),
        ("x_ai", "grok-4", "3", "15"),
        ("openrouter", "openai/gpt-4o", "2.50", "10"),
        ("openai", "claude-3-7-sonnet-20250219", "3", "15"),
    ],
)
def test_spellings_that_frameworks_send_find_their_price(
    provider: str, model: str, dollars_in: str, dollars_out: str
) -> None:
    assert price(provider, model, Tokens(10**5, 0)) == int(Decimal(dollars_in) * NANO) // 10
    assert price(provider, model, Tokens(0, 10**5)) == int(Decimal(dollars_out) * NANO) // 10


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "a-model-nobody-sells"),
        ("openai", "unknown"),
        ("azure.ai.openai", "our-deployment"),
        ("groq", "gpt-4o"),
        ("ollama", "gpt-4o"),
        ("", "ollama/gpt-4o"),
        ("openai", "hosted_vllm/gpt-4o"),
        ("cerebras", "qwen-3-coder-480b"),
        ("openai", "/".join(["openai"] * 40)),
    ],
)
def test_a_model_that_its_provider_has_no_price_for_is_not_given_another_ones(provider: str, model: str) -> None:
    assert PRICING.cost(provider, model, Tokens(1, 1), NOW) == "no_price"


def test_a_model_is_free_where_the_table_says_so() -> None:
    assert price("openrouter", "deepseek/deepseek-r1:free", Tokens(10**6, 10**6)) == 0


@pytest.mark.parametrize(
    ("model", "tokens", "reason"),
    [
        ("", Tokens(), "no_model"),
        ("gpt-4o", Tokens(), "no_tokens"),
        ("gpt-4o", Tokens(None, 1), "no_tokens"),
        ("gpt-4o", Tokens(1, None), "no_tokens"),
        ("gpt-4o", Tokens(10, 1, 11), "contradiction"),
        ("gpt-4o", Tokens(10, 1, 6, 6), "contradiction"),
        ("gpt-4o", Tokens(10, 1, None, None, 2), "contradiction"),
        ("gpt-4o", Tokens(-1, 1), "contradiction"),
        ("gpt-4o", Tokens(1, -1), "contradiction"),
        ("gpt-4o", Tokens(1, 1, -1), "contradiction"),
        ("gpt-4o", Tokens(5, 1, 2, -1), "contradiction"),
        ("gpt-4o", Tokens(1, 1, 0, 0, -1), "contradiction"),
        ("gemini-2.5-pro", Tokens(10, 1, 11), "contradiction"),
        ("a-model-nobody-sells", Tokens(1, 1, 2), "contradiction"),
        ("a-model-nobody-sells", Tokens(1, 1), "no_price"),
        ("text-embedding-3-small", Tokens(1, 1), "no_price"),
    ],
)
def test_what_cannot_be_priced_has_no_price_and_a_reason(model: str, tokens: Tokens, reason: str) -> None:
    assert PRICING.cost("", model, tokens, NOW) == reason


@given(
    provider=TEXT,
    model=TEXT,
    counts=st.lists(st.none() | st.integers(), min_size=5, max_size=5),
    at_ns=st.integers(0, 2**63 - 1),
)
@settings(UNTIMED, max_examples=300)
def test_anything_is_priced_or_refused_with_a_reason_and_never_below_zero(
    provider: str, model: str, counts: list[int | None], at_ns: int
) -> None:
    for name in (model, "gpt-4o", "gemini-2.5-pro"):
        cost = PRICING.cost(provider, name, Tokens(*counts), at_ns)
        assert cost in UNPRICED_REASONS or (isinstance(cost, int) and cost >= 0)


def test_no_tokens_cost_nothing_and_that_is_known() -> None:
    assert price("openai", "gpt-4o", Tokens(0, 0)) == 0


def test_reasoning_is_part_of_the_output_and_not_paid_twice() -> None:
    reasoned = price("openai", "o3", Tokens(0, 100, None, None, 90))
    assert reasoned == price("openai", "o3", Tokens(0, 100))


def test_reasoning_has_its_own_rate_where_one_is_published() -> None:
    assert price("perplexity", "sonar-deep-research", Tokens(0, 10**6, None, None, 10**6)) == 3 * NANO


@pytest.mark.parametrize(
    ("start_ns", "received_ns", "dollars"),
    [
        (at(2025, 5, 1), at(2025, 7, 1), 10),
        (0, at(2025, 7, 1), 2),
        (at(2025, 5, 1) // 1000, at(2025, 7, 1), 2),
        (at(2025, 7, 1), at(2025, 5, 1), 10),
        (at(2025, 6, 10), at(2025, 6, 10) - DAY, 2),
        (at(2025, 6, 10), at(2025, 6, 10) - DAY - 1, 10),
    ],
    ids=["start", "no start", "microseconds", "far ahead", "a day ahead", "more than a day ahead"],
)
def test_a_call_is_priced_by_its_start_unless_that_is_absurd(start_ns: int, received_ns: int, dollars: int) -> None:
    call = a_call(model="o3", start_ns=start_ns, received_ns=received_ns, tokens=Tokens(10**6, 0))
    assert PRICING.price(call, {}).cost_nano == dollars * NANO


def test_an_embedding_costs_its_input() -> None:
    call = a_call(kind="retrieval", model="text-embedding-3-small", tokens=Tokens(10**6))
    assert PRICING.price(call, {}).cost_nano == 20_000_000


def test_what_uses_no_tokens_is_no_call_without_a_price() -> None:
    pricing = Pricing()
    for kind in ("tool", "retrieval", "agent"):
        call = a_call(kind=kind, model="", tokens=Tokens())
        assert pricing.price(call, {}) == call
    assert set(pricing.unpriced.values()) == {0}


def test_ended_calls_without_a_price_are_counted_by_reason() -> None:
    pricing = Pricing()
    for changed in (
        {},
        {"model": "nobodys"},
        {"model": "nobodys", "kind": "retrieval"},
        {"model": "nobodys", "kind": "agent"},
        {"tokens": Tokens(), "status": "error"},
        {"tokens": Tokens(), "status": "running"},
        {"tokens": Tokens(1, 1, 2)},
        {"model": ""},
    ):
        pricing.price(a_call(**changed), {})
    assert pricing.unpriced == {"no_model": 1, "no_tokens": 1, "contradiction": 1, "no_price": 2}


def test_the_table_tells_its_version_and_its_newest_day_that_has_come() -> None:
    older, newer = price_table(at(2026, 10, 1)), price_table(at(2026, 11, 1))
    assert older.name == newer.name == "genai-prices"
    assert older.version[0].isdigit()
    assert older.newest <= "2026-10-01" < newer.newest <= "2026-11-01"
    assert price_table(0).newest == ""
