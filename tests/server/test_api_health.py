"""How Watchpost says that it does: whether anything is lost, late or full, and what to do about it."""

from __future__ import annotations

import msgspec
import pytest
from server_fakes import START_NS, House

from watchpost.model.notice import AlertEvent, DeliveryState, Notice
from watchpost.query.flags import VerdictCount
from watchpost.rules.precision import Precision, PrecisionSettings
from watchpost.server.health import HealthNumbers
from watchpost.server.health_report import HealthAnswer
from watchpost.server.health_trouble import found_in
from watchpost.store.state import StoredNotice

JUDGED = START_NS - 15 * 10**9
EVENT = AlertEvent("2026-05-28T20:26:40.000Z", "shop", "m", "", 1.0, 0.0, "5m", "high", "o", "r", [], "s", "R")


class Tries:
    """A NoticeReader whose last tries the test says."""

    def __init__(self, *tries: tuple[str, DeliveryState, str]) -> None:
        self._tries = [
            StoredNotice(Notice(f"n{at}", channel, EVENT), state, 2, START_NS, START_NS + 10**9, detail)
            for at, (channel, state, detail) in enumerate(tries)
        ]

    def notices_about(self, alert_id: str, limit: int) -> list[StoredNotice]:
        return [each for each in self._tries if alert_id][:limit]

    def last_tries(self) -> list[StoredNotice]:
        return self._tries


def health(house: House) -> HealthAnswer:
    return msgspec.json.decode(house.get("/api/health").content, type=HealthAnswer)


def test_where_all_is_well_one_sentence_says_so() -> None:
    house = House()
    house.pulse.now = HealthNumbers(accepted_spans=9, rules_judged_ns=JUDGED, disk_free_bytes=60, disk_bytes=100)
    found = health(house)
    assert (found.ok, found.sentence, found.troubles) == (True, "Nothing is lost, late or full.", [])
    assert (found.taken.accepted_spans, found.disk_free_bytes) == (9, 60)
    assert "Nothing is lost, late or full." in house.get("/health").text


@pytest.mark.parametrize(
    ("numbers", "kind", "severity", "said"),
    [
        (HealthNumbers(rejected_spans=2), "lost", "warning", "2 spans were refused as wrong"),
        (HealthNumbers(rejected_points=1), "lost", "warning", "1 metric points"),
        (HealthNumbers(react_lag_s=45), "late", "warning", "45 s after it came"),
        (HealthNumbers(react_lag_s=450), "late", "error", "450 s after it came"),
        (HealthNumbers(put_off=3), "full", "warning", "3 requests were told to come again"),
        (HealthNumbers(log_lag_bytes=90, lag_limit_bytes=100), "full", "warning", "lags by 90 %"),
        (HealthNumbers(disk_free_bytes=4, disk_bytes=100), "full", "error", "Only 4.0 % of the disk"),
        (HealthNumbers(disk_free_bytes=1, disk_bytes=1000), "full", "critical", "Only 0.1 % of the disk"),
        (HealthNumbers(crowded_rules=["Loops"]), "blind", "warning", "Loops: too many groups"),
        (HealthNumbers(drift_failed=1), "blind", "warning", "could not be compared"),
        (HealthNumbers(unpriced={"no_price": 4}), "blind", "info", "4 model calls came without a price"),
    ],
)
def test_what_is_wrong_is_told_with_how_grave_it_is(
    numbers: HealthNumbers, kind: str, severity: str, said: str
) -> None:
    house = House()
    house.pulse.now = msgspec.structs.replace(numbers, rules_judged_ns=JUDGED)
    found = health(house)
    (trouble,) = found.troubles
    assert (trouble.kind, trouble.severity) == (kind, severity)
    assert said in trouble.what
    assert trouble.do
    assert found.ok == (severity == "info")
    page = house.get("/health").text
    assert said in page


def test_the_gravest_is_told_first_and_the_others_are_counted() -> None:
    house = House()
    house.pulse.reason = "the log is being read"
    house.pulse.now = HealthNumbers(put_off=1, rejected_logs=1, rules_judged_ns=JUDGED)
    found = health(house)
    assert found.sentence == "Requests cannot be served: the log is being read. 2 more to look at."


def test_rules_that_are_not_judged_any_more_are_told_once_there_was_time_to() -> None:
    numbers = HealthNumbers(rules_judged_ns=START_NS)
    later_ns = START_NS + 600 * 10**9
    (trouble,) = found_in(numbers, None, {}, later_ns, START_NS)
    assert (trouble.severity, trouble.what) == ("error", "No rule was judged for 600 s")
    assert found_in(numbers, None, {}, later_ns, later_ns - 10**9) == []


def test_a_channel_that_does_not_take_notices_is_told_with_what_it_answered() -> None:
    house = House(notices=Tries(("hook", "failed", "HTTP 410"), ("mail", "waiting", "busy"), ("ok", "delivered", "")))
    house.pulse.now = HealthNumbers(
        rules_judged_ns=JUDGED,
        outbox={("hook", "failed"): 1, ("mail", "waiting"): 3, ("ok", "delivered"): 7, ("ok", "waiting"): 1},
    )
    found = health(house)
    assert [(each.severity, each.what) for each in found.troubles] == [
        ("error", "1 notice to hook was given up"),
        ("warning", "3 notices to mail were not taken yet"),
    ]
    assert "HTTP 410" in found.troubles[0].do
    by_name = {channel.channel: channel for channel in found.channels}
    assert (by_name["ok"].delivered, by_name["ok"].last_failure) == (7, None)
    assert by_name["mail"].last_failure is not None
    assert by_name["mail"].last_failure.again_at is not None
    assert "HTTP 410" in house.get("/health").text


def test_a_muted_detector_is_told_and_wakes_nobody() -> None:
    house = House()
    rows = Precision(PrecisionSettings(verdicts=4), [VerdictCount("p", "LOOP", "search", 0, 9)]).rows()
    house.pulse.now = HealthNumbers(rules_judged_ns=JUDGED, precision=rows)
    found = health(house)
    assert [(each.severity, each.what) for each in found.troubles] == [
        ("info", "Nobody is paged of LOOP about search, for people dismissed too many")
    ]
    assert found.ok
