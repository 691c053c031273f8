"""What tokens cost by one price: whole numbers, so that sums are exact and one call is priced in less than a microsecond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from watchpost.model.cost import UnpricedReason
from watchpost.model.step import Tokens

Unit = Literal["input", "output", "cached", "cache_write", "reasoning"]

_NANO_PER_TOKEN = 10**3
"""USD per million tokens times this is nano-USD per token."""

_NANO_PER_CALL = 10**6
"""USD per thousand calls times this is nano-USD per call."""


class Level(msgspec.Struct, frozen=True, gc=False):
    """The rates of a request with more than `above` input tokens, per token, and `call` for the request itself."""

    above: int
    input: int
    output: int
    cached: int
    cache_write: int
    reasoning: int
    call: int


class Card(msgspec.Struct, frozen=True):
    """One price. Rates are whole `1 / scale` nano-USD. `levels` go from the greatest `above` to -1, which every request is above.

    `tiered_above` is the least `above` of a greater request, or more than any request has.

    Where the price has no rate for input or for output (`has_input`, `has_output`), such tokens cannot be priced by it.
    """

    scale: int
    levels: tuple[Level, ...]
    tiered_above: int
    has_input: bool
    has_output: bool


Prices = Mapping[Unit, Decimal]
"""USD per million tokens."""


def make_card(levels: Sequence[tuple[int, Prices]], usd_per_thousand_calls: Decimal = Decimal(0)) -> Card:
    """A card from the prices above each number of input tokens, in any order, -1 for those of the smallest request.

    Cached and cache-writing tokens without a price of their own cost what input costs, reasoning ones what output costs.
    """
    table = [
        (above, [_or_whole(prices, unit) * _NANO_PER_TOKEN for unit in _UNITS])
        for above, prices in sorted(levels, key=lambda level: -level[0])
    ]
    call = usd_per_thousand_calls * _NANO_PER_CALL
    digits = max(_digits(rate) for rate in (call, *(rate for _, rates in table for rate in rates)))
    scale = 10**digits
    rows = tuple(Level(above, *[int(rate * scale) for rate in (*rates, call)]) for above, rates in table)
    smallest = levels[0][1]
    tiered_above = rows[-2].above if len(rows) > 1 else _BEYOND
    return Card(scale, rows, tiered_above, "input" in smallest, "output" in smallest)


def cost_of(card: Card | None, tokens: Tokens) -> int | UnpricedReason:
    """What a call costs in nano-USD, rounded half to even once, or why that cannot be said; None is a price nobody knows.

    The rates are those of the level that the whole input reaches, and hold for the whole request.
    """
    given, made = tokens.input, tokens.output
    if given is None or made is None:
        return "no_tokens"
    cached, written, reasoning = tokens.cached or 0, tokens.cache_write or 0, tokens.reasoning or 0
    plain, said = given - cached - written, made - reasoning
    if plain < 0 or said < 0 or cached < 0 or written < 0 or reasoning < 0:
        return "contradiction"
    if card is None or (given and not card.has_input) or (made and not card.has_output):
        return "no_price"
    rates = card.levels[-1]
    if given > card.tiered_above:
        rates = next(level for level in card.levels if given > level.above)
    total = rates.input * plain + rates.output * said + rates.call
    if cached or written:
        total += rates.cached * cached + rates.cache_write * written
    if reasoning:
        total += rates.reasoning * reasoning
    return total if card.scale == 1 else _half_even(total, card.scale)


_UNITS: tuple[Unit, ...] = ("input", "output", "cached", "cache_write", "reasoning")
_BEYOND = 2**63
_WHOLE: Mapping[Unit, Unit] = {"cached": "input", "cache_write": "input", "reasoning": "output"}


def _or_whole(prices: Prices, unit: Unit) -> Decimal:
    price = prices.get(unit)
    if price is None and unit in _WHOLE:
        price = prices.get(_WHOLE[unit])
    return Decimal(0) if price is None else price


def _digits(rate: Decimal) -> int:
    """How many digits it has behind the point."""
    exponent = rate.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _half_even(total: int, scale: int) -> int:
    whole, rest = divmod(total, scale)
    return whole + (2 * rest > scale or (2 * rest == scale and whole % 2 == 1))
