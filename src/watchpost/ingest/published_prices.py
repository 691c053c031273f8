"""Prices as genai-prices publishes them: by provider, model, date, time of day, size of the request and service tier."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from itertools import islice

import msgspec
from genai_prices.data_snapshot import DataSnapshot, find_provider_by_id, get_snapshot
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, Provider, StartDateConstraint, TieredPrices

from watchpost.ingest.model_names import is_own_machine, provider_names, spellings
from watchpost.ingest.rates import Card, Unit, make_card

QUARTER_NS = 15 * 60 * 10**9
"""Prices change by date and, with some providers, by time of day on the half hour: within a quarter of an hour they stand still."""

_REMEMBERED = 4096
"""Lookups kept. What senders name is theirs to choose, so everything kept about it is bounded."""

_TRIED = 8
"""Spellings of one model that are tried; prefixes can be heaped without end."""

_PRICE_KEYS: Mapping[Unit, str] = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "reasoning": "output_reasoning_mtok",
}

TIERS: Mapping[str, Mapping[str, str]] = {
    "default": {"service_tier": "default"},
    "fast": {"service_tier": "fast"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "batch": {"processing": "batch"},
}
"""The service tiers that may have prices of their own, and how the table is asked for them."""


class PriceTable(msgspec.Struct, frozen=True):
    """Which published prices are in use. `newest` is the day of the latest dated price that is in force, empty if there is none."""

    name: str
    version: str
    newest: str


def price_table(now_ns: int) -> PriceTable:
    """The published prices that this installation has, as of a time."""
    today = dt.datetime.fromtimestamp(now_ns // 10**9, dt.UTC).date()
    days = [
        change.constraint.start_date
        for provider in get_snapshot().providers
        for model in provider.models
        for change in (*_conditional(model), *(model.price_variants or ()))
        if isinstance(change.constraint, StartDateConstraint) and change.constraint.start_date <= today
    ]
    return PriceTable("genai-prices", version("genai-prices"), max(days).isoformat() if days else "")


@lru_cache(maxsize=_REMEMBERED)
def published_card(provider: str, model: str, tier: str, quarter: int) -> Card | None:
    """The published price of a model in a quarter of an hour since 1970, or None where there is none.

    `provider` is the sender's word, which may be a framework's name; `tier` is one of `TIERS`, empty for the standard one. What
    the table does not price separately in a tier has the standard price.
    """
    found = _find(provider, model)
    if found is None:
        return None
    seller, info = found
    # a model that one provider sells for another has that one's prices, without tiers: as genai-prices has it
    context = TIERS.get(tier) if any(own is info for own in seller.models) else None
    moment = dt.datetime.fromtimestamp(quarter * QUARTER_NS // 10**9, dt.UTC)
    return _card(info.id, info.get_prices(moment, context))


def known_provider(provider: str) -> str:
    """The table's name for a provider, empty if it has none."""
    providers = get_snapshot().providers
    return next((found.id for name in provider_names(provider) if (found := find_provider_by_id(providers, name))), "")


@lru_cache(maxsize=_REMEMBERED)
def _find(provider: str, model: str) -> tuple[Provider, ModelInfo] | None:
    if is_own_machine(provider, model):
        return None
    for seller, name in islice(spellings(known_provider(provider), provider_ids(), model), _TRIED):
        # a snapshot remembers without bound what it was asked for, so each lookup has its own
        snapshot = DataSnapshot(get_snapshot().providers, from_auto_update=False)
        try:
            return snapshot.find_provider_model(name, None, seller or None, None)
        except LookupError:
            continue
    return None


@lru_cache(maxsize=1)
def provider_ids() -> frozenset[str]:
    """Every provider that the table has prices of."""
    return frozenset(provider.id for provider in get_snapshot().providers)


def _card(model_id: str, price: ModelPrice) -> Card | None:
    """The card of a price; None where the table knows the model and no price, which is free only where the name says so."""
    found = {unit: getattr(price, key) for unit, key in _PRICE_KEYS.items()}
    units = {unit: value for unit, value in found.items() if value is not None}
    if not {"input", "output"} & units.keys():
        return make_card([(-1, {"input": Decimal(0), "output": Decimal(0)})]) if model_id.endswith(":free") else None
    tiers = {tier.start for value in units.values() if isinstance(value, TieredPrices) for tier in value.tiers}
    levels = [(above, {unit: _at(value, above) for unit, value in units.items()}) for above in (-1, *tiers)]
    call = price.requests_kcount
    return make_card(levels, call if isinstance(call, Decimal) else Decimal(0))


def _at(value: Decimal | TieredPrices, above: int) -> Decimal:
    if isinstance(value, Decimal):
        return value
    return next((tier.price for tier in reversed(value.tiers) if tier.start <= above), value.base)


def _conditional(model: ModelInfo) -> list[ConditionalPrice]:
    return [] if isinstance(model.prices, ModelPrice) else model.prices
