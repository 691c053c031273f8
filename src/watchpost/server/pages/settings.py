"""The page of settings: what is in force and where it was set, channels with a test, and where alerts go. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse, RedirectResponse, Response

from watchpost.runtime.settings_shown import SettingsShown, ShownSetting
from watchpost.server.answers import moment
from watchpost.server.channel_trials import ChannelTrials
from watchpost.server.health_report import HealthReport
from watchpost.server.pages.rendering import rendered
from watchpost.server.route_tree import RouteTree
from watchpost.server.unpriced import UnpricedCalls

GROUPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("retention", "Retention and disk", ("retention", "data", "telemetry", "state")),
    ("prices", "Prices and spending", ("prices", "spending")),
    ("redaction", "Redaction", ("redaction",)),
    ("judging", "Rules, success and verdicts", ("alerting", "precision", "success", "sla", "inbound")),
    ("server", "Server and flow", ("host", "port", "grpc_port", "public_url", "ingest", "flow", "session")),
)
"""An anchor, a heading, and the sections of the settings that stand under it; all others are detectors."""

EXAMPLE = 'severity="critical", rate="yes"'


class Cupboard(msgspec.Struct, frozen=True):
    """What the page is made from."""

    settings: SettingsShown
    tree: RouteTree
    trials: ChannelTrials
    prices: UnpricedCalls
    report: HealthReport
    now_ns: Callable[[], int]


class Detector(msgspec.Struct, frozen=True):
    """The settings of one detector; `changed` are those that are not left at their defaults."""

    name: str
    settings: list[ShownSetting]
    changed: int


def router(cupboard: Cupboard) -> APIRouter:
    """The routes."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    shown = cupboard.settings
    grouped = [(anchor, heading, shown.under(*sections)) for anchor, heading, sections in GROUPS]
    detectors = _detectors(shown)

    @routes.get("/settings")
    def page(labels: Annotated[str, Query(max_length=4000)] = "") -> Response:
        return rendered(
            "settings.html",
            shown=shown,
            groups=grouped,
            detectors=detectors,
            tree=cupboard.tree.answer(labels),
            labels=labels,
            example=EXAMPLE,
            trials=cupboard.trials.last,
            health={channel.channel: channel for channel in cupboard.report.answer().channels},
            prices=cupboard.prices.prices(),
            now=moment(cupboard.now_ns()),
        )

    @routes.post("/settings/channels/{channel}/test")
    async def test(channel: str) -> Response:
        await cupboard.trials.try_out(channel)
        return RedirectResponse("/settings#channels", 303)

    return routes


def _detectors(shown: SettingsShown) -> list[Detector]:
    """By name, those of which something was set first."""
    known = {section for _, _, sections in GROUPS for section in sections}
    others = [each for each in shown.settings if each.name.partition(".")[0] not in known]
    found = []
    for name, members in groupby(others, key=lambda each: each.name.partition(".")[0]):
        settings = list(members)
        found.append(Detector(name, settings, sum(each.origin != "default" for each in settings)))
    return sorted(found, key=lambda each: (not each.changed, each.name))
