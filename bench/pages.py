"""The pages as a browser has them: how soon each can be used, what it weighs, and how smoothly the timeline of a long session moves.

Addresses come from the rail, so that a page that is added is measured too. Chromium is Debian's, without a window, and draws with the processor.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise

from playwright.sync_api import Browser, Error, Page, sync_playwright

from lab import Lab, Measured, milliseconds, percentile
from load import Plan
from process import offer
from product import Watchpost
from spans import Shape, session_name
from stored import Stock
from watchpost.server.pages.rendering import PLACES

_LOADS = 10
_LONG = 50_000
"""Steps of the session whose timeline is moved."""
_SHORT = 20
_TURNS_S = 2.0
"""How long the wheel turns each way."""
_TURN_EVERY_S = 1 / 60
_SIZE = (1280, 800)
_PATIENCE_MS = 60_000
_LATE_MS = 10_000
"""How long after a page is usable the browser may still tell of what came: of much it tells seconds later."""

_USABLE = """
() => new Promise((usable) => {
  const timeline = document.querySelector("wp-timeline");
  const look = () => {
    const ready = document.querySelector("main h1") && (!timeline || timeline.steps);
    if (ready && document.readyState === "complete") requestAnimationFrame(() => usable(performance.now()));
    else requestAnimationFrame(look);
  };
  look();
})
"""
"""Milliseconds from the start of the navigation until the page is loaded, its content stands, the timeline has its steps, and a frame was drawn with them."""

_FRAMES = """
() => {
  window.frames_at = [];
  const note = (at) => { window.frames_at.push(at); window.noting = requestAnimationFrame(note); };
  window.noting = requestAnimationFrame(note);
}
"""
_FRAMES_END = "() => { cancelAnimationFrame(window.noting); return window.frames_at; }"


@contextmanager
def chromium_running() -> Iterator[Browser]:
    """A browser without a window. Raises LookupError where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-headless-shell")
    if path is None:
        raise LookupError("there is no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.getuid() == 0 else [])
        yield browser
        browser.close()


def browser(lab: Lab, stock: Stock) -> Measured:
    """Every page ten times with nothing cached; one that cannot be opened says so and leaves the others to be measured."""
    server = stock.running()
    places = {name: address for _, members in PLACES for name, address in members}
    short, long = (_session(lab, stock, server, steps) for steps in (_SHORT, _LONG))
    step = server.client.get(f"/api/sessions/{short}/steps?limit=1").body.partition(b'"step_id":"')[2][:16].decode()
    places |= {
        f"session_{_SHORT}": f"/sessions/{short}",
        f"session_{_LONG}": f"/sessions/{long}",
        "step": f"/sessions/{short}/steps/{step}",
    }
    numbers: dict[str, float] = {}
    every: list[float] = []
    failed: list[str] = []
    with chromium_running() as chromium:
        for name, address in places.items():
            try:
                seconds, whole, cold, again = _loads(chromium, f"http://127.0.0.1:{server.port}{address}")
            except (Error, LookupError) as error:
                failed.append(f"{name}: {str(error).splitlines()[0]}")
                continue
            every += seconds
            numbers |= milliseconds(seconds, name)
            numbers |= {f"{name}_first_whole_ms": 1e3 * whole, f"{name}_bytes": cold, f"{name}_again_bytes": again}
        frames = _moved(chromium, f"http://127.0.0.1:{server.port}/sessions/{long}")
    if not every:
        raise LookupError("; ".join(failed))
    for way, seconds in frames.items():
        numbers |= milliseconds(seconds, f"{way}_frame") | {f"{way}_frames_per_s": len(seconds) / sum(seconds)}
    moved = [one for seconds in frames.values() for one in seconds]
    numbers |= milliseconds(every, "usable")
    value = (
        f"usable p95 {1e3 * percentile(every, 0.95):,.0f} ms, median {1e3 * percentile(every, 0.5):,.0f} ms; timeline of "
        f"{_LONG:,} steps {len(moved) / sum(moved):.0f} frames/s, p95 of a frame {1e3 * percentile(moved, 0.95):.0f} ms"
    )
    slowest, latest, heaviest = (_most(numbers, places, end) for end in ("_p95_ms", "_first_whole_ms", "_bytes"))
    notes = [
        f"{len(places) - len(failed)} pages, {_LOADS} loads each, nothing cached, {stock.spans:,} spans stored",
        f"slowest {slowest}: p95 {numbers[f'{slowest}_p95_ms']:,.0f} ms; first load until every figure stood, at most {latest}: {numbers[f'{latest}_first_whole_ms']:,.0f} ms",
        f"heaviest {heaviest}: {numbers[f'{heaviest}_bytes'] / 1e3:,.0f} kB, {numbers[f'{heaviest}_again_bytes'] / 1e3:,.0f} kB when it is opened again",
        *failed,
    ]
    return Measured(value, numbers, notes)


def _most(numbers: Mapping[str, float], names: Iterable[str], end: str) -> str:
    """The name that has most of what ends so."""
    return max(names, key=lambda name: numbers.get(name + end, -1.0))


def _session(lab: Lab, stock: Stock, server: Watchpost, steps: int) -> str:
    """The key of a new session of so many steps."""
    run = lab.run()
    shape = Shape(sessions=1, steps=steps)
    stock.spans += offer(
        Plan(port=server.port, run=run, spans=steps + 1, seconds=600.0, connections=1, shape=shape)
    ).spans
    server.wait_applied(lab.run())
    session = server.session(session_name(run, 0, 0))
    if session is None or session.totals.steps != steps:
        raise LookupError(f"a session of {steps} steps shows as {session}")
    return session.key


def _loads(chromium: Browser, url: str) -> tuple[list[float], float, int, int]:
    """Seconds until usable of each load, seconds of the first until nothing on the page is still being worked out, and bytes.

    Of the last load those that came with nothing cached, and then those of one more with what the browser kept.
    """
    seconds, weights = [], []
    whole = 0.0
    for number in range(_LOADS):
        context = chromium.new_context(viewport={"width": _SIZE[0], "height": _SIZE[1]})
        page = context.new_page()
        scales = _Scales(page)
        seconds.append(_load(page, url))
        if number == 0:
            page.wait_for_selector(".waiting", state="detached", timeout=_PATIENCE_MS)
            whole = float(page.evaluate("performance.now()")) / 1e3
        if number == _LOADS - 1:
            weights.append(scales.read())
            _load(page, url)
            weights.append(scales.read())
        context.close()
    cold, again = weights
    return seconds, whole, cold, again


def _load(page: Page, url: str) -> float:
    page.set_default_timeout(_PATIENCE_MS)
    answer = page.goto(url, wait_until="commit", timeout=_PATIENCE_MS)
    if answer is None or answer.status != 200:
        raise LookupError(f"{url} answers {answer.status if answer else 'nothing'}")
    taken = page.evaluate(_USABLE)
    return float(taken) / 1e3


class _Scales:
    """Counts the bytes that come for a page, headers included, as they came over the wire."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._bytes = 0
        self._coming: set[str] = set()
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self._begin)
        session.on("Network.loadingFinished", self._end)
        session.on("Network.loadingFailed", self._end)

    def read(self) -> int:
        """What has come since the last reading, with what is still on its way; a stream of events never ends and does not count."""
        for _ in range(_LATE_MS // 100):
            self._page.wait_for_timeout(100)
            if not self._coming:
                break
        came, self._bytes = self._bytes, 0
        return came

    def _begin(self, event: Mapping[str, object]) -> None:
        if event.get("type") != "EventSource":
            self._coming.add(str(event["requestId"]))

    def _end(self, event: Mapping[str, object]) -> None:
        self._coming.discard(str(event["requestId"]))
        self._bytes += int(str(event.get("encodedDataLength", 0)).partition(".")[0])


def _moved(chromium: Browser, url: str) -> dict[str, list[float]]:
    """Seconds between frames while the wheel zooms in, moves sideways, and zooms out again over the timeline, and while the page scrolls."""
    page = chromium.new_page(viewport={"width": _SIZE[0], "height": _SIZE[1]})
    _load(page, url)
    timeline = page.locator("wp-timeline")
    timeline.scroll_into_view_if_needed()
    box = timeline.bounding_box()
    if box is None:
        raise LookupError(f"{url} has no timeline")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_timeout(1000)
    found = {
        name: _turned(page, *turn) for name, turn in {"zoom_in": (0, -60), "pan": (40, 0), "zoom_out": (0, 60)}.items()
    }
    page.mouse.move(4, _SIZE[1] / 2)
    found["scroll"] = _turned(page, 0, 60)
    page.close()
    return found


def _turned(page: Page, across: float, down: float) -> list[float]:
    page.evaluate(_FRAMES)
    end = time.perf_counter() + _TURNS_S
    while (now := time.perf_counter()) < end:
        page.mouse.wheel(across, down)
        time.sleep(max(0.0, now + _TURN_EVERY_S - time.perf_counter()))
    at = page.evaluate(_FRAMES_END)
    return [(after - before) / 1e3 for before, after in pairwise(at)]
