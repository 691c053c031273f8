"""What every telemetry store promises, through the embedded engine and through ClickHouse's HTTP interface."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchpost.model.session import Summary, Totals, session_key
from watchpost.model.step import Facets, Judged, Reading, Reply, Tokens
from watchpost.model.telemetry import LogLine
from watchpost.query.sessions import SessionFilter
from watchpost.session.node import node_of
from watchpost.store.contracts import LedgerRow, LedgerStep, Member, StoredLog, TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost_core.mentions import mentions

ENDED = 1 << 63
EVERYTHING = ENDED - 1
"""A log sequence beyond all."""

NOW = 1_790_000_000_000_000_000
SLOT = 1_790_000_400
DAY = 86_400_000_000_000
EXAMPLES = itertools.count(10**12)
"""Ids and batch numbers that no two examples share."""


def a_reading(project: str, trace: bytes, span: bytes, **changed: object) -> Reading:
    values: dict[str, object] = {
        "parent_id": b"",
        "ver": ENDED | 7,
        "received_ns": NOW,
        "start_ns": NOW - 5,
        "end_ns": NOW - 1,
        "kind": "tool",
        "name": "execute_tool search",
        "status": "ok",
        **changed,
    }
    return Reading(project=project, trace_id=trace, span_id=span, **values)  # type: ignore[arg-type] # names are checked at run time


def a_step(number: int) -> LedgerStep:
    return LedgerStep(
        trace_id=bytes(8) + number.to_bytes(8, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_id=b"" if number % 2 else b"\x80" * 8,
        start_ns=NOW + number,
        dur_us=None if number % 3 else number,
        kind="tool",
        name=f"step {number}",
        agent="planner",
        model="",
        tool="search",
        status="ok",
        error_type="",
        in_tok=None if number % 2 else 0,
        out_tok=number,
        cost_nano=None,
        flags=("LOOP_DETECTED", "OTHER") if number % 5 == 0 else (),
        cached_tok=None if number % 3 else 7,
        reasoning_tok=0 if number % 2 else None,
        first_us=None if number % 2 else 1_500,
        prompt="greeting@3" if number % 2 else "",
        evaluator="tone" if number % 4 == 0 else "",
        score=None if number % 4 else 0.25,
        label="fine" if number % 4 == 0 else "",
    )


def a_row(
    project: str, session_id: str, slot: int, seq: int, steps: Iterator[int] | range, *, gone: bool = False
) -> LedgerRow:
    counted = tuple(a_step(n) for n in steps)
    return LedgerRow(
        project, slot, session_id, seq, gone, "refunds", "user-1", "completed", counted, "shop", "acme", "refunds", "7"
    )


def a_session(project: str, session_id: str, revision: int, received_ns: int, **changed: object) -> Summary:
    values: dict[str, object] = {
        "workflow": "refunds",
        "user_id": "user-1",
        "state": "ended",
        "outcome": "completed",
        "started_ns": NOW,
        "ended_ns": NOW + 9,
        "due_ns": 0,
        "totals": Totals(),
        **changed,
    }
    return Summary(
        key=session_key(project, session_id),
        project=project,
        session_id=session_id,
        revision=revision,
        received_ns=received_ns,
        **values,  # type: ignore[arg-type] # names are checked at run time
    )


def stored_rows(store: ClickHouse, table: str) -> int:
    return next(size.rows for size in store.sizes() if size.table == table)


def test_a_span_comes_back_as_it_was_written(telemetry: ClickHouse, project: str, number: int) -> None:
    written = a_reading(
        project,
        bytes(range(128, 144)),
        bytes(8),
        parent_id=b"\xff\x00" * 4,
        own_session="s/1",
        agent="planner",
        workflow="refunds",
        service="shop",
        user_id="u",
        provider="openai",
        model="gpt-4.1",
        tool="search",
        call_id="call_1",
        response_id="resp_1",
        error_type="timeout",
        tokens=Tokens(0, 2**40, None, 0, 5),
        cost_nano=-3,
        input="in",
        output="out",
        rest='{"a": [1, null]}',
        refs="input=input.value",
        mentioned=mentions("R-48213", "order 4711"),
        facets=Facets("acme", "refunds", "7.2.1", "greeting@3"),
        first_token_us=0,
        judged=Judged("groundedness", -0.5, "fail"),
        reply=Reply("no, the other one", "Where is it?", 2**63 - 1),
    )
    telemetry.write(TelemetryBatch(number, readings=[written]))
    assert telemetry.reading(project, written.trace_id, written.span_id) == written


@pytest.mark.parametrize("span", [bytes(8), b"\x80\xff" * 4, b"'\\\x00\n\xc3\x28\x7f\x00"])
def test_ids_of_any_bytes_survive(telemetry: ClickHouse, project: str, number: int, span: bytes) -> None:
    trace = span + span[::-1]
    telemetry.write(TelemetryBatch(number, readings=[a_reading(project, trace, span, parent_id=span)]))
    [found] = telemetry.readings([(project, trace)], EVERYTHING)
    assert (found.trace_id, found.span_id, found.parent_id) == (trace, span, span.strip(b"\0") and span)


def test_zero_tokens_and_unreported_tokens_stay_apart(telemetry: ClickHouse, project: str, number: int) -> None:
    zero = a_reading(project, b"z" * 16, b"zero....", tokens=Tokens(0, 0, 0, 0, 0), cost_nano=0)
    none = a_reading(project, b"z" * 16, b"none....")
    telemetry.write(TelemetryBatch(number, readings=[zero, none]))
    found = {r.span_id: (r.tokens, r.cost_nano) for r in telemetry.readings([(project, b"z" * 16)], EVERYTHING)}
    assert found == {zero.span_id: (Tokens(0, 0, 0, 0, 0), 0), none.span_id: (Tokens(), None)}


def test_readings_for_the_fold_carry_the_texts_it_keeps(telemetry: ClickHouse, project: str, number: int) -> None:
    long = "ü" * 40_000
    written = {
        "tool": a_reading(project, b"f" * 16, b"tool....", input="args", output=long, rest='{"x":1}'),
        "handoff": a_reading(project, b"f" * 16, b"handoff.", kind="handoff", input="args", output="result"),
        "llm": a_reading(
            project,
            b"f" * 16,
            b"llm.....",
            kind="llm",
            input=long,
            output=long,
            mentioned=mentions("R-48213"),
            reply=Reply("", "Where is it?", 7),
        ),
        "human": a_reading(project, b"f" * 16, b"human...", kind="human", input="where is R-1?"),
        "agent": a_reading(project, b"f" * 16, b"agent...", kind="agent", input="task", output="answer"),
    }
    telemetry.write(TelemetryBatch(number, readings=list(written.values())))
    found = {r.kind: r for r in telemetry.readings([(project, b"f" * 16)], EVERYTHING)}
    assert {kind: (r.input, r.output, r.rest) for kind, r in found.items()} == {
        "tool": ("args", long, "{}"),
        "handoff": ("args", "result", "{}"),
        "llm": ("ü", "ü" * 32_768, "{}"),
        "human": ("where is R-1?", "", "{}"),
        "agent": ("", "", "{}"),
    }
    for kind, reading in written.items():
        assert found[kind].mentioned == reading.mentioned
        assert node_of(found[kind], b"f" * 16).step == node_of(reading, b"f" * 16).step


def test_readings_of_other_projects_and_traces_are_left_out(telemetry: ClickHouse, project: str, number: int) -> None:
    other = f"{project}-other"
    mine, foreign = b"m" * 16, b"n" * 16
    batch = [a_reading(p, t, b"span....") for p in (project, other) for t in (mine, foreign)]
    telemetry.write(TelemetryBatch(number, readings=batch))
    found = telemetry.readings([(project, mine), (other, foreign)], EVERYTHING)
    assert {(r.project, r.trace_id) for r in found} == {(project, mine), (other, foreign)}


def test_asking_for_nothing_finds_nothing(telemetry: ClickHouse) -> None:
    assert telemetry.readings([], EVERYTHING) == []
    assert telemetry.members_of_traces([]) == telemetry.members_of_sessions([]) == []


def test_writing_an_empty_batch_changes_nothing(telemetry: ClickHouse, number: int) -> None:
    before = telemetry.sizes()
    telemetry.write(TelemetryBatch(number))
    assert telemetry.sizes() == before


def test_storing_the_same_batch_twice_leaves_one_copy(telemetry: ClickHouse, project: str, number: int) -> None:
    line = LogLine(NOW, 9, b"t" * 16, b"s" * 8, "", "text", {})
    batch = TelemetryBatch(
        number,
        readings=[a_reading(project, b"t" * 16, b"s" * 8)],
        members=[Member(project, "s", b"t" * 16, 1, live=True)],
        ledger=[a_row(project, "s", SLOT, 1, range(3))],
        sessions=[a_session(project, "s", 1, NOW)],
        logs=[StoredLog(project, 1, 0, NOW, line)],
    )
    telemetry.write(batch)
    once = {size.table: size.rows for size in telemetry.sizes()}
    telemetry.write(batch)
    assert {size.table: size.rows for size in telemetry.sizes()} == once
    assert len(telemetry.readings([(project, b"t" * 16)], EVERYTHING)) == 1


def test_a_number_is_stored_once_even_if_it_comes_back_different(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    session = a_session(project, "s", 1, NOW)
    first = TelemetryBatch(
        number, readings=[a_reading(project, b"1" * 16, b"s" * 8)], ledger=[a_row(project, "s", SLOT, 1, range(3))]
    )
    telemetry.write(first)
    second = TelemetryBatch(
        number, readings=[a_reading(project, b"2" * 16, b"s" * 8)], ledger=[a_row(project, "s", SLOT, 2, range(9))]
    )
    telemetry.write(second)
    assert telemetry.readings([(project, b"2" * 16)], EVERYTHING) == []
    assert len(telemetry.steps(session, 0, 10)) == 3


def test_rows_stored_again_under_another_number_are_read_once(telemetry: ClickHouse, project: str, number: int) -> None:
    session = a_session(project, "s", 1, NOW)
    line = LogLine(NOW, 9, b"t" * 16, b"s" * 8, "", "text", {})
    for again in range(3):
        telemetry.write(
            TelemetryBatch(
                number + again,
                readings=[a_reading(project, b"t" * 16, b"s" * 8)],
                members=[Member(project, "s", b"t" * 16, 1, live=True)],
                ledger=[a_row(project, "s", SLOT, 1, range(3))],
                sessions=[session],
                logs=[StoredLog(project, 1, 0, NOW, line)],
            )
        )
    assert len(telemetry.readings([(project, b"t" * 16)], EVERYTHING)) == 1
    assert len(telemetry.members_of_traces([(project, b"t" * 16)])) == 1
    assert [row.number for row in telemetry.steps(session, 0, 10)] == [1, 2, 3]
    assert telemetry.sessions(SessionFilter(project=project)) == [session]
    assert telemetry.logs(project, b"t" * 16, b"s" * 8, 10) == [line]


COPIES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(0, 20)),
    min_size=1,
    max_size=6,
    unique_by=lambda copy: copy[1:],
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(COPIES)
def test_the_greatest_version_wins_in_any_order(
    telemetry: ClickHouse, project: str, copies: list[tuple[int, int, int]]
) -> None:
    trace = next(EXAMPLES).to_bytes(16, "big")
    for day, ended, seq in copies:
        text = f"{ended} {seq}"
        copy = a_reading(project, trace, b"one span", ver=ended << 63 | seq, received_ns=NOW + day * DAY, input=text)
        telemetry.write(TelemetryBatch(next(EXAMPLES), readings=[copy]))
    _, ended, seq = max(copies, key=lambda copy: copy[1:])
    whole = telemetry.reading(project, trace, b"one span")
    assert whole is not None
    assert whole.input == f"{ended} {seq}"
    assert [r.ver for r in telemetry.readings([(project, trace)], EVERYTHING)] == [ended << 63 | seq]


def test_the_end_of_a_span_beats_a_later_start_event_of_it(telemetry: ClickHouse, project: str, number: int) -> None:
    trace, span = b"e" * 16, b"span-end"
    start = a_reading(project, trace, span, ver=99, end_ns=0, status="running")
    end = a_reading(project, trace, span, ver=ENDED | 5)
    telemetry.write(TelemetryBatch(number, readings=[end]))
    telemetry.write(TelemetryBatch(number + 1, readings=[start]))
    assert telemetry.reading(project, trace, span) == end


def test_the_latest_membership_of_a_session_and_trace_holds(telemetry: ClickHouse, project: str, number: int) -> None:
    trace = b"\x00member\x00\xff" + bytes(7)
    old, new = Member(project, "old", trace, 1, live=True), Member(project, "new", trace, 2, live=True)
    telemetry.write(TelemetryBatch(number, members=[old, new]))
    assert set(telemetry.members_of_traces([(project, trace)])) == {old, new}
    telemetry.write(TelemetryBatch(number + 1, members=[Member(project, "old", trace, 3, live=False)]))
    assert telemetry.members_of_traces([(project, trace)]) == [new]
    assert telemetry.members_of_sessions([(project, "old"), (project, "new"), (project, "it's \\ none")]) == [new]
    telemetry.write(TelemetryBatch(number + 2, members=[Member(project, "old", trace, 2, live=True)]))
    assert telemetry.members_of_sessions([(project, "old")]) == []


def test_a_thousand_traces_can_be_asked_for_at_once(telemetry: ClickHouse, project: str, number: int) -> None:
    rng = random.Random(1)
    members = [Member(project, f"s{n}", rng.randbytes(16), n, live=True) for n in range(1000)]
    telemetry.write(TelemetryBatch(number, members=members))
    assert set(telemetry.members_of_traces([(project, m.trace_id) for m in members])) == set(members)
    assert set(telemetry.members_of_sessions([(project, m.session_id) for m in members])) == set(members)


def test_a_ledger_row_replaces_the_earlier_ones_of_its_slot(telemetry: ClickHouse, project: str, number: int) -> None:
    session = a_session(project, "s", 1, NOW)
    telemetry.write(TelemetryBatch(number, ledger=[a_row(project, "s", SLOT, 2, range(5, 7))]))
    telemetry.write(TelemetryBatch(number + 1, ledger=[a_row(project, "s", SLOT, 1, range(3))]))
    assert [row.step for row in telemetry.steps(session, 0, 10)] == [a_step(5), a_step(6)]
    telemetry.write(TelemetryBatch(number + 2, ledger=[a_row(project, "s", SLOT, 3, range(0), gone=True)]))
    assert telemetry.steps(session, 0, 10) == []


def test_steps_are_numbered_through_all_slots_of_a_session(telemetry: ClickHouse, project: str, number: int) -> None:
    session = a_session(project, "s'\\", 1, NOW)
    rows = [a_row(project, session.session_id, SLOT + 600 * n, 1, range(n * 10, n * 10 + 10)) for n in (2, 0, 3, 1)]
    gone = a_row(project, session.session_id, SLOT + 300 * 600, 1, range(1000, 1010), gone=True)
    other = a_row(project, "other", SLOT, 1, range(50))
    telemetry.write(TelemetryBatch(number, ledger=[*rows, gone, other]))
    for after, limit in ((0, 40), (0, 3), (8, 4), (10, 10), (35, 100), (40, 5), (19, 1)):
        page = telemetry.steps(session, after, limit)
        wanted = range(after, min(after + limit, 40))
        assert [(row.number, row.step) for row in page] == [(n + 1, a_step(n)) for n in wanted]


@pytest.mark.parametrize("start", [0, -(2**63), 2**63 - 1, 9_223_372_036_000_000_000])
def test_absurd_clocks_are_kept(telemetry: ClickHouse, project: str, number: int, start: int) -> None:
    slot = start // 1_000_000_000 // 600 * 600
    session = a_session(project, "s", 1, NOW, started_ns=start, ended_ns=start)
    reading = a_reading(project, b"c" * 16, b"clock...", start_ns=start, end_ns=start)
    telemetry.write(
        TelemetryBatch(number, readings=[reading], ledger=[a_row(project, "s", slot, 1, range(2))], sessions=[session])
    )
    telemetry.write(TelemetryBatch(number + 1, ledger=[a_row(project, "s", slot, 2, range(3))]))
    assert telemetry.reading(project, b"c" * 16, b"clock...") == reading
    assert telemetry.session(session.key) == session
    assert len(telemetry.steps(session, 0, 10)) == 3


def test_a_batch_may_hold_steps_of_300_days_over_30_years(telemetry: ClickHouse, project: str, number: int) -> None:
    session = a_session(project, "s", 1, NOW)
    days = [NOW - n * 36 * DAY for n in range(300)]
    readings = [
        a_reading(project, b"d" * 16, n.to_bytes(8, "big"), start_ns=day, end_ns=day) for n, day in enumerate(days)
    ]
    ledger = [a_row(project, "s", day // 10**9 // 600 * 600, 1, range(n, n + 1)) for n, day in enumerate(days)]
    telemetry.write(TelemetryBatch(number, readings=readings, ledger=ledger))
    assert len(telemetry.readings([(project, b"d" * 16)], EVERYTHING)) == 300
    assert [row.step for row in telemetry.steps(session, 0, 400)] == [a_step(n) for n in reversed(range(300))]


def test_sessions_are_paged_from_the_latest_activity(telemetry: ClickHouse, project: str, number: int) -> None:
    written = [a_session(project, f"s{n}", 1, NOW + n // 3) for n in range(50)]
    telemetry.write(TelemetryBatch(number, sessions=written))
    expected = sorted(written, key=lambda s: (s.received_ns, s.key), reverse=True)
    found: list[Summary] = []
    before = None
    while page := telemetry.sessions(SessionFilter(project=project, before=before, limit=7)):
        found += page
        before = (page[-1].received_ns, page[-1].key)
    assert found == expected


def test_a_list_shows_the_latest_revision_of_each_session_only(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    for revision in range(30):
        states = [a_session(project, "busy", revision, NOW + revision, state="running", outcome=None)]
        telemetry.write(TelemetryBatch(number + revision, sessions=states))
    done = a_session(project, "busy", 30, NOW + 30)
    quiet = a_session(project, "quiet", 1, NOW, state="running", outcome=None)
    telemetry.write(TelemetryBatch(number + 99, sessions=[quiet, done]))
    assert telemetry.sessions(SessionFilter(project=project, limit=2)) == [done, quiet]
    assert telemetry.sessions(SessionFilter(project=project, state="running", limit=1)) == [quiet]
    assert telemetry.sessions(SessionFilter(project=project, state="running", before=(NOW, quiet.key))) == []
    assert [s for s in telemetry.open_sessions(30) if s.project == project] == [quiet]


def test_a_session_that_ended_in_a_batch_not_yet_applied_is_still_to_end(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    ended = a_session(project, "ended", 5, NOW)
    telemetry.write(TelemetryBatch(number, sessions=[ended]))
    assert [s for s in telemetry.open_sessions(4) if s.project == project] == [ended]
    assert [s for s in telemetry.open_sessions(5) if s.project == project] == []


def test_a_copy_beyond_the_asked_sequence_is_overlooked(telemetry: ClickHouse, project: str, number: int) -> None:
    early, late = (a_reading(project, b"u" * 16, b"s" * 8, ver=ENDED | seq, name=str(seq)) for seq in (5, 9))
    telemetry.write(TelemetryBatch(number, readings=[early]))
    telemetry.write(TelemetryBatch(number + 1, readings=[late]))
    assert [r.name for r in telemetry.readings([(project, b"u" * 16)], 9)] == ["9"]
    assert telemetry.readings([(project, b"u" * 16)], 4) == []


@pytest.mark.parametrize("field", ["session_id", "outcome", "workflow", "user_id"])
def test_a_list_keeps_to_its_conditions(telemetry: ClickHouse, project: str, number: int, field: str) -> None:
    wanted = a_session(
        project,
        "s\\'1",
        1,
        NOW,
        outcome="timeout",
        workflow="w'",
        user_id="ü\\",
        success=False,
        breaches=("latency",),
        within=("tokens",),
        unchecked=("cost",),
    )
    telemetry.write(TelemetryBatch(number, sessions=[wanted, a_session(project, "s2", 1, NOW)]))
    condition = {field: getattr(wanted, field)}
    assert telemetry.sessions(SessionFilter(project=project, **condition)) == [wanted]


def test_a_merged_session_is_found_by_key_and_left_out_of_lists(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    totals = Totals(3, 1, 2, 0, None, 0, None, 7, 10**15)
    stays = a_session(project, "stays", 2, NOW, totals=totals)
    first = a_session(project, "moved", 1, NOW, state="running", outcome=None, due_ns=NOW)
    telemetry.write(TelemetryBatch(number, sessions=[stays, first]))
    moved = a_session(project, "moved", 2, NOW, state="running", outcome=None, due_ns=NOW, moved_to=stays.key)
    telemetry.write(TelemetryBatch(number + 1, sessions=[moved]))
    assert telemetry.session(moved.key) == moved
    assert telemetry.sessions(SessionFilter(project=project)) == [stays]
    assert [s for s in telemetry.open_sessions(2) if s.project == project] == []
    assert telemetry.session("never seen") is None


@pytest.mark.parametrize("text", ["a\0b", "'\"\\ %s {x:y} :name", "🦊 ü 漢", "\r\n\t--;/*", "x" * 10_000_000])
def test_text_of_any_kind_survives(telemetry: ClickHouse, project: str, number: int, text: str) -> None:
    short = text[:100]
    reading = a_reading(project, b"x" * 16, b"text....", name=short, agent=short, input=text, output=text, rest=text)
    telemetry.write(
        TelemetryBatch(number, readings=[reading], members=[Member(project, short, b"x" * 16, 1, live=True)])
    )
    assert telemetry.reading(project, b"x" * 16, b"text....") == reading
    assert len(telemetry.members_of_sessions([(project, short)])) == 1


def test_lone_surrogates_are_replaced_and_nothing_else_is_lost(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    reading = a_reading(project, b"u" * 16, b"surrogat", input="a\ud800b\udfff🦊", tool="t\ud83e\udd8a")
    line = LogLine(NOW, 9, b"u" * 16, b"surrogat", "", ["\ud800", 1], {"k\ud800": {"x": "ok"}})
    telemetry.write(TelemetryBatch(number, readings=[reading], logs=[StoredLog(project, 1, 0, NOW, line)]))
    found = telemetry.reading(project, b"u" * 16, b"surrogat")
    assert found is not None
    assert (found.input, found.tool) == ("a\ufffdb\ufffd🦊", "t🦊")
    [kept] = telemetry.logs(project, b"u" * 16, b"surrogat", 10)
    assert (kept.body, kept.attributes) == (["\ufffd", 1], {"k\ufffd": {"x": "ok"}})
    assert telemetry.members_of_sessions([(project, "\ud800")]) == []


def test_log_lines_of_a_step_come_by_time(telemetry: ClickHouse, project: str, number: int) -> None:
    at = (b"l" * 16, b"logs....")
    lines = [LogLine(NOW + (n * 7) % 5, n, *at, f"event {n}", {"n": [n, None, 1.5]}, {"a": "b"}) for n in range(5)]
    nowhere = LogLine(NOW, 1, b"", b"", "", None, {})
    logs = [StoredLog(project, number, place, NOW, line) for place, line in enumerate([*lines, nowhere])]
    telemetry.write(TelemetryBatch(number, logs=logs))
    assert telemetry.logs(project, *at, 4) == sorted(lines, key=lambda line: line.time_ns)[:4]
    assert telemetry.logs(project, b"", b"", 9) == [nowhere]


def test_what_a_table_takes_is_told(telemetry: ClickHouse, project: str, number: int) -> None:
    before = stored_rows(telemetry, "spans")
    telemetry.write(TelemetryBatch(number, readings=[a_reading(project, b"k" * 16, b"size....")]))
    assert stored_rows(telemetry, "spans") == before + 1
    assert all(size.bytes > 0 for size in telemetry.sizes() if size.rows)
