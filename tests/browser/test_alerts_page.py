"""Alerts: what fires first, why, who is on it, and quiet where it is asked for; with a mouse, on a phone, and without a script."""

from __future__ import annotations

from alarm_site import alerts, ask, loop
from playwright.sync_api import expect
from visitor import PHONE, Visitor, follow
from watchpost_process import WatchpostProcess, eventually


def opened(alarmed: WatchpostProcess, tool: str) -> str:
    """The id of an alert that fires about a tool, of which nobody else says anything."""
    loop(alarmed, tool)

    def found() -> str | None:
        about = (one for one in alerts(alarmed, "ShopLoops") if f'"{tool}"' in str(one["labels"]).replace("'", '"'))
        return next((str(one["id"]) for one in about), None)

    opened: str = eventually(found)
    return opened


def test_what_fires_stands_first_the_gravest_before_all(guard: Visitor, alarmed: WatchpostProcess) -> None:
    page = guard.open("/alerts")
    first = page.locator(".alarm").first
    expect(first).to_contain_text("critical")
    expect(first.locator("h3 a")).to_have_text("ShopLoops")
    found = ask(alarmed, "/api/alerts?state=firing")["alerts"]
    assert isinstance(found, list)
    expect(page.locator(".alarms").first.locator(".alarm")).to_have_count(len(found))
    page.get_by_role("link", name="Pending", exact=True).click()
    expect(page.locator(".alarm h3 a")).to_have_text(["ShopLoopsForLong"])


def test_the_page_of_an_alert_says_why_shows_the_line_and_leads_to_its_sessions(
    guard: Visitor, alarmed: WatchpostProcess
) -> None:
    alert = alerts(alarmed, "ShopLoops")[0]
    page = guard.open(f"/alerts/{alert['id']}")
    expect(page.locator(".why-fired")).to_contain_text("flags LOOP_DETECTED, by tool. Too much is at least 1")
    assert str(round(float(str(alert["value"])))) in page.locator(".why-fired b").first.inner_text()
    expect(page.locator("wp-chart canvas")).to_have_count(1)
    expect(page.locator(".runbook li")).to_have_text("Read the answers of the tool.")
    told = page.locator("section:has(> #told) tbody tr")
    expect(told.filter(has_text="ops").first).to_contain_text("delivered")
    page.locator("section:has(> #sessions) tbody a").first.click()
    page.wait_for_url("**/sessions/*")


def test_somebody_takes_it_on_silences_it_and_ends_the_silence(guard: Visitor, alarmed: WatchpostProcess) -> None:
    page = guard.open(f"/alerts/{opened(alarmed, 'refund')}")
    page.get_by_text("I am on it").click()
    page.locator("form[action$=acknowledge]").get_by_label("Your name").fill("ann")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".state")).to_contain_text("ann is on it")
    page.locator("summary", has_text="Silence").click()
    form = page.locator("form[action$=silence]")
    form.get_by_label("Your name").fill("ann")
    form.get_by_label("Why").fill("a release")
    form.get_by_role("button", name="Silence").click()
    expect(page.locator(".state")).to_contain_text("silenced")
    page.goto(f"{guard.url}/silences")
    row = page.locator("tbody tr", has_text="a release")
    expect(row).to_contain_text("active")
    follow(row.get_by_role("button", name="End now"))
    expect(page.locator("tbody tr", has_text="a release")).to_have_count(0)


def test_a_list_that_stays_open_shows_what_begins_to_fire(guard: Visitor, alarmed: WatchpostProcess) -> None:
    page = guard.open("/alerts")
    page.evaluate("window.isSame = true")
    opened(alarmed, "cancel_order")
    expect(page.locator(".alarm", has_text="loops of cancel_order")).to_be_visible()
    assert page.evaluate("window.isSame"), "the page was morphed, not loaded again"


def test_on_a_phone_what_is_pressed_stays_in_reach_of_the_thumb(guard: Visitor, alarmed: WatchpostProcess) -> None:
    page = guard.open(f"/alerts/{opened(alarmed, 'ship')}", PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    page.mouse.wheel(0, 3000)
    deck = page.locator(".deck").bounding_box()
    assert deck is not None
    assert PHONE[1] - 120 < deck["y"] < PHONE[1]
    page.get_by_text("I am on it").click()
    page.locator("form[action$=acknowledge]").get_by_label("Your name").fill("bob")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".state")).to_contain_text("bob is on it")


def test_without_a_script_an_alert_is_taken_on_from_the_list(guard: Visitor, alarmed: WatchpostProcess) -> None:
    alert = opened(alarmed, "lookup")
    page = guard.open("/alerts", script=False)
    row = page.locator(f"#alert-{alert}")
    row.locator("summary", has_text="I am on it").click()
    row.get_by_label("Your name").first.fill("cleo")
    row.get_by_role("button", name="Acknowledge").click()
    page.wait_for_url(f"**/alerts#alert-{alert}")
    expect(row).to_contain_text("cleo is on it")
