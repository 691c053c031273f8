"""The list of flags: narrowed, judged in place, read by keys and kind by kind."""

from __future__ import annotations

import json
import re
from urllib.request import urlopen

from playwright.sync_api import expect
from sent_spans import send_calls
from visitor import PHONE, Visitor, follow
from watchpost_process import WatchpostProcess, eventually


def looping(site: WatchpostProcess, name: str) -> str:
    """The id of the flag of a session that called one tool over and over."""
    send_calls(site, name, ["same"] * 6, "looping")

    def flag() -> str | None:
        with urlopen(f"{site.url}/api/flags?session_id={name}&kind=LOOP_DETECTED", timeout=60) as answer:  # noqa: S310  our own process
            found = [str(each["id"]) for each in json.load(answer)["flags"]]
        return found[0] if found else None

    return eventually(flag)


def test_a_flag_is_confirmed_and_dismissed_where_it_is_listed(visitor: Visitor, site: WatchpostProcess) -> None:
    flag = looping(site, "judged")
    page = visitor.open("/flags?session_id=judged")
    row = page.locator(f"#flag-{flag}")
    row.get_by_role("button", name="Confirm").click()
    page.wait_for_url(f"**/flags?session_id=judged#flag-{flag}")
    expect(row.locator(".say .badge")).to_have_text("confirmed")
    row.locator(".again > summary").click()
    row.locator(".judge summary").click()
    row.get_by_label("Your name").fill("ana")
    row.get_by_label("Why").fill("it polls <b>on purpose</b>")
    row.get_by_role("button", name="Dismiss").click()
    expect(row.locator(".say")).to_contain_text("by ana, just now: it polls <b>on purpose</b>")
    page.goto(f"{site.url}/precision")
    expect(page.locator("tbody tr", has_text="LOOP_DETECTED").first).to_contain_text("0 %")
    follow(page.get_by_role("link", name="LOOP_DETECTED"))
    expect(page.locator(f"#flag-{flag}")).to_be_visible()
    page.goto(f"{site.url}/sessions?session_id=judged&flagged=true")
    expect(page.locator("tr:not(.flagged) td.flags")).to_have_text("1 dismissed or withdrawn")


def test_kinds_narrow_the_list_and_gather_it(visitor: Visitor, site: WatchpostProcess) -> None:
    with urlopen(f"{site.url}/api/flag-kinds", timeout=60) as answer:  # noqa: S310  our own process
        kinds = {each["kind"]: each["flags"] for each in json.load(answer)["kinds"]}
    page = visitor.open("/flags")
    kind = min(kinds)
    chip = page.locator(".narrow .chip", has_text=kind)
    expect(chip).to_contain_text(str(kinds[kind]))
    chip.click()
    page.wait_for_url(f"**/flags?kind={kind}")
    expect(page.locator("table.flags tbody tr")).to_have_count(kinds[kind])
    follow(page.locator(".in-force .chip"))
    follow(page.get_by_role("link", name="By kind"))
    expect(page.locator("h2 .flag")).to_have_count(len(kinds))


def test_keys_walk_flags_and_enter_opens_the_evidence(visitor: Visitor) -> None:
    page = visitor.open("/flags")
    page.keyboard.press("f")
    page.keyboard.press("j")
    expect(page.locator("td.kind-of a").nth(1)).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/sessions/[a-z2-7]{26}#flag-"))


def test_a_flag_arrives_by_itself(visitor: Visitor, site: WatchpostProcess) -> None:
    page = visitor.open("/flags?verdict=none")
    page.keyboard.press("j")
    at = "document.activeElement.closest('tr').id"
    read = page.evaluate(at)
    flag = looping(site, "arrived")
    expect(page.locator(f"#flag-{flag}")).to_be_attached()
    assert page.evaluate(at) == read


def test_flags_precision_and_logs_fit_a_phone_and_a_narrow_window(visitor: Visitor) -> None:
    for size in (PHONE, (1024, 700)):
        for path in ("/flags", "/flags?group=kind", "/precision", "/logs"):
            page = visitor.open(path, size)
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0], (path, size)
            page.close()


def test_a_verdict_needs_no_script(visitor: Visitor, site: WatchpostProcess) -> None:
    flag = looping(site, "unscripted")
    page = visitor.open("/flags?session_id=unscripted", PHONE, script=False)
    page.locator(f"#flag-{flag}").get_by_role("button", name="Dismiss").click()
    expect(page.locator(f"#flag-{flag} .say .badge")).to_have_text("dismissed")
