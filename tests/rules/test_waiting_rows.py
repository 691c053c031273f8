"""Rows that wait to be counted: the last one told counts, none is lost, and no window is looked at before they are counted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.model.alert import Firing
from watchpost.model.flag import Flag, flag_id
from watchpost.model.ledger import LedgerRow, LedgerStep
from watchpost.rules.engine import RuleEngine
from watchpost.rules.rule_file import read_rules
from watchpost.rules.standing import Damping
from watchpost.rules.waiting_rows import WaitingRows

SECOND = 10**9
START = 1_790_000_400 * SECOND
ENDING = "severity: critical, owner: me, runbook: https://runbooks.example/a"


def a_row(session: str, steps: int, seq: int = 1, status: str = "error") -> LedgerRow:
    told = tuple(
        LedgerStep(
            session.encode(), n.to_bytes(8, "big"), b"", START + n, 1000, "tool", "pay", "", "", "pay", status, "", None, None, None
        )
        for n in range(steps)
    )  # fmt: skip
    return LedgerRow("p", START // SECOND, session, seq, not steps, "", "", "", told)


def an_engine(text: str) -> RuleEngine:
    return RuleEngine(read_rules(text).rules, damping=Damping(hold_ns=0, fires=0))


@given(
    told=st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 5)), max_size=30),
    most=st.integers(1, 12),
)
def test_the_last_row_told_of_each_session_comes_out_last(told: Sequence[tuple[str, int]], most: int) -> None:
    waiting = WaitingRows(most)
    counted: dict[str, LedgerRow] = {}
    last: dict[str, LedgerRow] = {}
    for seq, (session, steps) in enumerate(told):
        row = last[session] = a_row(session, steps, seq)
        waiting.put(row)
        counted |= {each.session_id: each for each in waiting.surplus()}
    counted |= {each.session_id: each for each in waiting.all()}
    assert counted == last
    assert list(waiting.all()) == []


@pytest.mark.parametrize(("steps", "left"), [(1, 3), (2, 1), (0, 3)])
def test_no_more_steps_or_rows_wait_than_may_and_the_longest_untold_go_first(steps: int, left: int) -> None:
    waiting = WaitingRows(3)
    for session in ("a", "b", "c", "a", "d"):
        waiting.put(a_row(session, steps))
    gone = [row.session_id for row in waiting.surplus()]
    kept = [row.session_id for row in waiting.all()]
    assert gone + kept == ["b", "c", "a", "d"]
    assert len(kept) == left


@pytest.mark.parametrize(("gone", "alerts"), [(False, 1), (True, 0)])
def test_a_row_that_takes_its_slot_out_before_it_was_counted_leaves_nothing_to_fire(*, gone: bool, alerts: int) -> None:
    held = an_engine(f"rules: [{{name: Failing, measure: tool_error_rate, window: 1m, above: 10 %, {ENDING}}}]")
    held.take([a_row("s", 2)], [])
    if gone:
        held.take([a_row("s", 0, seq=2)], [])
    assert len(held.tick(START + 15 * SECOND).alerts) == alerts


def test_sessions_that_were_told_since_the_windows_moved_are_among_those_that_flags_are_a_share_of() -> None:
    held = an_engine(
        f"rules: [{{name: L, flag: [LOOP_DETECTED], window: 10m, above: 0, share_of_sessions: 50 %, {ENDING}}}]"
    )
    held.take([a_row("s", 1)], [])
    held.tick(START + 15 * SECOND)
    flag = Flag(
        flag_id("p", "LOOP_DETECTED", "pay", b"s", b""), "p", "s", "LOOP_DETECTED", "pay", b"s", b"", "high", "confirmed",
        "pay was called three times", {}, START + 16 * SECOND,
    )  # fmt: skip
    held.take([a_row(f"t-{n}", 1) for n in range(3)], [], [flag])
    assert held.tick(START + 16 * SECOND).alerts == []
    held.take([a_row(f"t-{n}", 0, seq=2) for n in range(3)], [])
    (alert,) = held.tick(START + 30 * SECOND).alerts
    assert isinstance(alert.state, Firing)
