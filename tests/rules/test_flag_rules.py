"""Which flags become which notices."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.model.flag import SEVERITIES, Flag, FlagState, Severity
from watchpost.model.notice import AlertEvent, Notice
from watchpost.model.session import session_key
from watchpost.rules.flag_rules import FlagRule, FlagRules, RuleError, Subject, notice_id, read_rules

LOOP_EVIDENCE: dict[str, object] = {"value": 3, "threshold": 2, "window": "session"}


def flag(
    severity: Severity = "high",
    state: FlagState = "confirmed",
    *,
    kind: str = "LOOP_DETECTED",
    subject: str = "get_order",
    project: str = "shop",
    session_id: str = "s-1",
    trace: int = 1,
    span: int = 1,
    summary: str = "get_order was called 3 times with alike arguments",
    evidence: dict[str, object] | None = None,
    at_ns: int = 1_762_329_600_123_999_999,
) -> Flag:
    return Flag(
        id=f"{kind}-{subject}-{trace}-{span}",
        project=project,
        session_id=session_id,
        kind=kind,
        subject=subject,
        trace_id=trace.to_bytes(16),
        span_id=span.to_bytes(8),
        severity=severity,
        state=state,
        summary=summary,
        evidence=LOOP_EVIDENCE if evidence is None else evidence,
        at_ns=at_ns,
    )


def rule(
    name: str = "loops",
    severity: Severity = "warning",
    *,
    kinds: tuple[str, ...] = (),
    channels: tuple[str, ...] = ("ops",),
    service: str = "",
) -> FlagRule:
    return FlagRule(name, severity, "team-agents", "https://runbooks.example/loops", channels, kinds, service)


def judged(one: Flag, *rules: FlagRule) -> list[Notice]:
    return FlagRules(rules or (rule(),)).judge([Subject(one, service="refunds", tool="get_order")])


def test_the_event_says_where_to_look() -> None:
    [notice] = judged(flag())
    assert notice.channel == "ops"
    assert notice.event == AlertEvent(
        timestamp="2025-11-05T08:00:00.123Z",
        service="refunds",
        metric="LOOP_DETECTED",
        tool="get_order",
        value=3.0,
        threshold=2.0,
        window="session",
        severity="high",
        owner="team-agents",
        runbook="https://runbooks.example/loops",
        sessions=[session_key("shop", "s-1")],
        summary="get_order was called 3 times with alike arguments",
        rule="loops",
    )


@pytest.mark.parametrize("minimum", SEVERITIES)
def test_a_flag_tells_somebody_only_from_the_rules_severity_upwards(minimum: Severity) -> None:
    told = [severity for severity in SEVERITIES if judged(flag(severity), rule(severity=minimum))]
    assert told == list(SEVERITIES[: SEVERITIES.index(minimum) + 1])


@pytest.mark.parametrize("state", ["provisional", "withdrawn"])
def test_a_flag_that_is_not_confirmed_tells_nobody(state: FlagState) -> None:
    assert judged(flag("critical", state)) == []


def test_a_rule_speaks_of_the_kinds_it_names_and_of_every_kind_when_it_names_none() -> None:
    assert judged(flag(kind="BUDGET_WARNING"), rule(kinds=("LOOP_DETECTED",))) == []
    assert len(judged(flag(kind="BUDGET_WARNING"), rule(kinds=("LOOP_DETECTED", "BUDGET_WARNING")))) == 1
    assert len(judged(flag(kind="BUDGET_WARNING"), rule())) == 1


def test_every_channel_of_every_matching_rule_gets_its_own_notice() -> None:
    notices = judged(flag(), rule("a", channels=("ops", "pager")), rule("b"))
    assert sorted((notice.event.rule, notice.channel) for notice in notices) == [
        ("a", "ops"),
        ("a", "pager"),
        ("b", "ops"),
    ]
    assert len({notice.id for notice in notices}) == 3


def test_an_anomaly_that_moves_to_a_later_step_or_a_session_named_late_is_the_same_notice() -> None:
    [first] = judged(flag(span=1, session_id="trace-as-session"))
    [later] = judged(flag(span=7, session_id="conversation-9", at_ns=1_762_329_700_000_000_000))
    assert first.id == later.id


@pytest.mark.parametrize(
    "other",
    [flag(trace=2), flag(subject="refund"), flag(kind="BUDGET_WARNING"), flag(project="bank")],
    ids=["trace", "subject", "kind", "project"],
)
def test_another_anomaly_is_another_notice(other: Flag) -> None:
    assert notice_id("loops", "ops", other) != notice_id("loops", "ops", flag())


def test_parts_of_an_id_cannot_run_into_each_other() -> None:
    assert notice_id("ab", "c", flag()) != notice_id("a", "bc", flag())


def test_of_several_flags_of_one_anomaly_the_most_severe_and_then_the_earliest_speaks() -> None:
    early, late, severe = flag(at_ns=1_000_000), flag(at_ns=2_000_000), flag("critical", at_ns=3_000_000)
    assert [n.event.timestamp for n in FlagRules([rule()]).judge([Subject(late), Subject(early)])] == [
        "1970-01-01T00:00:00.001Z"
    ]
    [notice] = FlagRules([rule()]).judge([Subject(late), Subject(severe), Subject(early)])
    assert notice.event.severity == "critical"


@pytest.mark.parametrize(
    "evidence",
    [
        {},
        {"value": "many", "threshold": None, "window": 5},
        {"value": False, "threshold": True, "window": ""},
        {"value": float("nan"), "threshold": float("-inf")},
    ],
)
def test_a_flag_without_counts_is_one_occurrence_where_none_is_allowed(evidence: dict[str, object]) -> None:
    [notice] = judged(flag(evidence=evidence))
    assert (notice.event.value, notice.event.threshold, notice.event.window) == (1.0, 0.0, "session")


def test_a_number_too_large_for_an_event_does_not_stop_the_alert() -> None:
    [notice] = judged(flag(evidence={"value": 10**400, "threshold": float("inf")}))
    assert (notice.event.value, notice.event.threshold) == (1.0, 0.0)


def test_the_service_is_the_sessions_then_the_rules_then_unknown() -> None:
    rules = FlagRules([rule("named", service="checkout"), rule("unnamed")])
    assert {n.event.rule: n.event.service for n in rules.judge([Subject(flag())])} == {
        "named": "checkout",
        "unnamed": "unknown",
    }
    assert {n.event.service for n in rules.judge([Subject(flag(), service="refunds")])} == {"refunds"}


def test_text_from_a_trace_is_one_bounded_line_in_an_event() -> None:
    one = flag(summary="a\r\nBcc: all\x1b[2J\u202e" + "x" * 5000)
    [notice] = FlagRules([rule()]).judge([Subject(one, service="s\n2", tool="t" * 10_000_000)])
    texts = (notice.event.summary, notice.event.service, notice.event.tool)
    assert all(text.isprintable() for text in texts)
    assert [len(text) for text in texts] == [1000, 3, 200]


@pytest.mark.parametrize("at_ns", [0, -(2**63), 2**63 - 1])
def test_a_sender_whose_clock_is_absurd_still_gets_a_timestamp(at_ns: int) -> None:
    [notice] = judged(flag(at_ns=at_ns))
    assert notice.event.timestamp.endswith("Z")
    assert len(notice.event.timestamp) == len("1970-01-01T00:00:00.000Z")


GOOD_ROW: dict[str, object] = {
    "name": "loops",
    "severity": "error",
    "owner": "team-agents",
    "runbook": "https://runbooks.example/loops",
    "channels": ["ops"],
}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"owner": ""}, "owner"),
        ({"owner": "  "}, "owner"),
        ({"owner": None}, "owner"),
        ({"runbook": ""}, "runbook"),
        ({"channels": []}, "channels"),
        ({"channels": ["ops", ""]}, "channels"),
        ({"severity": "urgent"}, "severity"),
        ({"treshold": 3}, "treshold"),
    ],
)
def test_a_rule_that_nobody_could_act_on_is_refused_by_name_and_field(change: dict[str, object], field: str) -> None:
    with pytest.raises(RuleError) as refused:
        read_rules([GOOD_ROW | change])
    assert (refused.value.rule, refused.value.field) == ("loops", field)
    assert "loops" in str(refused.value)
    assert field in str(refused.value)


@pytest.mark.parametrize("missing", ["owner", "runbook", "channels"])
def test_a_rule_that_leaves_out_what_it_needs_is_refused(missing: str) -> None:
    with pytest.raises(RuleError, match=f"rule loops: {missing}"):
        read_rules([{key: value for key, value in GOOD_ROW.items() if key != missing}])


@pytest.mark.parametrize("row", ["not a table", {"owner": "x"}, {**GOOD_ROW, "name": " "}])
def test_a_rule_without_a_name_is_refused_by_its_place(row: object) -> None:
    with pytest.raises(RuleError) as refused:
        read_rules([GOOD_ROW, row])
    assert refused.value.rule == "#2"


def test_two_rules_of_one_name_are_refused() -> None:
    with pytest.raises(RuleError, match="two rules"):
        read_rules([GOOD_ROW, GOOD_ROW])


def test_rules_read_from_settings_judge_and_name_their_channels() -> None:
    rules = read_rules([GOOD_ROW, {**GOOD_ROW, "name": "all", "severity": "info", "channels": ["ops", "chat"]}])
    assert rules.channels == {"ops", "chat"}
    assert [notice.event.rule for notice in rules.judge([Subject(flag("warning"))])] == ["all", "all"]


subjects = st.builds(
    Subject,
    st.builds(
        flag,
        st.sampled_from(SEVERITIES),
        st.sampled_from(["provisional", "confirmed", "withdrawn"]),
        kind=st.sampled_from(["LOOP_DETECTED", "BUDGET_WARNING"]),
        subject=st.sampled_from(["", "get_order"]),
        session_id=st.sampled_from(["a", "b"]),
        trace=st.integers(1, 2),
        span=st.integers(1, 3),
        summary=st.text(max_size=5),
        at_ns=st.integers(0, 3_000_000),
    ),
    st.sampled_from(["", "refunds"]),
    st.sampled_from(["", "get_order"]),
)
RULES = FlagRules([rule("all", "info"), rule("severe", "error", channels=("ops", "pager"), kinds=("LOOP_DETECTED",))])


@given(st.lists(subjects, max_size=8), st.randoms(use_true_random=False))
def test_judging_does_not_depend_on_the_order_or_repetition_of_flags(flags: list[Subject], random: object) -> None:
    shuffled = flags * 2
    assert hasattr(random, "shuffle")
    random.shuffle(shuffled)
    notices = RULES.judge(flags)
    assert RULES.judge(shuffled) == notices
    assert len({notice.id for notice in notices}) == len(notices)


@given(st.lists(subjects, max_size=8))
def test_judging_one_by_one_gives_the_same_ids_as_judging_at_once(flags: list[Subject]) -> None:
    apart = {notice.id for one in flags for notice in RULES.judge([one])}
    assert {notice.id for notice in RULES.judge(flags)} == apart


@given(subjects)
def test_every_notice_can_be_stored_and_read_back(one: Subject) -> None:
    for notice in RULES.judge([one]):
        assert msgspec.json.decode(msgspec.json.encode(notice), type=Notice) == notice
