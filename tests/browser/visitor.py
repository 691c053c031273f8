"""A person before a browser: opens pages of a running Watchpost in Chromium, and hears what the console says."""

from __future__ import annotations

import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page
from watchpost_process import WatchpostProcess

WIDE = (1280, 800)
PHONE = (390, 844)

SETTINGS = """
[session]
quiet_seconds = 2
"""

STILL_S = 4
"""Longer than a session is quiet before it counts as over."""


def follow(place: Locator) -> None:
    """Click on what leads to another page, or to the same anew, and wait until that is loaded."""
    with place.page.expect_navigation():
        place.click()


class Visitor:
    """Opens pages, each in a window of its own; `complaints` is what went wrong in any of them."""

    def __init__(self, browser: Browser, url: str) -> None:
        self._browser = browser
        self.url = url
        self.complaints: list[str] = []

    def open(self, path: str, size: tuple[int, int] = WIDE, *, dark: bool = False, script: bool = True) -> Page:
        """The page at a path of the site, loaded."""
        context = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
        )
        context.set_default_timeout(60_000)
        page = context.new_page()
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        answer = page.goto(self.url + path, wait_until="load")
        assert answer is not None
        return page

    def close(self) -> None:
        """Close every window."""
        for context in self._browser.contexts:
            context.close()

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.location.get('url', '')}: {message.text}")


def settle(site: WatchpostProcess) -> None:
    """Wait until as many sessions as will have ended; recordings may never say that they are over."""
    ended, since = -1, time.monotonic()
    while time.monotonic() < since + STILL_S:
        if (now := sum(session.state == "ended" for session in site.sessions())) != ended:
            ended, since = now, time.monotonic()
        time.sleep(0.25)


@contextmanager
def site_running(folder: Path) -> Iterator[WatchpostProcess]:
    """A Watchpost that was sent the recordings of the demo: agents of ten frameworks, and the four that go wrong. All is over."""
    recordings = folder / "recordings"
    for archive in ("captures.zip", "incidents.zip"):
        with zipfile.ZipFile(str(files("watchpost.cli.demo") / archive)) as packed:
            packed.extractall(recordings)
    with WatchpostProcess(folder, SETTINGS) as site:
        command = [str(Path(sys.executable).with_name("watchpost")), "import", str(recordings), "--server", site.url]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
        settle(site)
        yield site
