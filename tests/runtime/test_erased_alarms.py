"""What an erasure does to rules, to groups of alerts and to what is told: nobody is named any more, and who was told hears that it is over."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from watchpost.alerting.dispatch import Dispatcher
from watchpost.alerting.route_file import read_routing
from watchpost.model.alert import Firing
from watchpost.model.flag import Flag
from watchpost.model.ledger import LedgerRow
from watchpost.model.notice import Notice
from watchpost.model.outside_alert import OutsideAlert
from watchpost.model.session import Summary, Totals, session_key
from watchpost.query.alerts import AlertFilter
from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import Contributor, Measured, Question, SessionsQuestion
from watchpost.rules.engine import RuleEngine
from watchpost.rules.recollection import Recollection
from watchpost.rules.rule_file import read_rules
from watchpost.runtime.alarms import Alarms, Raised, Said
from watchpost.runtime.background_history import BackgroundHistory
from watchpost.store.engines.sql import SqlState
from watchpost.store.erasure import Erasure, Traced
from watchpost.store.state import Cursor, StateBatch

sys.path.append(str(Path(__file__).parents[1] / "rules"))
from history_by_hand import START, flag, rows, session, step

SECOND = 10**9
MINE, OTHER = "session-of-marvin", "session-of-ford"
USERS = {MINE: "marvin", OTHER: "ford"}
SAID = "Life, he said, is dreadful"
NONCE = "5f" * 16
ENDING = "severity: high, owner: team, runbook: https://runbooks.example/x"
RULES = f"""
rules:
  - {{name: FailingOfUser, measure: tool_error_rate, by: [user_id], window: 30m, above: 10 %, summary: "{{user_id}} fails", {ENDING}}}
  - {{name: FailingTool, measure: tool_error_rate, by: [tool], window: 30m, above: 10 %, {ENDING}}}
  - {{name: DearRun, measure: cost_per_session_usd, each: session, window: 1h, above: 0.50 USD, {ENDING}}}
  - {{name: Loops, flag: [LOOP_DETECTED], window: 30m, at_least: 1, summary: "{{latest}}", {ENDING}}}
  - {{name: EachLoop, flag: any, by: [session], window: 30m, at_least: 1, summary: "{{latest}}", {ENDING}}}
"""
ROUTES = """
route:
  channels: [ops]
  group_by: [alertname]
  group_wait: 10s
  group_interval: 1m
  repeat_interval: 1h
  routes:
    - {match: ['alertname=~"FailingOfUser|EachLoop|Outside"'], group_by: ['...'], channels: [ops]}
"""


def erasure(*sessions: str, user: str = "", seq: int = 7) -> Erasure:
    refs = tuple(("p", each) for each in sessions)
    traces = tuple(("p", each.encode()[-16:]) for each in sessions)
    name = "" if user else sessions[0]
    return Erasure(f"e{seq}", seq, "p", name, user, "dpo", "asked", 1, NONCE, Traced(refs, traces))


ALL = erasure(MINE, user="marvin")
NAMES = [text.encode() for text in ("marvin", MINE, session_key("p", MINE), SAID)]


def failing(name: str, at_s: float = 1) -> list[LedgerRow]:
    made = rows(name, step(at_s, status="error"), step(at_s + 1))
    return [msgspec.structs.replace(row, user_id=USERS[name]) for row in made]


def dear(name: str) -> Summary:
    made: Summary = session(name, 1, 3, user_id=USERS[name], totals=Totals(steps=2, cost_nano=10**9))
    return made


def loop(name: str, at_s: float) -> Flag:
    said = SAID if name == MINE else "ford looped"
    made: Flag = msgspec.structs.replace(flag(at_s, name), session_id=name, summary=said)
    return made


def outside(**labels: str) -> OutsideAlert:
    return OutsideAlert(
        "p", "f", "firing", {"alertname": "Outside", **labels}, {"summary": "red, says marvin"}, START, 0, START
    )


class House:
    """Alarms on a store, batch by batch, as the flow has them: what a batch erased is hidden while the next one is judged."""

    def __init__(self, state: SqlState, known: Sequence[Flag] = (), at_s: int = 0) -> None:
        self.state = state
        self._hide()
        self.history = Recollection()
        engine = RuleEngine(read_rules(RULES).rules, self.history)
        engine.fill((), (), known, 0)
        routing = read_routing(ROUTES, ["ops"])
        self._alarms = Alarms(engine, Dispatcher(routing.root), state, START + at_s * SECOND)
        self._number = state.cursor().batch

    def at(  # noqa: PLR0917 - as a line of a table
        self,
        at_s: float,
        ledger: Sequence[LedgerRow] = (),
        sessions: Sequence[Summary] = (),
        flags: Sequence[Flag] = (),
        said: Sequence[Said] = (),
        erased: Sequence[Erasure] = (),
    ) -> Raised:
        raised = self._alarms.react(ledger, sessions, flags, said, START + round(at_s * SECOND), erasures=erased)
        self._hide()
        self._number += 1
        cursor = Cursor(self._number, self._number)
        self.state.commit(StateBatch(cursor, flags, raised.notices, raised=raised.news, erasures=erased))
        return raised

    def until(self, since_s: int, until_s: int) -> list[Notice]:
        return [notice for at_s in range(since_s, until_s, 15) for notice in self.at(at_s).notices]

    def _hide(self) -> None:
        for each in self.state.eraser.unhidden():
            self.state.eraser.hide(each, [], 11)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[SqlState]:
    store = SqlState.open(f"sqlite:///{tmp_path / 'state.db'}", "0.1.0")
    yield store
    store.close()


def filled(state: SqlState) -> House:
    house = House(state)
    house.at(0)
    house.at(
        5,
        [*failing(MINE), *failing(OTHER)],
        [dear(MINE), dear(OTHER)],
        [loop(OTHER, 3), loop(MINE, 4)],
        [outside(user="marvin"), outside(pod="p1")],
    )
    house.until(15, 60)
    return house


def firing(state: SqlState) -> list[tuple[str, str]]:
    """The alerts that fire, by rule and what they are about."""
    found = [each.alert for each in state.alerts(AlertFilter(state="firing"))]
    about = ("user_id", "tool", "session", "user", "pod")
    return sorted((each.rule, next((each.labels[name] for name in about if name in each.labels), "")) for each in found)


def test_no_notice_nor_row_names_who_was_erased_from_that_batch_on(state: SqlState, tmp_path: Path) -> None:
    house = filled(state)
    assert len(firing(state)) == 10
    raised = [house.at(61, erased=[ALL])]
    raised += [house.at(at_s) for at_s in range(62, 5000, 15)]
    said = msgspec.msgpack.encode([(each.news, each.notices) for each in raised])
    assert [name for name in NAMES if name in said] == []
    state.eraser.purge(9, 12)
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert [name for name in NAMES if name in held] == []


def test_alerts_about_who_was_erased_are_over_at_once_and_all_others_stay(state: SqlState) -> None:
    house = filled(state)
    raised = house.at(61, erased=[ALL])
    house.at(61.5)
    keys = session_key("p", OTHER)
    assert firing(state) == [
        ("DearRun", keys),
        ("EachLoop", keys),
        ("FailingOfUser", ""),
        ("FailingOfUser", "ford"),
        ("FailingTool", "pay"),
        ("Loops", ""),
        ("Outside", "p1"),
    ]
    assert [(notice.action, len(notice.alerts)) for notice in raised.notices] == [("resolve", 1)] * 3
    assert {notice.alerts[0].labels["alertname"] for notice in raised.notices} == {
        "EachLoop",
        "FailingOfUser",
        "Outside",
    }
    assert {notice.alerts[0].status for notice in raised.notices} == {"resolved"}


def test_who_was_told_hears_the_end_under_the_same_key(state: SqlState) -> None:
    house = House(state)
    begun = [notice for at_s in (0, 5) for notice in house.at(at_s, said=[outside(user="marvin")]).notices]
    begun += house.until(15, 60)
    (trigger,) = begun
    (resolve,) = house.at(61, erased=[ALL]).notices
    assert (resolve.key, resolve.action) == (trigger.key, "resolve")
    assert resolve.alerts[0].labels["user"] == "[erased]"


def test_what_a_measure_comes_to_is_what_it_was_under_a_pseudonym_and_nobody(state: SqlState) -> None:
    house = filled(state)
    house.at(61, erased=[erasure(MINE)])
    house.until(75, 120)
    house.at(121, failing(OTHER, 100))
    house.until(135, 180)
    (alert,) = [each.alert for each in state.alerts(AlertFilter(rule="FailingTool", state="firing"))]
    assert isinstance(alert.state, Firing)
    assert alert.state.fired_ns == START + 15 * SECOND
    assert alert.event.value == 0.5
    fails = {each.alert.labels["user_id"] for each in state.alerts(AlertFilter(rule="FailingOfUser"))}
    assert fails == {"marvin", "ford", ""}


def test_a_session_that_comes_back_under_its_name_is_one_like_any_other(state: SqlState) -> None:
    house = filled(state)
    house.at(61, erased=[ALL])
    house.at(76, failing(MINE, 70), [dear(MINE)], [loop(MINE, 70)], [outside(user="marvin")])
    house.until(90, 200)
    assert len(firing(state)) == 11  # and the one for nobody, under which the erased session counts on


@pytest.mark.parametrize("restarts_at", [62, 100, 130])
def test_a_process_that_begins_anew_after_an_erasure_tells_the_same(
    state: SqlState, tmp_path: Path, restarts_at: int
) -> None:
    def run(store: SqlState, *, restart: bool) -> list[Notice]:
        flags = [loop(OTHER, 5), loop(MINE, 4)]
        house = House(store)
        house.at(0)
        house.at(5, flags=flags, said=[outside(user="marvin"), outside(pod="p1", note="of marvin")])
        house.until(15, 60)
        notices = list(house.at(61, erased=[ALL]).notices)
        for at_s in range(62, 2500, 2):
            if restart and at_s == restarts_at:
                house = House(store, flags[:1], at_s)
            notices += house.at(at_s).notices
        return notices

    other = SqlState.open(f"sqlite:///{tmp_path / 'other.db'}", "0.1.0")
    assert run(state, restart=False) == run(other, restart=True)
    assert state.standing() == other.standing()
    other.close()


class Answers:
    """MeasureReader that says how often it was asked, and waits until it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may = threading.Event()

    def measured(self, question: Question) -> Measured:
        del question
        self.asked += 1
        self.may.wait(10)
        return Measured(self.asked, [])

    def contributors(self, asked: SessionsQuestion) -> list[Contributor]:
        del asked
        return []


def test_the_history_says_nothing_while_something_is_erased_and_is_asked_anew_then() -> None:
    reader = Answers()
    history = BackgroundHistory(reader, ())
    question = Question(MEASURES["tool_error_rate"], 0, 60 * SECOND)
    assert history.answer(question) is None
    history.erase(ALL)
    history.erased(ALL)
    reader.may.set()
    answer = history.answer(question)
    while answer is None:
        answer = history.answer(question)
    assert answer == Measured(2, [])  # what was asked before it was hidden is not said
    history.erase(ALL)
    assert history.answer(question) is None
    history.close()
