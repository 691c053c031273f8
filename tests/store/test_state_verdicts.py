"""What every state store promises of verdicts, and of flags over all sessions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from watchpost.model.fact import Verdict, VerdictKind
from watchpost.model.flag import Flag, flag_id
from watchpost.query.flags import FlagFilter, VerdictCount
from watchpost.store.engines import sql_schema
from watchpost.store.engines.sql import SqlState
from watchpost.store.state import Cursor, SessionPin, StateBatch, StoredVerdict

TRACE = b"\x00\xff" * 8


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state.db'}"


@pytest.fixture
def state(url: str) -> Iterator[SqlState]:
    store = SqlState.open(url, "0.1.0")
    yield store
    store.close()


def a_flag(at_ns: int, **changed: object) -> Flag:
    values: dict[str, object] = {
        "project": "default",
        "session_id": "s",
        "kind": "LOOP_DETECTED",
        "subject": "search",
        "trace_id": TRACE,
        "severity": "high",
        "state": "confirmed",
        "summary": "search three times",
        "evidence": {"tool": "search"},
        **changed,
    }
    span_id = at_ns.to_bytes(8, "big")
    name = flag_id(str(values["project"]), str(values["kind"]), "search", TRACE, span_id)
    return Flag(id=name, span_id=span_id, at_ns=at_ns, **values)  # type: ignore[arg-type] # names are checked at run time


def said(flag: Flag, verdict: VerdictKind, seq: int, place: int = 0, by: str = "ann") -> StoredVerdict:
    return StoredVerdict(
        seq, place, flag.project, flag.kind, flag.tool, Verdict(flag.id, verdict, by, f"said at {seq}\n🦊", seq * 10)
    )


def test_of_several_verdicts_the_last_in_the_log_holds_and_all_are_kept(state: SqlState) -> None:
    flag = a_flag(1)
    given = [said(flag, "confirm", 7), said(flag, "dismiss", 9, 1), said(flag, "confirm", 9, 0)]
    state.commit(StateBatch(Cursor(1, 9), [flag], verdicts=given))
    assert [(v.verdict, v.at_ns) for v in state.verdicts([flag.id])] == [
        ("confirm", 70),
        ("confirm", 90),
        ("dismiss", 90),
    ]
    assert state.verdict_counts("") == [VerdictCount("default", "LOOP_DETECTED", "search", 0, 1)]


def test_committing_a_verdict_again_leaves_one_copy(state: SqlState, url: str) -> None:
    flag = a_flag(1)
    for _ in range(2):
        state.commit(StateBatch(Cursor(1, 7), [flag], verdicts=[said(flag, "dismiss", 7)]))
    state.close()
    again = SqlState.open(url, "0.1.0")
    assert again.verdicts([flag.id]) == [said(flag, "dismiss", 7).verdict]
    again.close()


def test_a_flag_that_is_raised_again_keeps_its_verdict(state: SqlState) -> None:
    flag = a_flag(1)
    state.commit(StateBatch(Cursor(1, 7), [flag], verdicts=[said(flag, "dismiss", 7)]))
    state.commit(StateBatch(Cursor(2, 8), [msgspec.structs.replace(flag, state="withdrawn")]))
    assert [one.state for one in state.flags_matching(FlagFilter(verdict="dismiss"))] == ["withdrawn"]


def test_flags_and_verdicts_of_thousands_of_ids_can_be_asked_for_at_once(state: SqlState) -> None:
    flags = [a_flag(n) for n in range(1200)]
    state.commit(StateBatch(Cursor(), flags, verdicts=[said(one, "confirm", one.at_ns) for one in flags]))
    ids = [one.id for one in flags] + [f"nobody {n}" for n in range(3000)]
    assert state.flags_by_id(ids) == flags
    assert [verdict.flag_id for verdict in state.verdicts(ids)] == [one.id for one in flags]
    assert state.verdict_counts("") == [VerdictCount("default", "LOOP_DETECTED", "search", 1200, 0)]


def test_verdicts_are_counted_by_project_kind_and_tool(state: SqlState) -> None:
    flags = [
        a_flag(1),
        a_flag(2, evidence={"tool": "pay"}),
        a_flag(3, kind="STALE_DATA", evidence={}),
        a_flag(4, project="other"),
        a_flag(5),
    ]
    given = [said(one, "dismiss" if one.at_ns == 5 else "confirm", one.at_ns) for one in flags]
    state.commit(StateBatch(Cursor(), flags, verdicts=given))
    assert sorted(map(msgspec.structs.astuple, state.verdict_counts("default"))) == [
        ("default", "LOOP_DETECTED", "pay", 1, 0),
        ("default", "LOOP_DETECTED", "search", 1, 1),
        ("default", "STALE_DATA", "", 1, 0),
    ]
    assert [count.project for count in state.verdict_counts("other")] == ["other"]


def test_whether_a_session_taught_as_a_sound_one_is_kept(state: SqlState) -> None:
    pins = [SessionPin("p", "a", 1, taught=True, sound=True), SessionPin("p", "b", 1, taught=True)]
    state.commit(StateBatch(Cursor(), pins=pins))
    assert sorted(state.pins([("p", "a"), ("p", "b")]), key=str) == sorted(pins, key=str)


FLAGS = [
    a_flag(
        n,
        project="q" if n % 3 else "p",
        session_id=f"s{n % 4}",
        kind=("LOOP_DETECTED", "STALE_DATA")[n % 2],
        state=("confirmed", "provisional", "withdrawn")[n % 3],
        evidence={"tool": "search"} if n % 5 else {"reason": "turns"},
    )
    for n in range(1, 41)
]
SAID: list[StoredVerdict] = [
    said(one, "confirm" if (one.at_ns + again) % 3 else "dismiss", 100 * again + one.at_ns)
    for again in (1, 2)
    for one in FLAGS[:: again + 1]
]
HELD = {each.verdict.flag_id: each.verdict.verdict for each in sorted(SAID, key=lambda each: each.seq)}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlState]:
    store = SqlState.open(f"sqlite:///{tmp_path_factory.mktemp('full') / 'state.db'}", "0.1.0")
    store.commit(StateBatch(Cursor(), FLAGS, verdicts=SAID))
    yield store
    store.close()


FILTERS = st.builds(
    FlagFilter,
    project=st.sampled_from(["", "p", "q"]),
    session_id=st.sampled_from(["", "s1", "s9"]),
    kind=st.sampled_from(["", "LOOP_DETECTED"]),
    tool=st.sampled_from(["", "search"]),
    state=st.sampled_from(["", "confirmed", "withdrawn"]),
    verdict=st.sampled_from(["", "confirm", "dismiss", "none"]),
    since_ns=st.sampled_from([0, 10]),
    until_ns=st.sampled_from([0, 30]),
    limit=st.integers(1, 12),
)


def fits(wanted: FlagFilter, flag: Flag) -> bool:
    asked = (wanted.project, wanted.session_id, wanted.kind, wanted.tool, wanted.state, wanted.verdict)
    has = (flag.project, flag.session_id, flag.kind, flag.tool, flag.state, HELD.get(flag.id, "none"))
    matches = all(one in {"", other} for one, other in zip(asked, has, strict=True))
    return matches and wanted.since_ns <= flag.at_ns < (wanted.until_ns or 1000)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=FILTERS)
def test_pages_of_flags_hold_all_that_fit_and_nothing_else(full: SqlState, wanted: FlagFilter) -> None:
    fitting = [one for one in reversed(FLAGS) if fits(wanted, one)]
    found: list[Flag] = []
    while page := full.flags_matching(wanted):
        assert len(page) <= wanted.limit
        found += page
        wanted = msgspec.structs.replace(wanted, before=(page[-1].at_ns, page[-1].id))
    assert found == fitting


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=FILTERS)
def test_kinds_are_counted_among_the_flags_that_a_filter_lists(full: SqlState, wanted: FlagFilter) -> None:
    counted = Counter(flag.kind for flag in full.flags_matching(wanted))
    found = full.flag_kinds(wanted)
    assert {each.kind: each.flags for each in found} == counted
    assert found == sorted(found, key=lambda each: (-each.flags, each.kind))


def test_flags_of_one_moment_are_paged_without_loss(state: SqlState) -> None:
    flags = [a_flag(5, kind=f"K{n}") for n in range(7)]
    state.commit(StateBatch(Cursor(), flags))
    seen: list[str] = []
    before = None
    while page := state.flags_matching(FlagFilter(before=before, limit=2)):
        seen += [one.id for one in page]
        before = page[-1].at_ns, page[-1].id
    assert sorted(seen) == sorted(one.id for one in flags)
    assert len(seen) == 7


def test_flags_of_an_older_store_are_listed_by_what_they_are(url: str) -> None:
    engine = sa.create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(sql_schema.__file__).with_name("migrations")))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        for flag in FLAGS:
            row = {"id": flag.id, "project": flag.project, "session_id": flag.session_id, "trace_id": TRACE.hex()}
            connection.execute(
                sa.text("INSERT INTO flags VALUES (:id, :project, :session_id, :trace_id, :at_ns, :flag)"),
                row | {"at_ns": flag.at_ns, "flag": msgspec.json.encode(flag).decode()},
            )
        connection.execute(sa.text("INSERT INTO pins VALUES ('p', 's', 3, 1)"))
    engine.dispose()
    state = SqlState.open(url, "0.1.0")
    assert state.flags_matching(FlagFilter(kind="STALE_DATA", tool="search", state="withdrawn", limit=100)) == [
        one for one in reversed(FLAGS) if (one.kind, one.tool, one.state) == ("STALE_DATA", "search", "withdrawn")
    ]
    assert state.pins([("p", "s")]) == [SessionPin("p", "s", 3, taught=True)]
    state.close()
