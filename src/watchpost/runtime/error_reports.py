"""Failed steps as errors for those who collect errors: each once, and of very many alike only some."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import cast, get_args

import msgspec

from watchpost.model.ledger import LedgerRow
from watchpost.model.notice import AlertEvent, ErrorContext, Notice, timestamp
from watchpost.model.session import session_key
from watchpost.model.step import Reading, Step
from watchpost.rules.event import one_line
from watchpost.session.session import Session, step_key
from watchpost_core.error_evidence import ErrorType
from watchpost_core.taxonomy import GROUPS

TOLD = 30
"""Errors of one type, tool and agent that one channel is told in an hour."""

KINDS = 100
"""Types, tools and agents that are told apart in an hour; those beyond count together."""

KNOWN = 50_000
"""Steps that are remembered as told. One that was forgotten is told again by the same id, which the outbox knows."""

STACK_LENGTH = 16_000

HOUR_NS = 3600 * 10**9
DAY_NS = 24 * HOUR_NS
"""What ended longer ago is history, brought in or rewritten, and no news."""

_SUMMARY, _NAME = 1000, 200
_ENVIRONMENTS = ("deployment.environment.name", "deployment.environment")
_ERROR_TYPES = frozenset(get_args(ErrorType))

_Kind = tuple[str, str, str]
_OTHERS: _Kind = ("", "", "")


class Failed(msgspec.Struct, frozen=True):
    """A step that failed and has ended: the row that counts it, the step, its number now, and the span behind it where that came in just now."""

    row: LedgerRow
    step: Step
    agent: str
    number: int
    reading: Reading | None = None


def failures(ledger: Iterable[LedgerRow], sessions: Iterable[Session], readings: Iterable[Reading]) -> Iterator[Failed]:
    """The failed steps of a batch: those of its rows, found again in their sessions."""
    held = {(session.project, session.session_id): session for session in sessions}
    came = {(each.project, each.trace_id, each.span_id): each for each in readings if each.status == "error"}
    for row in ledger:
        session = held.get((row.project, row.session_id))
        if session is None:
            continue
        for counted in row.steps:
            if counted.status != "error":
                continue
            place = bisect_left(session.steps, (counted.start_ns, counted.trace_id, counted.span_id), key=step_key)
            step = session.steps[place]
            if step.end_ns:
                reading = came.get((row.project, step.trace_id, step.span_id))
                yield Failed(row, step, counted.agent, place + 1, reading)


class _Count:
    """How many of a kind were told in the hour that began at a time, and how many since then were not."""

    def __init__(self, began_ns: int) -> None:
        self.began_ns = began_ns
        self.told = 0
        self.untold = 0


class ErrorReports:
    """What the channels that ask for errors are told. What it remembers is lost in a restart: of each kind as many again may be told that hour."""

    def __init__(self, channels: Iterable[str]) -> None:
        self._channels = sorted(channels)
        self._known: dict[str, None] = {}
        self._counts: dict[_Kind, _Count] = {}

    def take(self, failed: Iterable[Failed], now_ns: int) -> list[Notice]:
        """Notices of the steps that were not told before, to each channel; the same step always has the same ids.

        A notice stands also for those of its kind that were not told before it; `value` is how many that are together.
        """
        if not self._channels:
            return []
        notices: list[Notice] = []
        for each in failed:
            if each.step.end_ns < now_ns - DAY_NS or not self._is_new(each):
                continue
            count = self._count(each, now_ns)
            if count.told >= TOLD:
                count.untold += 1
                continue
            count.told += 1
            event = _event(each, count.untold)
            count.untold = 0
            notices += [Notice(_digest(channel, *_identity(each)), channel, event) for channel in self._channels]
        return notices

    def _is_new(self, failed: Failed) -> bool:
        identity = _digest(*_identity(failed))
        if identity in self._known:
            return False
        self._known[identity] = None
        if len(self._known) > KNOWN:
            del self._known[next(iter(self._known))]
        return True

    def _count(self, failed: Failed, now_ns: int) -> _Count:
        kind = (failed.step.error_type, failed.step.tool, failed.agent)
        if kind not in self._counts and len(self._counts) >= KINDS:
            self._forget(now_ns)
            kind = kind if len(self._counts) < KINDS else _OTHERS
        count = self._counts.setdefault(kind, _Count(now_ns))
        if now_ns - count.began_ns >= HOUR_NS:
            count.began_ns, count.told = now_ns, 0
        return count

    def _forget(self, now_ns: int) -> None:
        """Let go of kinds of which nothing is left to tell, and of those that did not come back for a day."""
        for kind, count in list(self._counts.items()):
            age_ns = now_ns - count.began_ns
            if age_ns >= (DAY_NS if count.untold else HOUR_NS):
                del self._counts[kind]


def _identity(failed: Failed) -> tuple[str, str, str]:
    return failed.row.project, failed.step.trace_id.hex(), failed.step.span_id.hex()


def _digest(*parts: str) -> str:
    return hashlib.blake2b(msgspec.json.encode(("error", parts)), digest_size=16).hexdigest()


def _event(failed: Failed, untold: int) -> AlertEvent:
    row, step = failed.row, failed.step
    what = step.error_type or "error"
    more = f" (and {untold} more like it that were not told one by one)" if untold else ""
    said = one_line(f"{what}: {step.error or 'no message was reported'}", _SUMMARY - len(more))
    group = GROUPS[cast("ErrorType", step.error_type)] if step.error_type in _ERROR_TYPES else None
    return AlertEvent(
        timestamp=timestamp(step.end_ns),
        service=one_line(row.service or "unknown", _NAME),
        metric=what,
        tool=one_line(step.tool, _NAME),
        value=1.0 + untold,
        threshold=0.0,
        window="step",
        severity=group.severity if group else "error",
        owner="",
        runbook="",
        sessions=[session_key(row.project, row.session_id)],
        summary=said + more,
        rule="errors",
        error=_context(failed),
    )


def _context(failed: Failed) -> ErrorContext:
    row, step = failed.row, failed.step
    rest = _rest(failed.reading)
    return ErrorContext(
        step.error_type,
        step.error,
        failed.agent,
        row.session_id,
        row.user_id,
        step.model,
        step.tool,
        failed.number,
        _environment(rest),
        row.release,
        _stack(rest),
    )


def _rest(reading: Reading | None) -> Mapping[str, object]:
    return {} if reading is None else msgspec.json.decode(reading.rest, type=dict[str, object])


def _environment(rest: Mapping[str, object]) -> str:
    resource = rest.get("resource")
    found = [resource[name] for name in _ENVIRONMENTS if name in resource] if isinstance(resource, dict) else []
    return next((each for each in found if isinstance(each, str)), "")


def _stack(rest: Mapping[str, object]) -> str:
    """The end of the last stack trace that the span carries: the frames next to the failure."""
    events = rest.get("events")
    for event in reversed(cast("Sequence[object]", events if isinstance(events, list) else [])):
        match event:
            case [_, "exception", {"exception.stacktrace": str(text)}]:
                return text[-STACK_LENGTH:]
    return ""
