"""After a restart rules count again what windows hold, and judge by it as if nothing had happened."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from watchpost.model.ledger import LedgerRow
from watchpost.model.session import Summary
from watchpost.rules.engine import RuleEngine
from watchpost.rules.rule_file import read_rules
from watchpost.runtime.recent_past import MOST_STEPS, recent_past

sys.path.append(str(Path(__file__).parents[1] / "rules"))
from history_by_hand import INTERVAL, MINUTE, SECOND, START, rows, session, step

HOUR = 60 * MINUTE
SLOT = 10 * MINUTE
END = 'severity: warning, owner: desk, runbook: "https://runbooks.example/r"'
RULES = f"""
rules:
  - {{name: Calls, measure: steps, by: [tool], window: 1h, above: 25, {END}}}
  - {{name: Failing, measure: tool_error_rate, by: [workflow], window: 30m, above: 0.1, {END}}}
  - {{name: Sessions, measure: sessions, window: 1h, above: 5, {END}}}
  - {{name: Loops, measure: loop_session_share, by: [workflow], window: 30m, above: 0.0, {END}}}
  - {{name: Cheap, measure: cost_per_session_usd, window: 2h, at_most: 1, {END}}}
"""


class Shelf:
    """A `LedgerReader` over lists; how many steps a slot holds can be said to be more."""

    def __init__(self, ledger: Sequence[LedgerRow], sessions: Sequence[Summary], most: int = 1) -> None:
        self._ledger = ledger
        self._sessions = sessions
        self._most = most

    def steps_between(self, since_ns: int, until_ns: int) -> int:
        return self._most * sum(len(row.steps) for row in self.rows_between(since_ns, until_ns))

    def rows_between(self, since_ns: int, until_ns: int) -> Iterator[LedgerRow]:
        return (row for row in self._ledger if since_ns // SLOT * SLOT <= row.slot * SECOND < until_ns)

    def sessions_between(self, since_ns: int, until_ns: int) -> Iterator[Summary]:
        return (each for each in self._sessions if each.started_ns < until_ns and since_ns <= each.ended_ns)


def a_world(hours: float) -> tuple[list[LedgerRow], list[Summary]]:
    """Sessions of some minutes that began at any time in it; some call one tool alike again and again, over the end of a slot."""
    chance = random.Random(3)
    ledger: list[LedgerRow] = []
    sessions: list[Summary] = []
    for number in range(int(40 * hours)):
        since_s = chance.uniform(0, 3600 * hours)
        tool, workflow = chance.choice(["pay", "look"]), chance.choice(["refunds", "orders"])
        steps = [
            step(since_s + 90 * n, tool=tool, trace=f"t-{number}", status=chance.choice(["ok", "ok", "error"]))
            for n in range(chance.randrange(2, 9))
        ]
        name = f"s-{number}"
        ledger += rows(name, *steps, workflow=workflow)
        sessions.append(session(name, since_s, since_s + 90 * len(steps), workflow=workflow))
    return ledger, sessions


def restarted(shelf: Shelf, now_ns: int) -> RuleEngine:
    """Rules that know what they counted again, and have nobody to ask."""
    engine = RuleEngine(read_rules(RULES).rules, since_ns=now_ns)
    past = recent_past(shelf, engine.looks_back_ns, now_ns)
    engine.fill(past.rows, (), (), past.since_ns, past.ended)
    return engine


def test_after_a_restart_every_window_is_what_it_would_have_been_without_one() -> None:
    ledger, sessions = a_world(6)
    now_ns = START + 4 * HOUR
    before = [row for row in ledger if row.slot * SECOND <= now_ns]
    over = [each for each in sessions if each.ended_ns <= now_ns]
    steady = RuleEngine(read_rules(RULES).rules, since_ns=0)
    steady.take(before, over)
    steady.tick(now_ns)
    again = restarted(Shelf(before, over), now_ns)
    fired: set[str] = set()
    for at_ns in range(now_ns, now_ns + 2 * HOUR, 4 * INTERVAL):
        news = [row for row in ledger if at_ns - 4 * INTERVAL < row.slot * SECOND <= at_ns]
        ended = [each for each in sessions if at_ns - 4 * INTERVAL < each.ended_ns <= at_ns]
        for engine in (steady, again):
            engine.take(news, ended)
            engine.tick(at_ns)
        assert [_judged(alert) for alert in again.states()] == [_judged(alert) for alert in steady.states()]
        fired |= {alert.rule for alert in again.states()}
    assert fired == {"Calls", "Failing", "Sessions", "Cheap"}


def _judged(alert: msgspec.Struct) -> dict[str, object]:
    """Of an alert what was judged now: since when it stands is for the memory of alerts."""
    told = msgspec.to_builtins(alert)
    return {name: value for name, value in told.items() if name != "state"}


def test_where_much_is_stored_half_as_much_is_counted_again_and_nothing_where_the_last_slot_is_too_large() -> None:
    ledger, sessions = a_world(4)
    now_ns = START + 4 * HOUR
    few = Shelf(ledger, sessions)
    assert recent_past(few, 2 * HOUR, now_ns).since_ns == now_ns - 2 * HOUR - SLOT
    much = Shelf(ledger, sessions, MOST_STEPS // few.steps_between(now_ns - HOUR - SLOT, now_ns + HOUR))
    past = recent_past(much, 2 * HOUR, now_ns)
    assert past.since_ns == now_ns - HOUR
    assert min(row.slot * SECOND for row in past.rows) == now_ns - HOUR - SLOT
    assert min(each.ended_ns for each in past.ended) >= now_ns - HOUR
    nothing = recent_past(Shelf(ledger, sessions, MOST_STEPS), 2 * HOUR, now_ns)
    assert (nothing.since_ns, [*nothing.rows], [*nothing.ended]) == (now_ns, [], [])
