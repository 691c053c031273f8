"""What is lost, late or full in Watchpost itself, by its numbers, and what to do about each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from watchpost.model.flag import SEVERITIES, Severity
from watchpost.rules.precision import Row
from watchpost.server.health import HealthNumbers
from watchpost.server.notices import NoticeAnswer

LATE_S = 30.0
"""Telemetry that was received longer ago and not reacted to is late."""

VERY_LATE_S = 300.0

NEARLY = 0.8
"""So much of what may lag is nearly too much."""

FREE = 0.05
"""With less of the disk free than this it is nearly full."""

NOT_JUDGED_S = 120.0

SAID = 120
"""Characters of what a channel answered that are repeated."""

_NS = 10**9

Kind = Literal["lost", "late", "full", "blind"]


class Trouble(msgspec.Struct, frozen=True):
    """Something to look at: whether data is `lost` or `late`, something `full`, or Watchpost `blind` to something; what, and what to do."""

    kind: Kind
    severity: Severity
    what: str
    do: str


def found_in(
    numbers: HealthNumbers, unready: str | None, failures: Mapping[str, NoticeAnswer], now_ns: int, started_ns: int
) -> list[Trouble]:
    """What the numbers tell, the gravest first. `failures` are, by channel, the last notice that it did not take."""
    found = [
        *_lost(numbers, failures),
        *_late(numbers, unready, failures),
        *_unjudged(numbers, now_ns, started_ns),
        *_full(numbers),
        *_blind(numbers),
    ]
    return sorted(found, key=lambda each: SEVERITIES.index(each.severity))


def _lost(numbers: HealthNumbers, failures: Mapping[str, NoticeAnswer]) -> Iterator[Trouble]:
    for name, many in (
        ("spans", numbers.rejected_spans),
        ("log lines", numbers.rejected_logs),
        ("metric points", numbers.rejected_points),
    ):
        if many:
            yield Trouble(
                "lost",
                "warning",
                f"{many:,} {name} were refused as wrong, each alone",
                "Their senders were told why in the answer to the export; look into the exporter's log.",
            )
    for (channel, state), many in sorted(numbers.outbox.items()):
        if state == "failed" and many:
            said = f"It last answered: {_cut(failures[channel].detail)}. " if channel in failures else ""
            yield Trouble(
                "lost",
                "error",
                f"{_notices(many, channel)} given up",
                f"{said}Mend it, then send it a test under settings.",
            )
    if numbers.retention.failures:
        yield Trouble(
            "late",
            "warning",
            f"{numbers.retention.failures:,} sweeps were cut short by a store",
            "What should have been let go is still there; Watchpost's own log says why.",
        )


def _late(numbers: HealthNumbers, unready: str | None, failures: Mapping[str, NoticeAnswer]) -> Iterator[Trouble]:
    if unready is not None:
        yield Trouble("late", "critical", f"Requests cannot be served: {unready}", "Watchpost's own log says more.")
    if numbers.react_lag_s > LATE_S:
        yield Trouble(
            "late",
            "error" if numbers.react_lag_s > VERY_LATE_S else "warning",
            f"Telemetry is looked at {numbers.react_lag_s:,.0f} s after it came",
            "Nothing is lost: it waits in the log. If this goes on, send less or give it more processor.",
        )
    for channel, last in sorted(failures.items()):
        waiting = numbers.outbox.get((channel, "waiting"), 0)
        if last.state == "waiting" and waiting:
            yield Trouble(
                "late",
                "warning",
                f"{_notices(waiting, channel)} not taken yet",
                f"It last answered: {_cut(last.detail)}. Notices are tried again by themselves for about three days.",
            )


def _unjudged(numbers: HealthNumbers, now_ns: int, started_ns: int) -> Iterator[Trouble]:
    silent_s = (now_ns - max(numbers.rules_judged_ns, started_ns)) / _NS
    if silent_s > NOT_JUDGED_S:
        yield Trouble(
            "late",
            "error",
            f"No rule was judged for {silent_s:,.0f} s",
            "Nobody is told of anything meanwhile; Watchpost's own log says why.",
        )


def _full(numbers: HealthNumbers) -> Iterator[Trouble]:
    if numbers.put_off:
        yield Trouble(
            "full",
            "warning",
            f"{numbers.put_off:,} requests were told to come again later",
            "Exporters that do so lose nothing. If it goes on, raise flow.lag_mib or give it more processor.",
        )
    if numbers.lag_limit_bytes and numbers.log_lag_bytes > NEARLY * numbers.lag_limit_bytes:
        share = 100 * numbers.log_lag_bytes / numbers.lag_limit_bytes
        yield Trouble(
            "full",
            "warning",
            f"The log lags by {share:.0f} % of what it may",
            "Beyond that senders are told to come again later.",
        )
    if numbers.disk_bytes and numbers.disk_free_bytes < FREE * numbers.disk_bytes:
        share = 100 * numbers.disk_free_bytes / numbers.disk_bytes
        yield Trouble(
            "full",
            "critical" if share < 1 else "error",
            f"Only {share:.1f} % of the disk is free",
            "Lower retention.trace_days, or give it more room: a full disk takes nothing in.",
        )


def _blind(numbers: HealthNumbers) -> Iterator[Trouble]:
    if numbers.crowded_rules:
        yield Trouble(
            "blind",
            "warning",
            f"{', '.join(numbers.crowded_rules)}: too many groups to tell apart",
            "Those beyond stand together as (others); group by less, or filter.",
        )
    unpriced = sum(numbers.unpriced.values())
    if unpriced:
        yield Trouble(
            "blind",
            "info",
            f"{unpriced:,} model calls came without a price",
            "They add nothing to any cost; see below.",
        )
    muted = sorted({name for row in numbers.precision for name in _muted(row)})
    if muted:
        yield Trouble(
            "blind",
            "info",
            f"Nobody is paged of {', '.join(muted)}, for people dismissed too many",
            "Confirm the ones that are right, or set another limit: precision says how they stand.",
        )
    if numbers.drift_failed:
        yield Trouble(
            "blind",
            "warning",
            f"{numbers.drift_failed:,} times a session could not be compared with its task",
            "The endpoint for embeddings did not answer; Watchpost's own log says what.",
        )


def _cut(detail: str) -> str:
    """The beginning of what a far end said, which may be a whole page."""
    return detail if len(detail) <= SAID else detail[: SAID - 1] + "…"


def _muted(row: Row) -> Iterator[str]:
    """What of a kind of flag pages nobody: all of it but tools that are judged by their own verdicts, and those of them."""
    if row.others.is_muted:
        yield row.kind
    for tool, (_, standing) in row.tools.items():
        if standing.is_own and standing.is_muted:
            yield f"{row.kind} about {tool}" if tool else row.kind


def _notices(many: int, channel: str) -> str:
    return f"1 notice to {channel} was" if many == 1 else f"{many:,} notices to {channel} were"
