"""Rules: which fire, what one asks in words and as it is written, what it would have said, and budgets."""

from __future__ import annotations

from alarm_site import ask
from playwright.sync_api import expect
from visitor import PHONE, Visitor, follow
from watchpost_process import WatchpostProcess, eventually


def test_every_rule_is_listed_those_that_fire_first(guard: Visitor, alarmed: WatchpostProcess) -> None:
    page = guard.open("/rules")
    rules = ask(alarmed, "/api/rules")["rules"]
    assert isinstance(rules, list)
    rows = page.locator("table.rules tbody tr")
    expect(rows).to_have_count(len(rules))
    expect(rows.first).to_contain_text("firing")
    page.get_by_role("link", name="Never spoke").click()
    expect(rows.filter(has_text="ShopLoopsForLong")).to_have_count(1)
    expect(rows.filter(has_text="ShopLoopsAtAll")).to_have_count(0)
    page.get_by_role("link", name="Objectives").click()
    expect(page.locator("#slo-ShopCompletes")).to_contain_text("at least 99 %")


def test_one_rule_says_what_it_asks_and_what_it_would_have_said(guard: Visitor, alarmed: WatchpostProcess) -> None:
    page = guard.open("/rules/ShopLoops")
    expect(page.locator(".lead")).to_contain_text("flags LOOP_DETECTED, by tool. Fires when that is at least 1 over 1h")
    expect(page.locator(".yaml")).to_contain_text("flag: [LOOP_DETECTED]")
    expect(page.locator("section:has(> #standing) tbody tr", has_text="tool get_order")).to_contain_text("firing")

    def tried() -> str | None:
        """What the page says that the API says too; between the two questions more may have come."""
        page.get_by_label("Try it on the last").select_option("1d")
        follow(page.get_by_role("button", name="Back-test"))
        alerts, told = backtested(alarmed), page.locator("#tried").inner_text()
        return told if alerts and f"{alerts} times" in told else None

    eventually(tried)
    assert page.url.endswith("/rules/ShopLoops?backtest=1d")
    assert "would fire" in (page.locator("wp-chart").get_attribute("data-chart") or "")


def backtested(alarmed: WatchpostProcess) -> int:
    """How often the rule would have fired; what came in the last seconds is no part of the stretch that is tried."""
    tried = ask(alarmed, "/api/rules/backtest?since=1d&rule=ShopLoops")["rules"]
    assert isinstance(tried, list)
    return int(tried[0]["alerts"])


def test_rules_can_be_read_on_a_phone_and_without_a_script(guard: Visitor) -> None:
    for path in ("/rules", "/rules/ShopLoops", "/rules?show=objectives"):
        page = guard.open(path, PHONE, script=False)
        expect(page.locator("main h1")).to_have_count(1)
        box = page.locator("main").bounding_box()
        assert box is not None
        assert box["width"] <= PHONE[0]
        page.close()
