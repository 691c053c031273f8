"""Measures in a browser: a question is put, its figures are those of the API, and every one leads to its sessions."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import msgspec
import pytest
from playwright.sync_api import Page, expect
from visitor import PHONE, Visitor, follow
from watchpost_process import WatchpostProcess

from watchpost.server.pages.chart import plain

WINDOW = "window=30d"


class Point(msgspec.Struct):
    value: int | float | str | None
    sessions: int
    counted: int


class Series(msgspec.Struct):
    group: dict[str, str]
    total: Point


class Measured(msgspec.Struct):
    series: list[Series]


class Contributors(msgspec.Struct):
    sessions: list[dict[str, str | int]]


def answered(site: WatchpostProcess, address: str) -> bytes:
    with urlopen(site.url + address, timeout=60) as answer:  # noqa: S310  our own process
        return bytes(answer.read())


def asked_elsewhere(page: Page, site: WatchpostProcess) -> Measured:
    """What the API answers at the address that the page names."""
    address = page.locator("#elsewhere a").get_attribute("href")
    assert address is not None
    return msgspec.json.decode(answered(site, address), type=Measured)


def rows(page: Page) -> list[list[str]]:
    return [
        [cell.strip() for cell in row.locator("td").all_inner_texts()] for row in page.locator(".groups tbody tr").all()
    ]


@pytest.fixture(autouse=True)
def begun(site: WatchpostProcess) -> None:
    """The recordings are there, and all that is measured of them."""
    assert site.sessions()


def test_groups_say_what_the_api_says(visitor: Visitor, site: WatchpostProcess) -> None:
    page = visitor.open(f"/measures/tool_calls?by=tool&{WINDOW}")
    found = asked_elsewhere(page, site)
    assert len(found.series) > 5
    told = [(row[0], row[1], row[3], row[5]) for row in rows(page)]
    assert told == [
        (
            plain(one.group["tool"], 80) or "(none)",
            str(one.total.value),
            str(one.total.counted),
            str(one.total.sessions),
        )
        for one in found.series
    ]


def test_units_stand_on_every_number(visitor: Visitor) -> None:
    for name, unit in (("tool_error_rate", "%"), ("llm_call_duration_seconds", "s"), ("cost_usd", "$")):
        page = visitor.open(f"/measures/{name}?{WINDOW}")
        assert unit in rows(page)[0][1]
        page.close()


@pytest.mark.parametrize("script", [True, False], ids=["script", "none"])
def test_a_question_is_put_by_a_form_and_stands_in_the_address(visitor: Visitor, *, script: bool) -> None:
    page = visitor.open(f"/measures/tool_calls?{WINDOW}", script=script)
    page.locator("select[name=by]").first.select_option("tool")
    page.locator("select[name=compare]").select_option("previous")
    page.locator("select[name=dimension]").select_option("tool")
    page.locator("input[name=value]").fill("get_order_status")
    follow(page.get_by_role("button", name="Ask"))
    asked = parse_qs(urlsplit(page.url).query)
    assert asked == {"window": ["30d"], "by": ["tool"], "compare": ["previous"], "tool": ["get_order_status"]}
    assert [row[0] for row in rows(page)] == ["get_order_status"]
    expect(page.locator(".groups")).to_contain_text("Before")
    follow(page.get_by_role("link", name="Remove: tool is get_order_status"))
    expect(page.locator(".groups tbody tr").nth(5)).to_be_visible()
    assert "tool=" not in urlsplit(page.url).query


def test_a_group_leads_to_its_sessions(visitor: Visitor, site: WatchpostProcess) -> None:
    page = visitor.open(f"/measures/tool_calls?by=tool&{WINDOW}")
    last = page.locator(".groups tbody tr").nth(1).locator("td").last
    many = last.inner_text().strip()
    last.locator("a").click()
    page.wait_for_url("**/sessions?*")
    expect(page.locator("tbody tr")).to_have_count(int(many))
    behind = msgspec.json.decode(answered(site, "/api" + page.url.removeprefix(site.url)), type=Contributors)
    assert [page.locator(f"#session-{one['key']} a.id").inner_text() for one in behind.sessions]
    page.locator("tbody a.id").first.click()
    page.wait_for_url(re.compile(r"/sessions/\w+$"))


def test_a_point_leads_to_its_sessions_in_the_table_and_in_the_chart(visitor: Visitor) -> None:
    page = visitor.open(f"/measures/tool_calls?{WINDOW}")
    chart = json.loads(page.locator("wp-chart").get_attribute("data-chart") or "")
    values = chart["series"][0]["values"]
    at = max(range(len(values)), key=lambda place: values[place])
    page.locator("#points summary").click()
    point = page.locator("#points tbody tr").nth(len(values) - 1 - at)
    in_table = point.locator("a").get_attribute("href")
    expect(point.locator("a")).to_have_text(f"{values[at]:g}")
    over = page.locator("wp-chart .u-over")
    box = over.bounding_box()
    assert box is not None
    over.click(position={"x": min(box["width"] * at / (len(values) - 1), box["width"] - 3), "y": box["height"] / 2})
    page.wait_for_url("**/sessions?*")
    table, drawn = (parse_qs(urlsplit(each or "").query) for each in (in_table, page.url))
    assert [drawn[name][0][:19] for name in ("since", "until")] == [table[name][0][:19] for name in ("since", "until")]
    expect(page.locator(".facts")).to_contain_text(f"{values[at]:g}")


def test_the_sessions_of_a_ratio_are_all_or_those_above_its_line(visitor: Visitor) -> None:
    page = visitor.open(f"/measures/tool_error_rate?{WINDOW}")
    follow(page.locator(".groups td a").last)
    every = page.locator("tbody tr").count()
    follow(page.get_by_role("link", name="Only those that the share is of"))
    assert "part=over" in page.url
    assert 0 < page.locator("tbody tr").count() < every


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ("step=1s", "select[name=step]"),
        ("by=weather", "select[name=by]"),
        ("since=soon", "input[name=since]"),
        ("compare=release:none", "select[name=compare]"),
    ],
)
def test_what_cannot_be_used_is_said_at_its_field(visitor: Visitor, asked: str, field: str) -> None:
    page = visitor.open(f"/measures/tool_calls?{asked}")
    expect(page.locator(field).first).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#fault")).to_be_visible()
    expect(page.get_by_role("button", name="Ask")).to_be_visible()
    visitor.complaints = [each for each in visitor.complaints if "422" not in each]


def test_a_parameter_that_no_field_is_for_is_named(visitor: Visitor) -> None:
    page = visitor.open("/measures/tool_calls?wether=fine")
    expect(page.get_by_role("alert")).to_contain_text("wether")
    visitor.complaints = [each for each in visitor.complaints if "422" not in each]


def test_how_watchpost_does_has_no_sessions_and_says_so(visitor: Visitor) -> None:
    page = visitor.open("/measures/watchpost_accepted_spans?window=1h")
    expect(page.locator("main")).to_contain_text("no sessions stand behind it")
    assert page.locator("main a[href*='/sessions']").count() == 0
    page = visitor.open("/measures/watchpost_accepted_spans/sessions")
    expect(page.locator(".empty")).to_contain_text("No sessions stand behind this")


def test_the_catalogue_is_searched_without_a_script(visitor: Visitor) -> None:
    page = visitor.open("/measures", script=False)
    every = page.locator("tbody tr").count()
    page.locator("main input[name=q]").fill("error share")
    follow(page.get_by_role("button", name="Find", exact=True))
    assert 0 < page.locator("tbody tr").count() < every / 4
    page.get_by_role("link", name="tool_error_rate", exact=True).click()
    page.wait_for_url("**/measures/tool_error_rate")


def test_the_command_and_prometheus_ask_the_same(visitor: Visitor) -> None:
    page = visitor.open("/measures/tool_error_rate?by=tool&tool=get_order&window=24h", script=False)
    page.locator("#elsewhere summary").click()
    expect(page.locator("#elsewhere")).to_contain_text(
        "watchpost measures tool_error_rate --where tool=get_order --by tool --top 20"
    )
    expect(page.locator("#elsewhere")).to_contain_text(
        'sum by (tool) (rate(agent_tool_errors_total{tool="get_order"}[30m]))'
    )
    page = visitor.open("/measures/steps?window=30d", script=False)
    page.locator("#elsewhere summary").click()
    expect(page.locator("#elsewhere")).to_contain_text("Not exported: no metric counts steps that did not fail.")


@pytest.mark.parametrize(
    "address",
    [f"/measures/tool_calls?by=tool,model&compare=previous&tool=get_order&{WINDOW}", "/measures/llm_calls/sessions?since=2020-01-01", "/measures/tool_calls?step=1s"],
)  # fmt: skip
def test_no_page_of_measures_is_wider_than_a_phone(visitor: Visitor, address: str) -> None:
    page = visitor.open(address, PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    visitor.complaints = [each for each in visitor.complaints if "422" not in each]
