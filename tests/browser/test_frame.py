"""What every page stands in: freshness, keys, theme, and the rail on a phone."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from visitor import PHONE, Visitor

from watchpost.server.pages.rendering import PLACES

ADDRESSES = [address for _, members in PLACES for _, address in members]


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_place_of_the_rail_opens_and_says_where_one_is(visitor: Visitor, address: str) -> None:
    page = visitor.open(address)
    expect(page.locator(".rail a[aria-current=page]")).to_have_attribute("href", address)
    expect(page.locator("main h1")).to_have_count(1)


@pytest.mark.parametrize("address", ADDRESSES)
def test_no_place_is_wider_than_a_phone(visitor: Visitor, address: str) -> None:
    page = visitor.open(address, PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


def test_keys_lead_to_places_and_say_what_they_do(visitor: Visitor) -> None:
    page = visitor.open("/sessions")
    page.keyboard.press("?")
    expect(page.locator("dialog[open]")).to_contain_text("next row, row before")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_url("**/alerts")
    page.keyboard.press("/")
    page.keyboard.type("refund")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sessions?q=refund")


def test_rows_are_walked_by_keys_and_opened_with_enter(visitor: Visitor) -> None:
    page = visitor.open("/sessions")
    first, second = page.locator("tbody tr a:first-of-type").all()[:2]
    page.keyboard.press("j")
    expect(first).to_be_focused()
    page.keyboard.press("j")
    expect(second).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sessions/*")


def test_the_theme_goes_round_and_is_kept(visitor: Visitor) -> None:
    page = visitor.open("/sessions")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.locator("[data-theme-next]").click()
    assert page.evaluate(ground) == light
    page.locator("[data-theme-next]").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark


def test_the_rail_folds_out_on_a_phone_without_a_script(visitor: Visitor) -> None:
    page = visitor.open("/sessions", PHONE, script=False)
    expect(page.locator(".rail .places")).to_be_hidden()
    page.locator(".rail summary").click()
    expect(page.locator(".rail a[href='/alerts']")).to_be_visible()
