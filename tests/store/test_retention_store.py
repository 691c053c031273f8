"""Spans go, by whole partitions; what is counted stays exact, whatever comes late, and wherever a sweep is cut short."""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import clickhouse_connect
import msgspec
import pytest
from measures_by_hand import of_flags, of_sessions, of_steps
from react_recorded import HOUR_NS, RECEIVED_NS, a_reactor, store_recorded
from test_measures_store import Written, a_question, answered

from watchpost.model.fact import Hold
from watchpost.model.flag import Flag
from watchpost.model.session import Summary, Totals, session_key
from watchpost.model.step import STEP_KINDS, WITHHELD, Reading
from watchpost.model.telemetry import Delivery, LogLine
from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import Dimension
from watchpost.runtime.retention import Surroundings, Sweeper, Terms
from watchpost.runtime.sampling import Policy
from watchpost.store.contracts import LedgerRow, Member, StoredLog, TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost.store.engines.clickhouse_columns import log_table, member_table, session_table, span_table
from watchpost.store.engines.clickhouse_retention import ClickHouseRetention
from watchpost.store.engines.clickhouse_schema import MIGRATIONS
from watchpost.store.retention import HELD, HOT, KEPT, Sorted

sys.path.append(str(Path(__file__).parents[1] / "session"))
from captured import captures, parcels

SECOND = 10**9
DAY_NS = 24 * HOUR_NS
RECEIVED_DAY = 20261118
SORTED_NS = RECEIVED_NS + 2 * DAY_NS
EXPIRED_NS = RECEIVED_NS + 9 * DAY_NS
FEW = {"pydantic-evals__online-eval+feedback", "strands__native"}
WORKFLOW_AND_MODEL: tuple[Dimension, ...] = ("workflow", "model")
WORKED_OUT = sorted({*of_steps(950), *of_flags(), *of_sessions(950)} & MEASURES.keys())
NAMES = (f"retention_{n}" for n in itertools.count())


class CutError(Exception):
    """The process died here."""


class Aside:
    """Flags, holds and the clock of one sweep."""

    def __init__(self) -> None:
        self.raised: list[Flag] = []
        self.held_now: set[tuple[str, str]] = set()
        self.now_ns = SORTED_NS

    def flags(self, sessions: Sequence[tuple[str, str]]) -> list[Flag]:
        return [flag for flag in self.raised if (flag.project, flag.session_id) in sessions]

    def flags_of_traces(self, traces: Sequence[tuple[str, bytes]]) -> list[Flag]:
        return [flag for flag in self.raised if (flag.project, flag.trace_id) in traces]

    def holds(self) -> list[Hold]:
        return [Hold(project, session_id, "", "", 1) for project, session_id in self.held_now]


def a_sweeper(store: ClickHouse, aside: Aside, share: float, retention: ClickHouseRetention | None = None) -> Sweeper:
    retention = retention or store.retention()
    terms = Terms(DAY_NS, 7 * DAY_NS, 30 * DAY_NS, 0.99, Policy(share, {}, DAY_NS))
    around = Surroundings(aside, aside, store.session, lambda: 0, lambda: aside.now_ns)
    return Sweeper(terms, retention, retention, around, ())


@pytest.fixture
def dsn(front_dsn: str) -> str:
    name = next(NAMES)
    clickhouse_connect.get_client(dsn=front_dsn).command(f"CREATE DATABASE {name}")
    return f"{front_dsn}/{name}"


@pytest.fixture
def store(dsn: str, tmp_path: Path) -> Iterator[ClickHouse]:
    """A store of its own: a sweep goes over all that there is."""
    opened = ClickHouse.open(dsn, tmp_path, "0.1.0")
    yield opened
    opened.close()


def rows(dsn: str, sql: str) -> list[Sequence[object]]:
    address, _, database = dsn.rpartition("/")
    return list(clickhouse_connect.get_client(dsn=address, database=database).query(sql).result_rows)


def run(dsn: str, sql: str) -> None:
    address, _, database = dsn.rpartition("/")
    clickhouse_connect.get_client(dsn=address, database=database).command(sql)


def stored(dsn: str, table: str) -> list[tuple[int, int]]:
    """How many different spans or lines stand in each tier."""
    sql = f"SELECT tier, uniqExact(project, trace_id, span_id) FROM {table} GROUP BY tier ORDER BY tier"  # noqa: S608 - names are ours
    return cast("list[tuple[int, int]]", rows(dsn, sql))


class Scribe:
    """A store that remembers what was counted."""

    def __init__(self, store: ClickHouse) -> None:
        self._store = store
        self.ledger: list[LedgerRow] = []
        self.sessions: list[Summary] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def write(self, batch: TelemetryBatch) -> None:
        self.ledger.extend(batch.ledger)
        self.sessions.extend(batch.sessions)
        self._store.write(batch)


def wrong_measures(store: ClickHouse, written: Written) -> list[str]:
    """The measures that are not what is worked out by hand, over all and by workflow and model."""
    wrong: list[str] = []
    for name in WORKED_OUT:
        for by in ((), WORKFLOW_AND_MODEL):
            known = tuple(dimension for dimension in by if dimension in MEASURES[name].dimensions)
            question = a_question(MEASURES[name], "recorded", since_ns=0, until_ns=2**62, by=known)
            wrong += [name] if answered(store, question) != written.points(question) else []
    return wrong


def merge(dsn: str) -> None:
    for table in ("spans", "outlines", "ledger", "sessions", "members", "members_by_trace", "logs", "sampling"):
        run(dsn, f"OPTIMIZE TABLE {table} FINAL")


def counted(ledger: Sequence[LedgerRow]) -> dict[tuple[int, str], LedgerRow]:
    """The current rows, but for when they were written and whether the session seemed over."""
    held: dict[tuple[int, str], LedgerRow] = {}
    for row in sorted(ledger, key=lambda row: row.seq):
        held[row.slot, row.session_id] = msgspec.structs.replace(row, seq=0, outcome="")
    return {place: row for place, row in held.items() if not row.gone}


def test_every_measure_is_what_it_was_when_spans_are_gone_and_when_they_come_again(dsn: str, store: ClickHouse) -> None:
    scribe = Scribe(store)
    sent = [parcels(capture) for capture in captures() if capture.source in FEW]
    for number, some in enumerate(sent):
        store_recorded(scribe, 10 * number + 1, "recorded", some)  # type: ignore[arg-type] # has what a store has
    before = Written(scribe.ledger, scribe.sessions)
    ledger = counted(scribe.ledger)
    aside = Aside()
    sweeper = a_sweeper(store, aside, 0.3)
    spans = sum(many for _, many in stored(dsn, "spans"))
    assert sweeper.sweep()
    merge(dsn)
    assert wrong_measures(store, before) == []
    assert sum(many for _, many in stored(dsn, "spans")) < spans
    aside.now_ns = EXPIRED_NS
    assert sweeper.sweep()
    assert stored(dsn, "spans") == []
    late = [msgspec.structs.replace(parcel, project="recorded") for some in sent for parcel in some]
    reactor = a_reactor(scribe)  # type: ignore[arg-type] # has what a store has
    again = [(seq, Delivery(EXPIRED_NS + seq, (parcel,))) for seq, parcel in enumerate(late, 10**6)]
    for number, start in enumerate(range(0, len(again), 40), 10**6):
        batch = again[start : start + 40]
        scribe.write(reactor.react(number, batch, EXPIRED_NS + number).telemetry)
        reactor.evict(0, number)
    assert counted(scribe.ledger) == ledger
    merge(dsn)
    after = Written(scribe.ledger, scribe.sessions)
    assert wrong_measures(store, after) == []


def test_the_outline_of_a_span_is_all_of_it_but_its_contents(store: ClickHouse) -> None:
    capture = next(one for one in captures() if one.source == "langgraph__openinference")
    store_recorded(store, 1, "recorded", parcels(capture))
    traces = [(project, trace_id) for project, trace_id in store.retention().traces(RECEIVED_DAY, HOT)]
    whole = store.readings(traces, 2**62)
    store.retention().move(RECEIVED_DAY, HOT, Sorted((), ()))
    left = {reading.span_id: reading for reading in store.readings(traces, 2**62)}
    assert any(reading.input and reading.output for reading in whole)
    for reading in whole:
        texts = {
            name: WITHHELD if getattr(reading, name) and reading.kind in STEP_KINDS else ""
            for name in ("input", "output")
        }
        outline = msgspec.structs.replace(reading, refs="", mentioned=b"", outline=True, **texts)
        assert left[reading.span_id] == outline


def a_session(number: int, **changed: object) -> Summary:
    name = f"s-{number}"
    summary = Summary(
        key=session_key("p", name),
        project="p",
        session_id=name,
        workflow="w",
        user_id="",
        state="ended",
        outcome="completed",
        revision=1,
        started_ns=RECEIVED_NS,
        ended_ns=RECEIVED_NS + SECOND,
        received_ns=RECEIVED_NS,
        due_ns=0,
        totals=Totals(),
    )
    return msgspec.structs.replace(summary, **changed)


def spans_of(session: Summary, **changed: object) -> list[Reading]:
    trace_id = session.key[:16].encode()
    reading = Reading(
        "p", trace_id, b"llm.....", b"", 1 << 63 | 1, session.received_ns, 1, 2, "llm", "n", "ok", rest="x" * 500
    )
    return [
        msgspec.structs.replace(reading, **changed),
        msgspec.structs.replace(reading, span_id=b"tool....", kind="tool", input=session.key * 20),
    ]


def write(
    store: ClickHouse,
    sessions: Sequence[Summary],
    readings: Sequence[Reading],
    logs: Sequence[StoredLog] = (),
    number: int = 1,
) -> None:
    members = [Member("p", s.session_id, s.key[:16].encode(), 1, live=True) for s in sessions]
    store.write(TelemetryBatch(number, readings=readings, members=members, sessions=sessions, logs=logs))


def test_all_that_must_be_kept_is_and_of_the_rest_a_share_with_its_probability(dsn: str, store: ClickHouse) -> None:
    must = {
        "error": a_session(1, outcome="timeout"),
        "flag": a_session(2),
        "breach": a_session(3, breaches=("latency",)),
        "feedback": a_session(4),
        "latency": a_session(5, ended_ns=RECEIVED_NS + 60 * SECOND),
        "running": a_session(6, state="running", outcome=None),
        "held": a_session(7),
    }
    failed = a_session(8)
    rest = [a_session(number) for number in range(100, 2100)]
    told = msgspec.structs.replace(spans_of(must["feedback"])[1], span_id=b"feedback", kind="evaluation", name="thumbs")
    measured = msgspec.structs.replace(
        spans_of(rest[0])[1], span_id=b"measured", kind="evaluation", name="watchpost.context_drift"
    )
    other = msgspec.structs.replace(spans_of(rest[1])[1], span_id=b"other...", kind="other", status="error")
    readings = [reading for s in (*must.values(), *rest) for reading in spans_of(s)]
    sessions = [*must.values(), failed, *rest]
    write(store, sessions, [*readings, *spans_of(failed, status="error"), told, measured, other])
    aside = Aside()
    aside.held_now = {("p", "s-7")}
    flag = Flag("f", "p", "s-2", "LOOP_DETECTED", "", b"t", b"s", "high", "confirmed", "", {}, 0)
    aside.raised = [flag, msgspec.structs.replace(flag, session_id="s-101", state="withdrawn")]
    sweeper = a_sweeper(store, aside, 0.1)
    size = sum(part.bytes for part in store.retention().partitions())
    sweeper.sweep()
    decided = store.retention().sampled([s.key for s in sessions])
    assert {name: (decided[s.key].reason, decided[s.key].kept, decided[s.key].share) for name, s in must.items()} == {
        name: (name, True, 1.0) for name in must
    }
    assert decided[failed.key].reason == "error"
    kept = [s for s in rest if decided[s.key].kept]
    assert {decided[s.key].share for s in rest} == {0.1}
    assert {decided[s.key].reason for s in kept} == {"sampled"}
    assert {(decided[s.key].reason, decided[s.key].gone) for s in rest if s not in kept} == {("dropped", "sampled")}
    deviation = math.sqrt(2000 * 0.1 * 0.9)
    assert abs(len(kept) - 200) < 4 * deviation
    whole = 2 * (len(kept) + 7) + 1 + sum(s in kept for s in rest[:2])
    assert stored(dsn, "spans") == [(KEPT, whole), (HELD, 2)]
    assert sum(part.bytes for part in store.retention().partitions()) < size / 2
    assert sweeper.tally.freed_bytes > size / 2
    assert (sweeper.tally.kept, sweeper.tally.dropped) == (len(kept) + 8, 2000 - len(kept))


def test_what_calls_without_a_price_are_named_by_and_how_long_traces_lasted_is_told_without_their_spans(
    dsn: str, store: ClickHouse
) -> None:
    capture = next(one for one in captures() if one.source == "langgraph__openinference")
    store_recorded(store, 1, "recorded", parcels(capture))
    traces = [(project, trace_id) for project, trace_id in store.retention().traces(RECEIVED_DAY, HOT)]
    before = store.unpriced("recorded", 0, 100), store.traces(traces)
    assert before[1]
    store.retention().move(RECEIVED_DAY, HOT, Sorted((), ()))
    assert stored(dsn, "spans") == []
    assert (store.unpriced("recorded", 0, 100), store.traces(traces)) == before


def test_a_session_sampled_out_whose_user_complains_later_is_kept_from_then_on(dsn: str, store: ClickHouse) -> None:
    session = a_session(1)
    write(store, [session], spans_of(session))
    aside = Aside()
    a_sweeper(store, aside, 0.0).sweep()
    later = RECEIVED_NS + 5 * DAY_NS
    complaint = msgspec.structs.replace(spans_of(session)[1], span_id=b"feedback", kind="evaluation", received_ns=later)
    write(store, [msgspec.structs.replace(session, revision=2)], [complaint], number=2)
    aside.now_ns = later + 2 * DAY_NS
    a_sweeper(store, aside, 0.0).sweep()
    found = store.retention().sampled([session.key])[session.key]
    assert (found.kept, found.reason, found.share, found.gone) == (True, "feedback", 1.0, "sampled")
    assert stored(dsn, "spans") == [(KEPT, 1)]


def test_what_is_held_outlives_its_time_until_it_is_released(dsn: str, store: ClickHouse) -> None:
    one, two = a_session(1), a_session(2)
    write(store, [one, two], [*spans_of(one), *spans_of(two)])
    aside = Aside()
    aside.held_now = {("p", "s-1"), ("p", "s-2")}
    sweeper = a_sweeper(store, aside, 0.0)
    for days, held, left in (
        (2, {1, 2}, [(2, 4)]),
        (9, {1, 2}, [(2, 4)]),
        (10, {2}, [(3, 2)]),
        (11, {2}, [(3, 2)]),
        (12, {2}, [(3, 2)]),
        (13, {}, []),
    ):
        aside.now_ns = RECEIVED_NS + days * DAY_NS
        aside.held_now = {("p", f"s-{number}") for number in held}
        sweeper.sweep()
        assert stored(dsn, "spans") == left
    assert store.retention().sampled([one.key])[one.key].gone == "expired"
    assert [r.outline for r in store.readings([("p", two.key[:16].encode())], 2**62)] == [True, True]


def test_what_was_moved_to_and_fro_is_not_taken_for_what_was_there_before(dsn: str, store: ClickHouse) -> None:
    one, two, three = (a_session(number) for number in (1, 2, 3))
    write(store, [one, two, three], [r for s in (one, two, three) for r in spans_of(s)])
    aside = Aside()
    sweeper = a_sweeper(store, aside, 0.0)
    for days, held, left in (
        (2, (1, 2, 3), [(2, 6)]),
        (10, (2, 3), [(3, 4)]),
        (11, (3,), [(2, 2)]),
        (12, (3,), [(2, 2)]),
    ):
        aside.now_ns = RECEIVED_NS + days * DAY_NS
        aside.held_now = {("p", f"s-{number}") for number in held}
        sweeper.sweep()
        assert stored(dsn, "spans") == left


def test_log_lines_go_where_their_trace_goes_and_those_of_none_stay_as_long_as_kept_ones(
    dsn: str, store: ClickHouse
) -> None:
    kept, dropped = a_session(1, outcome="timeout"), a_session(2)
    ids = {
        b"kept....": kept.key[:16].encode(),
        b"dropped.": dropped.key[:16].encode(),
        b"nothing.": b"",
        b"strange.": b"no such trace...",
    }
    logs = [
        StoredLog("p", 1, place, RECEIVED_NS, LogLine(1, 9, trace, span, "", "said", {}))
        for place, (span, trace) in enumerate(ids.items())
    ]
    write(store, [kept, dropped], [*spans_of(kept), *spans_of(dropped)], logs)
    aside = Aside()
    sweeper = a_sweeper(store, aside, 0.0)
    sweeper.sweep()
    left = {span: len(store.logs("p", trace, span, 10)) for span, trace in ids.items()}
    assert left == {b"kept....": 1, b"dropped.": 0, b"nothing.": 1, b"strange.": 1}
    aside.now_ns = EXPIRED_NS
    sweeper.sweep()
    assert stored(dsn, "logs") == []


@pytest.mark.parametrize("commands", range(9))
def test_a_sweep_that_is_cut_short_anywhere_is_made_good_by_the_next(
    dsn: str, store: ClickHouse, commands: int
) -> None:
    """Also with the tables merged in between."""
    sessions = [a_session(number) for number in range(40)]
    held = ("p", "s-0")
    readings = [reading for session in sessions for reading in spans_of(session)]
    lines = [
        StoredLog("p", 1, place, RECEIVED_NS, LogLine(1, 9, r.trace_id, r.span_id, "", "", {}))
        for place, r in enumerate(readings)
    ]
    write(store, sessions, readings, lines)
    aside = Aside()
    aside.held_now = {held}
    calm = store.retention()
    left = iter(range(commands))

    def cut(sql: str) -> object:
        if next(left, None) is None:
            raise CutError
        return calm._command(sql)  # noqa: SLF001 - the statement itself

    with pytest.raises(CutError):
        a_sweeper(store, aside, 0.5, ClickHouseRetention(calm._query, cut, calm._insert)).sweep()  # noqa: SLF001 - what the real one asks by
    if commands % 2:
        merge(dsn)
    traces = [("p", session.key[:16].encode()) for session in sessions]
    assert len(store.readings(traces, 2**62)) == 80
    a_sweeper(store, aside, 0.5, calm).sweep()
    decided = calm.sampled([session.key for session in sessions])
    kept = sum(one.kept for one in decided.values()) - 1
    assert stored(dsn, "spans") == stored(dsn, "logs") == [(KEPT, 2 * kept), (HELD, 2)]
    found = store.readings(traces, 2**62)
    assert (len(found), sum(reading.outline for reading in found)) == (80, 80 - 2 * kept - 2)


TIERS = next(number for number, statements in enumerate(MIGRATIONS) if any("outlines" in each for each in statements))
"""How many versions there were before spans had tiers."""


@pytest.mark.parametrize("cut", [0, 4, 5, 11])
def test_what_was_stored_before_there_were_tiers_is_sorted_like_the_rest(dsn: str, tmp_path: Path, cut: int) -> None:
    """Also where the program died after so many statements of bringing the tables up to date."""
    for statement in itertools.chain(*MIGRATIONS[:TIERS]):
        run(dsn, statement)
    run(dsn, "CREATE TABLE schema_version (version UInt32, program String) ENGINE = MergeTree ORDER BY version")
    run(dsn, f"INSERT INTO schema_version SELECT number + 1, '0.1.0' FROM numbers({TIERS})")  # noqa: S608 - a number of our own
    sessions = [a_session(number, outcome="timeout" if number < 5 else "completed") for number in range(20)]
    readings = [reading for session in sessions for reading in spans_of(session)]
    lines = [
        StoredLog("p", 1, place, RECEIVED_NS, LogLine(1, 9, r.trace_id, r.span_id, "", "", {}))
        for place, r in enumerate(readings)
    ]
    members = member_table([Member("p", s.session_id, s.key[:16].encode(), 1, live=True) for s in sessions])
    address, _, database = dsn.rpartition("/")
    client = clickhouse_connect.get_client(dsn=address, database=database)
    for table, rows_ in (
        ("spans", span_table(readings)),
        ("logs", log_table(lines)),
        ("members_by_trace", members),
        ("sessions", session_table(sessions)),
    ):
        client.insert_arrow(table, rows_)
    for statement in MIGRATIONS[TIERS][:cut]:
        run(dsn, statement)
    store = ClickHouse.open(dsn, tmp_path, "0.2.0")
    assert [store.reading("p", r.trace_id, r.span_id) for r in readings] == readings
    assert stored(dsn, "spans") == stored(dsn, "logs") == [(HOT, 40)]
    assert rows(dsn, "SELECT count() FROM spans") == [(40,)]
    assert rows(dsn, "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name LIKE '%_anew'") == [
        (0,)
    ]
    a_sweeper(store, Aside(), 0.0).sweep()
    assert stored(dsn, "spans") == stored(dsn, "logs") == [(KEPT, 10)]
    store.close()
