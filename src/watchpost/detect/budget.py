"""The budget detector: a session that is about to spend, or has spent, what a session of its workflow may spend.

Budgets are declared per workflow, in tokens, in money, or both; the first whose pattern fits the workflow holds. A session's
tokens are all input and output tokens that its model calls report, its money what those calls and its retrievals cost. Each budget
gives at most two findings: one where it is used up to the share `warn`, one where it is used up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache

import msgspec

from watchpost.detect.alike import shown
from watchpost.detect.detector import Surroundings
from watchpost.model.flag import Finding, Severity
from watchpost.model.knowledge import Norm
from watchpost.model.step import Step, StepKind

KIND = "BUDGET_WARNING"

_NANO = 10**9
_SHOWN_CALLS = 3
_SPENDING: frozenset[StepKind] = frozenset({"llm", "retrieval"})
_NONE: frozenset[StepKind] = frozenset()
_LAST_NS = 253_402_300_799 * _NANO
"""The last second that a date can be written of."""


class Budget(msgspec.Struct, frozen=True):
    """What one session may spend whose workflow fits a shell pattern. Zero is no limit. `cost_usd` is exact: write it as text."""

    workflow: str = "*"
    tokens: int = 0
    cost_usd: Decimal = Decimal(0)


class BudgetSettings(msgspec.Struct, frozen=True):
    """Every budget, the first that fits holds, and the share of it, above 0 and below 1, at which to warn."""

    limits: tuple[Budget, ...] = (Budget(cost_usd=Decimal("0.50")),)
    warn: float = 0.6
    severity: Severity = "high"
    exceeded_severity: Severity = "critical"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        if not 0 < self.warn < 1:
            raise ValueError(f"warn must be above 0 and below 1, not {self.warn}")
        for place, budget in enumerate(self.limits):
            if budget.tokens < 0:
                raise ValueError(f"limits.{place}.tokens must not be negative; 0 is no limit")
            if not budget.cost_usd.is_finite() or not 0 <= budget.cost_usd <= 10**9:
                raise ValueError(f"limits.{place}.cost_usd must be from 0 to 1000000000; 0 is no limit")
            if budget.cost_usd * _NANO % 1:
                raise ValueError(f"limits.{place}.cost_usd must not be finer than a thousand-millionth of a dollar")


class _Spent(msgspec.Struct, frozen=True, gc=False):
    """What the session had spent once the step at a place was over."""

    place: int
    span_id: bytes
    tokens: int
    nano: int
    at_ns: int


class BudgetDetector:
    """Adds up what the model calls of one session report. No later step can refute what it finds."""

    kinds: frozenset[StepKind]

    def __init__(self, settings: BudgetSettings, around: Surroundings) -> None:
        self._settings = settings
        self._workflow = around.workflow
        self._knowledge = around.knowledge
        self._tokens, self._nano = _limits(settings.limits, around.workflow)
        self.kinds = _SPENDING if self._tokens or self._nano else _NONE
        most_tokens, most_nano = self._tokens or math.inf, self._nano or math.inf
        self._limits = (settings.warn * most_tokens, most_tokens, settings.warn * most_nano, most_nano)
        """What to warn at and what there is, of tokens and of money."""
        self._spent: list[_Spent] = []
        self._began_ns = 0

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Add the next step and say which budget it takes beyond a limit."""
        tokens, nano = step.tokens, step.cost_nano or 0
        used = (tokens.input or 0) + (tokens.output or 0) if step.kind == "llm" else 0
        if used <= 0 and nano <= 0:
            return ()
        at_ns = step.end_ns or step.start_ns
        if not self._spent:
            self._began_ns = step.start_ns
            before = _Spent(place, b"", 0, 0, at_ns)
        else:
            before = self._spent[-1]
        now = _Spent(place, step.span_id, before.tokens + used, before.nano + nano, max(at_ns, before.at_ns))
        self._spent.append(now)
        quiet_tokens, most_tokens, quiet_nano, most_nano = self._limits
        if not (
            before.tokens < quiet_tokens <= now.tokens
            or before.tokens < most_tokens <= now.tokens
            or before.nano < quiet_nano <= now.nano
            or before.nano < most_nano <= now.nano
        ):
            return ()
        found = [
            self._crossed("tokens", before.tokens, now.tokens, self._tokens, now),
            self._crossed("cost", before.nano, now.nano, self._nano, now),
        ]
        return [each for each in found if each is not None]

    def rewind(self, steps: int) -> None:
        """Forget every step whose place is `steps` or beyond."""
        while self._spent and self._spent[-1].place >= steps:
            self._spent.pop()

    def _crossed(self, measure: str, before: int, spent: int, limit: int, now: _Spent) -> Finding | None:
        """The finding where spending came to a limit; only that of the whole budget where one call took it past both."""
        if not limit:
            return None
        warning = self._settings.warn * limit
        if before < limit <= spent:
            return self._finding(measure, spent, limit, now, exceeded=True)
        if before < warning <= spent:
            return self._finding(measure, spent, limit, now, exceeded=False)
        return None

    def _finding(self, measure: str, spent: int, limit: int, now: _Spent, *, exceeded: bool) -> Finding:
        share = spent / limit
        said, most = (_usd(spent), _usd(limit)) if measure == "cost" else (f"{spent:,}", f"{limit:,}")
        unit = "USD" if measure == "cost" else "tokens"
        end = {} if exceeded else self._end(spent, limit, now)
        soon = f"; at this rate spent after {end['steps']} more steps" if end else ""
        evidence: dict[str, object] = {
            "reason": "exceeded" if exceeded else measure,
            "measure": measure,
            "value": spent / _NANO if measure == "cost" else spent,
            "threshold": limit / _NANO if measure == "cost" else limit,
            "window": "session",
            "share": round(share, 4),
            "workflow": shown(self._workflow),
            "tokens": now.tokens,
            "cost_usd": _usd(now.nano),
            "model_calls": len(self._spent),
            "steps": now.place + 1,
            "rate": self._rate(spent, now, measure),
            "expected_end": end or None,
            "usual_tokens": _usual(self._knowledge.norm(f"workflow_tokens {self._workflow}")),
            "calls": self._largest(),
        }
        return Finding(
            KIND,
            f"{measure} exceeded" if exceeded else measure,
            self._settings.exceeded_severity if exceeded else self._settings.severity,
            f"{said} of {most} {unit} spent, {share:.0%} of the budget of {shown(self._workflow) or 'a session'}{soon}",
            evidence,
        )

    def _rate(self, spent: int, now: _Spent, measure: str) -> dict[str, object]:
        """Tokens or USD for each step so far, and for each minute by the clocks of the senders; None where no time passed."""
        scale = _NANO if measure == "cost" else 1
        minutes = (now.at_ns - self._began_ns) / (60 * _NANO)
        return {
            "per_step": round(spent / scale / (now.place + 1), 6),
            "per_minute": round(spent / scale / minutes, 6) if minutes > 0 else None,
        }

    def _end(self, spent: int, limit: int, now: _Spent) -> dict[str, object]:
        """After how many more steps, and when, the budget is spent if it goes on at this rate."""
        left = limit - spent
        passed_ns = now.at_ns - self._began_ns
        at_ns = now.at_ns + left * passed_ns // spent if passed_ns > 0 else 0
        at = datetime.fromtimestamp(at_ns // _NANO, UTC).isoformat() if 0 < at_ns <= _LAST_NS else None
        return {"steps": -(-left * (now.place + 1) // spent), "at": at}

    def _largest(self) -> list[dict[str, object]]:
        """The model calls that spent most tokens, most first."""
        before = [0, *(each.tokens for each in self._spent)]
        each_spent = [(now.tokens - then, now.span_id) for now, then in zip(self._spent, before, strict=False)]
        most = sorted(each_spent, key=lambda each: -each[0])[:_SHOWN_CALLS]
        return [{"span_id": span_id.hex(), "tokens": tokens} for tokens, span_id in most]


@lru_cache(maxsize=1024)
def _limits(limits: tuple[Budget, ...], workflow: str) -> tuple[int, int]:
    """How many tokens, and how much in nano-USD, a session of a workflow may spend; 0 is no limit."""
    budget = next((each for each in limits if fnmatchcase(workflow, each.workflow)), Budget())
    return budget.tokens, int(budget.cost_usd * _NANO)


def _usd(nano: int) -> str:
    return f"{Decimal(nano).scaleb(-9):f}"


def _usual(norm: Norm | None) -> dict[str, object] | None:
    return None if norm is None else {"p50": norm.p50, "p95": norm.p95, "p99": norm.p99, "sessions": norm.count}
