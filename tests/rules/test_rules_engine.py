"""The engine over time: restarts, clocks that jump, late and replaced rows, too many groups, flapping, and how long it keeps what."""

from __future__ import annotations

import msgspec
import pytest

from watchpost.model.alert import Alert, Firing, Pending, Resolved
from watchpost.model.flag import Flag, flag_id
from watchpost.model.ledger import LedgerRow, LedgerStep
from watchpost.model.session import Summary, Totals, session_key
from watchpost.query.measures import MOST_GROUPS, Cell, Measured, Question
from watchpost.rules.engine import RuleEngine
from watchpost.rules.history import History
from watchpost.rules.recollection import Recollection
from watchpost.rules.rule import Slo
from watchpost.rules.rule_file import read_rules
from watchpost.rules.slo import Budget, budget_question, budgets
from watchpost.rules.standing import Changes, Damping

SECOND = 10**9
MINUTE = 60 * SECOND
HOUR = 3600 * SECOND
START = 1_790_000_400 * SECOND
PLAIN = Damping(hold_ns=0, fires=0)

ENDING = "severity: critical, owner: me, runbook: https://runbooks.example/a"
FAILING = f"rules: [{{name: Failing, measure: tool_error_rate, by: [tool], window: 1m, above: 10 %, {ENDING}}}]"


def engine(text: str = FAILING, history: History | None = None, damping: Damping = PLAIN, **changed: int) -> RuleEngine:
    return RuleEngine(read_rules(text).rules, history, damping=damping, **changed)


def a_row(
    at_s: int, *statuses: str, tool: str = "pay", session: str = "", project: str = "p", seq: int = 1
) -> LedgerRow:
    start_ns = START + at_s * SECOND
    steps = tuple(
        LedgerStep(
            at_s.to_bytes(16, "big"), n.to_bytes(8, "big"), b"", start_ns + n, 1000, "tool", tool, "", "", tool, status, "", None, None, None
        )
        for n, status in enumerate(statuses)
    )  # fmt: skip
    slot = start_ns // (600 * SECOND) * 600
    return LedgerRow(project, slot, session or f"s-{tool}-{at_s}", seq, not statuses, "", "", "", steps)


def a_session(session: str = "s-1", **changed: object) -> Summary:
    summary = Summary(
        key=session_key("p", session),
        project="p",
        session_id=session,
        workflow="refunds",
        user_id="",
        state="running",
        outcome=None,
        revision=1,
        started_ns=START,
        ended_ns=START + SECOND,
        received_ns=START,
        due_ns=0,
        totals=Totals(steps=1),
    )
    return msgspec.structs.replace(summary, **changed)


def a_flag(name: str = "a", at_s: int = 0, **changed: object) -> Flag:
    flag = Flag(
        id=flag_id("p", "LOOP_DETECTED", "pay", name.encode(), b""),
        project="p",
        session_id=f"s-{name}",
        kind="LOOP_DETECTED",
        subject="pay",
        trace_id=name.encode(),
        span_id=b"",
        severity="high",
        state="confirmed",
        summary="pay was called three times",
        evidence={"tool": "pay"},
        at_ns=START + at_s * SECOND,
    )
    return msgspec.structs.replace(flag, **changed)


def tick(held: RuleEngine, at_s: float) -> Changes:
    return held.tick(START + int(at_s * SECOND))


def kinds(alerts: list[Alert]) -> list[str]:
    return [type(alert.state).__name__ for alert in alerts]


def test_an_alert_says_where_to_look() -> None:
    held = engine(
        FAILING.replace(
            "window: 1m", "window: 10m, summary: '{tool} fails in {value}, more than {threshold} over {window}'"
        )
    )
    held.take([a_row(at, *(["error"] * 2 + ["ok"] * 8)) for at in range(0, 45, 5)], [])
    (alert,) = tick(held, 60).alerts
    assert alert.labels == {
        "alertname": "Failing", "owner": "me", "project": "p", "severity": "critical", "tool": "pay", "rate": "yes",
    }  # fmt: skip
    event = msgspec.to_builtins(alert.event)
    assert len(event["sessions"]) == 5
    told = {
        "timestamp": "2026-09-21T14:21:00.000Z",
        "service": "unknown",
        "metric": "tool_error_rate",
        "tool": "pay",
        "value": 0.2,
        "threshold": 0.1,
        "window": "10m",
        "severity": "critical",
        "owner": "me",
        "runbook": "https://runbooks.example/a",
        "summary": "pay fails in 20 %, more than 10 % over 10m",
        "rule": "Failing",
    }
    assert {name: event[name] for name in told} == told


def test_example_sessions_are_those_that_failed_the_latest_first() -> None:
    held = engine()
    held.take(
        [a_row(0, "error", session="old"), a_row(20, "ok", session="well"), a_row(30, "error", session="new")], []
    )
    (alert,) = tick(held, 45).alerts
    assert alert.event.sessions == [session_key("p", "new"), session_key("p", "old")]


def test_the_same_group_fires_again_under_the_same_id() -> None:
    held = engine()
    seen: list[Alert] = []
    for at in (0, 600):
        held.take([a_row(at, "error")], [])
        seen += tick(held, at + 15).alerts + tick(held, at + 300).alerts
    assert kinds(seen) == ["Firing", "Resolved", "Firing", "Resolved"]
    assert len({alert.id for alert in seen}) == 1


def test_one_judgement_that_does_not_hold_ends_what_is_pending() -> None:
    held = engine(FAILING.replace("above", "for: 2m, above"))
    held.take([a_row(0, "error")], [])
    (pending,) = tick(held, 15).alerts
    assert isinstance(pending.state, Pending)
    held.take([a_row(16, *["ok"] * 20)], [])
    assert tick(held, 30) == Changes([], [pending.id])
    assert held.states() == []


def test_a_late_row_counts_from_the_next_judgement_on_and_a_replaced_one_takes_back_what_it_added() -> None:
    held = engine()
    held.take([a_row(0, "ok", session="s")], [])
    assert tick(held, 15).alerts == []
    held.take([a_row(0, "ok", "error", session="s", seq=2)], [])
    assert kinds(tick(held, 30).alerts) == ["Firing"]
    held.take([a_row(0, "ok", "ok", session="s", seq=3)], [])
    assert kinds(tick(held, 45).alerts) == ["Resolved"]
    held.take([a_row(0, "error", session="s", seq=4)], [])
    assert kinds(tick(held, 60).alerts) == ["Firing"]
    held.take([a_row(0, session="s", seq=5)], [])
    assert kinds(tick(held, 75).alerts) == ["Resolved"]


def test_what_fires_stays_until_a_judgement_says_otherwise_however_late_its_spans_were() -> None:
    held = engine()
    tick(held, 40)
    held.take([a_row(0, "error")], [])
    assert kinds(tick(held, 45).alerts) == ["Firing"]
    assert tick(held, 59).alerts == []
    assert kinds(tick(held, 75).alerts) == ["Resolved"]


def test_rules_on_measures_are_judged_at_the_multiples_of_the_interval_and_no_oftener() -> None:
    held = engine()
    held.take([a_row(0, "error")], [])
    assert held.due_ns() == 0
    assert kinds(tick(held, 17).alerts) == ["Firing"]
    assert held.due_ns() == START + 30 * SECOND
    (alert,) = held.states()
    assert alert.state == Firing(START + 15 * SECOND, START + 15 * SECOND, START + 15 * SECOND)


LOOPING = f"rules: [{{name: Looping, flag: LOOP_DETECTED, by: [tool], window: 10m, above: 0, {ENDING}}}]"


def test_a_flag_tells_at_once_and_until_it_leaves_the_window() -> None:
    held = engine(LOOPING)
    tick(held, 0)
    held.take([], [a_session("s-a", service="shop")], [a_flag(at_s=1)])
    assert held.due_ns() == 0
    (alert,) = tick(held, 1).alerts
    assert isinstance(alert.state, Firing)
    assert (alert.event.service, alert.event.tool, alert.event.value) == ("shop", "pay", 1.0)
    assert alert.event.sessions == [session_key("p", "s-a")]
    assert tick(held, 600).alerts == []
    assert kinds(tick(held, 601).alerts) == ["Resolved"]


def test_a_flag_that_is_confirmed_late_counts_from_then_and_one_of_an_imported_session_does_not() -> None:
    held = engine(LOOPING)
    tick(held, 0)
    held.take([], [], [a_flag(at_s=0, state="provisional")])
    assert tick(held, 1).alerts == []
    held.take([], [], [a_flag(at_s=0)])
    assert kinds(tick(held, 1500).alerts) == ["Firing"]
    held = engine(LOOPING)
    tick(held, 0)
    held.take([], [], [a_flag(at_s=-7200)])
    assert tick(held, 1).alerts == []


EACH = f"rules: [{{name: Each, flag: any, by: [session, flag, tool, severity], window: 10m, above: 0, labels: {{service: ours}}, {ENDING}}}]"


def test_a_rule_on_each_flag_tells_them_apart_and_says_of_each_what_it_is_and_how_grave() -> None:
    held = engine(EACH)
    tick(held, 0)
    grave = a_flag(at_s=1, severity="error")
    other = a_flag("b", 2, session_id="s-a", kind="REFUSAL", severity="info", evidence={"tool": "look"})
    held.take([], [a_session("s-a", service="shop")], [grave, other])
    alerts = tick(held, 2).alerts
    told = {(alert.event.metric, alert.event.tool, alert.event.severity, alert.event.service) for alert in alerts}
    assert told == {("LOOP_DETECTED", "pay", "error", "shop"), ("REFUSAL", "look", "info", "shop")}
    assert {(alert.labels["flag"], alert.labels["severity"]) for alert in alerts} == {
        ("LOOP_DETECTED", "error"),
        ("REFUSAL", "info"),
    }
    assert len({alert.id for alert in alerts}) == 2
    again = engine(EACH)
    assert again.resume(held.states()) == []
    assert again.states() == held.states()


def test_the_service_of_an_event_is_that_of_the_session_then_that_of_the_labels() -> None:
    for text, service in ((EACH, "ours"), (LOOPING, "unknown")):
        held = engine(text)
        tick(held, 0)
        held.take([], [], [a_flag(at_s=1)])
        (alert,) = tick(held, 1).alerts
        assert alert.event.service == service


def test_a_flag_told_again_counts_once_and_one_taken_back_not_at_all() -> None:
    held = engine(LOOPING)
    held.take([], [], [a_flag(), a_flag(), a_flag("b")])
    (alert,) = tick(held, 1).alerts
    assert alert.event.value == 2.0
    held.take([], [], [a_flag(state="withdrawn"), a_flag("b", state="withdrawn")])
    assert kinds(tick(held, 2).alerts) == ["Resolved"]


def test_flags_are_judged_by_the_share_of_sessions_that_they_affect() -> None:
    held = engine(LOOPING.replace("above: 0", "above: 0, share_of_sessions: 50 %"))
    held.take([a_row(at, "ok", session=f"s-{at}") for at in (0, 1, 2)], [], [a_flag(at_s=3)])
    assert tick(held, 15).alerts == []
    held.take([], [], [a_flag("b", at_s=3)])
    assert kinds(tick(held, 16).alerts) == ["Firing"]


STUCK = f"rules: [{{name: Stuck, measure: workflow_duration_seconds, each: running, window: 1h, above: 10m, for: 10m, {ENDING}}}]"


def test_a_run_that_was_brought_in_late_is_no_older_than_it_was_and_ages_from_then_on() -> None:
    held = engine(STUCK)
    held.take([], [a_session(received_ns=START + 660 * SECOND)])
    assert tick(held, 661).alerts == []
    assert tick(held, 1255).alerts == []
    assert len(tick(held, 1260).alerts) == 1


def test_a_run_that_grows_old_is_told_when_it_does_though_nothing_is_heard_of_it() -> None:
    held = engine(STUCK)
    held.take([], [a_session()])
    assert tick(held, 1).alerts == []
    assert held.due_ns() + 600 * SECOND > START + 600 * SECOND
    assert tick(held, 600).alerts == []
    (alert,) = tick(held, 600.5).alerts
    assert alert.labels["session"] == session_key("p", "s-1")
    assert alert.state == Firing(START, START + 600_500_000_000, START + 600_500_000_000)
    held.take([], [a_session(state="ended", outcome="completed", ended_ns=START + 700 * SECOND)])
    assert kinds(tick(held, 701).alerts) == ["Resolved"]


@pytest.mark.parametrize(
    "session",
    [
        a_session(state="reopened"),
        a_session(state="ended"),
        a_session(moved_to="elsewhere"),
        a_session(started_ns=START - 2 * HOUR, ended_ns=START - 2 * HOUR),
    ],
)
def test_what_does_not_run_now_does_not_grow_old(session: Summary) -> None:
    held = engine(STUCK)
    held.take([], [session])
    assert tick(held, 1).alerts == []
    assert tick(held, 900).alerts == []


def test_a_run_that_costs_too_much_is_told_at_once_and_while_its_last_step_is_in_the_window() -> None:
    text = (
        f"rules: [{{name: Dear, measure: cost_per_session_usd, each: session, window: 1h, above: 0.50 USD, {ENDING}}}]"
    )
    held = engine(text)
    tick(held, 0)
    held.take([], [a_session(totals=Totals(cost_nano=500_000_000))])
    assert tick(held, 1).alerts == []
    held.take([], [a_session(totals=Totals(cost_nano=510_000_000))])
    (alert,) = tick(held, 2).alerts
    assert (alert.event.value, alert.event.threshold) == (0.51, 0.5)
    assert tick(held, 3600).alerts == []
    assert kinds(tick(held, 3601).alerts) == ["Resolved"]


# --- restarts ---


def test_after_a_restart_alerts_go_on_where_they_stood() -> None:
    text = FAILING.replace("above", "for: 2m, keep_firing_for: 5m, above")
    first = engine(text)
    rows = [a_row(at, "error") for at in range(0, 165, 5)]
    first.take(rows, [])
    tick(first, 45)
    (pending,) = first.states()
    again = engine(text, since_ns=START + 60 * SECOND)
    again.fill(rows, [], [], START)
    assert again.resume([pending]) == []
    assert tick(again, 105).alerts == []
    (alert,) = tick(again, 165).alerts
    assert alert.state == Firing(START + 45 * SECOND, START + 165 * SECOND, START + 165 * SECOND)
    later = engine(text)
    assert later.resume([alert]) == []
    assert [each.state for each in later.states()] == [alert.state]
    assert tick(later, 180).alerts == []
    assert tick(later, 479).alerts == []
    assert kinds(tick(later, 480).alerts) == ["Resolved"]


def test_what_memory_does_not_reach_back_to_is_left_as_it_is_where_nobody_can_be_asked() -> None:
    first = engine()
    first.take([a_row(0, "error")], [])
    (firing,) = tick(first, 15).alerts
    again = engine(since_ns=START + 20 * SECOND)
    again.resume([firing])
    assert tick(again, 30).alerts == []
    assert tick(again, 75).alerts == []
    assert kinds(tick(again, 90).alerts) == ["Resolved"]


def test_after_a_restart_flags_and_sessions_count_as_they_did() -> None:
    dear = f"{{name: Dear, measure: cost_per_session_usd, each: session, window: 1h, above: 0.50 USD, {ENDING}}}"
    text = LOOPING.replace("rules: [", f"rules: [{dear}, ")
    costly = a_session(totals=Totals(cost_nano=510_000_000))
    first = engine(text)
    first.take([], [costly], [a_flag(at_s=1)])
    firing = tick(first, 2).alerts
    assert kinds(firing) == ["Firing", "Firing"]
    again = engine(text, since_ns=START + 300 * SECOND)
    again.fill([], [costly], [a_flag(at_s=1)], START - HOUR)
    assert again.resume(firing) == []
    assert tick(again, 300).alerts == []
    assert [(alert.rule, type(alert.state).__name__) for alert in tick(again, 601).alerts] == [("Looping", "Resolved")]
    long_after = engine(LOOPING)
    long_after.fill([], [], [a_flag(at_s=1)], START - HOUR)
    assert tick(long_after, 1800).alerts == []


def test_alerts_that_no_rule_gives_any_more_are_handed_back() -> None:
    first = engine()
    first.take([a_row(0, "error")], [])
    (firing,) = tick(first, 15).alerts
    assert engine(FAILING.replace("Failing", "Other")).resume([firing]) == [firing]
    assert engine(FAILING.replace("critical", "high")).resume([firing]) == [firing]
    assert engine(FAILING.replace("by: [tool]", "by: [agent]")).resume([firing]) == [firing]


# --- clocks ---


def test_time_that_goes_back_ends_nothing() -> None:
    held = engine()
    held.take([a_row(at, "error") for at in range(0, 600, 5)], [])
    assert kinds(tick(held, 600).alerts) == ["Firing"]
    for back in (599, 500, 301):
        assert tick(held, back) == Changes()
    assert tick(held, -3600) == Changes()
    assert kinds(held.states()) == ["Firing"]
    assert held.due_ns() == START - 3600 * SECOND + 15 * SECOND
    (alert,) = held.states()
    assert isinstance(alert.state, Firing)
    assert alert.state.since_ns <= START - 3600 * SECOND


def test_after_time_went_back_far_judging_goes_on_with_what_comes_in() -> None:
    held = engine()
    held.take([a_row(7200, "error")], [])
    assert kinds(tick(held, 7215).alerts) == ["Firing"]
    tick(held, 0)
    held.take([a_row(at, "ok", tool="get") for at in range(0, 90, 15)], [])
    assert tick(held, 45) == Changes()
    assert kinds(tick(held, 75).alerts) == ["Resolved"]
    held.take([a_row(80, "error", tool="get")], [])
    assert kinds(tick(held, 90).alerts) == ["Firing"]


def test_a_jump_forward_is_judged_once() -> None:
    held = engine(FAILING.replace("above", "for: 1m, above"))
    held.take([a_row(0, "error")], [])
    assert kinds(tick(held, 15).alerts) == ["Pending"]
    changes = tick(held, 86_400)
    assert (changes.alerts, len(changes.lapsed)) == ([], 1)


def test_a_step_of_a_clock_that_is_far_ahead_does_not_count() -> None:
    held = engine()
    tick(held, 0)
    held.take([a_row(7200, "error"), a_row(30, "error", tool="get")], [])
    assert tick(held, 15).alerts == []
    assert [alert.labels["tool"] for alert in tick(held, 45).alerts] == ["get"]
    assert kinds(tick(held, 7215).alerts) == ["Resolved"]


# --- how much is kept ---


def test_more_groups_than_may_be_are_one_group_of_others_and_the_rule_is_named() -> None:
    held = engine()
    rows = [a_row(n % 15, "error", tool=f"t-{n}", session=f"s-{n}") for n in range(10 * MOST_GROUPS)]
    held.take(rows, [])
    changes = tick(held, 15)
    assert len(changes.alerts) == MOST_GROUPS + 1
    assert [alert.event.tool for alert in changes.alerts if alert.labels["tool"] == "(others)"] == ["(others)"]
    assert held.crowded() == ["Failing"]
    held.take([a_row(0, "error", tool="mine", project="q")], [])
    assert [alert.project for alert in tick(held, 30).alerts] == ["q"]
    assert len(tick(held, 600).alerts) == MOST_GROUPS + 2
    assert held.crowded() == []


def test_what_has_left_every_window_is_not_kept() -> None:
    held = engine()
    for at in range(0, 36_000, 60):
        held.take([a_row(at, "error")], [])
        tick(held, at + 30)
        assert held.held <= 50


def test_beyond_its_budget_memory_lets_the_oldest_go_and_asks_the_history_for_it() -> None:
    asked: list[Question] = []

    class Known:
        def answer(self, question: Question) -> Measured:
            asked.append(question)
            return Measured(1, [Cell(("p", "pay"), None, 1, 4, 0, 3, 4)])

    text = FAILING.replace("window: 1m", "window: 1h")
    held = engine(text, Known(), most_held=20)
    for at in range(0, 1800, 30):
        held.take([a_row(at, "ok")], [])
        tick(held, at + 15)
    assert held.held <= 20
    assert held.held_since_ns > START
    assert asked
    assert all(question.until_ns - question.since_ns == HOUR for question in asked)
    assert len(asked) <= 30
    (alert,) = held.states()
    assert alert.event.value == 0.75


@pytest.mark.parametrize(("window", "most"), [("2d", 40), ("90d", 10)])
def test_windows_beyond_a_day_are_asked_of_the_history_every_few_minutes(window: str, most: int) -> None:
    asked = []

    class Counting(Recollection):
        def answer(self, question: Question) -> Measured:
            asked.append(question)
            return super().answer(question)

    told = Counting()
    rows = [a_row(0, "error")]
    told.tell(rows, [])
    held = engine(FAILING.replace("window: 1m", f"window: {window}"), told)
    held.take(rows, [])
    for at in range(0, 1800, 15):
        tick(held, at + 15)
    assert kinds(held.states()) == ["Firing"]
    assert 1 <= len(asked) <= most
    assert held.held == 0


def test_a_measure_that_the_rest_of_a_session_decides_is_asked_of_the_history() -> None:
    class Known:
        def answer(self, question: Question) -> Measured:
            assert question.by == ("project", "session_model")
            return Measured(1, [Cell(("p", "m-1"), None, 1, 4, 0, 3, 4)])

    held = engine(FAILING.replace("by: [tool]", "by: [session_model]"), Known())
    (alert,) = tick(held, 15).alerts
    assert alert.labels["session_model"] == "m-1"


# --- flapping ---


def flips(held: RuleEngine, times: int, every_s: int = 120) -> list[Alert]:
    seen = []
    for number in range(times):
        held.take([a_row(number * every_s, "error")], [])
        seen += tick(held, number * every_s + 15).alerts + tick(held, number * every_s + 105).alerts
    return seen


def test_what_fires_again_and_again_is_told_once_until_it_has_been_calm() -> None:
    held = engine(damping=Damping(hold_ns=0, fires=3, within_ns=30 * MINUTE, calm_ns=10 * MINUTE))
    seen = flips(held, 10)
    assert kinds(seen) == ["Firing", "Resolved"] * 2 + ["Firing"]
    assert ["flapping" in alert.labels for alert in seen] == [False] * 4 + [True]
    assert len({alert.id for alert in seen}) == 1
    assert tick(held, 1700).alerts == []
    (over,) = tick(held, 1900).alerts
    assert isinstance(over.state, Resolved)
    assert "flapping" in over.labels
    held.take([a_row(9000, "error")], [])
    (fresh,) = tick(held, 9015).alerts
    assert "flapping" not in fresh.labels


def test_without_damping_each_of_them_is_told() -> None:
    assert len(flips(engine(), 10)) == 20


def test_what_fired_stays_for_a_while() -> None:
    held = engine(damping=Damping(hold_ns=5 * MINUTE, fires=0))
    held.take([a_row(0, "error")], [])
    assert kinds(tick(held, 15).alerts) == ["Firing"]
    assert tick(held, 300).alerts == []
    assert kinds(tick(held, 315).alerts) == ["Resolved"]


# --- budgets ---


def test_what_is_left_of_an_error_budget() -> None:
    text = """
slos: [{name: Tools, bad: tool_error_rate, by: [tool], objective: 90 %, window: 7d, at_least_count: 1, owner: me,
  runbook: https://runbooks.example/a}]
"""
    (slo,) = read_rules(text).slos
    assert isinstance(slo, Slo)
    told = Recollection()
    told.tell([a_row(0, "error", *["ok"] * 39), a_row(30, "error", "ok", tool="get")], [])
    question = budget_question(slo, START + HOUR)
    assert question.until_ns - question.since_ns == 7 * 24 * HOUR
    found = {budget.group: budget for budget in budgets(slo, told.answer(question))}
    assert msgspec.structs.replace(found["p", "pay"], left=None) == Budget(("p", "pay"), 40, 1, None)
    assert found["p", "pay"].left == pytest.approx(0.75)
    assert found["p", "get"].left == pytest.approx(-4.0)
