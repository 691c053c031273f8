"""What a model call costs: by the user's own prices, else by published ones, in integer nano-USD, or nothing is said and why.

A call is priced by the time it started at. Where that cannot be right, it is priced by the time it was received at: before 2020,
when nobody sold model calls by the token yet and a clock is wrong or a unit mistaken, or more than a day ahead of our clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from watchpost.ingest.model_names import provider_names, spellings
from watchpost.ingest.own_prices import OwnPrice
from watchpost.ingest.published_prices import QUARTER_NS, TIERS, known_provider, provider_ids, published_card
from watchpost.ingest.rates import cost_of
from watchpost.model.cost import UNPRICED_REASONS, UnpricedReason
from watchpost.model.step import STEP_KINDS, Reading, Tokens
from watchpost.model.telemetry import Attributes

SERVICE_TIER = (
    "openai.response.service_tier",
    "gen_ai.openai.response.service_tier",
    "anthropic.response.service_tier",
    "gen_ai.response.service_tier",
    "openai.request.service_tier",
    "gen_ai.openai.request.service_tier",
    "gen_ai.request.service_tier",
)
"""Attributes that name the service tier, first present wins: what was served counts before what was asked for."""

_SERVICE_TIER = frozenset(SERVICE_TIER)

EARLIEST_NS = 1_577_836_800 * 10**9
"""The beginning of 2020."""

DAY_NS = 86_400 * 10**9

_REMEMBERED = 4096


class Pricing:
    """Prices calls, and counts those it cannot price. One thread prices; any may read `unpriced`.

    `unpriced` counts ended model calls and embeddings by reason, every received copy of a span by itself.
    """

    def __init__(self, own: Sequence[OwnPrice] = ()) -> None:
        self._own = tuple(own)
        self._fitting = lru_cache(maxsize=_REMEMBERED)(self._fit)
        self.unpriced: dict[UnpricedReason, int] = dict.fromkeys(UNPRICED_REASONS, 0)

    def price(self, reading: Reading, attributes: Attributes) -> Reading:
        """The reading with its cost, if it is a model call, or anything else that reports tokens, and can be priced.

        `attributes` are the span's own; they tell the service tier.
        """
        tokens = reading.tokens
        if reading.kind != "llm":
            if tokens.input is None or reading.kind not in STEP_KINDS:
                return reading
            if reading.kind == "retrieval" and tokens.output is None:
                tokens = msgspec.structs.replace(tokens, output=0)
        at_ns = reading.start_ns
        if not EARLIEST_NS <= at_ns <= reading.received_ns + DAY_NS:
            at_ns = reading.received_ns
        cost = self.cost(reading.provider, reading.model, tokens, at_ns, service_tier(attributes))
        if isinstance(cost, int):
            return msgspec.structs.replace(reading, cost_nano=cost)
        if reading.kind in {"llm", "retrieval"} and reading.status != "running":
            self.unpriced[cost] += 1
        return reading

    def cost(self, provider: str, model: str, tokens: Tokens, at_ns: int, tier: str = "") -> int | UnpricedReason:
        """What a call at a time costs, or why that cannot be said.

        `tokens.input` includes cached and cache-writing tokens, `tokens.output` reasoning tokens. `provider` is the sender's word,
        which may be a framework's name, or empty; `tier` is the service tier, empty for the standard one.
        """
        if not model:
            return "no_model"
        for own in self._fitting(provider, model) if self._own else ():
            if own.start_ns <= at_ns < own.end_ns:
                return cost_of(own.card, tokens)
        return cost_of(published_card(provider, model, tier, at_ns // QUARTER_NS), tokens)

    def _fit(self, provider: str, model: str) -> tuple[OwnPrice, ...]:
        """The user's prices for a model by any of its names, in the order in which they are to be asked."""
        known = known_provider(provider)
        names = list(spellings(known, provider_ids(), model))
        providers = {provider.lower(), known, *provider_names(provider), *(seller for seller, _ in names)}
        models = {model.lower(), *(name for _, name in names)}
        return tuple(own for own in self._own if own.fits(providers, models))


def service_tier(attributes: Mapping[str, object]) -> str:
    """The service tier that a span's attributes name, if it may have prices of its own; else empty."""
    if attributes.keys().isdisjoint(_SERVICE_TIER):
        return ""
    for key in SERVICE_TIER:
        tier = attributes.get(key)
        if isinstance(tier, str) and tier:
            return tier if tier in TIERS else ""
    return ""
