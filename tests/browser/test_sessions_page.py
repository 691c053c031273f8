"""The list of sessions: searched, narrowed, kept as cohorts, read by keys, and fresh without moving what somebody reads."""

from __future__ import annotations

import json
import re
from urllib.request import urlopen

import pytest
from playwright.sync_api import Page, expect
from sent_spans import send_calls
from visitor import PHONE, Visitor, follow
from watchpost_process import WatchpostProcess

HOSTILE = "<img src=x onerror=alert(1)>\"'{{7*7}}"


def shown(page: Page) -> list[str]:
    """The keys of the sessions on a page, in their order."""
    return [row.get_attribute("id") or "" for row in page.locator("table.sessions tbody tr").all()]


def answered(site: WatchpostProcess, query: str) -> list[str]:
    """The same by the API."""
    with urlopen(f"{site.url}/api/sessions?{query}", timeout=60) as answer:  # noqa: S310  our own process
        return [f"session-{each['key']}" for each in json.load(answer)["sessions"]]


def named(page: Page, name: str) -> None:
    """Keep the filter in force under a name."""
    page.locator("#cohort > summary").click()
    page.get_by_label("Name, for everybody here").fill(name)
    follow(page.get_by_role("button", name="Save"))


def test_the_search_of_the_bar_finds_sessions_and_says_what_it_took_the_words_for(
    visitor: Visitor, site: WatchpostProcess
) -> None:
    session = send_calls(site, "searched-for", ["A-77701"])
    page = visitor.open("/sessions?state=running")
    page.keyboard.press("/")
    page.keyboard.type("searched-for")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sessions?q=searched-for")
    assert shown(page) == [f"session-{session.key}"]
    expect(page.get_by_label("Find sessions")).to_have_value("searched-for")
    expect(page.locator(".in-force")).to_contain_text("found as a session id searched-for")


def test_conditions_are_added_by_chips_and_forms_and_each_is_taken_away_by_its_chip(
    visitor: Visitor, site: WatchpostProcess
) -> None:
    page = visitor.open("/sessions")
    page.locator(".narrow .chip", has_text="Flagged").click()
    page.wait_for_url("**/sessions?flagged=true")
    flagged = shown(page)
    assert flagged == answered(site, "flagged=true")
    for row in page.locator("table.sessions tbody tr:not(.flagged)").all():
        expect(row.locator("td.flags")).to_contain_text("dismissed or withdrawn")
    page.locator("#filter > summary").click()
    page.get_by_label("Workflow").fill("loan_agent")
    page.locator("#filter button").click()
    page.wait_for_url("**workflow=loan_agent**")
    assert shown(page) == answered(site, "flagged=true&workflow=loan_agent") != flagged
    page.locator(".in-force .chip", has_text="workflow loan_agent").click()
    page.wait_for_url("**/sessions?flagged=true")
    assert shown(page) == flagged
    page.locator(".chip.chosen").click()
    page.wait_for_url(re.compile("/sessions$"))


def test_a_cohort_is_for_everybody_and_can_be_used_renamed_and_deleted_by_another(
    visitor: Visitor, site: WatchpostProcess
) -> None:
    mine = visitor.open("/sessions?flagged=true&workflow=loan_agent")
    named(mine, HOSTILE)
    expect(mine.locator(".chip.cohort.chosen")).to_contain_text(HOSTILE)
    mine.goto(f"{site.url}/sessions?error=true")
    named(mine, HOSTILE)
    expect(mine.locator("main")).to_contain_text("another cohort is called so")
    mine.get_by_role("link", name="Back to where you were").click()
    expect(mine.locator(".chip.chosen")).to_contain_text("Failed step")
    visitor.complaints = [each for each in visitor.complaints if "422" not in each]

    theirs = visitor.open("/sessions", script=False)
    follow(theirs.locator(".chip.cohort", has_text=HOSTILE))
    assert shown(theirs) == answered(site, "flagged=true&workflow=loan_agent")
    theirs.locator("#cohort > summary").click()
    theirs.get_by_label("Name", exact=True).fill("loans that loop")
    follow(theirs.get_by_role("button", name="Rename"))
    expect(theirs.locator(".chip.cohort.chosen")).to_contain_text("loans that loop")
    theirs.locator("#cohort > summary").click()
    follow(theirs.get_by_role("button", name="Delete for everybody"))
    expect(theirs.locator(".chip.cohort", has_text="loans that loop")).to_have_count(0)
    mine.goto(f"{site.url}/sessions")
    expect(mine.locator(".chip.cohort", has_text="loans that loop")).to_have_count(0)


def test_a_session_arrives_above_what_somebody_reads_and_moves_neither_focus_nor_view(
    visitor: Visitor, site: WatchpostProcess
) -> None:
    page = visitor.open("/sessions", (1280, 420))
    for _ in range(5):
        page.keyboard.press("j")
    at = "document.activeElement.closest('tr').id"
    where = f"document.getElementById('{page.evaluate(at)}').getBoundingClientRect().top"
    read, top = page.evaluate(at), page.evaluate(where)
    assert page.evaluate("scrollY") > 0
    page.locator("#filter").evaluate("fold => fold.open = true")
    top = page.evaluate(where)
    arrived = send_calls(site, "arrived-live", ["1"])
    row = page.locator(f"#session-{arrived.key}")
    expect(row).to_be_attached()
    assert page.evaluate(at) == read
    assert page.evaluate(where) == pytest.approx(top, abs=1)
    assert page.locator("#filter").evaluate("fold => fold.open")
    expect(row.locator("td.when time").first).to_have_text(re.compile("just now|s ago"))


def test_a_session_that_goes_on_moves_up_and_keeps_the_focus(visitor: Visitor, site: WatchpostProcess) -> None:
    first, second = (send_calls(site, name, ["1"], "goes_on") for name in ("goes-on-1", "goes-on-2"))
    page = visitor.open("/sessions?workflow=goes_on")
    assert shown(page) == [f"session-{second.key}", f"session-{first.key}"]
    page.keyboard.press("j")
    page.keyboard.press("j")
    send_calls(site, "goes-on-1", ["2"], "goes_on")
    expect(page.locator("table.sessions tbody tr").first).to_have_attribute("id", f"session-{first.key}")
    expect(page.locator("table.sessions tbody tr").first).to_contain_text("2 steps")
    expect(page.locator(f"#session-{first.key} a.name")).to_be_focused()


def test_nothing_moves_while_somebody_reads_earlier_sessions_or_searches_texts(visitor: Visitor) -> None:
    page = visitor.open("/sessions?limit=3")
    assert page.locator("main").get_attribute("data-about") == "sessions flags"
    before = shown(page)
    page.keyboard.press("n")
    page.wait_for_url("**cursor=**")
    assert not {*before} & {*shown(page)}
    assert page.locator("main").get_attribute("data-about") == ""
    page.get_by_role("link", name="Latest").click()
    page.wait_for_url(re.compile("sessions$"))
    assert visitor.open("/sessions?text=order").locator("main").get_attribute("data-about") == ""


@pytest.mark.parametrize("size", [(1280, 800), (1024, 700), PHONE], ids=["wide", "narrow", "phone"])
def test_the_list_fits_and_names_of_workflows_stay_whole(visitor: Visitor, size: tuple[int, int]) -> None:
    page = visitor.open("/sessions", size)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    names = [name for name in page.locator("a.name b").all() if len(name.inner_text()) <= 20]
    assert names
    for name in names:
        assert name.evaluate("each => each.getClientRects().length") == 1
    over = "each => each.scrollWidth > each.clientWidth + 1 && !each.matches('.what')"
    for place, told in (("time", "2026-10-28"), (".under time", "12-28 20:48")):  # told of other days
        page.locator(f"td.when {place}").evaluate_all("(all, told) => all.forEach(one => one.textContent = told)", told)
    assert [cell.inner_text() for cell in page.locator("table.sessions td").all() if cell.evaluate(over)] == []
    expect(page.locator("#filter form")).to_be_hidden()
    if size == PHONE:
        assert page.locator("table.sessions tbody tr").nth(1).bounding_box()["y"] < size[1]  # type: ignore[index] # it is shown


def test_without_a_script_sessions_are_found_narrowed_and_opened(visitor: Visitor, site: WatchpostProcess) -> None:
    page = visitor.open("/sessions", PHONE, script=False)
    page.locator("#filter > summary").click()
    page.get_by_label("Outcome").select_option("tool_error")
    follow(page.locator("#filter button"))
    assert shown(page) == answered(site, "outcome=tool_error")
    follow(page.locator("a.name").first)
    expect(page.locator("main h1")).to_be_visible()
    assert "/sessions/" in page.url


def test_sessions_are_walked_by_keys_in_the_order_of_the_list_they_were_opened_from(visitor: Visitor) -> None:
    page = visitor.open("/sessions")
    rows = page.locator("tr[id^='session-']").all()[:2]
    first, second = (str(row.get_attribute("id")).removeprefix("session-") for row in rows)
    rows[0].locator("a[href^='/sessions/']").first.click()
    page.wait_for_url(f"**/sessions/{first}*")
    page.keyboard.press("Shift+J")
    page.wait_for_url(f"**/sessions/{second}*")
    page.keyboard.press("Shift+K")
    page.wait_for_url(f"**/sessions/{first}*")
