"""The overview: what is wrong now and what can be pressed, the numbers that the API tells, and that it stays fresh."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from busy_site import answered, at_work, goes_wrong, quiet_site, words
from markupsafe import Markup
from playwright.sync_api import Browser, Page, expect
from visitor import PHONE, Visitor, follow
from watchpost_process import WatchpostProcess

from watchpost.server.alerts import AlertsAnswer, SilencesAnswer
from watchpost.server.glance import NAMES
from watchpost.server.measures import MeasuredAnswer
from watchpost.server.pages.figure import in_unit
from watchpost.server.spending import SpendingAnswer


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchpostProcess]:
    """Agents were at work before anybody looked: no figures are kept from before."""
    with quiet_site(tmp_path_factory.mktemp("overview")) as running:
        at_work(running)
        yield running


@pytest.fixture(scope="module")
def troubled(busy: WatchpostProcess) -> WatchpostProcess:
    goes_wrong(busy, "LOOP_DETECTED")
    return busy


@contextmanager
def looking_at(site: WatchpostProcess, chromium: Browser) -> Iterator[Visitor]:
    guest = Visitor(chromium, site.url)
    yield guest
    guest.close()
    assert guest.complaints == []


@pytest.fixture
def guest(chromium: Browser, busy: WatchpostProcess) -> Iterator[Visitor]:
    """Somebody who looks at this Watchpost."""
    with looking_at(busy, chromium) as guest:
        yield guest


def figures_of(page: Page) -> None:
    """Wait until no figure is being worked out any more."""
    expect(page.locator(".waiting")).to_have_count(0)


def same_words(text: Markup) -> str:
    return " ".join(text.striptags().split())


def test_an_empty_watchpost_says_what_to_set_and_fills_by_itself(chromium: Browser, tmp_path: Path) -> None:
    with quiet_site(tmp_path) as empty, looking_at(empty, chromium) as guest:
        page = guest.open("/")
        expect(page.locator(".empty")).to_contain_text(f"OTEL_EXPORTER_OTLP_ENDPOINT={empty.url}")
        expect(page.locator(".empty")).to_contain_text("watchpost demo")
        page.evaluate("window.stayed = true")
        goes_wrong(empty, "LOOP_DETECTED")
        expect(page.locator(".figure")).to_have_count(len(NAMES), timeout=45_000)
        assert page.evaluate("window.stayed")


def test_every_number_is_what_the_api_says_where_it_leads(busy: WatchpostProcess, guest: Visitor) -> None:
    page = guest.open("/")
    ended = sum(session.state == "ended" for session in busy.sessions())
    expect(page.locator("#tile-sessions .value")).to_have_text(f"{ended}")
    figures_of(page)
    tiles = page.locator("a.figure").all()
    told = 0
    for tile, name in zip(tiles, NAMES, strict=True):
        address = tile.get_attribute("href") or ""
        assert address.startswith(f"/measures/{name}?")
        found = answered(busy, f"/api{address}", MeasuredAnswer)
        total = found.series[0].total
        assert words(tile.locator(".value")) == same_words(in_unit(total.value, found.measure.unit))
        told += bool(total.value)
    assert told > 8
    outcomes = {words(row.locator("a")): words(row.locator(".n").first) for row in page.locator(".outcomes li").all()}
    counted = answered(busy, "/api/measures/sessions?by=outcome", MeasuredAnswer)
    assert outcomes == {each.group["outcome"].replace("_", " "): str(each.total.counted) for each in counted.series}
    spent = answered(busy, "/api/spending", SpendingAnswer)
    assert spent.today.spent_usd is not None
    exact = page.locator(".money dd").first.locator("[title]").get_attribute("title")
    assert exact == f"${spent.today.spent_usd}"


def test_an_outcome_leads_to_its_sessions(guest: Visitor) -> None:
    page = guest.open("/")
    figures_of(page)
    row = page.locator(".outcomes li").first
    name, many = words(row.locator("a")), int(words(row.locator(".n").first))
    row.locator("a").click()
    page.wait_for_url("**/sessions?*")
    assert name == "completed"
    expect(page.locator("tbody tr")).to_have_count(min(many, 50))


def test_an_alert_that_begins_to_fire_appears_by_itself(busy: WatchpostProcess, guest: Visitor) -> None:
    page = guest.open("/")
    page.evaluate("window.stayed = true")
    goes_wrong(busy, "LOOP_DETECTED")
    alarm = page.locator(".alarm", has_text="AgentLooping").first
    expect(alarm).to_contain_text("error", timeout=30_000)
    expect(alarm).to_contain_text("limit 0")
    expect(alarm).to_contain_text("1 session")
    expect(alarm).to_contain_text("nobody on it")
    assert page.evaluate("window.stayed")


def test_somebody_takes_an_alert_and_quietens_it_from_here(troubled: WatchpostProcess, guest: Visitor) -> None:
    page = guest.open("/")
    alarm = page.locator(".alarm", has_text="AgentLooping").first
    expect(alarm).to_be_visible(timeout=30_000)
    taken = alarm.get_attribute("id") or ""
    alarm.locator("summary", has_text="I am on it").click()
    alarm.get_by_label("Your name").first.fill("ann")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{guest.url}/#{taken}")
    alarm = page.locator(f"#{taken}")
    expect(alarm).to_contain_text("ann is on it")
    expect(alarm.locator("summary", has_text="I am on it")).to_have_count(0)
    alarm.locator("summary", has_text="Silence").click()
    alarm.get_by_label("Your name").fill("ann")
    alarm.get_by_label("Why").fill("being mended")
    alarm.get_by_role("button", name="Silence").click()
    expect(alarm).to_contain_text("silenced")
    assert page.url.startswith(f"{guest.url}/#")
    alerts = answered(troubled, "/api/alerts?state=firing", AlertsAnswer).alerts
    (one,) = (alert for alert in alerts if f"alert-{alert.id}" == taken)
    assert one.acknowledged_by == "ann"
    assert len(one.silenced_by) == 1
    (silence,) = answered(troubled, "/api/silences", SilencesAnswer).silences
    assert silence.comment == "being mended"


@pytest.mark.usefixtures("troubled")
def test_the_session_flagged_last_is_one_key_away(guest: Visitor) -> None:
    page = guest.open("/")
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sessions/*#flag-*")


@pytest.mark.usefixtures("troubled")
def test_it_fits_a_phone_and_needs_no_script(guest: Visitor) -> None:
    page = guest.open("/", PHONE, script=False)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    expect(page.locator(".alarm").first).to_be_visible()
    for _ in range(20):
        if not page.locator(".waiting").count():
            break
        follow(page.locator(".waiting a").first)
    expect(page.locator("a.figure")).to_have_count(len(NAMES))
    page.locator(".alarm summary", has_text="Silence").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
