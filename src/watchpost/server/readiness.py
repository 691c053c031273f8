"""Which required fields services do not send, and whether they are ready for production, as API and CLI answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from watchpost.ingest.content import REDACTED
from watchpost.ingest.reported import (
    FIRST_TOKEN,
    FLAT_COMPLETION,
    FLAT_PROMPT,
    LOGGED_COMPLETION,
    LOGGED_PROMPT,
    REPORTED,
)
from watchpost.query.readiness import (
    CALLS,
    FIELDS,
    SHARE,
    WEEK_NS,
    Field,
    FieldSeen,
    Of,
    Readiness,
    ReadinessFilter,
    Reason,
    ServiceSeen,
    Weight,
    hints,
    readiness,
    reasons,
)
from watchpost.server.answers import moment
from watchpost.server.unpriced import since_ns
from watchpost.store.readers import ReadinessReader

_TOLD = {"summary": REPORTED["summary"], "anomaly": REPORTED["anomaly"], "first_token": FIRST_TOKEN}
_FLAT = {"prompt": FLAT_PROMPT, "completion": FLAT_COMPLETION}
_LOGGED = {"prompt": LOGGED_PROMPT, "completion": LOGGED_COMPLETION}

PAGES: Mapping[str, str] = {
    "ai": "vercel-ai",
    "gen_ai": "vercel-ai",
    "agno": "agno",
    "autogen": "autogen",
    "com.anthropic.claude_code": "claude-agent-sdk",
    "com.anthropic.sdk": "anthropic-sdk",
    "fastmcp": "mcp",
    "gcp.vertex.agent": "google-adk",
    "langfuse-sdk": "langfuse",
    "langsmith": "langsmith",
    "llamaindex": "llama-index",
    "logfire": "logfire",
    "mcp-python-sdk": "mcp",
    "mlflow": "mlflow",
    "openai.agents": "openai-agents",
    "openinference.instrumentation.agno": "agno",
    "openinference.instrumentation.anthropic": "anthropic-sdk",
    "openinference.instrumentation.autogen_agentchat": "autogen",
    "openinference.instrumentation.crewai": "crewai",
    "openinference.instrumentation.langchain": "langgraph",
    "openinference.instrumentation.llama_index": "llama-index",
    "openinference.instrumentation.openai": "openai-sdk",
    "openinference.instrumentation.openai_agents": "openai-agents",
    "openinference.instrumentation.smolagents": "smolagents",
    "opentelemetry.instrumentation.ag2": "ag2",
    "opentelemetry.instrumentation.genai.anthropic": "anthropic-sdk",
    "opentelemetry.instrumentation.genai.langchain": "langgraph",
    "opentelemetry.instrumentation.genai.llama_index": "llama-index",
    "opentelemetry.instrumentation.genai.openai": "openai-sdk",
    "opentelemetry.instrumentation.genai.openai_agents": "openai-agents",
    "opentelemetry.instrumentation.langchain": "langgraph",
    "opentelemetry.instrumentation.openai": "openai-sdk",
    "opentelemetry.instrumentation.openai_agents": "openai-agents",
    "opentelemetry.instrumentation.openai_v2": "openai-sdk",
    "pydantic-ai": "pydantic-ai",
    "semantic_kernel": "semantic-kernel",
    "strands.telemetry.tracer": "strands",
}
"""By how the scope of its spans begins, the page below docs/frameworks/ about what a service is instrumented with."""

ANY_PAGE = "README"
"""The page for everything else."""


class SpanAnswer(msgspec.Struct, frozen=True):
    """A span, by the ids it was sent with."""

    trace_id: str
    span_id: str


class FieldAnswer(msgspec.Struct, frozen=True):
    """One required field: it was `seen` in so many `of` the calls or ended sessions that could have it. `share` is null where there were none.

    `example` is a span without it, null where none lacks it.
    """

    of: Of
    field: str
    weight: Weight
    seen: int
    total: int
    share: float | None
    example: SpanAnswer | None


class ReasonAnswer(msgspec.Struct, frozen=True):
    """One thing that is missing. `decides` says that without it the service is not ready; `advice` is how to send it."""

    of: Of
    field: str
    decides: bool
    text: str
    advice: str


class ServiceAnswer(msgspec.Struct, frozen=True):
    """Whether one service is ready for production. `reasons` stand in the order in which they are to be mended.

    `llm_calls`, `tool_calls` and `sessions` are those that were looked at. `pages` are the pages of the documentation about what it is
    instrumented with.
    """

    project: str
    service: str
    ready: bool
    verdict: Readiness
    reasons: list[ReasonAnswer]
    hints: list[str]
    pages: list[str]
    llm_calls: int
    tool_calls: int
    sessions: int
    fields: list[FieldAnswer]


class ReadinessAnswer(msgspec.Struct, frozen=True):
    """The services, those with the most calls first. `more` tells that the list was cut.

    Of what was received `since`, the latest `calls` model calls and as many tool calls of each service were looked at; a field is
    there if at least this `share` of them has it.
    """

    since: str | None
    calls: int
    share: float
    services: list[ServiceAnswer]
    more: bool


class ReadinessCheck:
    """Answers which services are ready. It reads the store and blocks; call it from a worker thread."""

    def __init__(self, reader: ReadinessReader, now_ns: Callable[[], int]) -> None:
        self._reader = reader
        self._now_ns = now_ns

    def answer(
        self, project: str = "", service: str = "", since: str = "", share: float = SHARE, limit: int = 20
    ) -> ReadinessAnswer:
        """At most `limit` services by what was received since a moment as ISO 8601 writes it; empty is any, and the last 7 days."""
        start_ns = since_ns(since) if since else self._now_ns() - WEEK_NS
        wanted = ReadinessFilter(start_ns, _TOLD, _FLAT, _LOGGED, tuple(sorted(REDACTED)), project, service, limit + 1)
        found = self._reader.services_seen(wanted)
        services = [_answer(one, share) for one in found[:limit]]
        return ReadinessAnswer(moment(start_ns), CALLS, share, services, len(found) > limit)


def _answer(seen: ServiceSeen, share: float) -> ServiceAnswer:
    missing = reasons(seen, share)
    verdict = readiness(seen, missing)
    return ServiceAnswer(
        project=seen.project,
        service=seen.service,
        ready=verdict == "ready",
        verdict=verdict,
        reasons=[_reason(reason) for reason in missing],
        hints=hints(seen),
        pages=_pages(seen.scopes),
        llm_calls=seen.llm_calls,
        tool_calls=seen.tool_calls,
        sessions=seen.sessions,
        fields=[_field(field, one) for field, one in zip(FIELDS, seen.fields, strict=True)],
    )


def _reason(reason: Reason) -> ReasonAnswer:
    return ReasonAnswer(reason.of, reason.field, reason.decides, reason.text, reason.advice)


def _field(field: Field, seen: FieldSeen) -> FieldAnswer:
    lacks = seen.seen < seen.of
    return FieldAnswer(
        of=field.of,
        field=field.name,
        weight=field.weight,
        seen=seen.seen,
        total=seen.of,
        share=round(seen.seen / seen.of, 4) if seen.of else None,
        example=SpanAnswer(seen.trace_id.hex(), seen.span_id.hex()) if lacks else None,
    )


def _pages(scopes: tuple[str, ...]) -> list[str]:
    """The pages of the documentation for spans of these scopes, the general one where none is known."""
    known = {PAGES[best] for scope in scopes if (best := _longest(scope))}
    return [f"docs/frameworks/{page}.md" for page in sorted(known or {ANY_PAGE})]


def _longest(scope: str) -> str:
    """The longest key of `PAGES` that a scope is or begins with, up to one of its dots; empty where there is none."""
    fitting = (key for key in PAGES if scope == key or scope.startswith(f"{key}."))
    return max(fitting, key=len, default="")
