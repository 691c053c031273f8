"""Model calls without a price, as API and CLI answer them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec

from watchpost.ingest.published_prices import PriceTable
from watchpost.model.cost import UnpricedReason
from watchpost.server.answers import moment
from watchpost.server.problem import ParameterError
from watchpost.store.readers import UnpricedModel, UnpricedReader

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UnpricedModelAnswer(msgspec.Struct, frozen=True):
    """Calls of one model, by one provider in one service, that have no cost for one reason.

    `failed` of the `calls` ended in an error. Tokens are those that were reported, null where none were. `first_seen` and
    `last_seen` are when the first and the last call started.
    """

    project: str
    provider: str
    model: str
    service: str
    reason: UnpricedReason
    calls: int
    failed: int
    input_tokens: int | None
    output_tokens: int | None
    first_seen: str | None
    last_seen: str | None


class UnpricedAnswer(msgspec.Struct, frozen=True):
    """The models without a price, the most calls first, and the published prices in use. `more` tells that the list was cut."""

    prices: PriceTable
    models: list[UnpricedModelAnswer]
    more: bool


class UnpricedCalls:
    """Answers which calls have no price. It reads the store and blocks; call it from a worker thread."""

    def __init__(self, reader: UnpricedReader, table: Callable[[], PriceTable]) -> None:
        self._reader = reader
        self._table = table

    def prices(self) -> PriceTable:
        """The published prices in use."""
        return self._table()

    def answer(self, project: str, since: str, limit: int) -> UnpricedAnswer:
        """At most `limit` models, of calls that started since a moment as ISO 8601 writes it; empty is any project, and ever."""
        found = self._reader.unpriced(project, since_ns(since), limit + 1)
        return UnpricedAnswer(self._table(), [_answer(model) for model in found[:limit]], len(found) > limit)


def since_ns(text: str, parameter: str = "since") -> int:
    """A moment as ISO 8601 writes it, UTC unless it says otherwise; empty is 0. Raises `ParameterError` for anything else."""
    if not text:
        return 0
    try:
        since = datetime.fromisoformat(text)
    except ValueError as error:
        raise ParameterError(parameter, "no moment as ISO 8601 writes it") from error
    since = since if since.tzinfo else since.replace(tzinfo=UTC)
    # beyond what a time in nanoseconds can be, nothing is left to tell apart
    return min(max((since - _EPOCH) // timedelta(microseconds=1) * 1000, 0), 2**63 - 1)


def _answer(model: UnpricedModel) -> UnpricedModelAnswer:
    return UnpricedModelAnswer(
        project=model.project,
        provider=model.provider,
        model=model.model,
        service=model.service,
        reason=model.reason,
        calls=model.calls,
        failed=model.failed,
        input_tokens=model.input_tokens,
        output_tokens=model.output_tokens,
        first_seen=moment(model.first_ns),
        last_seen=moment(model.last_ns),
    )
