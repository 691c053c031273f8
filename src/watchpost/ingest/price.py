"""What a model call costs, from published price tables (genai-prices), in integer nano-USD.

A table lookup takes 30 to 50 us, so rates are kept per provider, model and quarter of an hour: prices change by date and, with some
providers, by time of day on the half hour. Prices with tiers depend on the request's size and are computed call by call.
"""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

import msgspec
from genai_prices import Usage, calc_price

from watchpost.model.step import Tokens

_QUARTER_HOUR_NS = 15 * 60 * 10**9
_NANO_USD = 10**9
_PER_TOKEN = 10**3
"""USD per million tokens times this is nano-USD per token."""


class Rates(msgspec.Struct, frozen=True):
    """Nano-USD per token."""

    input: Decimal
    output: Decimal
    cached: Decimal
    cache_write: Decimal


def cost_nano(provider: str, model: str, tokens: Tokens, at_ns: int) -> int | None:
    """The price of one call at a time, or None where model, price or token counts are unknown or contradict each other.

    `tokens.input` includes cached and cache-writing tokens, `tokens.output` reasoning tokens.
    """
    if not model or tokens.input is None or tokens.output is None:
        return None
    cached, written = tokens.cached or 0, tokens.cache_write or 0
    if cached + written > tokens.input:
        return None
    quarter = at_ns // _QUARTER_HOUR_NS
    rates = _rates(provider, model, quarter)
    if rates is None:
        return _tiered(provider, model, quarter, tokens)
    nano = (
        rates.input * (tokens.input - cached - written)
        + rates.cached * cached
        + rates.cache_write * written
        + rates.output * tokens.output
    )
    return int(nano.to_integral_value(ROUND_HALF_EVEN))


def _moment(quarter: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(quarter * _QUARTER_HOUR_NS // 10**9, dt.UTC)


def _total(provider: str, model: str, quarter: int, usage: Usage) -> tuple[Decimal, object] | None:
    """The price in USD and the price entry it came from; a provider the table does not know is left to the model's name."""
    for provider_id in (provider, None) if provider else (None,):
        try:
            priced = calc_price(usage, model, provider_id=provider_id, genai_request_timestamp=_moment(quarter))
        except LookupError:
            continue
        except ValueError:
            return None
        return priced.total_price, priced.model_price
    return None


@lru_cache(maxsize=4096)
def _rates(provider: str, model: str, quarter: int) -> Rates | None:
    """The rates of a model whose price does not depend on the request's size; None where it does or is unknown."""
    priced = _total(provider, model, quarter, Usage(input_tokens=1, output_tokens=1))
    if priced is None:
        return None
    rates = [getattr(priced[1], f"{kind}_mtok") for kind in ("input", "output", "cache_read", "cache_write")]
    plain, output, cached, written = rates
    if not isinstance(plain, Decimal) or not isinstance(output, Decimal):
        return None
    cached = plain if cached is None else cached
    written = plain if written is None else written
    if not isinstance(cached, Decimal) or not isinstance(written, Decimal):
        return None
    return Rates(plain * _PER_TOKEN, output * _PER_TOKEN, cached * _PER_TOKEN, written * _PER_TOKEN)


@lru_cache(maxsize=4096)
def _tiered(provider: str, model: str, quarter: int, tokens: Tokens) -> int | None:
    usage = Usage(
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cache_read_tokens=tokens.cached,
        cache_write_tokens=tokens.cache_write,
    )
    priced = _total(provider, model, quarter, usage)
    return None if priced is None else int((priced[0] * _NANO_USD).to_integral_value(ROUND_HALF_EVEN))
