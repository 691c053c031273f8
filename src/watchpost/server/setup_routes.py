"""The routes by which it is looked at how Watchpost does and is set up, and by which a channel is tried out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from watchpost.runtime.settings_shown import SettingsShown
from watchpost.server.api import JsonResponse, described
from watchpost.server.channel_trials import ChannelTrials, TrialAnswer
from watchpost.server.health_report import HealthAnswer, HealthReport
from watchpost.server.route_tree import RoutesAnswer, RouteTree

Labels = Annotated[
    str, Query(max_length=4000, description='Labels of an alert that is asked for: severity="critical", tool="search"')
]


def router(report: HealthReport, settings: SettingsShown, trials: ChannelTrials, tree: RouteTree) -> APIRouter:
    """The routes."""
    routes = APIRouter(default_response_class=JsonResponse)

    @routes.get("/api/health", responses=described(HealthAnswer))
    def health() -> Response:
        """Whether anything is lost, late or full, and the numbers of each part."""
        return JsonResponse(report.answer())

    @routes.get("/api/settings", responses=described(SettingsShown))
    def shown() -> Response:
        """What is in force and where it was set, without secrets."""
        return JsonResponse(settings)

    @routes.get("/api/routes", responses=described(RoutesAnswer))
    def routed(labels: Labels = "") -> Response:
        """The routing tree, and who is told of an alert with these labels."""
        return JsonResponse(tree.answer(labels))

    @routes.post("/api/channels/{channel}/test", responses=described(TrialAnswer, 404))
    async def test(channel: str) -> Response:
        """Send a channel a test alert at once, and its end after it."""
        return JsonResponse(await trials.try_out(channel))

    return routes
