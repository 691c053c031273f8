"""Counts of the flags that were confirmed since the process started."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

import msgspec

from watchpost.model.flag import Flag
from watchpost.model.session import Summary, session_key
from watchpost.store.erasure import Erasure

REMEMBERED = 100_000
"""How many confirmed flags are known by id, so that one told of again is not counted again; the oldest are forgotten first."""

LABEL_SETS = 1000
"""How many (kind, severity, tool, workflow) are told apart; flags of any more count for the tool and the workflow `other`."""


class FlagCount(msgspec.Struct, frozen=True):
    """How many flags were confirmed, and the latest of them: its trace, its session's key and its time."""

    kind: str
    severity: str
    tool: str
    workflow: str
    count: int
    trace_id: bytes
    session_key: str
    at_ns: int


class FlagTally:
    """Written by the thread that applies, read by any. A flag counts once, when it is confirmed, also if it is withdrawn later."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._counts: dict[tuple[str, str, str, str], FlagCount] = {}

    def count(self, flags: Iterable[Flag], sessions: Iterable[Summary]) -> None:
        """Count those of a batch's flags that are confirmed; `sessions` are the batch's, for the names of their workflows."""
        confirmed = [flag for flag in flags if flag.state == "confirmed"]
        if not confirmed:
            return
        workflows = {(session.project, session.session_id): session.workflow for session in sessions}
        with self._lock:
            for flag in confirmed:
                if flag.id in self._known:
                    continue
                self._known[flag.id] = None
                if len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
                self._count(flag, workflows.get((flag.project, flag.session_id), ""))

    def erase(self, erasure: Erasure) -> None:
        """Let no count name one of these sessions, or a trace of theirs, as the latest; the counts stay."""
        keys = {session_key(*ref) for ref in erasure.found.sessions}
        with self._lock:
            for name, held in self._counts.items():
                if held.session_key in keys:
                    self._counts[name] = msgspec.structs.replace(held, trace_id=b"", session_key="")

    def counts(self) -> list[FlagCount]:
        """All counts, in the order in which they began."""
        with self._lock:
            return list(self._counts.values())

    def _count(self, flag: Flag, workflow: str) -> None:
        name = (flag.kind, flag.severity, flag.tool, workflow)
        if name not in self._counts and len(self._counts) >= LABEL_SETS:
            name = (flag.kind, flag.severity, "other", "other")
        before = self._counts[name].count if name in self._counts else 0
        key = session_key(flag.project, flag.session_id)
        self._counts[name] = FlagCount(*name, before + 1, flag.trace_id, key, flag.at_ns)
