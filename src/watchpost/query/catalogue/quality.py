"""Whether it was any good."""

from __future__ import annotations

from watchpost.query.measures import Count, Distinct, Mean, Measure, Ratio, Where

POSITIVE = ("positive", "thumbs_up", "thumbs up", "up", "good", "like", "liked", "helpful")
NEGATIVE = ("negative", "thumbs_down", "thumbs down", "down", "bad", "dislike", "disliked", "unhelpful")
"""Labels of evaluations, in lower case, that say that somebody was content, or was not."""

_EVALUATION = Where(kinds=("evaluation",))
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
        "Share of sessions with a flag, of those in which a step began.",
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
)
