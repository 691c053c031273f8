"""The page of costs: the numbers of the API, told apart by what is asked for, each leading to its sessions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import msgspec
import pytest
from busy_site import answered, at_work, quiet_site, words
from playwright.sync_api import Browser, Locator, Page, expect
from visitor import PHONE, Visitor, follow
from watchpost_process import WatchpostProcess

from watchpost.server.measures import ContributorsAnswer, MeasuredAnswer
from watchpost.server.pages.chart import Chart
from watchpost.server.release_versions import VersionsAnswer
from watchpost.server.spending import SpendingAnswer
from watchpost.server.unpriced import UnpricedAnswer


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchpostProcess]:
    with quiet_site(tmp_path_factory.mktemp("costs")) as running:
        calls_a_model_without_a_price(running)
        at_work(running)
        yield running


UNKNOWN = "house-model-7"


def calls_a_model_without_a_price(site: WatchpostProcess) -> None:
    """One call, just now, of a model that no table knows."""
    now_ns = time.time_ns()
    told = {"gen_ai.operation.name": "chat", "gen_ai.request.model": UNKNOWN, "gen_ai.provider.name": "in_house"}
    counted = {"gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 3}
    attributes = [
        *({"key": name, "value": {"stringValue": value}} for name, value in told.items()),
        *({"key": name, "value": {"intValue": value}} for name, value in counted.items()),
    ]
    span = {
        "traceId": "5b" * 16,
        "spanId": "5b" * 8,
        "name": f"chat {UNKNOWN}",
        "startTimeUnixNano": f"{now_ns - 10**9}",
        "endTimeUnixNano": f"{now_ns}",
        "attributes": attributes,
    }
    body = msgspec.json.encode({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    sent = Request(site.url + "/v1/traces", body, {"content-type": "application/json"})  # noqa: S310 - to this machine
    with urlopen(sent, timeout=30) as answer:  # noqa: S310 - of this machine
        assert answer.status == 200


@pytest.fixture
def guest(chromium: Browser, busy: WatchpostProcess) -> Iterator[Visitor]:
    """Somebody who looks at what this Watchpost's agents cost."""
    guest = Visitor(chromium, busy.url)
    yield guest
    guest.close()
    assert guest.complaints == []


def opened(guest: Visitor, address: str) -> Page:
    """The page with all its figures."""
    page = guest.open(address)
    expect(page.locator(".waiting")).to_have_count(0, timeout=45_000)
    return page


def dollars(place: Locator) -> str | None:
    """The exact amount that stands at a place; None for none."""
    title = (
        place.locator("[title^='$']").first.get_attribute("title") if place.locator("[title^='$']").count() else None
    )
    return title.removeprefix("$") if title else None


def test_the_first_figures_are_those_of_spending(busy: WatchpostProcess, guest: Visitor) -> None:
    page = opened(guest, "/costs")
    spent = answered(busy, "/api/spending", SpendingAnswer)
    assert spent.today.spent_usd is not None
    assert dollars(page.locator("#today .value")) == spent.today.spent_usd
    assert dollars(page.locator("#per-session .value")) == spent.today.per_completed_session_usd
    assert words(page.locator("#without-price .value")) == f"{spent.today.unpriced_calls:,}"
    expect(page.locator("#forecast")).to_contain_text(spent.forecast.reason or "to")


def test_the_days_are_drawn_and_stand_in_a_table(busy: WatchpostProcess, guest: Visitor) -> None:
    page = opened(guest, "/costs?days=30")
    chart = msgspec.json.decode(page.locator("wp-chart").get_attribute("data-chart") or "", type=Chart)
    spent = answered(busy, "/api/spending", SpendingAnswer)
    (line,) = chart.series
    assert chart.bars
    assert len(chart.times) == 30
    assert line.values[-1] == float(spent.today.spent_usd or 0)
    page.locator("summary", has_text="As a table").click()
    expect(page.locator("details tbody tr")).to_have_count(30)
    assert dollars(page.locator("details tbody tr").first) == spent.today.spent_usd


@pytest.mark.parametrize("by", ["workflow", "model", "tool"])
def test_groups_are_those_of_spending_and_lead_to_their_sessions(
    busy: WatchpostProcess, guest: Visitor, by: str
) -> None:
    page = opened(guest, f"/costs?by={by}")
    spent = answered(busy, f"/api/spending?by={by}&limit=12", SpendingAnswer)
    rows = page.locator("#apart ~ .scroll tbody tr").all()
    assert spent.groups
    for row, group in zip(rows, spent.groups, strict=False):
        assert words(row.locator("a").first) == (group.value or "(not told)")
        assert dollars(row.locator("td").nth(1)) == group.today.spent_usd
    link = rows[0].locator("a").first
    address = urlsplit(link.get_attribute("href") or "")
    if address.path == "/sessions":
        link.click()
        page.wait_for_url("**/sessions?*")
        expect(page.locator("tbody tr").first).to_be_visible()
    else:
        asked = {name: values[0] for name, values in parse_qs(address.query, keep_blank_values=True).items()}
        query = "&".join(f"{name}={asked[name]}" for name in ("since", by)).replace("+", "%2B")
        assert asked[by] == spent.groups[0].value
        assert answered(busy, f"/api{address.path}/sessions?{query}", ContributorsAnswer).sessions


def test_a_workflow_alone_is_told_where_it_is_asked_for(busy: WatchpostProcess, guest: Visitor) -> None:
    dearest = answered(busy, "/api/spending?by=workflow&limit=1", SpendingAnswer).groups[0]
    page = opened(guest, "/costs")
    page.locator(".filters [name=workflow]").fill(dearest.value)
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/costs?*")
    expect(page.locator(".waiting")).to_have_count(0, timeout=45_000)
    assert dollars(page.locator("#today .value")) == dearest.today.spent_usd
    whole = answered(busy, "/api/measures/cost_usd?since=today", MeasuredAnswer).series[0].total.value
    assert Decimal(dearest.today.spent_usd or 0) < Decimal(str(whole))


def test_cost_and_quality_of_versions_stand_side_by_side(busy: WatchpostProcess, guest: Visitor) -> None:
    page = opened(guest, "/costs?versions=model")
    since = page.locator("#versions ~ .scroll tbody a").first.get_attribute("href") or ""
    begins = parse_qs(urlsplit(since).query)["since"][0]
    found = answered(busy, f"/api/versions?by=model&limit=12&since={begins}", VersionsAnswer)
    rows = page.locator("#versions ~ .scroll tbody tr").all()
    assert [words(row.locator("td").first) for row in rows] == [one.version or "(not told)" for one in found.versions]
    for row, one in zip(rows, found.versions, strict=True):
        assert words(row.locator("td").nth(1)) == f"{one.sessions:,}"
        assert dollars(row.locator("td").nth(2)) == one.measures["cost_per_completed_session_usd"].value
    compared = [one for one in found.versions if one.measures["cost_per_completed_session_usd"].value is not None]
    drawn = page.locator(".scatter .version title").all_text_contents()
    assert len(compared) > 1
    assert [told.partition(": ")[0] for told in drawn] == [one.version or "(not told)" for one in compared]


def test_what_has_no_price_says_why_and_what_to_do(busy: WatchpostProcess, guest: Visitor) -> None:
    page = opened(guest, "/costs")
    found = answered(busy, "/api/unpriced-models?limit=12", UnpricedAnswer)
    rows = page.locator("#unpriced ~ .scroll tbody tr").all()
    assert UNKNOWN in {one.model for one in found.models}
    assert [words(row.locator("td").first) for row in rows] == [one.model or "(not named)" for one in found.models]
    expect(rows[0]).to_contain_text(found.models[0].reason.replace("_", " "))


def test_it_fits_a_phone_and_needs_no_script(guest: Visitor) -> None:
    page = guest.open("/costs", PHONE, script=False)
    for _ in range(20):
        if not page.locator(".waiting").count():
            break
        follow(page.locator(".waiting a").first)
    expect(page.locator("#today .value")).to_contain_text("$")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    page.get_by_role("link", name="Model", exact=True).first.click()
    page.wait_for_url("**by=model**")
