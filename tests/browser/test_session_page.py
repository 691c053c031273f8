"""One session: its timeline by hand, by keys and by address, its list beside it, and what is new of it."""

from __future__ import annotations

import json
import re
import time
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Locator, Page, Route, expect
from visitor import PHONE, WIDE, Visitor
from watchpost_process import Session, WatchpostProcess, eventually

CHOSEN = "tr.chosen"


@pytest.fixture(scope="module")
def flagged(site: WatchpostProcess) -> Session:
    """A session of several agents with a flag."""
    return next(each for each in site.sessions() if each.flags and each.totals.steps > 40)


def send(site: WatchpostProcess, session_id: str, trace_id: str, numbers: range) -> Session:
    """Tool calls, one a second, as steps of one session; answers it as soon as it has as many steps as the last number says."""
    begin = time.time_ns() // 10**13 * 10**13 - 10**13
    spans = [
        {
            "traceId": trace_id,
            "spanId": f"{number:016x}",
            "name": f"execute_tool t{number}",
            "startTimeUnixNano": str(begin + number * 10**9),
            "endTimeUnixNano": str(begin + number * 10**9 + 5 * 10**8),
            "attributes": [
                {"key": "gen_ai.operation.name", "value": {"stringValue": "execute_tool"}},
                {"key": "gen_ai.tool.name", "value": {"stringValue": f"t{number}"}},
                {"key": "session.id", "value": {"stringValue": session_id}},
            ],
        }
        for number in numbers
    ]
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
    request = Request(f"{site.url}/v1/traces", body, {"content-type": "application/json"})  # noqa: S310  our own process
    with urlopen(request, timeout=30) as answer:  # noqa: S310  our own process
        assert answer.status == 200

    def whole() -> Session | None:
        found = site.session(session_id)
        return found if found is not None and found.totals.steps == numbers.stop - 1 else None

    return eventually(whole)


@pytest.fixture(scope="module")
def long(site: WatchpostProcess) -> Session:
    """A session of three pages of steps."""
    return send(site, "timeline-long", "7" * 32, range(1, 451))


def opened(visitor: Visitor, session: Session, query: str = "", size: tuple[int, int] = WIDE) -> Page:
    """The page of a session with its timeline drawn, every step as wide as the others."""
    page = visitor.open(f"/sessions/{session.key}{query}", size)
    page.locator("wp-timeline .told").wait_for()
    page.get_by_role("button", name="Steps", exact=True).click()
    return page


def stage(page: Page) -> Locator:
    return page.get_by_role("application")


def press(page: Page, *keys: str) -> None:
    stage(page).focus()
    for key in keys:
        page.keyboard.press(key)


def panel(page: Page) -> Locator:
    return page.get_by_role("region", name="Selected step")


def seen(page: Page) -> str:
    return page.locator("wp-timeline .told").inner_text()


def test_what_went_wrong_is_told_first_and_the_timeline_looks_at_it(visitor: Visitor, flagged: Session) -> None:
    page = opened(visitor, flagged)
    first = next(flag for flag in flagged.flags if flag.severity == flagged.flags[0].severity)
    assert page.locator("article.finding").first.bounding_box()["y"] < stage(page).bounding_box()["y"]  # type: ignore[index]  # both are visible
    expect(page.locator("article.finding").first).to_contain_text(first.kind)
    expect(panel(page)).to_contain_text(first.kind)
    expect(stage(page)).to_have_accessible_name(f"Timeline of {flagged.totals.steps} steps")
    assert seen(page).startswith(f"{flagged.totals.steps} steps in ")


def test_keys_walk_from_step_to_step_and_open_one(visitor: Visitor, site: WatchpostProcess, flagged: Session) -> None:
    steps = site.steps(flagged)
    page = opened(visitor, flagged)
    press(page, "Home", "ArrowRight", "ArrowRight")
    expect(panel(page).get_by_role("heading", level=3)).to_contain_text("3 ")
    expect(page.locator("wp-timeline .tip")).to_contain_text("3 ")
    expect(page.locator("wp-timeline [role=status]")).to_contain_text(f"Step 3 of {len(steps)}: {steps[2].kind}")
    expect(page.locator(CHOSEN)).to_have_attribute("id", f"step-{steps[2].step_id}")
    press(page, "End")
    expect(page.locator(CHOSEN)).to_have_attribute("id", f"step-{steps[-1].step_id}")
    press(page, "Home", "f")
    flags = sorted(flag.step for flag in flagged.flags if flag.state != "withdrawn")
    expect(panel(page).get_by_role("heading", level=3)).to_contain_text(f"{flags[0]} ")
    press(page, "Enter")
    page.wait_for_url(f"**/steps/{steps[flags[0] - 1].step_id}*")


def test_the_address_of_a_step_can_be_shared(visitor: Visitor, site: WatchpostProcess, flagged: Session) -> None:
    steps = site.steps(flagged)
    page = opened(visitor, flagged)
    press(page, "Home", "ArrowRight")
    page.wait_for_url(f"**step={steps[1].step_id}*")
    shared = page.url.removeprefix(visitor.url)
    for address in (shared, f"/sessions/{flagged.key}#step-{steps[1].step_id}"):
        other = visitor.open(address)
        expect(panel(other).get_by_role("heading", level=3)).to_contain_text("2 ")


def test_wheel_keys_and_overview_decide_how_much_is_seen(visitor: Visitor, flagged: Session) -> None:
    page = opened(visitor, flagged)
    whole = seen(page)
    stage(page).scroll_into_view_if_needed()
    stage(page).hover(position={"x": 300, "y": 90})
    page.wait_for_timeout(350)  # a wheel that began to turn elsewhere goes on to scroll the page
    page.mouse.wheel(0, -400)
    expect(page.locator("wp-timeline .told")).to_contain_text(re.compile(r"^steps \d+ to "))
    press(page, "0")
    expect(page.locator("wp-timeline .told")).to_have_text(whole)
    box = page.locator("wp-timeline canvas").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 20, steps=4)
    page.mouse.up()
    half = flagged.totals.steps * 0.5
    expect(page.locator("wp-timeline .told")).to_contain_text(f"steps {int(half) + 1} to ")
    told = page.locator("wp-timeline .told")
    before = seen(page)
    press(page, "+")
    expect(told).not_to_have_text(before)
    closer = seen(page)
    press(page, "-", "-", "-")
    expect(told).not_to_have_text(closer)


def test_a_bar_says_what_it_is_and_a_click_selects_it(
    visitor: Visitor, site: WatchpostProcess, flagged: Session
) -> None:
    page = opened(visitor, flagged)
    stage(page).scroll_into_view_if_needed()
    box = page.evaluate("(() => document.querySelector('wp-timeline').boxOf(6))()")
    canvas = page.locator("wp-timeline canvas").nth(1)
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    canvas.hover(position=at)  # type: ignore[arg-type]  # a place on it
    expect(page.locator("wp-timeline .tip")).to_contain_text("7 ")
    canvas.click(position=at)  # type: ignore[arg-type]  # a place on it
    step = site.steps(flagged)[6]
    expect(page.locator(CHOSEN)).to_have_attribute("id", f"step-{step.step_id}")
    expect(panel(page).get_by_role("link", name="Open step")).to_have_attribute("href", f"/sessions/{flagged.key}/steps/{step.step_id}?trace_id={trace_of(page, 6)}")  # fmt: skip


def trace_of(page: Page, at: int) -> str:
    answer = page.request.get(page.url.partition("?")[0].replace("/sessions/", "/api/sessions/") + "/timeline").json()
    return str(answer["traces"][answer["trace"][at]])


def test_the_list_turns_to_the_page_of_the_selected_step(visitor: Visitor, long: Session) -> None:
    page = opened(visitor, long)
    expect(page.locator("#steps")).to_contain_text("1 to 200 of 450")
    press(page, "End")
    expect(page.locator("#steps")).to_contain_text("401 to 450 of 450")
    expect(page.locator(CHOSEN)).to_have_attribute("id", f"step-{450:016x}")
    page.locator(f"#step-{430:016x} a[data-step]").click()
    expect(panel(page).get_by_role("heading", level=3)).to_contain_text("430 ")


def test_an_answer_that_comes_late_does_not_turn_the_list_back(visitor: Visitor, site: WatchpostProcess) -> None:
    session = send(site, "timeline-turned", "6" * 32, range(1, 451))
    page = opened(visitor, session)
    held: list[Route] = []
    page.route(f"**/sessions/{session.key}*", lambda route: route.continue_() if held else held.append(route))
    with page.expect_request(f"**/sessions/{session.key}*"):
        send(site, "timeline-turned", "6" * 32, range(440, 461))
    press(page, "End")
    expect(page.locator("#steps")).to_contain_text("401 to ")
    with page.expect_response(lambda answer: answer.request == held[0].request) as late:
        held[0].continue_()
    late.value.finished()
    page.wait_for_timeout(200)
    assert "401 to " in page.locator("#steps").inner_text()


def test_what_is_new_is_drawn_and_view_and_selection_stay(visitor: Visitor, site: WatchpostProcess) -> None:
    session = send(site, "timeline-live", "8" * 32, range(1, 61))
    page = opened(visitor, session, f"?step={20:016x}")
    press(page, "+", "+")
    before = page.evaluate("(() => { const { from, to } = document.querySelector('wp-timeline').view; return [from, to]; })()")  # fmt: skip
    send(site, "timeline-live", "8" * 32, range(55, 81))
    expect(stage(page)).to_have_accessible_name("Timeline of 80 steps")
    after = page.evaluate("(() => { const { from, to } = document.querySelector('wp-timeline').view; return [from, to]; })()")  # fmt: skip
    assert after == before
    expect(panel(page).get_by_role("heading", level=3)).to_contain_text("20 ")


def test_steps_far_back_are_read_again_too(visitor: Visitor, site: WatchpostProcess) -> None:
    session = send(site, "timeline-late", "9" * 32, range(1, 261))
    page = opened(visitor, session)
    page.evaluate("document.querySelector('wp-timeline').source.everyMs = 2000")
    send(site, "timeline-late", "9" * 32, range(255, 266))
    expect(stage(page)).to_have_accessible_name("Timeline of 265 steps")
    with page.expect_request(lambda asked: asked.url.endswith("/timeline?after=0"), timeout=120_000):
        send(site, "timeline-late", "9" * 32, range(260, 271))


def test_two_fingers_zoom_and_one_pans(visitor: Visitor, long: Session) -> None:
    page = opened(visitor, long)
    moves = """((fingers) => {
        const timeline = document.querySelector('wp-timeline');
        const box = timeline.canvas.getBoundingClientRect();
        for (const [kind, id, x] of fingers) timeline.canvas.dispatchEvent(new PointerEvent(kind, {
            pointerId: id, pointerType: 'touch', button: 0, bubbles: true, clientX: box.left + x, clientY: box.top + 40 }));
        const { from, to } = timeline.view;
        return [from, to];
    })"""
    apart = [["pointerdown", 1, 300], ["pointerdown", 2, 400], ["pointermove", 1, 200], ["pointermove", 2, 500]]
    from_, to = page.evaluate(f"{moves}({json.dumps(apart)})")
    assert to - from_ == pytest.approx(150, abs=2)
    page.evaluate(f"{moves}({json.dumps([['pointerup', 1, 200], ['pointerup', 2, 500]])})")
    page.evaluate("(() => { document.querySelector('wp-timeline').canvas.setPointerCapture = () => {}; })()")
    panned, _ = page.evaluate(f"{moves}({json.dumps([['pointerdown', 3, 400], ['pointermove', 3, 300], ['pointerup', 3, 300]])})")  # fmt: skip
    assert panned > from_


def test_the_drawing_follows_the_theme(visitor: Visitor, flagged: Session) -> None:
    page = opened(visitor, flagged)
    shot = "(() => document.querySelector('wp-timeline').canvas.toDataURL())()"
    light = page.evaluate(shot)
    page.locator("[data-theme-next]").click()
    page.locator("[data-theme-next]").click()
    page.wait_for_function(f"light => {shot} !== light", arg=light)


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_on_a_phone_everything_is_within_its_width(visitor: Visitor, flagged: Session, script: bool) -> None:
    page = visitor.open(f"/sessions/{flagged.key}", PHONE, script=script)
    expect(page.locator("article.finding").first).to_be_visible()
    expect(page.locator("tr[id]").first).to_be_visible()
    if script:
        stage(page).wait_for()
        expect(panel(page)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    else:
        expect(page.locator("wp-timeline")).to_contain_text("steps stand in the list")
