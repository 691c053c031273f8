"""How far back texts are read at once: never less is found than a plain read finds in what an answer says was searched."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchpost.model.session import Summary, Totals, session_key
from watchpost.model.step import Reading
from watchpost.query.sessions import SessionFilter
from watchpost.store.contracts import Member, TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost.store.erasure import Erasure
from watchpost.store.retention import HOT, Sorted

HOUR = 3_600_000_000_000
DAY = 24 * HOUR
DAYS = itertools.count(12_000)
"""Days of reception that no two tests share: each is a partition of its own, which can be merged by itself."""
BATCHES = itertools.count(8 * 10**12)
EXAMPLES = itertools.count()


def trace_of(project: str, session_id: str) -> bytes:
    return session_key(project, session_id).encode()[:16]


class Told:
    """What was stored in one project, in lists, and the answers that a plain read of them gives."""

    def __init__(self, telemetry: ClickHouse, project: str) -> None:
        self.telemetry = telemetry
        self.project = project
        self.spans: list[tuple[int, str, str]] = []

    def store(self, at: int, said: Sequence[tuple[str, str]], apart: int = 1) -> None:
        """One batch, received from a moment on, one after the other: (session id, text) of each span. Sessions may be known already: their spans are late."""
        number = next(BATCHES)
        readings, members = [], []
        sessions: dict[str, Summary] = {}  # a batch has one row of a session
        for place, (session_id, text) in zip(itertools.count(at, apart), said, strict=False):
            trace = trace_of(self.project, session_id)
            span = len(self.spans).to_bytes(8, "big")
            readings.append(
                Reading(self.project, trace, span, b"", 7, place, place, place + 1, "tool", "", "ok", output=text)
            )
            self.spans.append((place, session_id, text))
            members.append(Member(self.project, session_id, trace, number, live=True))
            key = session_key(self.project, session_id)
            user = f"user {session_id}"
            sessions[key] = Summary(
                key, self.project, session_id, "w", user, "ended", None, number, at, at, place, 0, Totals()
            )
        self.telemetry.write(
            TelemetryBatch(number, readings=readings, members=members, sessions=list(sessions.values()))
        )

    def merge(self, day: int) -> None:
        rows = self.telemetry._handles.rows  # noqa: SLF001 - nothing public asks of parts
        within = f"received_ns >= {day * DAY:d} AND received_ns < {(day + 1) * DAY:d}"
        for (partition,) in rows(f"SELECT DISTINCT _partition_id FROM spans WHERE {within}"):  # noqa: S608 - a test's own numbers
            rows(f"OPTIMIZE TABLE spans PARTITION ID '{partition}' FINAL")

    def wanted(self, text: str, **changed: object) -> SessionFilter:
        return msgspec.structs.replace(SessionFilter(project=self.project, text=text, limit=1000), **changed)

    def since(self, most: int) -> int:
        return self.telemetry.text_since_ns(self.wanted("any"), most)

    def found(self, wanted: SessionFilter) -> list[str]:
        return [session.session_id for session in self.telemetry.sessions(wanted)]

    def plain(self, text: str, since_ns: int = 0) -> set[str]:
        return {name for at, name, said in self.spans if at >= since_ns and text.lower() in said.lower()}

    def latest_first(self, names: set[str]) -> list[str]:
        last = {name: (at, session_key(self.project, name)) for at, name, _ in self.spans}
        return sorted(names, key=last.__getitem__, reverse=True)


def test_texts_are_read_back_to_a_part_such_that_no_more_is_read_than_wanted(
    telemetry: ClickHouse, project: str
) -> None:
    told = Told(telemetry, project)
    starts = [next(DAYS) * DAY for _ in range(4)]
    for number, start in enumerate(starts):
        told.store(start, [(f"{number} {place}", "charged twice") for place in range(2)])
    assert told.since(8) == 0
    assert told.since(5) == told.since(4) == starts[2]
    assert told.since(3) == starts[3]
    assert told.since(1) == starts[3]  # one part is read at least
    assert set(told.found(told.wanted("twice", text_since_ns=starts[2]))) == {"2 0", "2 1", "3 0", "3 1"}


def test_hours_of_one_day_are_told_apart_until_they_are_merged(telemetry: ClickHouse, project: str) -> None:
    told = Told(telemetry, project)
    day = next(DAYS)
    early, late = day * DAY + HOUR, day * DAY + 5 * HOUR + 1
    told.store(early, [(f"early {place}", "charged twice") for place in range(3)])
    told.store(late, [(f"late {place}", "charged twice") for place in range(3)])
    assert told.since(4) == late - 1  # whole microseconds
    assert set(told.found(told.wanted("harged", text_since_ns=late))) == {"late 0", "late 1", "late 2"}
    told.merge(day)
    assert told.since(4) == early
    assert len(told.found(told.wanted("harged", text_since_ns=early))) == 6


def test_a_part_too_large_is_read_where_the_parts_after_it_are_next_to_nothing(
    telemetry: ClickHouse, project: str
) -> None:
    told = Told(telemetry, project)
    starts = [next(DAYS) * DAY for _ in range(3)]
    for start, size in zip(starts, (9, 40, 1), strict=True):
        told.store(start, [(f"{start} {place}", "charged twice") for place in range(size)])
    assert told.since(12) == starts[1]
    assert told.since(4) == starts[1]
    assert told.since(3) == starts[2]


def test_a_part_that_began_before_what_is_read_is_read_as_well(telemetry: ClickHouse, project: str) -> None:
    told = Told(telemetry, project)
    start = next(DAYS) * DAY
    for hour, apart in ((1, 1), (2, 3 * HOUR), (4, 1), (6, 1)):
        told.store(start + hour * HOUR, [(f"{hour} {place}", "charged twice") for place in range(2)], apart)
    assert told.since(5) == start + 6 * HOUR
    assert told.since(6) == start + 2 * HOUR


def test_of_long_spans_fewer_are_read(telemetry: ClickHouse, project: str) -> None:
    told = Told(telemetry, project)
    starts = [next(DAYS) * DAY for _ in range(2)]
    told.store(starts[0], [("long", "charged twice, " * 1_000)])
    told.store(starts[1], [("short", "charged twice")] * 3)
    assert told.since(8) == starts[1]
    assert told.since(13) == 0


def test_few_sessions_are_searched_whenever_they_were_received(telemetry: ClickHouse, project: str) -> None:
    told = Told(telemetry, project)
    days = [next(DAYS) for _ in range(3)]
    for number, day in enumerate(days):
        told.store(day * DAY, [(f"{number}", "charged twice"), (f"{number} other", "nothing of it")])
    told.store(days[2] * DAY + HOUR, [("0", "nothing more")])
    assert telemetry.few(told.wanted("twice")) is None
    among = telemetry.few(told.wanted("twice", workflow="w"))
    assert among is not None
    assert len(among) == 6
    assert telemetry.few(told.wanted("twice", workflow="v")) == ()
    for since in (0, days[2] * DAY):
        wanted = told.wanted("twice", among=among, text_since_ns=since)
        assert told.found(wanted) == ["0", "2", "1"]
        first = telemetry.sessions(msgspec.structs.replace(wanted, limit=1))[0]
        assert first.session_id == "0"
        assert told.found(msgspec.structs.replace(wanted, before=(first.received_ns, first.key))) == ["2", "1"]
    assert told.found(told.wanted("twice", among=())) == []
    assert told.found(told.wanted("twice", among=among, workflow="v")) == []


def test_of_few_sessions_a_page_is_filled_however_many_say_nothing(telemetry: ClickHouse, project: str) -> None:
    told = Told(telemetry, project)
    said = ["charged twice" if place % 7 == 0 else "nothing of it" for place in range(60)]
    told.store(next(DAYS) * DAY, [(f"{place}", text) for place, text in enumerate(said)])
    among = telemetry.few(told.wanted("twice", workflow="w"))
    wanted = told.wanted("twice", among=among, limit=4)
    assert told.found(wanted) == ["56", "49", "42", "35"]
    fourth = telemetry.sessions(wanted)[-1]
    rest = msgspec.structs.replace(wanted, limit=9, before=(fourth.received_ns, fourth.key))
    assert told.found(rest) == ["28", "21", "14", "7", "0"]


def test_a_trace_that_left_a_session_is_none_of_its_texts(telemetry: ClickHouse, project: str) -> None:
    told = Told(telemetry, project)
    told.store(next(DAYS) * DAY, [("first", "charged twice"), ("second", "nothing of it")])
    trace, number = trace_of(project, "first"), next(BATCHES)
    moved = [
        Member(project, "first", trace, number, live=False),
        Member(project, "second", trace, number, live=True),
    ]
    telemetry.write(TelemetryBatch(number, members=moved))
    among = telemetry.few(told.wanted("twice", workflow="w"))
    assert told.found(told.wanted("twice", among=among)) == ["second"]


def test_what_was_sorted_or_erased_is_searched_as_what_is_left(telemetry: ClickHouse, project: str) -> None:
    told = Told(telemetry, project)
    day = 20_000 + next(EXAMPLES)  # sorted by itself
    said = [(name, f"charged twice, says {name}") for name in ("kept", "held", "dropped", "erased")]
    told.store(day * DAY + HOUR, said)
    told.store(day * DAY + 2 * HOUR, said)
    found = telemetry.eraser.find(project, "erased", "")
    erasure = Erasure(f"slices {project}", 1, project, "erased", "", "somebody", "asked", 1, "00" * 16, found)
    telemetry.eraser.copy(erasure)
    telemetry.eraser.conceal(erasure)
    among = telemetry.few(told.wanted("twice", workflow="w"))
    assert told.since(3) == day * DAY + 2 * HOUR
    for wanted in (told.wanted("twice", text_since_ns=told.since(3)), told.wanted("twice", among=among)):
        assert set(told.found(wanted)) == {"kept", "held", "dropped"}
    date = str(rows(telemetry, f"SELECT toYYYYMMDD(fromUnixTimestamp64Nano(toInt64({day * DAY}), 'UTC'))")[0][0])
    kept, held = [(project, trace_of(project, "kept"))], [(project, trace_of(project, "held"))]
    telemetry.retention().move(int(date), HOT, Sorted(kept, held))
    for wanted in (told.wanted("twice", text_since_ns=told.since(3)), told.wanted("twice", among=among)):
        assert set(told.found(wanted)) == {"kept", "held"}


def rows(telemetry: ClickHouse, sql: str) -> list[Sequence[object]]:
    return telemetry._handles.rows(sql)  # noqa: SLF001 - nothing public asks of parts


WORDS = st.sampled_from(["refund", "Refunds", "charged", "twice", "order_id", "für", "ORD-4711"])
TEXTS = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)
ASKED = st.tuples(TEXTS, st.booleans()).map(lambda pair: pair[0][1:-1] if pair[1] else pair[0])
BATCH = st.tuples(
    st.integers(0, 2), st.integers(0, 20), st.lists(st.tuples(st.sampled_from("abcdefgh"), TEXTS), min_size=1, max_size=4)
)  # fmt: skip


@given(st.lists(BATCH, min_size=1, max_size=5), st.sets(st.integers(0, 2)), st.integers(0, 12), ASKED)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_all_that_a_plain_read_finds_in_what_was_searched_is_found(
    embedded_clickhouse: ClickHouse,
    batches: list[tuple[int, int, list[tuple[str, str]]]],
    merged: set[int],
    most: int,
    asked: str,
) -> None:
    told = Told(embedded_clickhouse, f"slices-{next(EXAMPLES)}")
    days = [next(DAYS) for _ in range(3)]
    for place, (day, hour, said) in enumerate(batches):
        told.store(days[day] * DAY + hour * HOUR + place * 1000, said)
    for day in merged:
        told.merge(days[day])
    since = told.since(most)
    total = len(told.spans)
    assert (since == 0) == (total <= most)
    assert total <= most or any(at >= since for at, _, _ in told.spans)
    wanted = told.wanted(asked, text_since_ns=since)
    assert set(told.found(wanted)) == told.plain(asked, since)
    by_words = msgspec.structs.replace(wanted, words_since_ns=embedded_clickhouse.words_since_ns(wanted, 4))
    assert told.plain(asked, since) <= set(told.found(by_words)) <= told.plain(asked)
    among = embedded_clickhouse.few(msgspec.structs.replace(wanted, workflow="w"))
    assert told.found(msgspec.structs.replace(wanted, among=among, limit=2)) == told.latest_first(told.plain(asked))[:2]
    assert set(told.found(msgspec.structs.replace(wanted, among=among))) == told.plain(asked)
