"""Watchpost's own health, and what is set: the same numbers as the API's, no secret, and a channel tried out."""

from __future__ import annotations

from alarm_site import HIDDEN, ask
from playwright.sync_api import expect
from visitor import PHONE, Visitor
from watchpost_process import WatchpostProcess


def test_health_begins_with_a_sentence_and_has_the_numbers_of_the_api(
    guard: Visitor, alarmed: WatchpostProcess
) -> None:
    page = guard.open("/health")
    health = ask(alarmed, "/api/health")
    expect(page.locator("main h1")).to_contain_text(str(health["sentence"]))
    taken = health["taken"]
    assert isinstance(taken, dict)
    expect(page.locator("[data-number=accepted_spans]")).to_have_text(f"{taken['accepted_spans']:,}")
    expect(page.locator("#channel-oncall")).to_contain_text("not connected")
    expect(page.locator(".course wp-chart")).to_have_count(8)
    expect(page.locator("section:has(> #services) tbody tr", has_text="shop")).to_have_count(1)


def test_settings_say_what_holds_and_where_it_was_set_and_show_no_secret(guard: Visitor) -> None:
    page = guard.open("/settings")
    expect(page.locator('[id="set-latency.times"]')).to_contain_text("2.5")
    expect(page.locator('[id="set-latency.times"]')).to_contain_text("file")
    expect(page.locator('[id="set-retention.trace_days"]')).to_contain_text("default")
    page.locator("#channel-oncall summary").click()
    key = page.locator('[id="set-channels.oncall.routing_key"]')
    expect(key).to_contain_text("set")
    expect(key).to_contain_text("environment")
    assert HIDDEN not in page.content()
    assert "whsec_" not in page.content()


def test_a_channel_is_tried_out_and_says_what_it_answered(guard: Visitor) -> None:
    page = guard.open("/settings", script=False)
    page.locator("#channel-ops").get_by_role("button", name="Send a test").click()
    expect(page.locator("#channel-ops .trial")).to_contain_text("works")
    expect(page.locator("#channel-ops .trial")).to_contain_text("alert taken, HTTP 204")
    page.locator("#channel-oncall").get_by_role("button", name="Send a test").click()
    expect(page.locator("#channel-oncall .trial")).to_contain_text("does not work")
    assert HIDDEN not in page.content()


def test_the_routes_say_who_is_told_of_an_example(guard: Visitor, alarmed: WatchpostProcess) -> None:
    page = guard.open("/settings")
    page.get_by_label("Who is told of an alert with these labels").fill('severity="critical", rate="yes"')
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#told")).to_contain_text("Told at once: ops, oncall.")
    expect(page.locator(".tree .takes")).to_contain_text('severity="critical"')
    assert ask(alarmed, "/api/routes?labels=severity%3D%22critical%22")["told"] == ["ops"]


def test_both_fit_on_a_phone(guard: Visitor) -> None:
    for path in ("/health", "/settings", "/silences"):
        page = guard.open(path, PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        page.close()
