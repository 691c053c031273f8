"""A Watchpost of its own for tests that change it, and agents that are at work now."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.request import urlopen

import msgspec
from playwright.sync_api import Locator
from visitor import SETTINGS, settle
from watchpost_process import WatchpostProcess

from watchpost.cli.demo.agents import Traffic
from watchpost.cli.demo.incidents import Incident, incidents
from watchpost.cli.demo.sending import TraceSender

Answer = TypeVar("Answer")

TOLD = """
[alerting]
routes = "routes.yaml"

[webhooks.nobody]
url = "http://127.0.0.1:9/"
secrets = ["whsec_d2F0Y2hwb3N0IGV4YW1wbGUgc2VjcmV0"]
allow_private = true
"""
ROUTES = """
route: {channels: [nobody], group_by: ['...'], group_wait: 0s}
"""
"""Somebody is to be told of every alert at once: an alert of which nobody is told cannot be acknowledged. That nothing listens there is no matter."""


@contextmanager
def quiet_site(folder: Path) -> Iterator[WatchpostProcess]:
    """One to which nothing was sent."""
    (folder / "routes.yaml").write_text(ROUTES, encoding="utf-8")
    with WatchpostProcess(folder, SETTINGS + TOLD) as site:
        yield site


def at_work(site: WatchpostProcess) -> None:
    """Agents of many frameworks did their work in the last minutes, and it is over."""
    with _traffic(site) as traffic:
        traffic.past()
    settle(site)


def goes_wrong(site: WatchpostProcess, flag: str) -> None:
    """The first incident of a kind happens, at once."""
    incident: Incident = next(each for each in incidents() if each.flag == flag)
    with _traffic(site) as traffic:
        traffic.live(incident)


@contextmanager
def _traffic(site: WatchpostProcess) -> Iterator[Traffic]:
    with TraceSender(site.url) as sender:
        yield Traffic(sender, lambda _: None, new_bytes=os.urandom, pause=lambda _: None)


def answered(site: WatchpostProcess, address: str, kind: type[Answer]) -> Answer:
    """What the API says at an address."""
    with urlopen(site.url + address, timeout=30) as answer:  # noqa: S310 - of this machine
        return msgspec.json.decode(answer.read(), type=kind)


def words(place: Locator) -> str:
    """What is read at a place, with one space where there are several."""
    return re.sub(r"\s+", " ", place.inner_text()).strip()
