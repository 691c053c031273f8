"""A session and a user erased from telemetry, on what real frameworks sent: nothing names them, nothing that is counted moved."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
import pytest
from react_recorded import store_recorded

from watchpost.model.telemetry import Exemplar, LogLine, MetricPoint
from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import Dimension, Measured, Question
from watchpost.query.sessions import SessionFilter
from watchpost.store.contracts import StoredLog, StoredMetric, TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost.store.engines.clickhouse_erasure import GOING, IMPERSONAL
from watchpost.store.erasure import Erasure, Traced

sys.path.append(str(Path(__file__).parents[1] / "session"))
from captured import captures, parcels

NONCE = "5f" * 16
HIDDEN = "A-very-private-sentence-of-this-person"


def asked(project: str, found: Traced, session_id: str = "", user_id: str = "") -> Erasure:
    return Erasure(f"e-{project}", 1, project, session_id, user_id, "dpo", "asked", 1, NONCE, found)


def rows(store: ClickHouse, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in store._handles.rows(sql)]  # noqa: SLF001 - what no seam shows is looked for


def tables(store: ClickHouse) -> set[str]:
    return {str(name) for (name,) in rows(store, "SELECT name FROM system.tables WHERE database = currentDatabase()")}


def found_in(store: ClickHouse, *words: bytes) -> Iterator[tuple[str, str]]:
    """The tables and columns in which any of these bytes stand, looked for in every column that can hold text or ids."""
    columns = rows(
        store,
        """SELECT table, name, type FROM system.columns WHERE database = currentDatabase()
        AND (type LIKE '%String%')""",
    )
    for table, name, kind in columns:
        text = f"`{name}`" if "Array" not in str(kind) else f"arrayStringConcat(arrayFlatten([`{name}`]), '|')"
        either = " OR ".join(f"position(toString({text}), unhex('{word.hex()}')) > 0" for word in words)
        ((count,),) = rows(store, f"SELECT count() FROM {table} WHERE {either}")  # noqa: S608 - a test's own names
        if count:
            yield str(table), str(name)


FEW = tuple(name for name, measure in MEASURES.items() if measure.of != "sample")[::8]


def measures(store: ClickHouse, project: str, names: Iterable[str] = FEW) -> dict[str, Measured]:
    """Measures of a project, by the outcome of its sessions."""
    only: tuple[tuple[Dimension, tuple[str, ...]], ...] = (("project", (project,)),)
    return {
        name: store.measured(Question(MEASURES[name], 0, 2**62, filters=only, by=("outcome",), step_ns=0, top=1000))
        for name in names
    }


def store_users(telemetry: ClickHouse, project: str, number: int) -> None:
    """Several sessions, each of a user of its own."""
    chosen = [one for one in captures() if one.source == "pydantic-ai__native"][:4]
    sent = []
    for place, one in enumerate(chosen):
        for parcel in parcels(one):
            spans = tuple(
                msgspec.structs.replace(
                    span,
                    attributes=span.attributes | {"user.id": f"{project}-user-{place}", "note": HIDDEN + str(place)},
                )
                for span in parcel.spans
            )
            sent.append(msgspec.structs.replace(parcel, spans=spans))
    store_recorded(telemetry, number, project, sent)


@pytest.fixture
def recorded(telemetry: ClickHouse, project: str, number: int) -> str:
    """A project that has some."""
    store_users(telemetry, project, number)
    return project


def by_user(store: ClickHouse, project: str, place: int) -> Traced:
    return store.eraser.find(project, "", f"{project}-user-{place}")


def erase(store: ClickHouse, erasure: Erasure) -> dict[str, int]:
    counts = store.eraser.copy(erasure)
    store.eraser.conceal(erasure)
    return dict(counts)


def test_nothing_names_an_erased_user_and_no_measure_moves(telemetry: ClickHouse, recorded: str) -> None:
    found, other = by_user(telemetry, recorded, 0), by_user(telemetry, recorded, 1)
    assert found.sessions
    assert found.traces
    before, untouched = (
        measures(telemetry, recorded),
        telemetry.sessions(SessionFilter(project=recorded, user_id=f"{recorded}-user-1")),
    )
    words = [f"{recorded}-user-0".encode(), (HIDDEN + "0").encode()]
    words += [session_id.encode() for _, session_id in found.sessions] + [trace for _, trace in found.traces]
    assert {"spans", "ledger", "sessions", "members"} <= {table for table, _ in found_in(telemetry, *words)}
    counts = erase(telemetry, asked(recorded, found, user_id=f"{recorded}-user-0"))
    assert counts["spans"] > 0
    assert list(found_in(telemetry, *words)) == []
    assert measures(telemetry, recorded) == before
    assert telemetry.sessions(SessionFilter(project=recorded, user_id=f"{recorded}-user-1")) == untouched
    assert by_user(telemetry, recorded, 1) == other
    assert by_user(telemetry, recorded, 0) == Traced()
    for ref in found.sessions:
        aliased = telemetry.sessions(SessionFilter(project=recorded, session_id=asked(recorded, found).pseudonym(ref)))
        assert all(session.user_id == "" for session in aliased)


def test_every_measure_is_as_it_was(embedded_clickhouse: ClickHouse, project: str, number: int) -> None:
    store_users(embedded_clickhouse, project, number)
    names = [name for name, measure in MEASURES.items() if measure.of != "sample"]
    before = measures(embedded_clickhouse, project, names)
    erase(embedded_clickhouse, asked(project, by_user(embedded_clickhouse, project, 0), user_id=f"{project}-user-0"))
    assert measures(embedded_clickhouse, project, names) == before


def test_an_erasure_that_is_taken_up_again_anywhere_leaves_one_copy(telemetry: ClickHouse, recorded: str) -> None:
    found = by_user(telemetry, recorded, 0)
    erasure = asked(recorded, found, user_id=f"{recorded}-user-0")
    before = measures(telemetry, recorded)
    telemetry.eraser.copy(erasure)
    telemetry.eraser.copy(erasure)
    telemetry.eraser.conceal(erasure)
    telemetry.eraser.conceal(erasure)
    assert measures(telemetry, recorded) == before


def test_log_lines_and_points_that_name_a_user_go_and_others_stay(
    telemetry: ClickHouse, recorded: str, number: int
) -> None:
    mine, other = f"{recorded}-user-0", f"{recorded}-user-1"
    found = by_user(telemetry, recorded, 0)
    (trace,) = {trace for _, trace in found.traces[:1]}
    lines = [
        StoredLog(recorded, 7, place, 10**9, LogLine(10**9, 9, of, b"", "", "said", {"user.id": whose}))
        for place, (whose, of) in enumerate(((mine, b""), (other, b""), ("", trace)))
    ]
    points = [
        StoredMetric(
            bytes([place]) * 16,
            recorded,
            10**9,
            {},
            "",
            MetricPoint(
                "m",
                "",
                "sum",
                "delta",
                True,  # noqa: FBT003 - a field of a struct
                {"user.id": whose},
                0,
                10**9,
                1,
                (Exemplar(1, 1.0, trace, b"12345678", {}),),
            ),
        )
        for place, whose in enumerate((mine, other), 1)
    ]
    telemetry.write(TelemetryBatch(number + 10, logs=lines, metrics=points))
    counts = erase(telemetry, asked(recorded, found, user_id=mine))
    assert (counts["logs"], counts["metrics"]) == (2, 1)
    assert rows(telemetry, f"SELECT place FROM logs WHERE project = '{recorded}'") == [(1,)]  # noqa: S608 - a test's own names
    assert list(found_in(telemetry, mine.encode(), trace, b"12345678")) == []
    assert other in str(rows(telemetry, f"SELECT attributes FROM metrics WHERE project = '{recorded}'"))  # noqa: S608 - a test's own names


def test_the_disk_is_freed(telemetry: ClickHouse, recorded: str) -> None:
    erase(telemetry, asked(recorded, by_user(telemetry, recorded, 0), user_id=f"{recorded}-user-0"))
    held = """SELECT (SELECT sum(rows) FROM system.parts WHERE active AND table = 'spans' AND database = currentDatabase()),
      (SELECT count() FROM spans), (SELECT count() FROM system.parts WHERE active AND has_lightweight_delete)"""
    ((stored, found, _),) = rows(telemetry, held)
    assert stored != found
    telemetry.eraser.purge()
    ((stored, found, masked),) = rows(telemetry, held)
    assert (stored, masked) == (found, 0)


def test_every_table_is_known_to_hold_something_of_somebody_or_nothing(embedded_clickhouse: ClickHouse) -> None:
    made = {name for name in tables(embedded_clickhouse) if not name.startswith(".")}
    assert made == GOING.keys() | IMPERSONAL.keys()
    assert not GOING.keys() & IMPERSONAL.keys()
