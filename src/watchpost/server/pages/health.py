"""The page of Watchpost's own health: whether anything is lost, late or full, then the numbers of each part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from datetime import datetime, timedelta

import msgspec
from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from watchpost.server.answers import moment
from watchpost.server.glance import Glance
from watchpost.server.health_report import HealthReport
from watchpost.server.kept import Keeping, Kept, Patience
from watchpost.server.measures import MeasuredAnswer, Measures
from watchpost.server.pages.chart import Chart, chart_of, number
from watchpost.server.pages.figure import in_unit
from watchpost.server.pages.rendering import rendered
from watchpost.server.readiness import ReadinessAnswer, ReadinessCheck

CHARTS: Mapping[str, str] = {
    "watchpost_accepted_spans": "Spans taken in",
    "watchpost_react_lag_seconds": "Delay until judged",
    "watchpost_log_lag_bytes": "Waiting in the log",
    "watchpost_requests_put_off": "Requests put off",
    "watchpost_refused_items": "Refused as wrong",
    "watchpost_notices_waiting": "Notices waiting",
    "watchpost_stored_bytes": "Telemetry on disk",
    "watchpost_open_sessions": "Open sessions",
}
"""The own measures that are drawn, and how they are called."""

WAIT_S = 0.6
SERVICES = 20

_SINCE_DAYS = 7


class Ward(msgspec.Struct, frozen=True):
    """What the page is made from."""

    report: HealthReport
    measures: Measures
    readiness: ReadinessCheck
    glance: Glance
    executor: Executor
    now_ns: Callable[[], int]


class Course(msgspec.Struct, frozen=True):
    """One own measure over a day: its name, how it is called, the chart, the same as rows, and what it came to."""

    name: str
    label: str
    means: str
    value: str
    chart: Chart
    rows: list[tuple[str | None, str]]


def router(ward: Ward) -> APIRouter:
    """The route."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    def day(_: str) -> list[MeasuredAnswer]:
        return ward.measures.together(list(CHARTS), [("step", "30m")])

    def ready(_: str) -> ReadinessAnswer:
        return ward.readiness.answer(limit=SERVICES)

    courses = Kept(day, Keeping(20, 300), ward.executor, ward.now_ns)
    services = Kept(ready, Keeping(60, 900), ward.executor, ward.now_ns)

    @routes.get("/health")
    def page() -> Response:
        now = datetime.fromisoformat(moment(ward.now_ns()) or "")
        unpriced_key = ("", (now - timedelta(days=_SINCE_DAYS)).date().isoformat())
        courses.begin("")
        services.begin("")
        ward.glance.unpriced.begin(unpriced_key)
        found = ward.report.answer()
        patience = Patience(ward.now_ns, WAIT_S)
        drawn = courses.answer("", patience.left_s)
        seen = services.answer("", patience.left_s)
        unpriced = ward.glance.unpriced.answer(unpriced_key, patience.left_s)
        return rendered(
            "health.html",
            found=found,
            courses=[_course(answer) for answer in drawn.value] if drawn else None,
            services=seen.value if seen else None,
            unpriced=unpriced.value if unpriced else None,
            stored=sum(table.bytes for table in found.tables),
            every=15 if drawn and seen and unpriced else 2,
        )

    return routes


def _course(answer: MeasuredAnswer) -> Course:
    series, unit = answer.series[0], answer.measure.unit
    return Course(
        answer.measure.name,
        CHARTS[answer.measure.name],
        answer.measure.means,
        in_unit(number(series.total), unit),
        msgspec.structs.replace(chart_of(answer), marks=()),
        [(point.since, in_unit(number(point), unit)) for point in series.points],
    )
