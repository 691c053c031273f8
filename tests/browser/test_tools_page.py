"""Tools in a browser: the worst first, what a tool's responses no longer are, and how a person accepts that."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import msgspec
import pytest
from busy_site import answered
from playwright.sync_api import Page, expect
from tool_telemetry import send
from visitor import PHONE, WIDE, Visitor, follow
from watchpost_process import WatchpostProcess, eventually

from watchpost.server.contracts import ContractAnswer

AXE = Path(__file__).parents[2] / ".venv" / "node" / "node_modules" / "axe-core" / "axe.min.js"


class Tool(msgspec.Struct):
    tool: str
    drift_day: int
    calls: int
    sessions: int
    error_rate: float | None
    version: int


class Tools(msgspec.Struct):
    tools: list[Tool]


def known(site: WatchpostProcess, tool: str) -> Tool | None:
    with urlopen(f"{site.url}/api/tools", timeout=60) as answer:  # noqa: S310  our own process
        found = msgspec.json.decode(answer.read(), type=Tools)
    return next((each for each in found.tools if each.tool == tool), None)


def drifted(site: WatchpostProcess, tool: str) -> Tool:
    """A tool that is known, and then answers in another form in two sessions, and not at all in some calls."""
    for number in range(8):
        usual = {"invoice_id": f"INV-{number}", "total": 12.5, "lines": [{"sku": "A1", "qty": number}]}
        send(site.url, f"{tool} usual {number}", tool, [usual, usual])
    eventually(lambda: ((found := known(site, tool)) and found.version) or None)
    for number in range(2):
        other = {"id": f"INV-{number}", "total": "12.50", "lines": [{"sku": "A1", "qty": number}], "state": "paid"}
        send(site.url, f"{tool} other {number}", tool, [other], failed=2)

    def flagged() -> Tool | None:
        found = known(site, tool)
        ended = [site.session(f"{tool} other {number}") for number in range(2)]
        is_over = all(session is not None and session.state == "ended" for session in ended)
        return found if found and found.drift_day == 2 and found.calls == 22 and is_over else None

    return eventually(flagged)


@pytest.fixture(scope="module")
def invoices(site: WatchpostProcess) -> Tool:
    return drifted(site, "get_invoice")


def row(page: Page, tool: str) -> list[str]:
    return page.locator("tbody tr", has=page.get_by_role("link", name=tool, exact=True)).locator("td").all_inner_texts()


def test_the_worst_tool_stands_first_with_what_the_api_says_of_it(visitor: Visitor, invoices: Tool) -> None:
    page = visitor.open("/tools")
    expect(page.locator("tbody tr").first.locator("td a").first).to_have_text("get_invoice")
    assert invoices.error_rate is not None
    expected = ["2 / 2", f"{100 * invoices.error_rate:.3g} %", "22", "500 ms", "10", f"learnt, version {invoices.version} 1 candidate"]  # fmt: skip

    def told() -> list[str]:
        page.reload()
        return [cell.strip() for cell in row(page, "get_invoice")][1:7]

    # what was counted for somebody a moment ago is shown until it is counted anew
    assert eventually(lambda: told() == expected or None, 90), told()


def test_tools_are_found_by_name_without_a_script(visitor: Visitor, invoices: Tool) -> None:
    page = visitor.open("/tools", script=False)
    page.locator("main input[name=q]").fill("GET_INVOICE")
    follow(page.get_by_role("button", name="Find", exact=True))
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("main input[name=q]").fill("nothing like it")
    follow(page.get_by_role("button", name="Find", exact=True))
    expect(page.locator(".empty")).to_contain_text("No tool of this name")
    assert invoices.tool == "get_invoice"


def test_the_calls_that_failed_lead_to_their_sessions(visitor: Visitor, invoices: Tool) -> None:
    page = visitor.open("/tools?q=get_invoice")
    follow(page.locator("tbody tr td[data-label=Failed] a"))
    assert "/measures/tool_error_rate/sessions?" in page.url
    expect(page.locator("tbody tr")).to_have_count(2)
    page.go_back()
    follow(page.locator("tbody tr td[data-label=Sessions] a"))
    expect(page.locator("tbody tr")).to_have_count(invoices.sessions)


def test_a_tool_says_in_what_its_responses_differ_and_in_which_sessions(
    visitor: Visitor, site: WatchpostProcess, invoices: Tool
) -> None:
    page = visitor.open("/tools/get_invoice?project=default")
    drift = page.locator(".finding").first
    expect(drift.locator(".drift tbody tr")).to_have_count(3)
    expect(drift.locator(".drift")).to_contain_text("invoice_id")
    expect(drift.locator(".hit a")).to_have_count(invoices.drift_day)
    expect(page.locator(".figure").first).to_contain_text("22")
    charts = [json.loads(each.get_attribute("data-chart") or "") for each in page.locator("wp-chart").all()]
    assert [chart["unit"] for chart in charts] == ["share", "seconds", "count"]
    assert [line["label"] for line in charts[2]["series"]] == ["tool_server_down"]
    assert sum(filter(None, charts[2]["series"][0]["values"])) == 4
    fields = page.locator(".fields tbody tr").all_inner_texts()
    first = answered(site, "/api/contracts/get_invoice?project=default", ContractAnswer).versions[-1].version
    assert any(re.match(rf"invoice_id\s+string\s+always\s+\d+\s+{first}\b", field) for field in fields), fields
    page.keyboard.press("f")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sessions/*#flag-*")


@pytest.mark.parametrize("script", [True, False], ids=["script", "none"])
def test_a_person_accepts_what_changed_by_name_and_with_a_note(
    visitor: Visitor, site: WatchpostProcess, *, script: bool
) -> None:
    tool = f"get_receipt_{script}"
    before = drifted(site, tool)
    page = visitor.open(f"/tools/{tool}?project=default", script=script)
    form = page.locator(".finding form").first
    form.locator("[name=by]").fill("Ada")
    form.locator("[name=note]").fill("billing answers version 2 since today")
    follow(form.get_by_role("button", name="Accept this response"))
    expect(page.locator(".figure .word")).to_have_text("pinned")
    expect(page.locator("#drift")).to_have_count(0)
    version = page.locator("details[id^=version]").first
    expect(version).to_contain_text("by Ada: billing answers version 2 since today")
    expect(version.locator(".drift tbody tr")).to_have_count(4)
    expect(page.locator("#settled")).to_contain_text("1 that the contract allows now")
    after = known(site, tool)
    assert after is not None
    assert (after.drift_day, after.version > before.version) == (0, True)
    follow(page.get_by_role("button", name="Let it be learnt again"))
    expect(page.locator(".figure .word")).to_have_text("learnt")


def test_an_earlier_version_can_be_looked_at_and_let_hold_again(visitor: Visitor, invoices: Tool) -> None:
    page = visitor.open(f"/tools/get_invoice?project=default&version={invoices.version}")
    expect(page.locator("#contract")).to_contain_text(f"version {invoices.version}")
    follow(page.get_by_role("link", name="what holds now"))
    assert "version=" not in page.url


def test_a_tool_of_which_nothing_is_known_is_not_found(visitor: Visitor) -> None:
    page = visitor.open("/tools/never_called")
    expect(page.locator("main")).to_contain_text("nothing is known of a tool never_called")
    visitor.complaints = [each for each in visitor.complaints if "404" not in each]


def test_a_hostile_name_of_a_tool_is_shown_and_does_nothing(visitor: Visitor, site: WatchpostProcess) -> None:
    name = "a/<script>document.title='taken'</script>\u202e"
    send(site.url, "hostile tool", name, [{"<b>": 1}])
    eventually(lambda: known(site, name))
    page = visitor.open(f"/tools/{quote(name, safe='')}?project=default")
    expect(page.locator("h1")).to_have_text("a/<script>document.title='taken'</script>U+202E")
    expect(page).to_have_title(re.compile("^a/<script>.*U\\+202E · Watchpost$"))
    labels = json.loads(page.locator("wp-chart").first.get_attribute("data-chart") or "")["series"]
    assert [each["label"] for each in labels] == ["all"]
    page = visitor.open(f"/measures/tool_calls?by=tool&tool={quote(name)}")
    expect(page.locator(".groups td").first).to_contain_text("U+202E")
    assert "\u202e" not in (page.locator("wp-chart").get_attribute("data-chart") or "").split('"href"')[0]


@pytest.mark.parametrize(("size", "dark"), [(WIDE, True), (PHONE, False)], ids=["dark", "phone"])
def test_a_tool_keeps_nobody_out_and_fits_its_screen(
    visitor: Visitor, invoices: Tool, size: tuple[int, int], *, dark: bool
) -> None:
    for address in (
        "/tools",
        "/measures",
        f"/tools/{invoices.tool}?project=default",
        "/measures/tool_calls?by=tool&compare=previous",
        "/measures/tool_calls/sessions?tool=get_invoice",
    ):
        page = visitor.open(address, size, dark=dark)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run({preload: false}).then(found => found.violations)")
        grave = [
            (each["id"], each["nodes"][0]["html"][:160]) for each in found if each["impact"] in {"serious", "critical"}
        ]
        assert grave == [], address
        page.close()
