"""What goes from the state with a session, what is left of it, and that its bytes are overwritten."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from watchpost.model.alert import Alert, Firing
from watchpost.model.fact import Hold, Verdict
from watchpost.model.flag import Flag, flag_id
from watchpost.model.notice import AlertEvent, Notice, Receipt, Told
from watchpost.model.session import session_key
from watchpost.query.flags import VerdictCount
from watchpost.store.alerts import AlertNews
from watchpost.store.engines.erased_names import Names
from watchpost.store.engines.sql import SqlState
from watchpost.store.engines.sql_erasure import GOING, IMPERSONAL
from watchpost.store.engines.sql_tables import TABLES
from watchpost.store.erasure import Erasure, Traced, keyed_digest
from watchpost.store.state import Cursor, SessionPin, StateBatch, StoredVerdict

MINE, OTHER = "session-of-marvin", "session-of-ford"
SAID = "Marvin said that life is dreadful"
KEYS = {name: session_key("p", name) for name in (MINE, OTHER)}
TRACES = {MINE: b"m" * 16, OTHER: b"f" * 16}
ERASURE = Erasure(
    "e1", 5, "p", MINE, "", "dpo", "asked", 9, "5f" * 16, Traced((("p", MINE),), (("p", TRACES[MINE]),)), "d" * 32
)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SqlState]:
    store = SqlState.open(f"sqlite:///{tmp_path / 'state.db'}", "0.1.0")
    yield store
    store.close()


def flag(session: str) -> Flag:
    name = flag_id("p", "LOOP_DETECTED", "t", TRACES[session], b"12345678")
    evidence: dict[str, object] = {"tool": "t", "said": SAID if session == MINE else "nothing"}
    return Flag(
        name, "p", session, "LOOP_DETECTED", "t", TRACES[session], b"12345678", "high", "confirmed", SAID, evidence, 1
    )


def notice(name: str, *sessions: str) -> Notice:
    keys = [KEYS[each] for each in sessions]
    event = AlertEvent(
        "2026-01-01T00:00:00Z", "s", "m", "t", 1.0, 1.0, "", "high", "o", "", keys, f"see {keys[0]}", "r"
    )
    return Notice(name, "c", event)


def fill(state: SqlState) -> None:
    flags = [flag(MINE), flag(OTHER)]
    state.commit(
        StateBatch(
            Cursor(1, 5),
            flags,
            [notice("n1", MINE), notice("n2", OTHER), notice("n3", MINE, OTHER)],
            [SessionPin("p", MINE, 1, taught=True), SessionPin("p", OTHER, 1, taught=True)],
            verdicts=[
                StoredVerdict(1, n, "p", one.kind, one.tool, Verdict(one.id, "confirm", "ann", SAID, 1))
                for n, one in enumerate(flags)
            ],
            holds=[Hold("p", MINE, "ann", SAID, 1)],
            erasures=[ERASURE],
        )
    )


def test_all_of_a_session_goes_and_all_of_another_stays(state: SqlState) -> None:
    fill(state)
    assert state.eraser.unhidden() == [ERASURE]
    state.eraser.copied(ERASURE, {"spans": 3})
    assert state.eraser.unhidden() == [msgspec.structs.replace(ERASURE, copied=True)]
    state.eraser.hide(ERASURE, ["digest of its key"], 11)
    assert state.flags([("p", MINE), ("p", OTHER)]) == [flag(OTHER)]
    assert [pin.session_id for pin in state.pins([("p", MINE), ("p", OTHER)])] == [OTHER]
    assert state.verdict_counts("p") == [VerdictCount("p", "LOOP_DETECTED", "t", 2, 0)]
    assert [due.notice.id for due in state.due("c", 1, 9)] == ["n2", "n3"]
    (left,) = [due.notice for due in state.due("c", 1, 9) if due.notice.id == "n3"]
    assert (left.event.sessions, left.event.summary) == ([KEYS[OTHER]], "[erased]")
    assert state.eraser.unhidden() == []
    (record,) = state.eraser.erasures(9)
    assert (record.state, record.digest, record.by) == ("hidden", "d" * 32, "dpo")
    assert {"spans", "flags", "pins", "verdicts", "outbox", "holds"} <= record.rows.keys()
    assert state.eraser.is_erased("digest of its key")
    assert not state.eraser.is_erased("digest of another")


def test_no_byte_of_the_file_tells_of_it_once_it_is_purged(state: SqlState, tmp_path: Path) -> None:
    fill(state)
    words = [MINE.encode(), KEYS[MINE].encode(), TRACES[MINE].hex().encode(), flag(MINE).id.encode()]
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert all(word in held for word in words)
    state.eraser.hide(ERASURE, [], 11)
    assert not state.eraser.purge(5, 12)
    assert state.eraser.purge(6, 12)
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert [word for word in words if word in held] == []
    assert OTHER.encode() in held
    (record,) = state.eraser.erasures(9)
    assert (record.state, record.purged_ns) == ("purged", 12)


def test_every_table_is_known_to_hold_something_of_somebody_or_nothing(state: SqlState) -> None:
    made = set(sa.inspect(state.eraser._engine).get_table_names())  # noqa: SLF001 - what no seam shows is looked for
    assert made == GOING.keys() | IMPERSONAL.keys()
    assert TABLES.keys() <= made
    assert not GOING.keys() & IMPERSONAL.keys()


def test_digests_need_the_secret() -> None:
    assert keyed_digest(b"a" * 32, "x") == keyed_digest(b"a" * 32, "x") != keyed_digest(b"b" * 32, "x")


def told(*labels: dict[str, str]) -> list[Told]:
    return [Told(str(n), "firing", each, notice("", OTHER).event, "") for n, each in enumerate(labels)]


def test_a_group_of_alerts_that_a_receiver_heard_of_is_told_to_the_end_and_another_is_not(state: SqlState) -> None:
    mine = {"session": KEYS[MINE]}
    begun = [
        msgspec.structs.replace(notice(name, MINE), key=key, alerts=told(mine))
        for name, key in (("a1", "a"), ("a2", "a"), ("b1", "b"))
    ]
    state.commit(StateBatch(Cursor(1, 5), notices=begun, erasures=[ERASURE]))
    state.settle(Receipt("a1", "delivered", "", 1))
    state.eraser.hide(ERASURE, [], 11)
    (left,) = [due.notice for due in state.due("c", 1, 9)]
    assert (left.id, left.alerts[0].labels, left.event.sessions) == ("a2", {"session": "[erased]"}, [])


@pytest.mark.parametrize("name", ["critical", "firing", "c", "p", "r", "s", "m", "t"])
def test_whatever_somebody_is_called_what_is_left_can_be_read(state: SqlState, name: str) -> None:
    erasure = msgspec.structs.replace(ERASURE, user_id=name)
    event = msgspec.structs.replace(notice("", OTHER).event, severity="critical", summary=f"{name} is critical")
    alert = Alert("i", "p", "r", {"alertname": name, "user_id": name}, Firing(1, 2, 3), event)
    state.commit(
        StateBatch(
            Cursor(1, 5),
            notices=[Notice("n", "c", event, "trigger", "k", told({"tool": name}))],
            raised=AlertNews(1, [alert], dispatched=[alert]),
            erasures=[erasure],
        )
    )
    state.eraser.hide(erasure, [], 11)
    (left,) = state.standing()
    assert (left.labels, left.event.summary) == ({"alertname": name, "user_id": "[erased]"}, "[erased]")
    assert (left.project, left.rule, left.event.severity, left.state) == ("p", "r", "critical", Firing(1, 2, 3))
    assert state.dispatched() == [left]
    assert [due.notice.alerts[0].labels for due in state.due("c", 1, 9)] == [{"tool": name}]


@pytest.mark.parametrize(
    ("name", "text", "is_in"),
    [
        ("user-1", "see user-1 now", True),
        ("user-1", "user-11", False),
        ("user-1", "of user-1.", True),
        ("ü5", "xü5", False),
        ("conversation-of-long-ago", "/sessions/xconversation-of-long-ago2", True),
        ('a "quoted" one', 'of a "quoted" one', True),
        ("(", "f ( x", True),
    ],
)
def test_a_short_name_is_found_as_a_word_and_a_long_one_anywhere(name: str, text: str, is_in: bool) -> None:
    names = Names([name])
    event = msgspec.structs.replace(notice("", OTHER).event, summary=text)
    assert (names.event(event).summary == "[erased]") is is_in
    if is_in:
        assert names.may_stand_in(msgspec.json.encode(event).decode())


@pytest.mark.parametrize(
    ("label", "value", "stays"),
    [
        ("user_id", "42", False),
        ("instance", "10.0.0.42:9090", True),
        ("user", "42", False),
        ("tool", "42", True),
        ("severity", "42", True),
        ("who", "u/marvin/x", False),
    ],
)
def test_labels_that_name_somebody_go_and_those_that_name_a_thing_stay(label: str, value: str, stays: bool) -> None:
    assert (Names(["42", "marvin"]).labels({label: value}) == {label: value}) is stays


def test_what_is_told_in_the_words_of_an_erased_session_goes() -> None:
    names = Names([KEYS[MINE]])
    event = msgspec.structs.replace(notice("", MINE, OTHER).event, summary=SAID)
    assert names.event(event) == msgspec.structs.replace(event, sessions=[KEYS[OTHER]], summary="[erased]")
    later = msgspec.structs.replace(event, sessions=[KEYS[OTHER], KEYS[MINE]])
    assert names.event(later).summary == SAID
