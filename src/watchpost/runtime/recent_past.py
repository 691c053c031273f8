"""What rules count again after a restart, so that they need not ask the store for their windows until time has passed them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from watchpost.model.ledger import LedgerRow
from watchpost.model.session import Summary
from watchpost.rules.memory import SLOT_S
from watchpost.store.readers import LedgerReader

MOST_STEPS = 50_000
"""Steps that are counted again, some 20 us each."""

_NS = 10**9
_SLOT_NS = SLOT_S * _NS
_AHEAD_NS = 3600 * _NS


class RecentPast(msgspec.Struct, frozen=True):
    """All since a time: `rows` of the ledger, with those of the slot before, and the sessions that `ended`. Both are read as they are gone through."""

    since_ns: int
    rows: Iterable[LedgerRow] = ()
    ended: Iterable[Summary] = ()


def recent_past(reader: LedgerReader, longest_ns: int, now_ns: int) -> RecentPast:
    """As far back as the longest window, or half, a quarter ... of it where that holds more than `MOST_STEPS`; nothing where even the last slot does.

    What lies up to an hour ahead of our clock is in it: it counts when its time has come.
    """
    until_ns = now_ns + _AHEAD_NS
    span_ns = longest_ns + 2 * _SLOT_NS
    while span_ns >= 2 * _SLOT_NS:
        first_ns = (now_ns - span_ns) // _SLOT_NS * _SLOT_NS
        if reader.steps_between(first_ns, until_ns) <= MOST_STEPS:
            since_ns = first_ns + _SLOT_NS
            return RecentPast(
                since_ns, reader.rows_between(first_ns, until_ns), reader.sessions_between(since_ns, until_ns)
            )
        span_ns //= 2
    return RecentPast(now_ns)
