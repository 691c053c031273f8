"""The one HTTP application: OTLP, API, pages and health, behind the loopback rule, and the gRPC server beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from watchpost.ingest.request import PATHS
from watchpost.server import (
    alert_routes,
    api,
    backtest_routes,
    cohort_routes,
    contract_routes,
    erasure_routes,
    feedback_routes,
    grpc,
    hold_routes,
    inbound_routes,
    live,
    log_routes,
    measure_routes,
    release_routes,
    rule_routes,
    setup_routes,
    slo_routes,
    spending_routes,
    timeline_routes,
    tool_routes,
    verdicts,
)
from watchpost.server.agents_sdk import AgentsSdkLanguage
from watchpost.server.door import Door
from watchpost.server.health import Health
from watchpost.server.metrics import Metrics
from watchpost.server.otlp import BodyBudget, ExportEndpoint, Language, OtlpLanguage
from watchpost.server.pages.rendering import STATIC_PATH, error_page, is_page, static_files
from watchpost.server.pages.routes import routers
from watchpost.server.problem import MovedError, NotFoundError, ParameterError, moved, problem_of, problem_response
from watchpost.server.safety import LoopbackOnly
from watchpost.server.services import Alerting, Figures, Readers, Setup, Vitals, Words
from watchpost.server.tools import Tools

COMPRESSED_FROM = 1_000
"""Bytes of a body from which on it is compressed."""

COMPRESSION = 1
"""The level: of a timeline of 50,000 steps the highest saves a tenth more and takes ten times as long."""


class ServerSettings(msgspec.Struct, frozen=True):
    """How to listen. `host` and `grpc_port` are for OTLP/gRPC, None for no gRPC; the HTTP socket is the caller's to bind.

    `max_body_bytes` bounds one OTLP request as it comes over the wire, `max_held_bytes` all that are being read or accepted
    at one moment over HTTP.
    """

    host: str = "127.0.0.1"
    grpc_port: int | None = None
    max_body_bytes: int = 16 * 1024 * 1024
    max_held_bytes: int = 256 * 1024 * 1024


class Application(FastAPI):
    """FastAPI whose description carries the schemas of the answers, which are structs and no pydantic models."""

    def openapi(self) -> dict[str, object]:
        """The OpenAPI description."""
        return super().openapi() | {"components": {"schemas": api.schemas()}}


def create_app(
    door: Door,
    *,
    readers: Readers,
    figures: Figures,
    alerting: Alerting,
    words: Words,
    vitals: Vitals,
    setup: Setup,
    settings: ServerSettings,
) -> FastAPI:
    """The application. Its lifespan holds the gRPC server; `app.state.grpc_port` is the port that one listens on."""
    metrics = Metrics(vitals.health, vitals.agents)

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
    # streams of events pass as they are, and large bodies are compressed beside the event loop
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED_FROM, compresslevel=COMPRESSION)
    app.add_middleware(LoopbackOnly)
    app.state.is_erased = words.erasures.is_erased
    app.state.now_ns = words.now_ns
    for error in (NotFoundError, ParameterError, MovedError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(error, _answer_error)
    archive = readers.archive()
    search, review = readers.search(archive), words.review(archive, readers.listed)
    cohorts = words.named_filters(search)
    tools = Tools(words.contracts, figures.measures, readers.listed, words.now_ns)
    for router in (
        api.router(archive, search, readers.points, figures.unpriced, figures.readiness),
        timeline_routes.router(archive),
        log_routes.router(search),
        verdicts.router(review),
        contract_routes.router(words.contracts),
        cohort_routes.router(cohorts),
        tool_routes.router(tools),
        hold_routes.router(archive, readers.traces, words.notes, words.now_ns),
        feedback_routes.router(words.feedback),
        measure_routes.router(figures.measures),
        release_routes.router(words.releases, figures.versions),
        spending_routes.router(figures.spending),
        erasure_routes.router(words.erasures),
        alert_routes.router(alerting.alerts),
        slo_routes.router(figures.slos),
        inbound_routes.router(alerting.inbound),
        backtest_routes.router(alerting.backtests, alerting.rule_reviews),
        rule_routes.router(alerting.rules, alerting.alerts, alerting.notices),
        setup_routes.router(vitals.report, setup.settings, setup.trials, setup.tree),
        live.router(vitals.live, alerting.alerts),
        *routers(archive, search, review, cohorts, figures, alerting, words, tools, vitals.report, setup),
    ):
        app.include_router(router)
    app.mount(STATIC_PATH, static_files())
    _add_health(app, vitals.health, metrics)
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
    if is_page(request):
        return error_page(request, answer)
    return problem_response(answer, headers)
