"""The ledger by time: the current row of every session and slot, and the sessions themselves, a part at a time so that weeks fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import cast

from watchpost.model.ledger import LedgerRow
from watchpost.model.session import Summary
from watchpost.store.engines import clickhouse_rows as rows
from watchpost.store.engines.clickhouse_sql import fill

Rows = Callable[[str], list[Sequence[object]]]

_AT_ONCE = 50_000
"""Steps that are read at once, unless one slot has more."""

_SESSIONS_AT_ONCE = 20_000
_SLOT_S = 600
_SECOND_NS = 10**9

_TITLE = "project, slot, session_id, seq, gone, workflow, user_id, outcome"
_LATER = "service, org_id, feature, release"

_SIZES = """
SELECT slot, sum(length(`steps.kind`)) FROM ledger WHERE slot >= :since AND slot < :until GROUP BY slot ORDER BY slot"""

_ROWS = f"""
SELECT {_TITLE}, {_LATER}, {", ".join(f"`steps.{name}`" for name in rows.STEP)} FROM ledger WHERE slot >= :since AND slot < :until
ORDER BY seq DESC LIMIT 1 BY project, slot, session_id"""  # noqa: S608 - names are ours

_STOOD = "started_ns < :until AND ended_ns >= :since"
_SESSIONS = f"""
SELECT {rows.SUMMARY} FROM (
  SELECT * FROM sessions WHERE key IN (SELECT key FROM sessions WHERE {_STOOD}) ORDER BY revision DESC LIMIT 1 BY key)
WHERE moved_to = '' AND {_STOOD} AND (started_ns, key) > (:place, :key) ORDER BY started_ns, key LIMIT :most"""  # noqa: S608 - names are ours


def steps_between(ask: Rows, since_ns: int, until_ns: int) -> int:
    """See `LedgerReader`."""
    return sum(size for _, size in _sizes(ask, since_ns, until_ns))


def rows_between(ask: Rows, since_ns: int, until_ns: int) -> Iterator[LedgerRow]:
    """See `LedgerReader`."""
    for first, last in _parts(_sizes(ask, since_ns, until_ns)):
        found = [_row(each) for each in ask(fill(_ROWS, since=first, until=last + _SLOT_S))]
        found.sort(key=lambda row: (row.slot, row.project, row.session_id))
        yield from (row for row in found if not row.gone)


def sessions_between(ask: Rows, since_ns: int, until_ns: int) -> Iterator[Summary]:
    """See `LedgerReader`."""
    place: tuple[int, str] | None = (-1, "")
    while place is not None:
        asked = fill(_SESSIONS, since=since_ns, until=until_ns, place=place[0], key=place[1], most=_SESSIONS_AT_ONCE)
        found = rows.summaries(ask(asked))
        yield from found
        place = (found[-1].started_ns, found[-1].key) if len(found) == _SESSIONS_AT_ONCE else None


def _sizes(ask: Rows, since_ns: int, until_ns: int) -> list[tuple[int, int]]:
    """Every slot with how many steps are stored for it, superseded rows included."""
    since = since_ns // _SECOND_NS // _SLOT_S * _SLOT_S
    until = -(-until_ns // _SECOND_NS)
    return cast("list[tuple[int, int]]", ask(fill(_SIZES, since=since, until=until)))


def _parts(sizes: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The first and the last slot of each part."""
    first, last, held = 0, 0, 0
    for slot, size in sizes:
        if held and held + size > _AT_ONCE:
            yield first, last
            held = 0
        if not held:
            first = slot
        last, held = slot, held + size
    if held:
        yield first, last


def _row(row: Sequence[object]) -> LedgerRow:
    title = cast("tuple[str, int, str, int, int, str, str, str]", row[:8])
    later = cast("tuple[str, str, str, str]", row[8:12])
    steps = tuple(rows.ledger_steps(cast("Sequence[Sequence[object]]", row[12:])))
    return LedgerRow(*title[:4], title[4] == 1, *title[5:], steps, *later)
