"""The JSON API for sessions, steps and the metrics that agents sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from watchpost.model.session import Outcome
from watchpost.query.readiness import SHARE
from watchpost.query.sessions import SessionFilter
from watchpost.runtime.settings_shown import SettingsShown
from watchpost.server.alerts import (
    AcknowledgementGiven,
    AlertDetail,
    AlertsAnswer,
    SilenceAnswer,
    SilenceGiven,
    SilencesAnswer,
)
from watchpost.server.answers import (
    FlagDetail,
    FlagsAnswer,
    SessionAnswer,
    SessionsAnswer,
    StepDetailAnswer,
    StepsAnswer,
)
from watchpost.server.archive import Archive, read_cursor
from watchpost.server.backtest_answers import BacktestAnswer, BacktestGiven, ReviewAnswer
from watchpost.server.channel_trials import TrialAnswer
from watchpost.server.cohorts import CohortAnswer, CohortGiven, CohortsAnswer
from watchpost.server.contracts import ContractAnswer, ContractsAnswer, PinGiven
from watchpost.server.erasure import ErasureAnswer, ErasureAsked, ErasureGiven, ErasuresAnswer
from watchpost.server.feedback import FeedbackGiven, FeedbacksAnswer
from watchpost.server.health_report import HealthAnswer
from watchpost.server.inbound import TakenAnswer
from watchpost.server.kept_traces import HoldAnswer, HoldGiven
from watchpost.server.log_answers import LinesAnswer
from watchpost.server.measures import ContributorsAnswer, MeasuredAnswer, MeasuresAnswer
from watchpost.server.notices import NoticesAnswer
from watchpost.server.problem import MEDIA_TYPE, Problem
from watchpost.server.readiness import ReadinessAnswer, ReadinessCheck
from watchpost.server.received_metrics import PointsAnswer, StreamsAnswer, points_page, streams_page
from watchpost.server.release_versions import VersionsAnswer
from watchpost.server.releases import ReleaseAnswer, ReleaseGiven, ReleasesAnswer, RetractionGiven
from watchpost.server.review import KindsAnswer, PrecisionsAnswer, VerdictGiven
from watchpost.server.route_tree import RoutesAnswer
from watchpost.server.rule_answers import RulesAnswer
from watchpost.server.rule_book import RuleDetail
from watchpost.server.search import Search, session_filter
from watchpost.server.slos import SlosAnswer
from watchpost.server.spending import SpendingAnswer
from watchpost.server.timeline import TimelineAnswer
from watchpost.server.tools import ToolsAnswer
from watchpost.server.unpriced import UnpricedAnswer, UnpricedCalls
from watchpost.store.readers import MetricReader

_Schemas = dict[str, dict[str, object]]

_ANSWERS = (
    SlosAnswer,
    RulesAnswer,
    TakenAnswer,
    SessionsAnswer,
    SessionAnswer,
    StepsAnswer,
    StepDetailAnswer,
    TimelineAnswer,
    LinesAnswer,
    FlagsAnswer,
    FlagDetail,
    VerdictGiven,
    ErasureGiven,
    ErasureAsked,
    ErasureAnswer,
    ErasuresAnswer,
    PrecisionsAnswer,
    HoldGiven,
    HoldAnswer,
    ContractsAnswer,
    ContractAnswer,
    PinGiven,
    ToolsAnswer,
    FeedbackGiven,
    FeedbacksAnswer,
    StreamsAnswer,
    PointsAnswer,
    UnpricedAnswer,
    ReadinessAnswer,
    MeasuresAnswer,
    MeasuredAnswer,
    ContributorsAnswer,
    ReleasesAnswer,
    ReleaseAnswer,
    ReleaseGiven,
    RetractionGiven,
    VersionsAnswer,
    SpendingAnswer,
    AlertsAnswer,
    AlertDetail,
    AcknowledgementGiven,
    SilencesAnswer,
    SilenceAnswer,
    SilenceGiven,
    NoticesAnswer,
    RuleDetail,
    HealthAnswer,
    SettingsShown,
    RoutesAnswer,
    TrialAnswer,
    BacktestAnswer,
    BacktestGiven,
    ReviewAnswer,
    CohortsAnswer,
    CohortAnswer,
    CohortGiven,
    KindsAnswer,
    Problem,
)
_REF = "#/components/schemas/"

Text = Annotated[str, Query(max_length=1024)]
Cursor = Annotated[str, Query(max_length=256, description="`next` of the page before")]
LongCursor = Annotated[str, Query(max_length=20_000, description="`next` of the page before")]
Limit = Annotated[int, Query(ge=1, le=200)]
StepId = Annotated[str, Path(description="The span id of the step, 16 hexadecimal digits")]
TraceId = Annotated[
    str, Query(max_length=64, description="Needed only where two traces of the session share the step id")
]
Near = Annotated[
    int,
    Query(
        ge=0, le=2**31, description="The number that the step had; with `trace_id` it is found sooner in a long session"
    ),
]
Since = Annotated[str, Query(max_length=64, description="ISO 8601, UTC unless it says otherwise; empty for ever")]
Ago = Annotated[
    str,
    Query(
        max_length=64,
        description="ISO 8601, UTC unless it says otherwise, or how long ago, such as 24h; empty for ever",
    ),
]
After = Annotated[int, Query(ge=0, le=2**31, description="The number of the last step already read")]


class JsonResponse(Response):
    """An answer struct as JSON."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Encode it; bytes become base64, and numbers that JSON cannot hold become null."""
        return msgspec.json.encode(content)


def moment_of(request: Request) -> int:
    """When a request is answered, in Unix nanoseconds."""
    now_ns: Callable[[], int] = request.app.state.now_ns
    return now_ns()


Now = Annotated[int, Depends(moment_of)]


def wanted_sessions(
    *,
    now_ns: Now,
    project: Text = "",
    session_id: Text = "",
    state: Literal["", "running", "ended", "reopened"] = "",
    outcome: Outcome | Literal[""] = "",
    workflow: Text = "",
    user_id: Text = "",
    service: Text = "",
    org_id: Text = "",
    feature: Text = "",
    release: Text = "",
    trace: Text = "",
    entity: Text = "",
    text: Text = "",
    text_since: Since = "",
    flag: Text = "",
    flagged: Literal["", "true", "false"] = "",
    error: Literal["", "true", "false"] = "",
    since: Ago = "",
    until: Since = "",
    cursor: Cursor = "",
    limit: Limit = 50,
) -> SessionFilter:
    """The filter that a query string asks for; an empty value is no condition."""
    asked = {
        "project": project,
        "session_id": session_id,
        "state": state,
        "outcome": outcome,
        "workflow": workflow,
        "user_id": user_id,
        "service": service,
        "org_id": org_id,
        "feature": feature,
        "release": release,
        "trace": trace,
        "entity": entity,
        "text": text,
        "text_since": text_since,
        "flag": flag,
        "flagged": flagged,
        "error": error,
        "since": since,
        "until": until,
    }
    return msgspec.structs.replace(session_filter(asked, now_ns), before=read_cursor(cursor), limit=limit)


Wanted = Annotated[SessionFilter, Depends(wanted_sessions)]
Anything = Annotated[
    str,
    Query(
        max_length=1024,
        description="Tried as key, session id, trace id, user, what texts name, and text, in this order",
    ),
]


def router(
    archive: Archive, search: Search, points: MetricReader, unpriced: UnpricedCalls, readiness: ReadinessCheck
) -> APIRouter:
    """The routes under `/api`. They read the stores, so they are plain functions, which run in worker threads."""
    routes = APIRouter(prefix="/api", default_response_class=JsonResponse)

    @routes.get("/sessions", responses=described(SessionsAnswer))
    def sessions(wanted: Wanted, q: Anything = "") -> Response:
        """Sessions, latest activity first."""
        return JsonResponse(search.sessions(wanted, q))

    @routes.get("/sessions/{key}", responses=described(SessionAnswer, 308, 404))
    def session(key: str) -> Response:
        """One session; a key that was merged into another session redirects."""
        return JsonResponse(archive.session(key))

    @routes.get("/sessions/{key}/steps", responses=described(StepsAnswer, 308, 404))
    def steps(key: str, after: After = 0, limit: Annotated[int, Query(ge=1, le=1000)] = 200) -> Response:
        """The steps of a session, in order."""
        return JsonResponse(archive.steps(key, after, limit))

    @routes.get("/sessions/{key}/steps/{step_id}", responses=described(StepDetailAnswer, 308, 404))
    def step(key: str, step_id: StepId, trace_id: TraceId = "", near: Near = 0) -> Response:
        """One step with its input, output, raw attributes and logs."""
        return JsonResponse(archive.step(key, step_id, trace_id, near).detail)

    @routes.get("/received-metrics", responses=described(StreamsAnswer))
    def received_metrics(project: Text = "", cursor: LongCursor = "", limit: Limit = 50) -> Response:
        """The metrics that agents sent, by name; one for each unit and type that a name was sent with."""
        return JsonResponse(streams_page(points, project, cursor, limit))

    @routes.get("/received-metrics/{name:path}", responses=described(PointsAnswer, 404))
    def received_points(name: str, project: Text = "", cursor: Cursor = "", limit: Limit = 50) -> Response:
        """The points of one metric, the latest first."""
        return JsonResponse(points_page(points, name, project, cursor, limit))

    @routes.get("/unpriced-models", responses=described(UnpricedAnswer))
    def unpriced_models(
        project: Text = "", since: Since = "", limit: Annotated[int, Query(ge=1, le=1000)] = 200
    ) -> Response:
        """The models whose calls have no price, the most calls first."""
        return JsonResponse(unpriced.answer(project, since, limit))

    @routes.get("/readiness", responses=described(ReadinessAnswer))
    def services_ready(
        project: Text = "",
        service: Text = "",
        since: Annotated[
            str, Query(max_length=64, description="ISO 8601, UTC unless it says otherwise; empty for 7 days")
        ] = "",
        share: Annotated[float, Query(ge=0, le=1)] = SHARE,
        limit: Annotated[int, Query(ge=1, le=50)] = 20,
    ) -> Response:
        """Which services send all that is required, which do not, and what is missing; those with the most calls first."""
        return JsonResponse(readiness.answer(project, service, since, share, limit))

    return routes


def schemas() -> _Schemas:
    """The JSON schemas of all answers, made from the structs that are encoded."""
    _, components = msgspec.json.schema_components(_ANSWERS, schema_hook=_any, ref_template=_REF + "{name}")
    return dict(components)


def _any(kind: type) -> dict[str, object]:
    """The schema of `object`, which stands for any JSON value."""
    if kind is object:
        return {"description": "any JSON value"}
    raise NotImplementedError


def described(answer: type[msgspec.Struct], *others: int) -> dict[int | str, dict[str, object]]:
    """The `responses` of one operation for its OpenAPI description."""
    answers: dict[int | str, dict[str, object]] = {
        200: {
            "description": "As asked",
            "content": {"application/json": {"schema": {"$ref": _REF + answer.__name__}}},
        }
    }
    for status in (*others, 422):
        if status == 308:
            answers[308] = {"description": "Merged into the session that `Location` names"}
        else:
            schema = {"schema": {"$ref": _REF + Problem.__name__}}
            answers[status] = {"description": "Why not", "content": {MEDIA_TYPE: schema}}
    return answers
