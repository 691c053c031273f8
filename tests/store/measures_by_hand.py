"""Every measure of the catalogue worked out a second time, row by row in Python, from what was written to a store."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Generic, TypeVar

import msgspec

from watchpost.model.session import Summary
from watchpost.query.measures import Group
from watchpost.store.contracts import LedgerRow, LedgerStep

Number = int | float | None


class Seen(msgspec.Struct, frozen=True):
    """One step with the row it stands in, whether its session's call of that tool before it failed not long ago, and one kind of flag."""

    row: LedgerRow
    step: LedgerStep
    retried: bool = False
    asking: int | None = None
    flag: str = ""

    @property
    def who(self) -> tuple[str, str]:
        """Its session."""
        return self.row.project, self.row.session_id

    @property
    def at_ns(self) -> int:
        """When it counts."""
        return self.step.start_ns

    def dimension(self, name: str) -> str:
        """By what it is grouped."""
        named = {"feature_name": "feature", "step_name": "name"}.get(name, name)
        if named == "flag":
            return self.flag
        return str(getattr(self.step if hasattr(self.step, named) else self.row, named))


class Ended(msgspec.Struct, frozen=True):
    """One session that ended."""

    session: Summary

    @property
    def who(self) -> tuple[str, str]:
        """Itself."""
        return self.session.project, self.session.session_id

    @property
    def at_ns(self) -> int:
        """When it counts."""
        return self.session.ended_ns

    def dimension(self, name: str) -> str:
        """By what it is grouped."""
        return str(getattr(self.session, {"feature_name": "feature"}.get(name, name)) or "")


Row = TypeVar("Row", Seen, Ended)


@dataclasses.dataclass(frozen=True)
class Hand(Generic[Row]):
    """One measure: which rows take part, what those come to, also where there are none, and which fit but do not tell what is asked for."""

    takes: Callable[[Row], bool]
    value: Callable[[list[Row]], Number]
    untold: Callable[[Row], bool] = lambda _: False


def current_steps(rows: Iterable[LedgerRow]) -> list[Seen]:
    """The steps that count."""
    held: dict[tuple[str, int, str], LedgerRow] = {}
    for row in rows:
        key = (row.project, row.slot, row.session_id)
        if key not in held or row.seq > held[key].seq:
            held[key] = row
    seen = [Seen(row, step) for row in held.values() if not row.gone for step in row.steps]
    seen.sort(key=lambda one: (one.who, one.step.start_ns, one.step.trace_id, one.step.span_id))
    before: dict[tuple[tuple[str, str], str], LedgerStep] = {}
    marked: list[Seen] = []
    for one in seen:
        retried = False
        if one.step.kind == "tool":
            last = before.get((one.who, one.step.tool))
            retried = last is not None and last.status == "error" and one.step.start_ns - last.start_ns <= 600 * 10**9
            before[one.who, one.step.tool] = one.step
        marked.append(msgspec.structs.replace(one, retried=retried))
    return shared(marked)


def shared(steps: Iterable[Seen]) -> list[Seen]:
    """Steps with what asking for them cost: what a model call cost, dealt out nano-dollar by nano-dollar to the calls it asked for."""
    found = list(steps)
    lines: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for place, one in enumerate(found):
        lines[*one.who, one.step.agent].append(place)
    for places in lines.values():
        model: LedgerStep | None = None
        asked: list[int] = []
        for place in [*places, -1]:
            step = found[place].step if place >= 0 else None
            if step is None or step.kind == "llm":
                cost = model.cost_nano if model is not None else None
                for number, each in enumerate(asked):
                    part = None if cost is None else len(range(number, cost, len(asked)))
                    found[each] = msgspec.structs.replace(found[each], asking=part)
                model, asked = step, []
            elif (
                step.kind in {"tool", "handoff"} and model is not None and step.start_ns - model.start_ns <= 600 * 10**9
            ):
                asked.append(place)
    return found


def current_flags(steps: Iterable[Seen]) -> list[Seen]:
    """The kinds of flags at steps."""
    return [msgspec.structs.replace(one, flag=kind) for one in steps for kind in sorted(set(one.step.flags))]


def current_sessions(rows: Iterable[Summary]) -> list[Ended]:
    """The sessions that ended and were not merged away."""
    held: dict[str, Summary] = {}
    for row in rows:
        if row.key not in held or row.revision > held[row.key].revision:
            held[row.key] = row
    return [Ended(row) for row in held.values() if row.state == "ended" and not row.moved_to]


def by_group(rows: Iterable[Row], by: Sequence[str]) -> dict[Group, list[Row]]:
    """Rows by their values of some dimensions."""
    groups: dict[Group, list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row.dimension(name) for name in by)].append(row)
    return groups


def share(rows: Sequence[Row], holds: Callable[[Row], bool]) -> Number:
    return sum(1 for row in rows if holds(row)) / len(rows) if rows else None


def session_share(rows: Sequence[Seen], holds: Callable[[Seen], bool]) -> Number:
    every = {row.who for row in rows}
    return len({row.who for row in rows if holds(row)}) / len(every) if every else None


def mean(values: Sequence[int], scale: int = 1) -> Number:
    return sum(values) / (len(values) * scale) if values else None


def nano(amount: int, of: int) -> Number:
    return round(Fraction(amount, of)) if of else None


def nearest_rank(values: Iterable[int], thousandths: int) -> Number:
    """In millionths of what is asked for."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(-(-thousandths * len(ordered) // 1000), 1) - 1] / 10**6


def millionths(score: float | None) -> int | None:
    if score is None or not math.isfinite(score) or abs(score) > 10**6:
        return None
    return round(score * 10**6)


def of_kind(*kinds: str) -> Callable[[Seen], bool]:
    return lambda one: one.step.kind in kinds


def ended(kind: str) -> Callable[[Seen], bool]:
    return lambda one: one.step.kind == kind and one.step.status != "running"


def failed(one: Seen) -> bool:
    return one.step.status == "error"


def erred(kind: str) -> Callable[[Seen], bool]:
    return lambda one: one.step.error_type == kind


def flagged(kind: str) -> Callable[[Seen], bool]:
    return lambda one: kind in one.step.flags


def both(*conditions: Callable[[Seen], bool]) -> Callable[[Seen], bool]:
    return lambda one: all(condition(one) for condition in conditions)


def every(one: Seen | Ended) -> bool:
    del one
    return True


def has(field: str, *kinds: str) -> Callable[[Seen], bool]:
    return lambda one: (not kinds or one.step.kind in kinds) and getattr(one.step, field) is not None


def lacks(field: str) -> Callable[[Seen], bool]:
    return lambda one: getattr(one.step, field) is None


def told(rows: Iterable[Seen], field: str) -> list[int]:
    return [value for one in rows if (value := getattr(one.step, field)) is not None]


def total(field: str) -> Callable[[list[Seen]], Number]:
    return lambda rows: sum(told(rows, field))


def ranked(field: str, thousandths: int) -> Callable[[list[Seen]], Number]:
    return lambda rows: nearest_rank(told(rows, field), thousandths)


def spent(rows: Iterable[Ended]) -> int:
    return sum(one.session.totals.cost_nano or 0 for one in rows)


def is_billed(one: Seen) -> bool:
    return one.step.kind == "llm" or (one.step.kind == "retrieval" and one.step.in_tok is not None)


def is_unpriced(one: Seen) -> bool:
    return is_billed(one) and one.step.status != "running" and one.step.cost_nano is None


def tells_cache(one: Seen) -> bool:
    return one.step.kind == "llm" and one.step.cached_tok is not None and one.step.in_tok is not None


def cache_hits(rows: list[Seen]) -> Number:
    sent = sum(one.step.in_tok or 0 for one in rows)
    return sum(one.step.cached_tok or 0 for one in rows) / sent if sent else None


def tells_tokens(one: Seen) -> bool:
    return one.step.kind == "llm" and one.step.in_tok is not None and one.step.out_tok is not None


def said(one: Seen) -> str:
    return one.step.label.lower() if one.step.kind == "evaluation" else ""


GLAD = {"positive", "thumbs_up", "thumbs up", "up", "good", "like", "liked", "helpful"}
SAD = {"negative", "thumbs_down", "thumbs down", "down", "bad", "dislike", "disliked", "unhelpful"}


OF_USERS = {"USER_REPHRASED", "USER_CORRECTED", "ESCALATED", "ABANDONED"}


def took_us(one: Ended) -> int | None:
    known = one.session.started_ns > 0 and one.session.ended_ns >= one.session.started_ns
    return (one.session.ended_ns - one.session.started_ns) // 1000 if known else None


def session_tokens(one: Ended) -> int | None:
    sent, answered = one.session.totals.input_tokens, one.session.totals.output_tokens
    return None if sent is None or answered is None else sent + answered


def came_to(outcome: str) -> Callable[[Ended], bool]:
    return lambda one: one.session.outcome == outcome


def per_session(field: str) -> Hand[Ended]:
    return Hand(
        lambda one: getattr(one.session.totals, field) is not None,
        lambda rows: mean([getattr(one.session.totals, field) for one in rows]),
        lambda one: getattr(one.session.totals, field) is None,
    )


def rate(takes: Callable[[Seen], bool], holds: Callable[[Seen], bool]) -> Hand[Seen]:
    return Hand(takes, lambda rows: share(rows, holds))


def sessions_with(holds: Callable[[Seen], bool]) -> Hand[Seen]:
    return Hand(every, lambda rows: session_share(rows, holds))


def for_each_success(used: Callable[[Ended], int | None], *, exact: bool = False) -> Hand[Ended]:
    """What sessions used of which it is known whether they were a success, over how many were."""

    def value(rows: list[Ended]) -> Number:
        amount = sum(used(one) or 0 for one in rows if one.session.success is not None)
        won = sum(one.session.success is True for one in rows)
        return None if not won else nano(amount, won) if exact else amount / won

    return Hand(
        lambda one: one.session.success is True or (one.session.success is False and used(one) is not None),
        value,
        lambda one: one.session.success is not None and used(one) is None,
    )


def breach_share(*limits: str) -> Hand[Ended]:
    def broke(one: Ended) -> bool:
        return bool({*limits} & {*one.session.breaches})

    return Hand(
        lambda one: bool({*limits} & {*one.session.breaches, *one.session.within}), lambda rows: share(rows, broke)
    )


LIMITS = ("latency", "tokens", "cost")


def outcome_share(outcome: str) -> Hand[Ended]:
    return Hand(every, lambda rows: share(rows, came_to(outcome)))


def over_completed(rows: list[Ended]) -> Number:
    completed = sum(1 for one in rows if one.session.outcome == "completed")
    return nano(spent(rows), completed)


def retries(rows: list[Ended]) -> Number:
    calls = sum(one.session.totals.llm_calls or 0 for one in rows)
    return sum(one.session.totals.retries for one in rows) / calls if calls else None


def of_steps(thousandths: int) -> dict[str, Hand[Seen]]:
    """Measures of steps by name, durations at a quantile."""
    return {
        "llm_call_duration_seconds": Hand(
            both(ended("llm"), has("dur_us")), ranked("dur_us", thousandths), both(ended("llm"), lacks("dur_us"))
        ),
        "first_token_seconds": Hand(
            has("first_us", "llm"), ranked("first_us", thousandths), both(of_kind("llm"), lacks("first_us"))
        ),
        "tool_duration_seconds": Hand(
            both(ended("tool"), has("dur_us")), ranked("dur_us", thousandths), both(ended("tool"), lacks("dur_us"))
        ),
        "active_sessions": Hand(every, lambda rows: len({one.who for one in rows})),
        "steps": Hand(every, len),
        "llm_calls": Hand(of_kind("llm"), len),
        "llm_errors": Hand(both(of_kind("llm"), failed), len),
        "llm_error_rate": rate(ended("llm"), failed),
        "provider_availability": rate(ended("llm"), lambda one: one.step.error_type != "llm_api_unreachable"),
        "rate_limited_calls": Hand(both(of_kind("llm"), erred("llm_rate_limited")), len),
        "rate_limited_share": rate(ended("llm"), erred("llm_rate_limited")),
        "tool_calls": Hand(of_kind("tool"), len),
        "tool_errors": Hand(both(of_kind("tool"), failed), len),
        "tool_error_rate": rate(ended("tool"), failed),
        "tool_timeout_rate": rate(ended("tool"), erred("tool_timeout")),
        "tool_retry_rate": rate(of_kind("tool"), lambda one: one.retried),
        "handoffs": Hand(of_kind("handoff"), len),
        "handoff_error_rate": rate(ended("handoff"), failed),
        "input_tokens": Hand(has("in_tok", "llm"), total("in_tok"), both(of_kind("llm"), lacks("in_tok"))),
        "output_tokens": Hand(has("out_tok", "llm"), total("out_tok"), both(of_kind("llm"), lacks("out_tok"))),
        "cached_tokens": Hand(has("cached_tok", "llm"), total("cached_tok"), both(of_kind("llm"), lacks("cached_tok"))),
        "reasoning_tokens": Hand(
            has("reasoning_tok", "llm"), total("reasoning_tok"), both(of_kind("llm"), lacks("reasoning_tok"))
        ),
        "embedding_tokens": Hand(
            has("in_tok", "retrieval"), total("in_tok"), both(of_kind("retrieval"), lacks("in_tok"))
        ),
        "tokens": Hand(
            tells_tokens,
            lambda rows: sum(told(rows, "in_tok")) + sum(told(rows, "out_tok")),
            lambda one: one.step.kind == "llm" and not tells_tokens(one),
        ),
        "tokens_per_llm_call": Hand(
            tells_tokens,
            lambda rows: (
                mean([sum(told(rows, "in_tok")) + sum(told(rows, "out_tok"))], len(rows) or 1) if rows else None
            ),
            lambda one: one.step.kind == "llm" and not tells_tokens(one),
        ),
        "cache_hit_rate": Hand(tells_cache, cache_hits),
        "cost_usd": Hand(both(is_billed, has("cost_nano")), total("cost_nano"), both(is_billed, lacks("cost_nano"))),
        "tool_cost_usd": Hand(
            lambda one: one.asking is not None,
            lambda rows: sum(one.asking or 0 for one in rows),
            lambda one: one.step.kind in {"tool", "handoff"} and one.asking is None,
        ),
        "cost_per_llm_call_usd": Hand(
            has("cost_nano", "llm"),
            lambda rows: nano(sum(told(rows, "cost_nano")), len(rows)),
            both(of_kind("llm"), lacks("cost_nano")),
        ),
        "unpriced_calls": Hand(is_unpriced, len),
        "unpriced_share": rate(lambda one: is_billed(one) and one.step.status != "running", is_unpriced),
        "guardrails_triggered": Hand(erred("guardrail_triggered"), len),
        "guardrail_trigger_rate": rate(ended("guardrail"), erred("guardrail_triggered")),
        "loop_terminations": Hand(erred("llm_infinite_loop"), len),
        "refusal_rate": rate(ended("llm"), flagged("REFUSAL")),
        "invalid_output_rate": sessions_with(flagged("INVALID_OUTPUT")),
        "flagged_session_share": sessions_with(lambda one: bool(set(one.step.flags) - OF_USERS)),
        "rephrase_rate": sessions_with(flagged("USER_REPHRASED")),
        "correction_rate": sessions_with(flagged("USER_CORRECTED")),
        "escalation_rate": sessions_with(flagged("ESCALATED")),
        "abandonment_rate": sessions_with(flagged("ABANDONED")),
        "tickets": Hand(lambda one: said(one) == "ticket", len),
        "ticket_session_share": sessions_with(lambda one: said(one) == "ticket"),
        "corrections": Hand(lambda one: said(one) == "correction", len),
        "correction_session_share": sessions_with(lambda one: said(one) == "correction"),
        "escalations": Hand(lambda one: said(one) == "escalation", len),
        "escalation_session_share": sessions_with(lambda one: said(one) == "escalation"),
        "loop_session_share": sessions_with(flagged("LOOP_DETECTED")),
        "injection_session_share": sessions_with(flagged("PROMPT_INJECTION")),
        "hallucination_session_share": sessions_with(flagged("ENTITY_HALLUCINATION")),
        "human_steps": Hand(of_kind("human"), len),
        "evaluations": Hand(of_kind("evaluation"), len),
        "score_mean": Hand(
            lambda one: one.step.kind == "evaluation" and millionths(one.step.score) is not None,
            lambda rows: mean([millionths(one.step.score) or 0 for one in rows], 10**6),
            lambda one: one.step.kind == "evaluation" and millionths(one.step.score) is None,
        ),
        "feedback_positive_share": rate(lambda one: said(one) in GLAD | SAD, lambda one: said(one) in GLAD),
    }


def of_flags() -> dict[str, Hand[Seen]]:
    """Measures of flags."""
    return {
        "flags": Hand(every, len),
        "flagged_sessions": Hand(every, lambda rows: len({one.who for one in rows})),
    }


def of_sessions(thousandths: int) -> dict[str, Hand[Ended]]:
    """Measures of sessions by name, durations at a quantile."""
    return {
        "workflow_duration_seconds": Hand(
            lambda one: took_us(one) is not None,
            lambda rows: nearest_rank([took_us(one) or 0 for one in rows], thousandths),
            lambda one: took_us(one) is None,
        ),
        "sessions": Hand(every, len),
        "llm_retry_rate": Hand(lambda one: one.session.totals.llm_calls is not None, retries),
        "timeout_rate": outcome_share("timeout"),
        "tokens_per_session": Hand(
            lambda one: session_tokens(one) is not None,
            lambda rows: mean([session_tokens(one) or 0 for one in rows]),
            lambda one: session_tokens(one) is None,
        ),
        "cost_per_session_usd": Hand(
            lambda one: one.session.totals.cost_nano is not None,
            lambda rows: nano(spent(rows), len(rows)),
            lambda one: one.session.totals.cost_nano is None,
        ),
        "cost_per_completed_session_usd": Hand(
            lambda one: one.session.totals.cost_nano is not None or one.session.outcome == "completed",
            over_completed,
            lambda one: one.session.totals.cost_nano is None,
        ),
        "steps_per_session": per_session("steps"),
        "model_calls_per_session": per_session("llm_calls"),
        "tool_calls_per_session": per_session("tool_calls"),
        "completion_rate": outcome_share("completed"),
        "success_rate": Hand(
            lambda one: one.session.success is not None, lambda rows: share(rows, lambda one: bool(one.session.success))
        ),
        "cost_per_success_usd": for_each_success(lambda one: one.session.totals.cost_nano, exact=True),
        "tokens_per_success": for_each_success(session_tokens),
        "sla_breaches": Hand(lambda one: bool(one.session.breaches), len),
        "sla_breach_share": breach_share(*LIMITS),
        "sla_latency_breach_share": breach_share("latency"),
        "sla_tokens_breach_share": breach_share("tokens"),
        "sla_cost_breach_share": breach_share("cost"),
        "sla_unchecked": Hand(lambda one: bool(one.session.unchecked), len),
        "tool_error_share": outcome_share("tool_error"),
        "bad_output_share": outcome_share("bad_output"),
        "budget_exceeded_share": outcome_share("budget_exceeded"),
        "killed_share": outcome_share("killed"),
        "steps_per_completed_session": Hand(
            came_to("completed"), lambda rows: mean([one.session.totals.steps for one in rows])
        ),
    }
