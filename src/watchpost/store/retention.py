"""What retention decides of sessions, and the seams of the store through which it keeps and lets go.

What is counted stays for ever: ledger, sessions, members, flags, and of every span an *outline*, which is all of it but its contents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

Reason = Literal["held", "error", "flag", "breach", "feedback", "latency", "running", "sampled", "dropped"]
"""Why a session's trace is kept, or is not. `running` is one that had not ended, or to which something had come within the hot time."""

Gone = Literal["", "sampled", "expired"]
"""Whether any contents of a session are gone: never kept, or kept for as long as traces are."""

HOT, KEPT, HELD, HELD_TOO = 0, 1, 2, 3
"""Tiers of spans and log lines. What is held beyond its time is moved to and fro between the last two when some of it is let go."""


class Sampled(msgspec.Struct, frozen=True):
    """What was decided last of a session's trace. `share` is the probability with which it was to be kept: 1 for what had to be."""

    project: str
    session_id: str
    decided_ns: int
    kept: bool
    share: float
    reason: Reason
    gone: Gone = ""


class Candidate(msgspec.Struct, frozen=True):
    """A session of which something is to be kept or let go. Without a `state` it is none of an agent's.

    `usual_ns` is how long a run of its workflow may last and not be slow, 0 where that is not known. `failed` says that a span of it
    ended in an error or its outcome was not `completed`, `judged` that an evaluation of it came.
    """

    project: str
    session_id: str
    workflow: str
    state: str
    received_ns: int
    lasted_ns: int
    usual_ns: int
    failed: bool
    judged: bool
    breached: bool
    before: Sampled | None


class Partition(msgspec.Struct, frozen=True):
    """What one table has of one day of reception, `day` as YYYYMMDD in UTC, in one tier. Of metrics the tier is always 0."""

    table: str
    day: int
    tier: int
    bytes: int


class Usual(msgspec.Struct, frozen=True):
    """From when on a session is slow: the `quantile` of its workflow's sessions ended since a time, where there are at least so many."""

    quantile: float
    since_ns: int
    least: int


class Sorted(msgspec.Struct, frozen=True):
    """Into which tier the traces of a partition go; those named in neither are let go."""

    kept: Sequence[tuple[str, bytes]]
    held: Sequence[tuple[str, bytes]]


class Stock(Protocol):
    """What is there, asked before anything is decided."""

    def partitions(self) -> list[Partition]:
        """Every partition of spans, log lines and received metrics."""
        ...

    def traces(self, day: int, tier: int) -> dict[tuple[str, bytes], str]:
        """The session id of each (project, trace id) of a day and tier; traces that are of no session are missing."""
        ...

    def candidates(
        self, sessions: Sequence[tuple[str, str]], usual: Usual | None, own: Sequence[str]
    ) -> list[Candidate]:
        """What there is to decide by of these sessions; evaluations of the names `own` say nothing."""
        ...


class Sweep(Protocol):
    """What is done. Each may be cut short anywhere and done again: nothing is lost by it, and nothing counted twice."""

    def record(self, decisions: Sequence[Sampled]) -> None:
        """Replace what was decided of these sessions before."""
        ...

    def move(self, day: int, tier: int, sorted_: Sorted) -> None:
        """Outline the spans of a day and tier, copy those that stay where they belong, and drop the rest.

        Log lines go where their trace does; those of no session stay as kept until kept ones go.
        """
        ...

    def drop_metrics(self, day: int) -> None:
        """Let go of the metrics received on a day."""
        ...


class SampledReader(Protocol):
    """What was decided of sessions."""

    def sampled(self, keys: Sequence[str]) -> dict[str, Sampled]:
        """What was decided last, by the session's key; missing where nothing was decided yet."""
        ...
