"""Prices that the user states: contracts, discounts, models of one's own. They win over published ones from and to any moment."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase

import msgspec

from watchpost.ingest.rates import Card, Prices, make_card

MAX_USD = 100_000
"""Greatest price of a million tokens, in USD: what any call costs then fits 64 bits of nano-USD."""

MAX_DIGITS = 12
"""Most digits behind the point of a price."""

_FIELD = re.compile(r"(?:field `|\$\.)(?P<name>\w+)")
_PATTERN = re.compile(r"[*?\[]")
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_EVER = 2**63


class PriceError(ValueError):
    """A price that cannot be used. `price` is its place in the list, `#1` is the first, with its model where it names one."""

    def __init__(self, price: str, field: str, detail: str) -> None:
        super().__init__(f"{price}: {field}: {detail}")
        self.price = price
        self.field = field
        self.detail = detail


class _Rates(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """USD per million tokens."""

    input: Decimal
    output: Decimal
    cached: Decimal | None = None
    cache_write: Decimal | None = None


class _Tier(_Rates, frozen=True, forbid_unknown_fields=True, kw_only=True):
    above_input_tokens: int


class _Row(_Rates, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"start": "from", "end": "to"}):
    model: str
    provider: str = ""
    start: object = None
    end: object = None
    tiers: tuple[_Tier, ...] = ()


class OwnPrice(msgspec.Struct, frozen=True):
    """A price for calls of models that fit `model`, a name or a shell pattern in lower case, by `provider` or, if empty, by any.

    It holds for calls that start from `start_ns` and before `end_ns`.
    """

    model: str
    provider: str
    start_ns: int
    end_ns: int
    card: Card

    def fits(self, providers: Iterable[str], models: Iterable[str]) -> bool:
        """Whether it speaks of a call whose provider and model go by any of these lower-case names."""
        return (not self.provider or self.provider in providers) and any(
            name == self.model or fnmatchcase(name, self.model) for name in models
        )


def own_prices(rows: Sequence[object]) -> tuple[OwnPrice, ...]:
    """Prices as settings hold them, one table each, in the order in which they are to be asked.

    A price for a name comes before one for a pattern, one for a provider before one for any, a later one before an earlier
    one; among equals the order of the rows decides.

    Raises:
        PriceError: names the row and the field that is missing, unknown, mistyped or impossible, or contradicts another row.
    """
    read = [(place, _read(row, place)) for place, row in enumerate(rows, 1)]
    for position, (place, price) in enumerate(read):
        for other_place, other in read[:position]:
            if (other.model, other.provider) == (price.model, price.provider):
                _check_overlap(_named(place, price.model), f"#{other_place}", price, other)
    prices = [price for _, price in read]
    return tuple(sorted(prices, key=lambda p: (bool(_PATTERN.search(p.model)), not p.provider, -p.start_ns)))


def _named(place: int, model: object) -> str:
    return f"#{place} ({model})" if isinstance(model, str) and model else f"#{place}"


def _read(row: object, place: int) -> OwnPrice:
    name = _named(place, row.get("model") if isinstance(row, dict) else None)
    try:
        price = msgspec.convert(row, _Row)
    except msgspec.ValidationError as error:
        field = _FIELD.search(str(error))
        raise PriceError(name, field["name"] if field else "price", str(error)) from error
    if not price.model.strip():
        raise PriceError(name, "model", "must name a model")
    start, end = _moment(price.start, name, "from", -_EVER), _moment(price.end, name, "to", _EVER)
    if start >= end:
        raise PriceError(name, "to", "must be later than from")
    levels = [(-1, _checked(price, name, ""))]
    for number, tier in enumerate(price.tiers, 1):
        where = f"tiers #{number} "
        if tier.above_input_tokens < 0 or any(above == tier.above_input_tokens for above, _ in levels):
            raise PriceError(name, f"{where}above_input_tokens", "must be a number from 0 that no other tier has")
        levels.append((tier.above_input_tokens, _checked(tier, name, where)))
    return OwnPrice(price.model.strip().lower(), price.provider.strip().lower(), start, end, make_card(levels))


def _checked(rates: _Rates, name: str, where: str) -> Prices:
    given: Mapping[str, Decimal | None] = {
        "input": rates.input,
        "output": rates.output,
        "cached": rates.cached,
        "cache_write": rates.cache_write,
    }
    for field, usd in given.items():
        if usd is None:
            continue
        if not usd.is_finite() or not 0 <= usd <= MAX_USD:
            raise PriceError(name, f"{where}{field}", f"must be from 0 to {MAX_USD} USD per million tokens")
        if usd != round(usd, MAX_DIGITS):
            raise PriceError(name, f"{where}{field}", f"must have at most {MAX_DIGITS} digits behind the point")
    prices: Prices = {"input": rates.input, "output": rates.output}
    if rates.cached is not None:
        prices = {**prices, "cached": rates.cached}
    if rates.cache_write is not None:
        prices = {**prices, "cache_write": rates.cache_write}
    return prices


def _moment(value: object, name: str, field: str, unset: int) -> int:
    """Unix nanoseconds of a date, which begins at midnight, or a time; both in UTC unless they say otherwise."""
    if value is None:
        return unset
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError as error:
            raise PriceError(name, field, f"{value!r} is no date or time as ISO 8601 writes them") from error
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        value = dt.datetime.combine(value, dt.time())
    if not isinstance(value, dt.datetime):
        raise PriceError(name, field, "must be a date or a time")
    if value.tzinfo is None:
        value = value.replace(tzinfo=dt.UTC)
    return (value - _EPOCH) // dt.timedelta(microseconds=1) * 1000


def _check_overlap(name: str, other_name: str, price: OwnPrice, other: OwnPrice) -> None:
    """Refuse two prices for one model and provider at one time, unless the later one plainly takes over from one without end."""
    if price.start_ns == other.start_ns:
        raise PriceError(name, "from", f"{other_name} is for the same model from the same time on")
    earlier, later = sorted((price, other), key=lambda p: p.start_ns)
    if earlier.end_ns != _EVER and earlier.end_ns > later.start_ns:
        raise PriceError(name, "from", f"overlaps {other_name}, which is for the same model")
