"""Rules are tried over what is stored, and reviewed by what became of their alerts; what cannot be tried says why."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence

import httpx
import msgspec
import pytest
from server_fakes import START_NS, House, QuietBoard

from watchpost.model.alert import Alert, Firing, Pending, Resolved, alert_id
from watchpost.model.fact import Verdict
from watchpost.model.flag import Flag, flag_id
from watchpost.model.ledger import LedgerRow, LedgerStep
from watchpost.model.notice import AlertEvent
from watchpost.model.session import Summary, Totals, session_key
from watchpost.model.silence import Silence
from watchpost.query.alerts import AlertFilter
from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import Contributor, Measured, Question, SessionsQuestion
from watchpost.rules.pack import shipped
from watchpost.server.backtest import MOST_STEPS, StoredHistory, window_of
from watchpost.server.days import UTC_DAYS
from watchpost.server.problem import ParameterError
from watchpost.server.rule_review import RuleReviews
from watchpost.store.alerts import AcknowledgedAlert, StandingAlert

SECOND = 10**9
HOUR = 3600 * SECOND
DAY = 24 * HOUR
BEGIN_NS = START_NS // DAY * DAY
FAILING = "rules: [{name: Failing, measure: tool_error_rate, by: [tool], window: 5m, above: 10 %, for: 2m, severity: high, owner: me, runbook: https://a.example}]"


def fill(house: House) -> None:
    """A call each half minute for six hours of the day, all of which fail for an hour and a half."""
    for n in range(720):
        start_ns = BEGIN_NS + n * 30 * SECOND
        status = "error" if 240 <= n < 420 else "ok"
        ids = (n.to_bytes(16, "big"), n.to_bytes(8, "big"), b"")
        step = LedgerStep(*ids, start_ns, 1000, "tool", "pay", "", "", "pay", status, "", None, None, None)
        slot = start_ns // SECOND // 600 * 600
        house.counted.rows.append(LedgerRow("p", slot, f"s-{n}", 1, gone=False, workflow="w", user_id="", outcome="", steps=(step,)))  # fmt: skip


def ask(house: House, **given: object) -> dict[str, object]:
    answered = post(house, given)
    assert answered.status_code == 200, answered.text
    found = answered.json()
    assert isinstance(found, dict)
    return found


def post(house: House, given: Mapping[str, object]) -> httpx.Response:
    return house.post("/api/rules/backtest", json.dumps(given).encode(), content_type="application/json")


def rule_of(found: Mapping[str, object], name: str) -> dict[str, object]:
    rules = found["rules"]
    assert isinstance(rules, list)
    (one,) = [each for each in rules if each["rule"] == name]
    assert isinstance(one, dict)
    return one


def test_rules_of_a_file_are_replayed_and_judged_by_incidents() -> None:
    house = House()
    fill(house)
    began = f"incidents: [{{name: down, since: {at(2 * HOUR)}, until: {at(3 * HOUR)}}}, {{name: later, since: {at(5 * HOUR)}, until: {at(6 * HOUR)}}}]"
    found = ask(house, files={"mine.yaml": FAILING}, incidents=began, since="1d", propose=True, alerts_a_week=2)
    assert (found["steps"], found["sessions"], found["interval_seconds"]) == (720, 0, 15.0)
    one = rule_of(found, "Failing")
    assert (one["alerts"], one["right"], one["wrong"], one["precision"]) == (1, 1, 0, 1.0)
    assert (one["caught"], one["missed"], one["recall"]) == (["down"], ["later"], 0.5)
    assert [
        (each["name"], each["found_by"]) for each in msgspec.convert(found["incidents"], list[dict[str, object]])
    ] == [
        ("down", ["Failing"]),
        ("later", []),
    ]
    (episode,) = msgspec.convert(one["episodes"], list[dict[str, object]])
    assert str(episode["fired_at"]) > str(episode["pending_at"])
    assert episode["sessions"]
    proposal = msgspec.convert(one["proposal"], dict[str, object])
    assert (proposal["current"], proposal["incidents"]) == (0.1, 2)
    assert proposal["reason"] == "finds 1 of 2 incidents with 0 other alerts"


def at(after_ns: int) -> str:
    day = (BEGIN_NS + after_ns) // SECOND % 86_400
    return f"2026-05-28T{day // 3600:02}:{day % 3600 // 60:02}:00Z"


def test_without_a_file_the_rules_at_work_are_replayed() -> None:
    house = House()
    fill(house)
    found = house.get("/api/rules/backtest?since=1d").json()
    assert {each["rule"] for each in found["rules"]} == {rule.name for rule in shipped().rules}
    told = {each["rule"] for each in found["rules"] if each["alerts"]}
    assert told == {"AgentToolHighFailureRate", "AgentToolErrorRate10Minutes"}
    only = house.get("/api/rules/backtest?since=1d&rule=AgentToolHighFailureRate").json()
    assert [each["rule"] for each in only["rules"]] == ["AgentToolHighFailureRate"]
    assert only["rules"][0]["precision"] is None


def test_verdicts_on_flags_make_alerts_right_or_wrong() -> None:
    house = House()
    for n, verdict in enumerate(("confirm", "dismiss", "")):
        at_ns = BEGIN_NS + n * HOUR
        flag = Flag(flag_id("p", "LOOP_DETECTED", "pay", bytes([n]), b""), "p", f"s-{n}", "LOOP_DETECTED", "pay", bytes(16), bytes(8), "high", "confirmed", "loops", {"tool": "pay"}, at_ns)  # fmt: skip
        house.shelf.raised.append(flag)
        house.counted.summaries.append(Summary(session_key("p", f"s-{n}"), "p", f"s-{n}", "w", "", "ended", "completed", 1, at_ns - SECOND, at_ns + SECOND, at_ns, 0, Totals()))  # fmt: skip
        if verdict:
            house.shelf.given.append(
                Verdict(flag.id, "confirm" if verdict == "confirm" else "dismiss", "me", "", at_ns)
            )
    one = rule_of(ask(house, since="1d", rule="AgentLooping"), "AgentLooping")
    assert (one["alerts"], one["right"], one["wrong"], one["unknown"]) == (3, 1, 1, 1)


@pytest.mark.parametrize(
    ("given", "parameter", "detail"),
    [
        ({"since": "32d"}, "since", "more than 31 days before the end"),
        ({"since": "soon"}, "since", "no moment"),
        ({"since": "2100-01-01"}, "since", "the window ends before it begins"),
        ({"until": "sometime"}, "until", "no moment"),
        ({"rule": "Nobody"}, "rule", "there is no rule Nobody; there are: AgentWorkflowSlowResponse"),
        ({"files": {"a.yaml": "rules: [{}]"}}, "files", "a.yaml:1:9: #1: name: is missing"),
        ({"incidents": "incidents: no"}, "incidents", "incidents:1:12: incidents: must be a list"),
        ({"alerts_a_week": -1}, "alerts_a_week", "a number from 0"),
        ({"rules": []}, "rules", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_tried_says_which_part_and_why(given: dict[str, object], parameter: str, detail: str) -> None:
    answered = post(House(), given)
    assert answered.status_code == 422
    (error,) = answered.json()["errors"]
    assert (error["parameter"], detail in error["detail"]) == (parameter, True), error


def test_more_steps_than_are_replayed_at_once_are_refused() -> None:
    house = House()
    house.counted.size = MOST_STEPS + 1
    assert "are more than" in house.get("/api/rules/backtest").json()["detail"]


def test_one_back_test_runs_at_a_time() -> None:
    house = House()
    entered, leave = threading.Event(), threading.Event()

    def slow(question: Question) -> Measured:
        entered.set()
        assert leave.wait(30)
        return Measured(0, []) if question.by else Measured(1, [])

    house.gauge.measured = slow  # type: ignore[method-assign]  # a store that takes its time
    answers: list[httpx.Response] = []
    asked = "/api/rules/backtest?since=1h&rule=AgentCostPerRequestDoubled"
    first = threading.Thread(target=lambda: answers.append(house.get(asked)))
    first.start()
    assert entered.wait(30)
    refused = house.get("/api/rules/backtest")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
    leave.set()
    first.join()
    assert answers[0].status_code == 200


def test_a_window_is_a_moment_or_a_duration_on_whole_cells() -> None:
    now_ns = BEGIN_NS + 7 * SECOND
    assert window_of("1h", "", now_ns, UTC_DAYS) == (BEGIN_NS - HOUR, BEGIN_NS)
    assert window_of("2026-05-27", "2026-05-28", now_ns, UTC_DAYS) == (BEGIN_NS - DAY, BEGIN_NS)
    assert window_of("2026-05-27", "2100-01-01", now_ns, UTC_DAYS) == (BEGIN_NS - DAY, BEGIN_NS)
    with pytest.raises(ParameterError):
        window_of("1970", "", now_ns, UTC_DAYS)


class Counting:
    """A MeasureReader that keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Question] = []

    def measured(self, question: Question) -> Measured:
        self.asked.append(question)
        return Measured(len(self.asked), [])

    def contributors(self, asked: SessionsQuestion) -> list[Contributor]:
        raise AssertionError(asked)


def test_history_is_asked_as_seldom_as_its_length_allows_and_not_before_it_counts() -> None:
    reader = Counting()
    history = StoredHistory(reader, BEGIN_NS)
    week = 7 * DAY
    for n in range(24 * 60):
        until_ns = BEGIN_NS + n * 60 * SECOND
        history.answer(Question(MEASURES["cost_usd"], until_ns - week, until_ns))
    assert len(reader.asked) == 12
    assert all(each.until_ns - each.since_ns == week for each in reader.asked)
    assert history.answer(Question(MEASURES["cost_usd"], BEGIN_NS - week - SECOND, BEGIN_NS - SECOND)) == Measured(
        0, []
    )
    assert len(reader.asked) == 12


def alert(rule: str, state: Pending | Firing | Resolved, value: float = 0.2, **labels: str) -> Alert:
    named = {"alertname": rule, "severity": "critical", "owner": "me", **labels}
    event = AlertEvent("", "s", "m", "", value, 0.1, "5m", "critical", "me", "r", [], "it fails", rule)
    return Alert(alert_id("p", rule, named), "p", rule, named, state, event)


class Board(QuietBoard):
    """AlertReader and AlertMemory over a list of changes, oldest first."""

    def __init__(self) -> None:
        self.changes: list[StandingAlert] = []
        self.heeded: list[AcknowledgedAlert] = []
        self.quiet: list[Silence] = []

    def silences(self, ended_after_ns: int) -> list[Silence]:
        return [each for each in self.quiet if each.ends_ns > ended_after_ns]

    def alerts(self, wanted: AlertFilter) -> list[StandingAlert]:
        now = {each.alert.id: each for each in self.changes}
        rows = sorted(now.values(), key=lambda each: (each.changed_ns, each.alert.id), reverse=True)
        before = wanted.before
        return [each for each in rows if before is None or (each.changed_ns, each.alert.id) < before][: wanted.limit]

    def alert_history(self, alert_id: str, limit: int) -> list[StandingAlert]:
        return [each for each in reversed(self.changes) if each.alert.id == alert_id][:limit]

    def acknowledged(self, alert_id: str) -> list[AcknowledgedAlert]:
        return [each for each in self.heeded if each.id == alert_id]


def fires(board: Board, made: Sequence[Alert]) -> None:
    board.changes += [StandingAlert(each, each.state.resolved_ns if isinstance(each.state, Resolved) else each.state.since_ns) for each in made]  # fmt: skip


def test_a_review_tells_what_became_of_each_alert() -> None:
    board = Board()
    rule = "AgentToolHighFailureRate"
    for n in range(4):
        fired_ns = BEGIN_NS - DAY + n * HOUR
        fires(board, [alert(rule, Firing(fired_ns, fired_ns, fired_ns), 0.3, tool="pay"), alert(rule, Resolved(fired_ns, fired_ns, fired_ns + 60 * SECOND), tool="pay")])  # fmt: skip
    other = alert(rule, Firing(BEGIN_NS - HOUR, BEGIN_NS - HOUR, BEGIN_NS), tool="search")
    old = alert("AgentLooping", Resolved(1, BEGIN_NS - 20 * DAY, BEGIN_NS - 20 * DAY + 1))
    fires(board, [other, old, alert("AgentMakesUpIds", Pending(BEGIN_NS - HOUR))])
    board.heeded = [AcknowledgedAlert(other.id, BEGIN_NS - HOUR + SECOND, "ann"), AcknowledgedAlert(other.id, 1, "ann")]
    board.quiet = [Silence("q", "", ('tool="pay"',), BEGIN_NS - DAY - HOUR, BEGIN_NS - DAY + SECOND, "me", "why", 0)]
    found = RuleReviews(board, board, shipped().rules, lambda: BEGIN_NS, UTC_DAYS).answer("7d", "")
    (one,) = found.rules
    assert (one.rule, one.fired, one.acknowledged, one.short, one.silenced, one.flapped) == (rule, 5, 1, 4, 1, 0)
    assert one.ignored_share == pytest.approx(0.8)
    assert one.median_seconds == 60.0
    assert one.suggestions[0].startswith("for: 7m instead of 5m: 4 of 5 ended by themselves")
    assert "AgentLooping" in found.silent
    assert rule not in found.silent


def test_a_review_until_now_knows_what_fired_a_moment_ago() -> None:
    board, rule, now_ns = Board(), "AgentLooping", BEGIN_NS + 14 * SECOND
    fires(board, [alert(rule, Firing(now_ns - SECOND, now_ns - SECOND, now_ns))])
    reviews = RuleReviews(board, board, shipped().rules, lambda: now_ns, UTC_DAYS)
    assert [each.rule for each in reviews.answer("7d", "").rules] == [rule]
    assert reviews.answer("7d", "2026-01-01T00:00:00Z").rules == []


def test_the_review_is_a_route() -> None:
    found = House().get("/api/rules/review?since=1d")
    assert (found.status_code, found.json()["rules"]) == (200, [])
    assert House().get("/api/rules/review?since=99d").status_code == 422
