"""Whether it was any good."""

from __future__ import annotations

from typing import get_args

from watchpost.model.session import SlaLimit
from watchpost.query.measures import Count, Distinct, Mean, Measure, Ratio, Sum, Where

POSITIVE = ("positive", "thumbs_up", "thumbs up", "up", "good", "like", "liked", "helpful")
NEGATIVE = ("negative", "thumbs_down", "thumbs down", "down", "bad", "dislike", "disliked", "unhelpful")
"""Labels of evaluations, in lower case, that say that somebody was content, or was not."""

_EVALUATION = Where(kinds=("evaluation",))
_SUCCESS = Where(succeeded=True)
_TOLD = Where(told=("success",))
_LIMITS: tuple[SlaLimit, ...] = get_args(SlaLimit)
_COMPLETED = Where(outcomes=("completed",))

QUALITY: tuple[Measure, ...] = (
    Measure(
        "completion_rate",
        "quality",
        "share",
        "session",
        Ratio(Count(_COMPLETED), Count()),
        "Share of ended sessions that were completed: the proxy of success.",
    ),
    *(
        Measure(
            f"{outcome}_share",
            "quality",
            "share",
            "session",
            Ratio(Count(Where(outcomes=(outcome,))), Count()),
            f"Share of ended sessions whose outcome is {outcome}.",
        )
        for outcome in ("tool_error", "bad_output", "budget_exceeded", "killed")
    ),
    Measure(
        "steps_per_completed_session",
        "quality",
        "count",
        "session",
        Mean("steps", _COMPLETED),
        "Steps of a completed session on average: how long it takes until a matter is resolved.",
    ),
    Measure("flags", "quality", "count", "flag", Count(), "Kinds of flags at steps; grouped by flag, each kind."),
    Measure(
        "flagged_sessions",
        "quality",
        "count",
        "flag",
        Distinct(),
        "Sessions with a flag; grouped by flag, with one of each kind.",
    ),
    Measure(
        "flagged_session_share",
        "quality",
        "share",
        "step",
        Ratio(Distinct(Where(flagged=True)), Distinct()),
        "Share of sessions with a flag other than a signal of the user, of those in which a step began.",
    ),
    Measure(
        "loop_session_share",
        "quality",
        "share",
        "step",
        Ratio(Distinct(Where(flags=("LOOP_DETECTED",))), Distinct()),
        "Share of sessions flagged for a loop, of those in which a step began.",
    ),
    Measure(
        "injection_session_share",
        "quality",
        "share",
        "step",
        Ratio(Distinct(Where(flags=("PROMPT_INJECTION",))), Distinct()),
        "Share of sessions flagged for a prompt injection, of those in which a step began.",
    ),
    Measure(
        "hallucination_session_share",
        "quality",
        "share",
        "step",
        Ratio(Distinct(Where(flags=("ENTITY_HALLUCINATION",))), Distinct()),
        "Share of sessions flagged for a made-up entity, of those in which a step began.",
    ),
    Measure(
        "human_steps",
        "quality",
        "count",
        "step",
        Count(Where(kinds=("human",))),
        "Steps of people: what they said, approved or answered.",
    ),
    Measure(
        "evaluations", "quality", "count", "step", Count(_EVALUATION), "Evaluations, by reviewers, users and judges."
    ),
    Measure(
        "score_mean",
        "quality",
        "score",
        "step",
        Mean("score", _EVALUATION),
        "The score of evaluations on average; evaluators use scales of their own, so group or filter by evaluator.",
    ),
    Measure(
        "feedback_positive_share",
        "quality",
        "share",
        "step",
        Ratio(
            Count(Where(kinds=("evaluation",), labels=POSITIVE)),
            Count(Where(kinds=("evaluation",), labels=(*POSITIVE, *NEGATIVE))),
        ),
        "Share of positive labels, of evaluations whose label is a thumb up or down or a word for it.",
    ),
    *(
        measure
        for label, plural, means in (
            ("ticket", "tickets", "a ticket that a user opened"),
            ("correction", "corrections", "a correction of what the agent said or did"),
            ("escalation", "escalations", "a person who had to take over"),
        )
        for measure in (
            Measure(
                plural,
                "quality",
                "count",
                "step",
                Count(Where(kinds=("evaluation",), labels=(label,))),
                f"Feedback that tells of {means}.",
            ),
            Measure(
                f"{label}_session_share",
                "quality",
                "share",
                "step",
                Ratio(Distinct(Where(kinds=("evaluation",), labels=(label,))), Distinct()),
                f"Share of sessions with feedback that tells of {means}, of those in which a step began.",
            ),
        )
    ),
    *(
        Measure(
            name,
            "quality",
            "share",
            "step",
            Ratio(Distinct(Where(flags=(kind,))), Distinct()),
            f"Share of sessions {means}, of those in which a step began.",
        )
        for name, kind, means in (
            ("rephrase_rate", "USER_REPHRASED", "in which a person asked nearly the same again after an answer"),
            (
                "correction_rate",
                "USER_CORRECTED",
                "in which a person said that the agent was wrong or had misunderstood",
            ),
            ("escalation_rate", "ESCALATED", "that were handed to a person or in which one was asked for"),
            ("abandonment_rate", "ABANDONED", "that a person left at a question or an error of the agent"),
        )
    ),
    Measure(
        "success_rate",
        "quality",
        "share",
        "session",
        Ratio(Count(_SUCCESS), Count(_TOLD)),
        "Share of ended sessions that were a success by what their workflow counts as one.",
    ),
    Measure(
        "cost_per_success_usd",
        "quality",
        "usd",
        "session",
        Ratio(Sum("cost", _TOLD), Count(_SUCCESS)),
        "What all ended sessions cost, for each that was a success.",
    ),
    Measure(
        "tokens_per_success",
        "quality",
        "tokens",
        "session",
        Ratio(Sum("tokens", _TOLD), Count(_SUCCESS)),
        "Input and output tokens of all ended sessions, for each that was a success, over sessions that report both.",
    ),
    Measure(
        "sla_breaches",
        "quality",
        "count",
        "session",
        Count(Where(breached=_LIMITS)),
        "Ended sessions that went beyond a limit of their SLA.",
    ),
    Measure(
        "sla_breach_share",
        "quality",
        "share",
        "session",
        Ratio(Count(Where(breached=_LIMITS)), Count(Where(checked=_LIMITS))),
        "Share of ended sessions that went beyond a limit of their SLA, of those of which it is known for any.",
    ),
    *(
        Measure(
            f"sla_{limit}_breach_share",
            "quality",
            "share",
            "session",
            Ratio(Count(Where(breached=(limit,))), Count(Where(checked=(limit,)))),
            f"Share of ended sessions that went beyond their SLA's limit of {limit}, of those of which it is known.",
        )
        for limit in _LIMITS
    ),
    Measure(
        "sla_unchecked",
        "quality",
        "count",
        "session",
        Count(Where(unchecked=_LIMITS)),
        "Ended sessions of which it is not known whether they kept a limit of their SLA, for want of a number.",
    ),
)
