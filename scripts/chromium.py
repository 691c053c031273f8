"""Chromium without a window, for whatever looks at the pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

PROGRAMS = ("chromium-headless-shell", "chromium")
"""The first that is installed is taken: the same engine without the rest of a browser takes a third of the time of CPU."""


@contextmanager
def chromium_running() -> Iterator[Browser]:
    """One of its own, ended with the block. While it runs, no event loop can be started in this thread. Raises `LookupError` where none is installed."""
    path = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if path is None:
        raise LookupError(f"there is no Chromium: apt-get install {PROGRAMS[0]}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.getuid() == 0 else [])
        yield browser
        browser.close()
