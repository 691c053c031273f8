"""Alerts of another Alertmanager as alerts of ours: what they are called, how grave they are and how they stand."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.alerting.outside import UNNAMED, alert_of, is_outside
from watchpost.model.alert import Alert, Firing, Resolved, alert_id
from watchpost.model.outside_alert import OutsideAlert

AT = 1_780_000_000 * 10**9
DISK = OutsideAlert(
    "p", "f", "firing", {"alertname": "Disk full", "severity": "page", "job": "shop"},
    {"summary": "90 % of disk used", "runbook_url": "https://r.example", "value": "0.9"}, AT - 60, 0, AT, "https://g.example",
)  # fmt: skip


def test_an_alert_says_by_our_keys_what_the_other_said() -> None:
    alert = alert_of(DISK)
    assert (alert.rule, alert.project, alert.state) == ("Disk full", "p", Firing(AT - 60, AT - 60, AT))
    own = {"alertname": "Disk full", "severity": "critical", "owner": "unknown", "project": "p", "rate": "yes"}
    assert alert.labels == {**own, "job": "shop"}
    event = alert.event
    assert (event.severity, event.service, event.metric, event.rule) == ("critical", "shop", "Disk full", "Disk full")
    assert (event.summary, event.runbook, event.value) == ("90 % of disk used", "https://r.example", 0.9)
    assert event.timestamp == "2026-05-28T20:26:39.999Z"


@pytest.mark.parametrize(
    ("said", "severity"),
    [("critical", "critical"), ("PAGE ", "critical"), ("major", "high"), ("error", "error"), ("warn", "warning"), ("none", "info"), ("P3", "warning"), ("", "warning")],
)  # fmt: skip
def test_severities_of_others_are_mapped_and_a_warning_where_nobody_knows(said: str, severity: str) -> None:
    alert = alert_of(msgspec.structs.replace(DISK, labels={"alertname": "x", "severity": said}))
    assert alert.labels["severity"] == alert.event.severity == severity


def test_it_ends_when_it_ended_and_never_in_the_future() -> None:
    for ends, resolved in ((AT - 30, AT - 30), (0, AT), (AT + 10**12, AT), (AT - 10**12, AT - 60)):
        alert = alert_of(msgspec.structs.replace(DISK, status="resolved", ends_ns=ends))
        assert alert.state == Resolved(AT - 60, AT - 60, resolved)
    ahead = alert_of(msgspec.structs.replace(DISK, starts_ns=AT + 10**12))
    assert ahead.state == Firing(AT, AT, AT)


def test_what_fires_and_what_ends_is_the_same_alert_and_no_other() -> None:
    ended = alert_of(msgspec.structs.replace(DISK, status="resolved", annotations={}))
    assert ended.id == alert_of(DISK).id
    assert alert_of(msgspec.structs.replace(DISK, project="q")).id != ended.id
    assert alert_of(msgspec.structs.replace(DISK, labels={**DISK.labels, "disk": "b"})).id != ended.id


def test_an_alert_of_our_own_with_the_same_labels_is_another() -> None:
    alert = alert_of(DISK)
    own = Alert(alert_id("p", alert.rule, alert.labels), "p", alert.rule, alert.labels, alert.state, alert.event)
    assert own.id != alert.id
    assert (is_outside(alert), is_outside(own)) == (True, False)


TEXTS = st.dictionaries(st.sampled_from(["alertname", "severity", "owner", "team", "tool", "value", "summary", "x"]), st.text(), max_size=6)  # fmt: skip


@given(TEXTS, TEXTS, st.integers(0, 2**62), st.integers(0, 2**62), st.sampled_from(["firing", "resolved"]))
def test_whatever_it_says_it_becomes_one_alert_in_lines(
    labels: dict[str, str], annotations: dict[str, str], starts: int, ends: int, status: str
) -> None:
    sent = msgspec.structs.replace(
        DISK, labels=labels, annotations=annotations, starts_ns=starts, ends_ns=ends, status=status
    )
    alert = alert_of(sent)
    assert is_outside(alert)
    assert alert.rule
    assert alert.rule == alert.labels["alertname"]
    assert (alert.rule == UNNAMED) or labels["alertname"].strip()
    for text in (alert.rule, alert.event.summary, alert.event.owner, alert.event.service, alert.event.tool):
        assert text.isprintable()
    stored = msgspec.json.decode(msgspec.json.encode(alert), type=Alert)
    assert stored == alert
    assert alert.state.since_ns <= AT
