"""Which sessions' traces are kept, and what is due when."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.runtime.retention import Due, Terms, end_ns, plan
from watchpost.runtime.sampling import Known, Policy, decide, place
from watchpost.runtime.settings import SettingsError, read_settings
from watchpost.store.retention import Candidate, Partition, Sampled

HOUR_NS = 3600 * 10**9
DAY_NS = 24 * HOUR_NS
NOW_NS = 1_795_000_000 * 10**9
POLICY = Policy(0.1, {"loans": 1.0, "chatter": 0.0}, DAY_NS)
QUIET = Candidate(
    "p", "s", "w", "ended", NOW_NS - 2 * DAY_NS, 10, 0, failed=False, judged=False, breached=False, before=None
)
TERMS = Terms(DAY_NS, 7 * DAY_NS, 30 * DAY_NS, 0.99, POLICY)


def candidate(**changed: object) -> Candidate:
    return msgspec.structs.replace(QUIET, **changed)


REASONS: dict[str, dict[str, object]] = {
    "error": {"failed": True},
    "breach": {"breached": True},
    "feedback": {"judged": True},
    "latency": {"lasted_ns": 11, "usual_ns": 10},
    "running": {"state": "running"},
}


@pytest.mark.parametrize("reason", REASONS)
@given(session_id=st.text(max_size=20))
def test_what_must_be_kept_is_kept_for_certain_whichever_it_is(reason: str, session_id: str) -> None:
    found = decide(candidate(session_id=session_id, workflow="chatter", **REASONS[reason]), POLICY, Known(), NOW_NS)
    assert (found.kept, found.share, found.reason, found.gone) == (True, 1.0, reason, "")


@pytest.mark.parametrize("known", [Known(held=[("p", "s")]), Known(flagged=[("p", "s")])])
def test_a_session_that_is_held_or_flagged_is_kept_for_certain(known: Known) -> None:
    found = decide(candidate(workflow="chatter"), POLICY, known, NOW_NS)
    assert (found.kept, found.share, found.reason) == (True, 1.0, "held" if known.held else "flag")


def test_a_run_that_took_as_long_as_usual_is_not_slow() -> None:
    found = decide(candidate(workflow="chatter", lasted_ns=10, usual_ns=10), POLICY, Known(), NOW_NS)
    assert found.reason == "dropped"


@pytest.mark.parametrize(("workflow", "kept", "share"), [("loans", True, 1.0), ("chatter", False, 0.0)])
def test_a_workflow_may_have_a_share_of_its_own(workflow: str, kept: bool, share: float) -> None:
    found = decide(candidate(workflow=workflow), POLICY, Known(), NOW_NS)
    assert (found.kept, found.share, found.reason) == (kept, share, "sampled" if kept else "dropped")


def test_of_sessions_in_which_nothing_happened_the_share_is_kept_within_its_binomial_bound() -> None:
    many = 20_000
    kept = sum(decide(candidate(session_id=f"s-{n}"), POLICY, Known(), NOW_NS).kept for n in range(many))
    assert abs(kept - many * 0.1) < 4 * math.sqrt(many * 0.1 * 0.9)


@given(st.text(), st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_greater_share_keeps_all_that_a_smaller_one_keeps(
    project: str, session_id: str, one: float, other: float
) -> None:
    def kept(share: float) -> bool:
        policy = Policy(share, {}, DAY_NS)
        return decide(candidate(project=project, session_id=session_id), policy, Known(), NOW_NS).kept

    assert kept(min(one, other)) <= kept(max(one, other))
    assert 0 <= place(project, session_id) < 1


def test_what_was_kept_once_stays_kept_with_its_probability() -> None:
    before = Sampled("p", "s", 1, kept=True, share=0.5, reason="sampled")
    assert decide(candidate(workflow="chatter", before=before), POLICY, Known(), NOW_NS) == before


def test_what_was_dropped_and_has_to_be_kept_since_is_not_whole() -> None:
    before = Sampled("p", "s", 1, kept=False, share=0.5, reason="dropped", gone="sampled")
    found = decide(candidate(failed=True, before=before), POLICY, Known(), NOW_NS)
    assert (found.kept, found.share, found.reason, found.gone) == (True, 1.0, "error", "sampled")


def test_days_are_due_when_the_time_after_their_end_has_passed() -> None:
    partitions = [
        Partition("spans", 20261101, 0, 1),
        Partition("logs", 20261101, 0, 1),
        Partition("spans", 20261102, 1, 1),
        Partition("spans", 20261103, 2, 1),
        Partition("metrics", 20261001, 0, 1),
    ]

    def due(day: int, after_ns: int) -> list[Due]:
        return [each for each in plan(partitions, TERMS, end_ns(day) + after_ns) if each.day == day]

    assert due(20261101, DAY_NS - 1) == []
    assert due(20261101, DAY_NS) == [Due("sort", 20261101)]
    assert due(20261102, 7 * DAY_NS - 1) == []
    assert due(20261102, 7 * DAY_NS) == [Due("expire", 20261102, 1)]
    assert due(20261103, 7 * DAY_NS) == [Due("expire", 20261103, 2)]
    assert due(20261001, 30 * DAY_NS - 1) == []
    assert due(20261001, 30 * DAY_NS) == [Due("drop_metrics", 20261001)]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"share": 1.1}, "retention.share"),
        ({"shares": {"w": -1}}, "retention.shares.w"),
        ({"hot_hours": 0}, "retention.hot_hours"),
        ({"hot_hours": 200, "trace_days": 7}, "hot_hours must not be more than trace_days"),
        ({"latency_quantile": 1}, "retention.latency_quantile"),
        ({"keep": 1}, "retention.keep"),
    ],
)
def test_terms_that_cannot_be_are_named(given: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        read_settings(retention=given)
