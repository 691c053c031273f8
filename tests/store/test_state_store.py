"""What every state store promises."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from watchpost.model.flag import Flag, flag_id
from watchpost.model.notice import AlertEvent, Due, Notice, Receipt
from watchpost.store.engines.sql import SqlState
from watchpost.store.state import Cursor, StateBatch
from watchpost.store.versions import StoreNewerError

TRACE = b"\x00\xff" * 8


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state.db'}"


@pytest.fixture
def state(url: str) -> Iterator[SqlState]:
    store = SqlState.open(url, "0.1.0")
    yield store
    store.close()


def a_flag(session_id: str, at_ns: int, **changed: object) -> Flag:
    values: dict[str, object] = {
        "project": "default",
        "kind": "LOOP_DETECTED",
        "subject": "search",
        "trace_id": TRACE,
        "severity": "high",
        "state": "confirmed",
        "summary": "search three times\0🦊",
        "evidence": {"calls": ["00ff", 3, None]},
        **changed,
    }
    span_id = at_ns.to_bytes(8, "big")
    flag = flag_id(str(values["project"]), "LOOP_DETECTED", "search", TRACE, span_id)
    return Flag(id=flag, session_id=session_id, span_id=span_id, at_ns=at_ns, **values)  # type: ignore[arg-type] # names are checked at run time


def a_notice(name: str, channel: str = "hook") -> Notice:
    event = AlertEvent(
        "2026-11-21T05:00:00Z",
        "shop",
        "flags",
        "search",
        3.0,
        2.5,
        "10m",
        "high",
        "team",
        "",
        ["key"],
        'a loop\'s "end"',
        "loops",
    )
    return Notice(name, channel, event)


def test_an_empty_store_starts_at_zero(state: SqlState) -> None:
    assert state.cursor() == Cursor(0, 0)
    assert state.flags([("default", "s")]) == state.flags([]) == []
    assert state.due("hook", 10, 10) == []
    assert state.backlog() == {}


def test_what_was_committed_is_there_after_opening_again(state: SqlState, url: str) -> None:
    flag, notice = a_flag("s", 5), a_notice("n")
    state.commit(StateBatch(Cursor(3, 2**62), [flag], [notice]))
    state.close()
    again = SqlState.open(url, "0.1.0")
    assert (again.cursor(), again.flags([("default", "s")]), again.due("hook", 0, 9)) == (
        Cursor(3, 2**62),
        [flag],
        [Due(notice, 0)],
    )
    again.close()


def test_a_commit_that_fails_leaves_nothing_behind(state: SqlState) -> None:
    state.commit(StateBatch(Cursor(1, 1)))
    poisoned = Notice("bad", "hook", AlertEvent("", "", "", "", 0, 0, "", "high", "", "", ["\ud800"], "", ""))
    with pytest.raises(UnicodeEncodeError):
        state.commit(StateBatch(Cursor(2, 2), [a_flag("s", 5)], [poisoned]))
    assert (state.cursor(), state.flags([("default", "s")]), state.backlog()) == (Cursor(1, 1), [], {})


def test_committing_again_replaces_flags_and_leaves_notices_as_they_stand(state: SqlState) -> None:
    first = StateBatch(Cursor(1, 1), [a_flag("s", 5, state="provisional")], [a_notice("n")])
    state.commit(first)
    state.settle(Receipt("n", "delivered", "200", 7))
    state.commit(StateBatch(Cursor(2, 2), [a_flag("moved", 5)], [a_notice("n")]))
    assert state.flags([("default", "s")]) == []
    assert state.flags([("default", "moved")]) == [a_flag("moved", 5)]
    assert state.backlog() == {("hook", "delivered"): 1}


def test_flags_come_by_time_and_only_for_whom_was_asked(state: SqlState) -> None:
    mine = [a_flag("s", at) for at in (9, 3, 6)]
    others = [a_flag("t", 4), a_flag("s", 5, project="other"), a_flag("s", 7, trace_id=b"o" * 16, state="withdrawn")]
    state.commit(StateBatch(Cursor(), [*mine, *others]))
    assert [f.at_ns for f in state.flags([("default", "s")])] == [3, 6, 7, 9]
    assert [f.at_ns for f in state.flags([("default", "t"), ("other", "s"), ("default", "t")])] == [4, 5]
    assert [f.at_ns for f in state.flags_of_traces([("default", TRACE)])] == [3, 4, 6, 9]


def test_flags_of_thousands_of_sessions_can_be_asked_for_at_once(state: SqlState) -> None:
    state.commit(StateBatch(Cursor(), [a_flag(f"s{n}", n) for n in range(1200)]))
    assert len(state.flags([("default", f"s{n}") for n in range(5000)])) == 1200


def test_the_oldest_notices_of_a_channel_are_due_first(state: SqlState) -> None:
    state.commit(StateBatch(Cursor(), notices=[a_notice("z"), a_notice("other", "mail"), a_notice("a")]))
    state.commit(StateBatch(Cursor(), notices=[a_notice("m")]))
    assert [d.notice.id for d in state.due("hook", 0, 2)] == ["z", "a"]
    assert [d.notice.id for d in state.due("hook", 0, 9)] == ["z", "a", "m"]


def test_a_notice_is_due_again_when_its_time_has_come(state: SqlState) -> None:
    state.commit(StateBatch(Cursor(), notices=[a_notice("n")]))
    state.settle(Receipt("n", "waiting", "503", tried_ns=10, retry_at_ns=50))
    assert state.due("hook", 49, 9) == []
    assert state.due("hook", 50, 9) == [Due(a_notice("n"), attempts=1)]
    state.settle(Receipt("n", "failed", "gone", tried_ns=60))
    assert state.due("hook", 10**18, 9) == []
    assert state.backlog() == {("hook", "failed"): 1}


def test_a_delivered_notice_stays_delivered(state: SqlState) -> None:
    state.commit(StateBatch(Cursor(), notices=[a_notice("n")]))
    state.settle(Receipt("n", "delivered", "200", tried_ns=1))
    state.settle(Receipt("n", "waiting", "late answer", tried_ns=2, retry_at_ns=3))
    assert state.backlog() == {("hook", "delivered"): 1}


def test_commits_and_receipts_of_several_threads_do_not_fail_each_other(state: SqlState) -> None:
    state.commit(StateBatch(Cursor(), notices=[a_notice(f"n{n}") for n in range(40)]))

    def settle(start: int) -> None:
        for n in range(start, 40, 2):
            state.settle(Receipt(f"n{n}", "delivered", "", 1))

    threads = [threading.Thread(target=settle, args=(start,)) for start in (0, 1)]
    for thread in threads:
        thread.start()
    for batch in range(1, 21):
        state.commit(StateBatch(Cursor(batch, batch), [a_flag("s", batch)]))
    for thread in threads:
        thread.join()
    assert state.backlog() == {("hook", "delivered"): 40}
    assert state.cursor() == Cursor(20, 20)


def test_a_store_of_a_newer_program_is_refused_and_left_alone(state: SqlState, url: str) -> None:
    state.commit(StateBatch(Cursor(4, 4)))
    state.close()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreNewerError, match=r"9999.*watchpost 0\.1\.0.*up to [0-9]{4}"):
        SqlState.open(url, "0.1.0")
    with engine.begin() as connection:
        assert connection.execute(sa.text("SELECT batch FROM cursor")).scalar() == 4
    engine.dispose()


def test_a_commit_is_on_disk_before_it_returns(state: SqlState, url: str) -> None:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"
    engine.dispose()
    assert state.cursor() == Cursor()
