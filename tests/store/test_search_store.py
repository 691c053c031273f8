"""What search promises of every telemetry store: sessions by what their texts name or say and by what they are, and log lines."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import clickhouse_connect
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from react_recorded import store_recorded

from watchpost.model.session import Summary, Totals, session_key
from watchpost.model.step import Reading
from watchpost.model.telemetry import LogLine
from watchpost.query.logs import LogFilter
from watchpost.query.sessions import SessionFilter
from watchpost.store.contracts import LedgerRow, LedgerStep, Member, StoredLog, TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost.store.engines.clickhouse_mentions import mentions
from watchpost.store.readers import UnnamedError
from watchpost_core.mentions import named

sys.path.append(str(Path(__file__).parents[1] / "session"))
from captured import captures, parcels

NOW = 1_790_000_000_000_000_000
DAY = 86_400_000_000_000
EXAMPLES = itertools.count(3 * 10**12)
"""Ids and batch numbers that no two examples share."""

HOSTILE = (
    "it's",
    'she said "twice"',
    "100 %",
    "a_b",
    "{x:String}",
    ":name",
    "?",
    "(.*)",
    "back\\slash",
    "line\nfeed",
    "nul\0byte",
    "שלום עולם",
    "\u202egnirts",
    "🧾 receipt 👩\u200d🔧",
    "Überweisung",
    "' OR 1=1 --",
    "\udc80",
)


def trace_of(session_id: str, number: int = 0) -> bytes:
    return session_key(f"{number}", session_id).encode()[:16]


def a_reading(project: str, trace: bytes, span: int = 1, **changed: object) -> Reading:
    values: dict[str, object] = {"received_ns": NOW, "name": "execute_tool search", **changed}
    return Reading(
        project=project,
        trace_id=trace,
        span_id=span.to_bytes(8, "big"),
        parent_id=b"",
        ver=(1 << 63) | 7,
        start_ns=NOW,
        end_ns=NOW + 1,
        kind="tool",
        status="ok",
        **values,  # type: ignore[arg-type] # names are checked at run time
    )


def a_session(project: str, session_id: str, **changed: object) -> Summary:
    values: dict[str, object] = {"revision": 1, "started_ns": NOW, "ended_ns": NOW + 9, "received_ns": NOW, **changed}
    return Summary(
        key=session_key(project, session_id),
        project=project,
        session_id=session_id,
        workflow="refunds",
        user_id="user-1",
        state="ended",
        outcome="completed",
        due_ns=0,
        totals=Totals(),
        **values,  # type: ignore[arg-type] # names are checked at run time
    )


def a_row(project: str, session_id: str, seq: int, *, gone: bool = False, **changed: object) -> LedgerRow:
    step = LedgerStep(trace_of(session_id), bytes(8), b"", NOW, 1, "tool", "", "", "", "", "ok", "", None, None, None)
    steps = (type(step)(**{name: getattr(step, name) for name in step.__struct_fields__} | changed),)
    return LedgerRow(project, NOW // 10**9 // 600 * 600, session_id, seq, gone, "", "", "", () if gone else steps)


def store_session(telemetry: ClickHouse, number: int, project: str, session_id: str, *readings: Reading) -> None:
    """A session with one trace and what it is told to say."""
    trace = trace_of(session_id)
    telemetry.write(
        TelemetryBatch(
            number,
            readings=readings,
            members=[Member(project, session_id, trace, number, live=True)],
            sessions=[a_session(project, session_id, received_ns=NOW + number)],
        )
    )


def found(telemetry: ClickHouse, wanted: SessionFilter) -> list[str]:
    return [session.session_id for session in telemetry.sessions(wanted)]


def naming(telemetry: ClickHouse, project: str, entity: str) -> list[str]:
    return found(telemetry, SessionFilter(project=project, entity=entity))


def saying(telemetry: ClickHouse, project: str, text: str, since_ns: int = 0) -> list[str]:
    return found(telemetry, SessionFilter(project=project, text=text, text_since_ns=since_ns))


THINGS = st.one_of(
    st.from_regex(r"[A-Z]{2,4}-[0-9]{3,9}", fullmatch=True),
    st.from_regex(r"[a-z]{1,5}_[a-z]{1,5}_[0-9]{1,4}", fullmatch=True),
    st.from_regex(r"[A-Z]{5,7}", fullmatch=True),
    st.from_regex(r"[1-9][0-9]{2,11}", fullmatch=True),
    st.from_regex(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9]{4}-[0-9a-f]{12}", fullmatch=True),
    st.from_regex(r"[a-z]{1,6}\.[a-z]{1,6}@[a-z]{2,6}\.com", fullmatch=True),
)
GLUE = st.sampled_from([" ", "\n", "\t", ", ", '"', "(", "): ", " für ", "ü", "\r\n", " of the ", "/"])


def told(pieces: Sequence[str], how: str) -> str:
    text = "".join(pieces)
    match how:
        case "plain":
            return text
        case "json":
            return json.dumps({"text": text})
        case "utf-8 json":
            return json.dumps({"text": text}, ensure_ascii=False)
        case _:
            return json.dumps({"content": json.dumps([text])})


@given(
    st.lists(st.tuples(GLUE, THINGS), min_size=1, max_size=3),
    GLUE,
    st.sampled_from(["plain", "json", "utf-8 json", "nested"]),
    st.sampled_from(["input", "output", "error", "name"]),
)
@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_everything_named_in_any_text_of_a_session_finds_it(
    telemetry: ClickHouse, pieces: list[tuple[str, str]], end: str, how: str, field: str
) -> None:
    example = next(EXAMPLES)
    project = f"named-{example}"
    text = told([part for pair in pieces for part in pair] + [end], how)
    reading = a_reading(project, trace_of("told"), 1, **{field: text})
    store_session(telemetry, example, project, "told", reading)
    for _, thing in pieces:
        assert naming(telemetry, project, thing.swapcase()) == ["told"], (thing, text)
        assert naming(telemetry, project, f"{thing}z9") == [], (thing, text)


def test_a_number_is_found_in_what_it_is_part_of_and_a_whole_only_as_a_whole(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    for place, said in enumerate(("order ORD-4711", "invoice INV-4711", "number 4711", "order ORD-47112")):
        store_session(telemetry, number + place, project, said, a_reading(project, trace_of(said), input=said))
    assert set(naming(telemetry, project, "4711")) == {"order ORD-4711", "invoice INV-4711", "number 4711"}
    assert naming(telemetry, project, "ord-4711") == ["order ORD-4711"]
    assert naming(telemetry, project, "ORD-47112") == ["order ORD-47112"]


def test_of_several_things_all_must_be_named_in_whatever_trace(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    store_session(telemetry, number, project, "both", a_reading(project, trace_of("both"), input="A-4711"))
    other = trace_of("both", 2)
    member = Member(project, "both", other, 1, live=True)
    telemetry.write(TelemetryBatch(number + 1, readings=[a_reading(project, other, input="B-815x")], members=[member]))
    assert naming(telemetry, project, "A-4711 and B-815x") == ["both"]
    assert naming(telemetry, project, "A-4711 and B-816x") == []


def test_what_names_nothing_is_said_to(telemetry: ClickHouse, project: str) -> None:
    for nothing in ("of a", "'; --", "\\n", "12", "🧾"):
        with pytest.raises(UnnamedError):
            naming(telemetry, project, nothing)


def test_attributes_name_things_and_resources_do_not(telemetry: ClickHouse, project: str, number: int) -> None:
    rest = json.dumps({"attributes": {"app.order": "Q-77123"}, "resource": {"host.name": "h-99887"}})
    store_session(telemetry, number, project, "told", a_reading(project, trace_of("told"), rest=rest))
    assert naming(telemetry, project, "Q-77123") == ["told"]
    assert naming(telemetry, project, "h-99887") == []


def test_the_things_of_a_trace_follow_it_into_another_session(telemetry: ClickHouse, project: str, number: int) -> None:
    trace = trace_of("first")
    store_session(telemetry, number, project, "first", a_reading(project, trace, input="ORD-4711 charged twice"))
    moved = [
        Member(project, "first", trace, number + 1, live=False),
        Member(project, "second", trace, number + 1, live=True),
    ]
    sessions = [
        a_session(project, "first", revision=2, moved_to=session_key(project, "second")),
        a_session(project, "second"),
    ]
    telemetry.write(TelemetryBatch(number + 1, members=moved, sessions=sessions))
    assert naming(telemetry, project, "ORD-4711") == ["second"]
    assert saying(telemetry, project, "charged twice") == ["second"]
    assert found(telemetry, SessionFilter(project=project, trace_id=trace)) == ["second"]


def test_the_things_of_a_trace_leave_a_session_that_stays(telemetry: ClickHouse, project: str, number: int) -> None:
    store_session(telemetry, number, project, "stays", a_reading(project, trace_of("stays"), input="ORD-4711"))
    left = trace_of("stays", 2)
    reading = a_reading(project, left, input="ORD-4712 charged twice")
    came = Member(project, "stays", left, number + 1, live=True)
    telemetry.write(TelemetryBatch(number + 1, readings=[reading], members=[came]))
    assert naming(telemetry, project, "ORD-4712") == ["stays"]
    gone = Member(project, "stays", left, number + 2, live=False)
    moved = Member(project, "taker", left, number + 2, live=True)
    telemetry.write(TelemetryBatch(number + 2, members=[gone, moved], sessions=[a_session(project, "taker")]))
    assert naming(telemetry, project, "ORD-4712") == ["taker"]
    assert saying(telemetry, project, "charged twice") == ["taker"]
    assert naming(telemetry, project, "ORD-4711") == ["stays"]


def test_things_are_found_after_their_spans_are_gone(
    embedded_clickhouse: ClickHouse, project: str, number: int
) -> None:
    reading = a_reading(project, trace_of("old"), input="ORD-4711 charged twice", received_ns=NOW - 400 * DAY)
    store_session(embedded_clickhouse, number, project, "old", reading)
    embedded_clickhouse._handles.writer.command(f"DELETE FROM spans WHERE project = '{project}'")  # noqa: S608, SLF001 - as retention does
    assert naming(embedded_clickhouse, project, "4711") == ["old"]
    assert saying(embedded_clickhouse, project, "charged twice") == []


def test_an_insert_that_was_cut_short_before_things_were_noted_is_made_good(front_dsn: str, tmp_path: Path) -> None:
    client = clickhouse_connect.get_client(dsn=front_dsn)
    client.command("CREATE DATABASE search_cut_short")
    store = ClickHouse.open(f"{front_dsn}/search_cut_short", tmp_path, "0.1.0")
    inside = clickhouse_connect.get_client(dsn=front_dsn, database="search_cut_short")
    inside.command("DROP TABLE mentions_of_spans")
    reading = a_reading("p", trace_of("told"), input="ORD-4711")
    store_session(store, 1, "p", "told", reading)
    assert naming(store, "p", "ORD-4711") == []
    inside.command(next(statement for statement in mentions("") if "MATERIALIZED VIEW" in statement))
    for _ in range(2):
        store_session(store, 1, "p", "told", reading)
    assert naming(store, "p", "ORD-4711") == ["told"]
    assert inside.command("SELECT count() FROM mentions") == 1
    store.close()


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_is_found_as_it_is_written(telemetry: ClickHouse, project: str, number: int, text: str) -> None:
    plain = a_reading(project, trace_of("plain"), output=f"before {text} after")
    written = a_reading(project, trace_of("json"), input=json.dumps({"said": f"<{text}>"}))
    store_session(telemetry, number, project, "plain", plain)
    store_session(telemetry, number + 1, project, "json", written)
    store_session(
        telemetry, number + 2, project, "other", a_reading(project, trace_of("other"), output="nothing of it")
    )
    shown = {"plain"} if text == "\udc80" else {"plain", "json"}  # JSON keeps what UTF-8 cannot hold
    assert set(saying(telemetry, project, text)) >= shown
    assert "other" not in saying(telemetry, project, text)


def test_a_text_is_found_in_small_and_capital_letters(telemetry: ClickHouse, project: str, number: int) -> None:
    store_session(
        telemetry, number, project, "told", a_reading(project, trace_of("told"), output="Charged TWICE für Öl")
    )
    for text in ("charged twice", "CHARGED", "FÜR ÖL", "öl"):
        assert saying(telemetry, project, text) == ["told"], text
    assert saying(telemetry, project, "charged  twice") == []


def test_a_text_of_ten_megabytes_is_searched(telemetry: ClickHouse, project: str, number: int) -> None:
    output = "x1y " * 2_500_000 + "ORD-4711"
    store_session(telemetry, number, project, "long", a_reading(project, trace_of("long"), output=output))
    assert naming(telemetry, project, "ORD-4711") == ["long"]
    assert saying(telemetry, project, "x1y ord-4711") == ["long"]


def test_conditions_hold_together(telemetry: ClickHouse, project: str, number: int) -> None:
    for place, session_id in enumerate(("one", "two", "three")):
        said = "ORD-4711 charged twice" if session_id != "three" else "ORD-4711"
        store_session(
            telemetry, number + place, project, session_id, a_reading(project, trace_of(session_id), input=said)
        )
    assert found(telemetry, SessionFilter(project=project, entity="4711", text="twice")) == ["two", "one"]
    wanted = SessionFilter(project=project, entity="4711", text="twice", trace_id=trace_of("one"), user_id="user-1")
    assert found(telemetry, wanted) == ["one"]
    first = telemetry.sessions(SessionFilter(project=project, entity="4711", limit=1))
    assert [s.session_id for s in first] == ["three"]
    before = (first[0].received_ns, first[0].key)
    assert found(telemetry, SessionFilter(project=project, entity="4711", before=before)) == ["two", "one"]


def test_sessions_of_two_projects_that_are_called_alike_are_told_apart(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    other = f"{project}-other"
    store_session(telemetry, number, project, "same", a_reading(project, trace_of("same"), input="ORD-471199 twice"))
    store_session(telemetry, number + 1, other, "same", a_reading(other, trace_of("same"), input="ORD-471200 twice"))
    store_session(telemetry, number + 2, other, "else", a_reading(other, trace_of("else"), input="ORD-471199 twice"))
    wanted = SessionFilter(entity="ORD-471199", text="twice")
    stored = {(s.project, s.session_id) for s in telemetry.sessions(wanted) if s.project in {project, other}}
    assert stored == {(project, "same"), (other, "else")}


@pytest.mark.parametrize("field", ["service", "org_id", "feature", "release", "key"])
def test_sessions_are_told_apart_by_what_they_are(telemetry: ClickHouse, project: str, number: int, field: str) -> None:
    one, other = (
        a_session(project, "one", service="a", org_id="a", feature="a", release="a"),
        a_session(project, "other"),
    )
    telemetry.write(TelemetryBatch(number, sessions=[one, other]))
    assert found(telemetry, SessionFilter(**{"project": project, field: getattr(one, field)})) == ["one"]


def test_a_window_has_the_sessions_that_were_active_in_it(telemetry: ClickHouse, project: str, number: int) -> None:
    early = a_session(project, "early", started_ns=NOW - 100, ended_ns=NOW - 50)
    long = a_session(project, "long", started_ns=NOW - 100, ended_ns=NOW + 100)
    running = a_session(project, "running", started_ns=NOW + 10, ended_ns=0)
    unset = a_session(project, "unset", started_ns=0, ended_ns=0, received_ns=NOW + 20)
    telemetry.write(TelemetryBatch(number, sessions=[early, long, running, unset]))

    def within(since: int, until: int) -> set[str]:
        return set(found(telemetry, SessionFilter(project=project, since_ns=since, until_ns=until)))

    assert within(NOW - 50, NOW) == {"early", "long"}
    assert within(NOW - 49, NOW) == {"long"}
    assert within(NOW, 0) == {"long", "running", "unset"}
    assert within(0, NOW + 10) == {"early", "long"}
    assert within(NOW + 101, 0) == set()


def test_flags_and_errors_are_those_that_hold(telemetry: ClickHouse, project: str, number: int) -> None:
    sessions = [a_session(project, name) for name in ("flagged", "withdrawn", "gone", "failed")]
    before = [
        a_row(project, "flagged", number, flags=("LOOP_DETECTED", "OTHER")),
        a_row(project, "withdrawn", number, flags=("LOOP_DETECTED",)),
        a_row(project, "gone", number, flags=("LOOP_DETECTED",), status="error"),
        a_row(project, "failed", number, status="error"),
    ]
    after = [a_row(project, "withdrawn", number + 1), a_row(project, "gone", number + 1, gone=True)]
    telemetry.write(TelemetryBatch(number, ledger=before, sessions=sessions))
    telemetry.write(TelemetryBatch(number + 1, ledger=after))
    assert found(telemetry, SessionFilter(project=project, flag="LOOP_DETECTED")) == ["flagged"]
    assert found(telemetry, SessionFilter(project=project, flag="LOOP")) == []
    assert found(telemetry, SessionFilter(project=project, flagged=True)) == ["flagged"]
    assert found(telemetry, SessionFilter(project=project, error=True)) == ["failed"]


@pytest.mark.parametrize(
    ("source", "scenario"),
    [("pydantic-ai__native", "happy"), ("langgraph__openinference", "happy"), ("openai-agents__native", "multiturn")],
)
def test_real_runs_are_found_by_all_that_they_name(
    embedded_clickhouse: ClickHouse, project: str, number: int, source: str, scenario: str
) -> None:
    sent = [p for one in captures() if (one.source, one.scenario) == (source, scenario) for p in parcels(one)]
    store_recorded(embedded_clickhouse, number, project, sent)
    stored = embedded_clickhouse.sessions(SessionFilter(project=project))
    assert stored
    things = 0
    for session in stored:
        traces = [
            (m.project, m.trace_id) for m in embedded_clickhouse.members_of_sessions([(project, session.session_id)])
        ]
        steps = embedded_clickhouse.steps(session, 0, 100)
        readings = [embedded_clickhouse.reading(project, s.step.trace_id, s.step.span_id) for s in steps]
        texts = [text for reading in readings if reading for text in (reading.input, reading.output)]
        for thing in {thing for text in texts for thing in named(text) if len(thing) > 2}:
            things += 1
            assert session.session_id in naming(embedded_clickhouse, project, thing), thing
        assert all(
            found(embedded_clickhouse, SessionFilter(project=project, trace_id=trace)) == [session.session_id]
            for _, trace in traces
        )
    assert things


def a_line(at: int, body: object = "", trace: bytes = b"", span: bytes = b"", **changed: object) -> LogLine:
    values: dict[str, object] = {"severity": 9, "event_name": "", "attributes": {}, **changed}
    return LogLine(time_ns=NOW + at, trace_id=trace, span_id=span, body=body, **values)  # type: ignore[arg-type] # names are checked at run time


@pytest.fixture
def lines(telemetry: ClickHouse, project: str, number: int) -> list[LogLine]:
    """Six lines of which two belong to a session, stored twice."""
    trace = trace_of("logged")
    written = [
        a_line(0, "started", trace, b"s" * 8),
        a_line(1, "order ORD-4711 failed", trace, severity=17),
        a_line(2, {"message": "charged twice"}, trace_of("elsewhere"), severity=13, attributes={"order": "ORD-4711"}),
        a_line(3, "idle", event_name="worker.idle", attributes={"code.line": 12, "ok": True}),
        a_line(3, "idle again"),
        a_line(5, None, attributes={"note": 'he said "no"'}),
    ]
    rows = [StoredLog(project, 7, place, NOW + place, line) for place, line in enumerate(written)]
    member = Member(project, "logged", trace, number, live=True)
    session = a_session(project, "logged")
    telemetry.write(TelemetryBatch(number, members=[member], sessions=[session], logs=rows))
    telemetry.write(TelemetryBatch(number + 1, logs=rows))
    return written


def test_log_lines_come_latest_first_each_once(telemetry: ClickHouse, project: str, lines: list[LogLine]) -> None:
    shown = telemetry.log_lines(LogFilter(project=project))
    assert [each.line for each in shown] == lines[::-1]
    paged: list[LogLine] = []
    before = None
    while page := telemetry.log_lines(LogFilter(project=project, before=before, limit=2)):
        paged += [each.line for each in page]
        before = (page[-1].line.time_ns, page[-1].seq, page[-1].place)
    assert paged == lines[::-1]


@pytest.mark.parametrize(
    ("wanted", "places"),
    [
        ({"text": "ORD-4711"}, [2, 1]),
        ({"text": "CHARGED"}, [2]),
        ({"text": 'said "no"'}, [5]),
        ({"severity": 13}, [2, 1]),
        ({"event_name": "worker.idle"}, [3]),
        ({"attributes": (("order", "ORD-4711"),)}, [2]),
        ({"attributes": (("code.line", "12"), ("ok", "true"))}, [3]),
        ({"attributes": (("code.line", "13"),)}, []),
        ({"trace_id": trace_of("logged")}, [1, 0]),
        ({"trace_id": trace_of("logged"), "span_id": b"s" * 8}, [0]),
        ({"since_ns": NOW + 1, "until_ns": NOW + 3}, [2, 1]),
        ({"received_since_ns": NOW + 4}, [5, 4]),
        ({"severity": 17, "text": "failed", "trace_id": trace_of("logged")}, [1]),
    ],
)
def test_log_lines_keep_to_their_conditions(
    telemetry: ClickHouse, project: str, lines: list[LogLine], wanted: dict[str, object], places: list[int]
) -> None:
    shown = telemetry.log_lines(LogFilter(project=project, **wanted))  # type: ignore[arg-type] # names are checked at run time
    assert [each.line for each in shown] == [lines[place] for place in places]


def test_a_session_has_the_lines_of_its_traces_and_a_line_its_session(
    telemetry: ClickHouse, project: str, lines: list[LogLine]
) -> None:
    shown = telemetry.log_lines(LogFilter(session=(project, "logged")))
    assert [each.line for each in shown] == [lines[1], lines[0]]
    logged, elsewhere = (project, trace_of("logged")), (project, trace_of("elsewhere"))
    sessions = telemetry.sessions_of([logged, elsewhere])
    assert {trace: session.session_id for trace, session in sessions.items()} == {logged: "logged"}
    assert telemetry.log_lines(LogFilter(session=(project, "nobody"))) == []


@pytest.mark.parametrize("text", HOSTILE)
def test_a_line_is_found_by_what_it_holds(telemetry: ClickHouse, project: str, number: int, text: str) -> None:
    rows = [StoredLog(project, 1, 0, NOW, a_line(0, f"<{text}>")), StoredLog(project, 1, 1, NOW, a_line(1, "other"))]
    telemetry.write(TelemetryBatch(number, logs=rows))
    assert [each.place for each in telemetry.log_lines(LogFilter(project=project, text=text))] == [0]


def test_lines_are_searched_back_to_a_day_such_that_no_more_is_read_than_wanted(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    rows = [StoredLog(project, 1, back, NOW - back * DAY, a_line(back, "said")) for back in range(3)]
    telemetry.write(TelemetryBatch(number, logs=rows))
    wanted = LogFilter(project=project, text="said")
    assert telemetry.log_text_since_ns(wanted, 3) == 0
    assert telemetry.log_text_since_ns(wanted, 2) == (NOW - DAY) // DAY * DAY
    assert telemetry.log_text_since_ns(wanted, 0) == NOW // DAY * DAY
    assert telemetry.log_text_since_ns(LogFilter(session=(project, "any"), text="said"), 0) == 0
