"""The overview and the costs over fakes: what they ask for, and what they say of nothing."""

from __future__ import annotations

import re
from pathlib import Path

from alert_desk import AlertDesk, alert
from server_fakes import START_NS, House

from watchpost.model.alert import Firing, Resolved
from watchpost.query.catalogue import MEASURES
from watchpost.server.glance import NAMES, TIERS
from watchpost.server.pages.overview import LABELS


def test_every_measure_that_is_looked_at_first_is_in_the_catalogue_and_has_a_name() -> None:
    assert set(NAMES) <= set(MEASURES)
    assert set(LABELS) == set(NAMES)
    assert all(4 <= len(names) <= 6 for names in TIERS.values())


def test_where_nothing_fires_and_nothing_ever_did_it_says_so_calmly() -> None:
    house = House()
    house.shelf.add_session("s")
    text = house.get("/").text
    assert "Nothing fires" in text
    assert "No alert has fired yet" in text
    assert "Nothing received yet" not in text


def test_what_nobody_sent_anything_to_says_what_to_set_on_the_first_page() -> None:
    text = House().get("/", host="127.0.0.1:8484").text
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:8484" in text


def test_measures_of_one_kind_are_asked_for_together_of_one_window_and_the_day_before() -> None:
    house = House()
    house.shelf.add_session("s")
    house.get("/?project=shop")
    asked = [question for question in house.gauge.asked if question.step_ns == 3600 * 10**9]
    assert [question.measure.name for question in asked] == [*NAMES, *NAMES]
    (now, before) = {(question.since_ns, question.until_ns) for question in asked[:1] + asked[-1:]}
    assert abs(now[0] - before[0]) == 86_400 * 10**9
    assert {dict(question.filters)["project"] for question in asked} == {("shop",)}


def test_costs_of_nothing_say_so() -> None:
    text = House().get("/costs").text
    assert "Nothing cost anything in these days." in text
    assert "Every call has a price" in text


def test_a_window_that_is_none_is_refused() -> None:
    assert House().get("/costs?days=5").status_code == 422


def test_the_gravest_alert_stands_first_and_over_ones_are_told_of_calmly(tmp_path: Path) -> None:
    desk = AlertDesk(tmp_path)
    house = House(alerts=desk.alerts)
    house.shelf.add_session("s")
    now_ns = START_NS
    firing = (("Slow", "warning"), ("Leaks", "critical"), ("Fails", "high"))
    for rule, severity in firing:
        desk.add(alert(Firing(now_ns, now_ns, now_ns), rule, severity=severity))
    rows = re.findall(r'<a href="/alerts/[0-9a-f]+">([A-Z][a-z]+)</a>', house.get("/").text)
    assert rows == ["Leaks", "Fails", "Slow"]
    for rule, severity in firing:
        desk.add(alert(Resolved(now_ns, now_ns, now_ns), rule, severity=severity))
    text = house.get("/").text
    assert "Nothing fires" in text
    assert "The last was" in text
    desk.state.close()
