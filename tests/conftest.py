"""Both ways to a ClickHouse: in this process, and through the HTTP interface of another; a browser and a site for it; and how hypothesis runs."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alarm_site import alarmed_running
from hypothesis import settings
from playwright.sync_api import Browser
from visitor import Visitor, chromium_running, site_running
from watchpost_process import WatchpostProcess

from watchpost.store.engines.clickhouse import ClickHouse

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
"""Tests are never timed: a machine may be busy."""

_NUMBERS = itertools.count(1)


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


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with chromium_running() as browser:
        yield browser


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
