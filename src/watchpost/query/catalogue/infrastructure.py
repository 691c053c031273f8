"""What the machinery does: how fast, how often, and what fails."""

from __future__ import annotations

from watchpost.query.measures import Count, Distinct, Measure, Quantile, Ratio, Sum, Where

_UNREACHABLE = ("llm_api_unreachable",)
_LIMITED = ("llm_rate_limited",)
_LLM = Where(kinds=("llm",))
_LLM_ENDED = Where(kinds=("llm",), ended=True)
_TOOL = Where(kinds=("tool",))
_TOOL_ENDED = Where(kinds=("tool",), ended=True)

INFRASTRUCTURE: tuple[Measure, ...] = (
    Measure(
        "workflow_duration_seconds",
        "infrastructure",
        "seconds",
        "session",
        Quantile("duration"),
        "How long ended sessions took, from the start of their first step to the end of their last, pauses between turns included.",
    ),
    Measure(
        "llm_call_duration_seconds",
        "infrastructure",
        "seconds",
        "step",
        Quantile("duration", _LLM_ENDED),
        "How long model calls took.",
    ),
    Measure(
        "first_token_seconds",
        "infrastructure",
        "seconds",
        "step",
        Quantile("first_token", _LLM),
        "How long the first token of a model call took, where that was reported.",
    ),
    Measure(
        "tool_duration_seconds",
        "infrastructure",
        "seconds",
        "step",
        Quantile("duration", _TOOL_ENDED),
        "How long tool calls took.",
    ),
    Measure(
        "sessions",
        "infrastructure",
        "count",
        "session",
        Count(),
        "Sessions that ended.",
    ),
    Measure(
        "active_sessions",
        "infrastructure",
        "count",
        "step",
        Distinct(),
        "Sessions in which a step began.",
    ),
    Measure("steps", "infrastructure", "count", "step", Count(), "Steps that began, of any kind."),
    Measure(
        "llm_calls",
        "infrastructure",
        "count",
        "step",
        Count(_LLM),
        "Model calls that began, each attempt by itself; grouped by model, the distribution of models.",
    ),
    Measure(
        "llm_errors",
        "infrastructure",
        "count",
        "step",
        Count(Where(kinds=("llm",), failed=True)),
        "Model calls that failed; grouped by error_type, their kinds.",
    ),
    Measure(
        "llm_error_rate",
        "infrastructure",
        "share",
        "step",
        Ratio(Count(Where(kinds=("llm",), failed=True)), Count(_LLM_ENDED)),
        "Share of ended model calls that failed.",
    ),
    Measure(
        "provider_availability",
        "infrastructure",
        "share",
        "step",
        Ratio(Count(Where(kinds=("llm",), ended=True, not_error_types=_UNREACHABLE)), Count(_LLM_ENDED)),
        "Share of ended model calls that reached their provider: that did not fail as llm_api_unreachable.",
    ),
    Measure(
        "rate_limited_calls",
        "infrastructure",
        "count",
        "step",
        Count(Where(kinds=("llm",), error_types=_LIMITED)),
        "Model calls refused for a rate limit.",
    ),
    Measure(
        "rate_limited_share",
        "infrastructure",
        "share",
        "step",
        Ratio(Count(Where(kinds=("llm",), ended=True, error_types=_LIMITED)), Count(_LLM_ENDED)),
        "Share of ended model calls that were refused for a rate limit.",
    ),
    Measure(
        "llm_retry_rate",
        "infrastructure",
        "share",
        "session",
        Ratio(Sum("retries", Where(told=("llm_calls",))), Sum("llm_calls")),
        "Model calls made again at once after an error, for each model call of ended sessions, retries not counted.",
    ),
    Measure("tool_calls", "infrastructure", "count", "step", Count(_TOOL), "Tool calls that began."),
    Measure(
        "tool_errors",
        "infrastructure",
        "count",
        "step",
        Count(Where(kinds=("tool",), failed=True)),
        "Tool calls that failed.",
    ),
    Measure(
        "tool_error_rate",
        "infrastructure",
        "share",
        "step",
        Ratio(Count(Where(kinds=("tool",), failed=True)), Count(_TOOL_ENDED)),
        "Share of ended tool calls that failed.",
    ),
    Measure(
        "tool_timeout_rate",
        "infrastructure",
        "share",
        "step",
        Ratio(Count(Where(kinds=("tool",), ended=True, error_types=("tool_timeout",))), Count(_TOOL_ENDED)),
        "Share of ended tool calls that ran into a time limit.",
    ),
    Measure(
        "tool_retry_rate",
        "infrastructure",
        "share",
        "step",
        Ratio(Count(Where(kinds=("tool",), retried=True)), Count(_TOOL)),
        "Share of tool calls made again: the session's call of that tool before it failed, and began at most ten minutes earlier.",
    ),
    Measure("handoffs", "infrastructure", "count", "step", Count(Where(kinds=("handoff",))), "Handoffs to an agent."),
    Measure(
        "handoff_error_rate",
        "infrastructure",
        "share",
        "step",
        Ratio(Count(Where(kinds=("handoff",), failed=True)), Count(Where(kinds=("handoff",), ended=True))),
        "Share of ended handoffs that failed.",
    ),
    Measure(
        "timeout_rate",
        "infrastructure",
        "share",
        "session",
        Ratio(Count(Where(outcomes=("timeout",))), Count()),
        "Share of ended sessions that went silent or ran into a time limit.",
    ),
)
