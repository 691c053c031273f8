"""The one HTTP application: OTLP, API, pages and health, behind the loopback rule, and the gRPC server beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from watchpost.ingest.request import PATHS
from watchpost.rules.precision import PrecisionSettings
from watchpost.server import (
    alert_pages,
    alert_routes,
    api,
    backtest_routes,
    contract_routes,
    erasure_routes,
    feedback_routes,
    grpc,
    hold_routes,
    inbound_routes,
    log_routes,
    measure_routes,
    pages,
    release_routes,
    slo_routes,
    spending_routes,
    verdicts,
)
from watchpost.server.agent_metrics import AgentMetrics
from watchpost.server.agents_sdk import AgentsSdkLanguage
from watchpost.server.alerts import Alerts
from watchpost.server.archive import Archive
from watchpost.server.backtest import Backtests
from watchpost.server.contracts import Contracts
from watchpost.server.door import Door
from watchpost.server.erasure import ErasureDesk
from watchpost.server.feedback import Feedback
from watchpost.server.health import Health
from watchpost.server.inbound import Inbound
from watchpost.server.kept_traces import KeptTraces
from watchpost.server.measures import Measures
from watchpost.server.metrics import Metrics
from watchpost.server.otlp import BodyBudget, ExportEndpoint, Language, OtlpLanguage
from watchpost.server.problem import MovedError, NotFoundError, ParameterError, moved, problem_of, problem_response
from watchpost.server.readiness import ReadinessCheck
from watchpost.server.release_versions import Versions
from watchpost.server.releases import ReleaseBook
from watchpost.server.review import Notebook, Review
from watchpost.server.rule_review import RuleReviews
from watchpost.server.safety import LoopbackOnly
from watchpost.server.search import Redact, Search
from watchpost.server.slos import Slos
from watchpost.server.spending import Spending
from watchpost.server.unpriced import UnpricedCalls
from watchpost.store.readers import LogReader, MetricReader, SessionReader, TextWindow
from watchpost.store.state import FlagList, FlagReader


class ServerSettings(msgspec.Struct, frozen=True):
    """How to listen. `host` and `grpc_port` are for OTLP/gRPC, None for no gRPC; the HTTP socket is the caller's to bind.

    `max_body_bytes` bounds one OTLP request as it comes over the wire, `max_held_bytes` all that are being read or accepted
    at one moment over HTTP.
    """

    host: str = "127.0.0.1"
    grpc_port: int | None = None
    max_body_bytes: int = 16 * 1024 * 1024
    max_held_bytes: int = 256 * 1024 * 1024


class Reviewing(msgspec.Struct, frozen=True):
    """What people's verdicts are asked of and written down in, when a detector stops paging by them, and the time."""

    flags: FlagList
    notes: Notebook
    precision: PrecisionSettings
    now_ns: Callable[[], int]


class Searching(msgspec.Struct, frozen=True):
    """How far back texts are searched, and what hides in a text what is hidden in all telemetry, called from one thread at a time."""

    texts: TextWindow
    redact: Redact


class Application(FastAPI):
    """FastAPI whose description carries the schemas of the answers, which are structs and no pydantic models."""

    def openapi(self) -> dict[str, object]:
        """The OpenAPI description."""
        return super().openapi() | {"components": {"schemas": api.schemas()}}


def create_app(
    door: Door,
    *,
    sessions: SessionReader,
    flags: FlagReader,
    logs: LogReader,
    searching: Searching,
    points: MetricReader,
    unpriced: UnpricedCalls,
    readiness: ReadinessCheck,
    measures: Measures,
    releases: ReleaseBook,
    versions: Versions,
    spending: Spending,
    alerts: Alerts,
    slos: Slos,
    inbound: Inbound,
    backtests: Backtests,
    rule_reviews: RuleReviews,
    reviewing: Reviewing,
    traces: KeptTraces,
    contracts: Contracts,
    feedback: Feedback,
    erasures: ErasureDesk,
    health: Health,
    agents: AgentMetrics,
    settings: ServerSettings,
) -> FastAPI:
    """The application. Its lifespan holds the gRPC server; `app.state.grpc_port` is the port that one listens on."""
    metrics = Metrics(health, agents)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if settings.grpc_port is None:
            yield
            return
        server = await grpc.start(door, settings.host, settings.grpc_port, settings.max_body_bytes, metrics.answers)
        app.state.grpc_port = server.port
        try:
            yield
        finally:
            await server.stop()

    budget = BodyBudget(settings.max_held_bytes)
    languages: tuple[Language, ...] = (
        OtlpLanguage("traces"),
        OtlpLanguage("logs"),
        OtlpLanguage("metrics"),
        AgentsSdkLanguage(),
    )
    endpoints = {
        PATHS[language.signal]: ExportEndpoint(language, door, settings.max_body_bytes, budget, metrics.answers)
        for language in languages
    }
    app = Application(
        title="Watchpost",
        version=version("watchpost"),
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        routes=[Route(path, endpoint, include_in_schema=False) for path, endpoint in endpoints.items()],
        # Watchpost's own requests are not an agent's work: traced, each would cause the next
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.add_middleware(LoopbackOnly)
    app.state.is_erased = erasures.is_erased
    for error in (NotFoundError, ParameterError, MovedError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(error, _answer_error)
    archive = Archive(sessions, flags, logs, reviewing.flags, traces)
    review = Review(archive, reviewing.flags, reviewing.notes, reviewing.precision, reviewing.now_ns)
    search = Search(archive, logs, searching.texts, searching.redact)
    app.include_router(api.router(archive, search, points, unpriced, readiness))
    app.include_router(log_routes.router(search))
    app.include_router(verdicts.router(review))
    app.include_router(contract_routes.router(contracts))
    app.include_router(hold_routes.router(archive, traces, reviewing.notes, reviewing.now_ns))
    app.include_router(feedback_routes.router(feedback))
    app.include_router(measure_routes.router(measures))
    app.include_router(release_routes.router(releases, versions))
    app.include_router(spending_routes.router(spending))
    app.include_router(erasure_routes.router(erasures))
    app.include_router(alert_routes.router(alerts))
    app.include_router(slo_routes.router(slos))
    app.include_router(inbound_routes.router(inbound))
    app.include_router(backtest_routes.router(backtests, rule_reviews))
    app.include_router(pages.router(archive, search, review))
    app.include_router(alert_pages.router(alerts, reviewing.now_ns))
    app.mount("/static", pages.static_files())
    _add_health(app, health, metrics)
    return app


def _add_health(app: FastAPI, health: Health, metrics: Metrics) -> None:
    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return PlainTextResponse("ok\n")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        reason = health.unready()
        return PlainTextResponse("ready\n") if reason is None else PlainTextResponse(f"{reason}\n", 503)

    @app.get("/metrics", include_in_schema=False)
    async def scrape(request: Request) -> Response:
        body, content_type = await run_in_threadpool(metrics.text, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})


async def _answer_error(request: Request, error: Exception) -> Response:
    """A problem document for programs, a page for people, a redirect for a session that moved."""
    if isinstance(error, MovedError):
        return moved(request, error.key)
    key = request.path_params.get("key")
    if isinstance(error, NotFoundError) and key and await run_in_threadpool(request.app.state.is_erased, str(key)):
        error = HTTPException(410, "this session was erased on request")
    answer, headers = problem_of(error)
    if pages.is_page(request):
        return pages.error_page(request, answer)
    return problem_response(answer, headers)
