"""One step: what was said to whom, folded as it is meant, and the steps beside it."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from visitor import PHONE, WIDE, Visitor
from watchpost_process import Session, Step, WatchpostProcess


@pytest.fixture(scope="module")
def place(site: WatchpostProcess) -> tuple[Session, list[Step]]:
    """A session that calls tools, and its steps."""
    session = next(each for each in site.sessions() if each.totals.tool_calls and (each.totals.llm_calls or 0) > 4)
    return session, site.steps(session)


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_model_call_shows_the_conversation_and_what_it_calls(
    visitor: Visitor, place: tuple[Session, list[Step]], size: tuple[int, int]
) -> None:
    session, steps = place
    last = [step for step in steps if step.kind == "llm"][-1]
    page = visitor.open(f"/sessions/{session.key}/steps/{last.step_id}", size)
    expect(page.locator("#input .turn.user").first).to_be_attached()
    expect(page.locator("#input .act.call").first).to_be_attached()
    expect(page.locator("#output .turn.assistant")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_steps_are_walked_by_keys_and_lead_up_to_their_session(
    visitor: Visitor, place: tuple[Session, list[Step]]
) -> None:
    session, steps = place
    page = visitor.open(f"/sessions/{session.key}/steps/{steps[0].step_id}")
    page.keyboard.press("n")
    page.wait_for_url(f"**/steps/{steps[1].step_id}*")
    page.keyboard.press("p")
    page.wait_for_url(f"**/steps/{steps[0].step_id}*")
    page.keyboard.press("u")
    page.wait_for_url(f"**/sessions/{session.key}?*")


def test_what_was_received_unfolds_without_a_script(visitor: Visitor, place: tuple[Session, list[Step]]) -> None:
    session, steps = place
    page = visitor.open(f"/sessions/{session.key}/steps/{steps[0].step_id}", script=False)
    attributes = page.locator("details", has_text="Attributes as received")
    expect(attributes.locator(".tree").first).to_be_hidden()
    attributes.locator("summary").first.click()
    expect(attributes.locator(".tree").first).to_be_visible()
