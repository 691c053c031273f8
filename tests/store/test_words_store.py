"""Texts found by whole words, in days of which not everything is read: never one less than a plain read finds there."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path

import clickhouse_connect
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchpost.model.session import Summary, Totals, session_key
from watchpost.model.step import Reading
from watchpost.query.sessions import SessionFilter
from watchpost.store.contracts import Member, TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost.store.engines.clickhouse_schema import MIGRATIONS
from watchpost.store.engines.clickhouse_words import INDEXED
from watchpost.store.erasure import Erasure

DAY = 86_400_000_000_000
LATE = 1_790_000_000_000_000_000
"""After everything that is stored here."""

DAYS = itertools.count(15_000)
"""Days of reception that no two tests share: each is a partition of its own, which can be merged by itself."""
BATCHES = itertools.count(7 * 10**12)

ALL_WORDS = (
    "SELECT sum(data_uncompressed_bytes) FROM system.data_skipping_indices"
    " WHERE database = currentDatabase() AND table = 'spans' AND name = 'words'"
)


def trace_of(project: str, session_id: str) -> bytes:
    return session_key(project, session_id).encode()[:16]


def store(telemetry: ClickHouse, project: str, day: int, said: Sequence[dict[str, str]]) -> None:
    """A session for each of these fields of a span, all received on one day, called by its place."""
    readings, members, sessions = [], [], []
    number = next(BATCHES)
    for place, fields in enumerate(said):
        session_id, at = str(place), day * DAY + place
        trace = trace_of(project, session_id)
        readings.append(Reading(project, trace, b"12345678", b"", 7, at, at, at + 1, "tool", "", "ok", **fields))  # type: ignore[arg-type] # names are checked at run time
        members.append(Member(project, session_id, trace, number, live=True))
        key = session_key(project, session_id)
        sessions.append(Summary(key, project, session_id, "w", "u", "ended", None, 1, at, at, at, 0, Totals()))
    telemetry.write(TelemetryBatch(number, readings=readings, members=members, sessions=sessions))


def merge(telemetry: ClickHouse, day: int) -> None:
    command = (
        f"SELECT DISTINCT _partition_id FROM spans WHERE received_ns >= {day * DAY} AND received_ns < {(day + 1) * DAY}"  # noqa: S608 - a test's own numbers
    )
    for (partition,) in rows(telemetry, command):
        rows(telemetry, f"OPTIMIZE TABLE spans PARTITION ID '{partition}' FINAL")


def rows(telemetry: ClickHouse, sql: str) -> list[Sequence[object]]:
    return telemetry._handles.rows(sql)  # noqa: SLF001 - nothing public asks of parts


def saying(
    telemetry: ClickHouse, project: str, text: str, since_ns: int = 0, words_since_ns: int | None = None
) -> set[str]:
    wanted = SessionFilter(
        project=project, text=text, text_since_ns=since_ns, words_since_ns=words_since_ns, limit=1000
    )
    return {session.session_id for session in telemetry.sessions(wanted)}


def by_words(telemetry: ClickHouse, project: str, text: str) -> set[str]:
    """What is found where only whole words are looked for."""
    return saying(telemetry, project, text, LATE, 0)


def words_since(telemetry: ClickHouse, project: str, text: str, most: int) -> int:
    return telemetry.words_since_ns(SessionFilter(project=project, text=text, text_since_ns=LATE), most)


def plain_words(text: str) -> set[str]:
    """Runs of the 26 letters, what JSON writes with a backslash taken out, one character after the other."""
    found, word, at = set(), "", 0
    while at <= len(text):
        escape = re.compile(r"\\(?:u[0-9a-fA-F]{4}|[bfnrtBFNRT])").match(text, at)
        here = text[at : at + 1]
        if escape is None and here.isascii() and here.isalpha():
            word += here.lower()
        elif word:
            found.add(word)
            word = ""
        at = escape.end() if escape else at + 1
    return found


def spellings(text: str) -> list[str]:
    return [text, json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1]]


PIECES = st.one_of(
    st.sampled_from(
        ["refund", "Refunds", "RE", "fund", "never arrived", "ORD-4711", "order_id", "don't", "don\u2019t", "na\u00efve"]
    ),
    st.sampled_from(["\u00dcber", "\u00fcber", "\u212a", "\u017f", "\u0130", "stra\u00dfe", "\u05e9\u05dc", "n", "u00e9", "bar", "C:\\new", "\\n"]),
    st.text('abNtu \\"\n\u00e9\u2014_9', max_size=6),
)  # fmt: skip
GLUE = st.sampled_from([" ", "", "\n", "\t", ", ", '"', "\u201c", "\u2014", "_", "/", "\\", "\u00a0", "\0"])
TEXTS = st.lists(st.tuples(PIECES, GLUE), min_size=1, max_size=6).map(lambda pairs: "".join(itertools.chain(*pairs)))
FORMS = st.sampled_from(
    [
        str,
        json.dumps,
        lambda text: json.dumps({"said": text}, ensure_ascii=False),
        lambda text: json.dumps([json.dumps(text)]),
    ]
)
FIELDS = st.sampled_from(["input", "output", "error"])


@given(st.lists(st.tuples(TEXTS, FORMS, FIELDS), min_size=1, max_size=5), st.data())
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_text_that_a_plain_read_finds_is_found_where_its_words_are_whole(
    embedded_clickhouse: ClickHouse, told: list[tuple[str, type[str], str]], data: st.DataObject
) -> None:
    day = next(DAYS)
    project = f"words-{day}"
    said = [{field: form(text)} for text, form, field in told]
    store(embedded_clickhouse, project, day, said)
    merge(embedded_clickhouse, day)
    stored = [plain_words(" ".join(fields.values())) for fields in said]
    for text, _, _ in told:
        start = data.draw(st.integers(0, len(text) - 1)) if text else 0
        asked = data.draw(st.sampled_from([text, text.swapcase(), text[start:], text[start : start + 7]]))
        if not asked:
            continue
        words = set.intersection(*map(plain_words, spellings(asked)))
        plain = saying(embedded_clickhouse, project, asked)
        whole = {name for name in plain if words and words <= stored[int(name)]}
        assert by_words(embedded_clickhouse, project, asked) == whole, (asked, said)


def test_what_is_not_merged_yet_is_found_as_well(telemetry: ClickHouse, project: str) -> None:
    day = next(DAYS)
    store(telemetry, project, day, [{"output": "a refund was refused"}, {"output": "nothing of the kind"}])
    assert words_since(telemetry, project, "refund refused", 1) == LATE  # two spans may say it
    assert by_words(telemetry, project, "refund was") == {"0"}
    merge(telemetry, day)
    assert by_words(telemetry, project, "refund was") == {"0"}
    assert by_words(telemetry, project, "efund was") == set()
    assert saying(telemetry, project, "efund was") == {"0"}


def test_words_are_searched_as_far_back_as_the_index_leaves_few_spans_to_read(
    telemetry: ClickHouse, project: str
) -> None:
    days = [next(DAYS) for _ in range(4)]
    for place, day in enumerate(days):
        rare = " zugzwang" if place == 1 else ""
        store(telemetry, project, day, [{"output": f"an everyday answer{rare}"}] * 3)
        merge(telemetry, day)
    assert words_since(telemetry, project, "everyday answer", 2) == LATE
    assert words_since(telemetry, project, "everyday answer", 3) == days[3] * DAY
    assert words_since(telemetry, project, "everyday answer", 12) == 0
    assert words_since(telemetry, project, "zugzwang", 3) == 0
    assert words_since(telemetry, project, "zugzwang", 2) == days[2] * DAY
    assert words_since(telemetry, project, "4711", 10**9) == LATE  # no word
    assert by_words(telemetry, project, "answer zugzwang") == {"0", "1", "2"}


def test_a_text_is_found_once_in_days_that_are_read_and_in_days_before_them(
    telemetry: ClickHouse, project: str
) -> None:
    first, last = next(DAYS), next(DAYS)
    store(telemetry, project, first, [{"output": "charged twice"}, {"output": "overcharged twice"}])
    merge(telemetry, first)
    assert saying(telemetry, project, "charged twice", last * DAY, 0) == {"0"}
    assert saying(telemetry, project, "charged twice", first * DAY, 0) == {"0", "1"}
    assert saying(telemetry, project, "charged twice", last * DAY, first * DAY) == {"0"}
    assert saying(telemetry, project, "charged twice", last * DAY, last * DAY) == set()
    assert saying(telemetry, project, "charged twice", last * DAY) == set()


def test_of_an_erased_session_no_word_is_left_in_the_index(telemetry: ClickHouse, project: str) -> None:
    day = next(DAYS)
    store(telemetry, project, day, [{"output": "xylophone lessons"}, {"output": "guitar lessons"}])
    merge(telemetry, day)
    assert words_since(telemetry, project, "xylophone", 0) == LATE
    found = telemetry.eraser.find(project, "0", "")
    erasure = Erasure(f"words {day}", 1, project, "0", "", "somebody", "asked", 1, "00" * 16, found)
    telemetry.eraser.copy(erasure)
    telemetry.eraser.conceal(erasure)
    assert by_words(telemetry, project, "lessons") == {"1"}
    telemetry.eraser.purge()
    assert words_since(telemetry, project, "xylophone", 0) == 0
    assert words_since(telemetry, project, "guitar", 0) == LATE
    assert by_words(telemetry, project, "lessons") == {"1"}


def test_spans_stored_before_there_was_an_index_are_found_and_get_it(front_dsn: str, tmp_path: Path) -> None:
    clickhouse_connect.get_client(dsn=front_dsn).command("CREATE DATABASE before_words")
    dsn = f"{front_dsn}/before_words"
    client = clickhouse_connect.get_client(dsn=front_dsn, database="before_words")
    older = ClickHouse.open(dsn, tmp_path, "0.1.0")
    client.command("ALTER TABLE spans DROP INDEX words", settings={"mutations_sync": 2})
    day = next(DAYS)
    store(older, "p", day, [{"output": "said before"}])
    older.close()
    version = MIGRATIONS.index(INDEXED) + 1
    client.command(f"ALTER TABLE schema_version DELETE WHERE version >= {version:d}", settings={"mutations_sync": 2})
    made = "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND command LIKE '%MATERIALIZE INDEX words%'"
    before = client.query(made).result_rows[0][0]
    newer = ClickHouse.open(dsn, tmp_path, "0.2.0")
    assert by_words(newer, "p", "said before") == {"0"}
    assert rows(newer, made) == [(before + 1,)]
    merge(newer, day)
    assert rows(newer, ALL_WORDS)[0][0] != 0
    assert words_since(newer, "p", "unsaid", 0) == 0
    assert by_words(newer, "p", "said before") == {"0"}
    newer.close()
