"""Both ways to a ClickHouse: in this process, and through the HTTP interface of another; a browser and a site for it; and how hypothesis runs."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from alarm_site import alarmed_running
from hypothesis import settings
from playwright.sync_api import Browser, expect
from visitor import Visitor, site_running
from watchpost_process import WatchpostProcess

from chromium import chromium_running
from watchpost.runtime.struct_types import settle_struct_types
from watchpost.store.engines.clickhouse import ClickHouse

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
expect.set_options(timeout=30_000)
"""Tests are never timed: a machine may be busy."""

_NUMBERS = itertools.count(1)

LONGEST = ("flow/test_kill_nine.py", "test_gate.py")
"""Begun first, so that no worker is left with one of them while the others have nothing to do; neither has an embedded database of this process open."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files before all others, which stay in their order."""
    last = len(LONGEST)
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, last))


def pytest_collection_finish() -> None:
    """Tests run parts of the server in threads of this process."""
    settle_struct_types()


class KeptChromium:
    """One Chromium for as many test files in a row as look at pages. While it runs, no event loop can be started in this thread."""

    def __init__(self) -> None:
        self._running = ExitStack()
        self._browser: Browser | None = None
        self._used_by = Path()

    def open(self, used_by: Path) -> Browser:
        """It, started unless it runs, for a test file."""
        if self._browser is None or not self._browser.is_connected():
            self.close()
            self._browser = self._running.enter_context(chromium_running())
        self._used_by = used_by
        return self._browser

    def leave_to(self, test_file: Path) -> None:
        """End it, unless this is the file that it was opened for last."""
        if test_file != self._used_by:
            self.close()

    def close(self) -> None:
        """End it, if it runs."""
        self._browser = None
        self._running.close()


_CHROMIUM = KeptChromium()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Nothing that starts an event loop comes after a browser."""
    if isinstance(item, pytest.Function) and "chromium" not in item.fixturenames:
        _CHROMIUM.leave_to(item.path)


@pytest.fixture(scope="session")
def embedded_clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    folder = tmp_path_factory.mktemp("embedded")
    store = ClickHouse.open(f"chdb://{folder / 'db'}", folder / "tmp", "0.1.0")
    yield store
    store.close()


@pytest.fixture(scope="session")
def front_dsn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = Path(__file__).with_name("store") / "clickhouse_front.py"
    folder = tmp_path_factory.mktemp("front")
    with subprocess.Popen([sys.executable, program, folder / "db"], stdout=subprocess.PIPE, text=True) as front:
        assert front.stdout is not None
        yield f"clickhouse://127.0.0.1:{int(front.stdout.readline())}"
        front.kill()


@pytest.fixture(scope="session")
def http_clickhouse(front_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    store = ClickHouse.open(front_dsn, tmp_path_factory.mktemp("unused"), "0.1.0")
    yield store
    store.close()


@pytest.fixture(params=["embedded_clickhouse", "http_clickhouse"])
def telemetry(request: pytest.FixtureRequest) -> ClickHouse:
    """A store with whatever other tests have left in it, under other projects."""
    store = request.getfixturevalue(request.param)
    assert isinstance(store, ClickHouse)
    return store


@pytest.fixture
def project() -> str:
    """A project that no other test uses."""
    return f"project-{next(_NUMBERS)}"


@pytest.fixture
def number() -> int:
    """The first of a thousand numbers of batches that no other test uses."""
    return next(_NUMBERS) * 1000


@pytest.fixture(scope="session")
def kept_chromium() -> Iterator[KeptChromium]:
    yield _CHROMIUM
    _CHROMIUM.close()


@pytest.fixture(scope="module")
def chromium(kept_chromium: KeptChromium, request: pytest.FixtureRequest) -> Iterator[Browser]:
    browser = kept_chromium.open(request.path)
    yield browser
    for context in browser.contexts:
        context.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchpostProcess]:
    """One for all tests that open pages: what a test changes in it must not matter to the others."""
    with site_running(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture(scope="session")
def alarmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchpostProcess]:
    """One in which rules of its own fire, for the tests of alerts, rules, health and settings."""
    with alarmed_running(tmp_path_factory.mktemp("alarmed")) as running:
        yield running


@pytest.fixture
def guard(chromium: Browser, alarmed: WatchpostProcess) -> Iterator[Visitor]:
    """Somebody who opens its pages; a test fails where one of them complained on its console."""
    guard = Visitor(chromium, alarmed.url)
    yield guard
    guard.close()
    assert guard.complaints == []


@pytest.fixture
def visitor(chromium: Browser, site: WatchpostProcess) -> Iterator[Visitor]:
    """Somebody who opens pages of the site; a test fails where one of them complained on its console."""
    visitor = Visitor(chromium, site.url)
    yield visitor
    visitor.close()
    assert visitor.complaints == []
