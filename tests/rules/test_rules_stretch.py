"""History becomes known in the order in which it happened: steps as they ended, sessions while they ran, runs by their silence."""

from __future__ import annotations

import random

import msgspec
from history_by_hand import INTERVAL, SECOND, START, flag, rows, session, step, told

from watchpost.model.ledger import LedgerStep
from watchpost.rules.stretch import Told


def at(each: Told) -> int:
    return (each.at_ns - START) // SECOND


def states(found: list[Told]) -> list[tuple[int, str]]:
    return [(at(each), session.state) for each in found for session in each.sessions]


def test_a_row_is_told_again_with_each_judgement_by_which_a_step_had_ended() -> None:
    steps = (step(0, 1), step(2, 40), step(14, 1), step(30, 0), step(100, None))
    found = [(at(each), len(row.steps)) for each in told(rows("s", *steps)) for row in each.rows]
    assert found == [(15, 2), (30, 3), (45, 4), (105, 5)]


def test_steps_stay_in_their_order_and_none_is_lost_or_told_before_it_ended() -> None:
    chance = random.Random(7)
    ledger = [
        row
        for number in range(40)
        for row in rows(
            f"s-{number}", *[step(chance.uniform(0, 4000), chance.choice([0.0, 3.0, 900.0, None])) for _ in range(9)]
        )
    ]
    last: dict[tuple[str, int], tuple[LedgerStep, ...]] = {}
    before = 0
    for each in told(ledger):
        assert each.at_ns > before
        before = each.at_ns
        assert each.at_ns % INTERVAL == 0
        for row in each.rows:
            assert all(one.start_ns + (one.dur_us or 0) * 1000 <= each.at_ns for one in row.steps)
            last[row.session_id, row.slot] = row.steps
    assert last == {(row.session_id, row.slot): row.steps for row in ledger}


def test_a_session_runs_without_totals_until_it_is_quiet_and_then_is_as_it_is_now() -> None:
    ended = session("s", 0, 100)
    begun, done = [one for each in told(rows("s", step(0, 100)), [ended]) for one in each.sessions]
    assert (begun.state, begun.outcome, begun.totals.cost_nano) == ("running", None, None)
    assert done == ended
    assert states(list(told(rows("s", step(0, 100)), [ended]))) == [(0, "running"), (130, "ended")]


def test_a_second_run_makes_a_session_reopened_as_soon_as_the_first_was_quiet() -> None:
    turns = rows("s", step(0, 10, trace="one"), step(200, 10, trace="two"), step(900, 10, trace="three"))
    found = states(list(told(turns, [session("s", 0, 910)])))
    assert found == [(0, "running"), (40, "reopened"), (940, "ended")]


def test_a_pause_within_one_trace_ends_no_run_but_a_long_silence_does() -> None:
    slow = rows("s", step(0, 10), step(500, 10), step(1000, 10))
    assert states(list(told(slow, [session("s", 0, 1010)]))) == [(0, "running"), (1040, "ended")]
    hung = rows("s", step(0, 10), step(5000, 10))
    assert states(list(told(hung, [session("s", 0, 5010)]))) == [(0, "running"), (40, "reopened"), (5040, "ended")]


def test_a_session_that_still_runs_is_told_twice_and_never_ended() -> None:
    running = session("s", 0, 100, state="running", outcome=None)
    found = [
        (at(each), one.totals.cost_nano) for each in told(rows("s", step(0, 100)), [running]) for one in each.sessions
    ]
    assert found[:2] == [(0, None), (100, 10**8)]
    assert {one.state for each in told((), [running]) for one in each.sessions} == {"running"}


def test_a_flag_comes_with_its_session_as_it_stood_then() -> None:
    found = list(told(rows("s", step(0, 50)), [session("s", 0, 50)], [flag(20, "s"), flag(30, "unknown")]))
    flagged = [each for each in found if each.flags]
    assert [(at(each), [one.state for one in each.sessions]) for each in flagged] == [(20, ["running"]), (30, [])]


def test_what_was_merged_away_or_taken_out_is_not_told() -> None:
    merged = session("s", 0, 50, moved_to="other")
    (gone,) = rows("s", step(0))
    assert list(told([msgspec.structs.replace(gone, gone=True)], [merged])) == []
