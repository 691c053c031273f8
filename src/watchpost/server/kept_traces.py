"""What is left of sessions' traces, and which are held as evidence."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from watchpost.model.fact import Hold
from watchpost.model.session import session_key
from watchpost.server.answers import TraceAnswer, TraceState
from watchpost.store.retention import SampledReader
from watchpost.store.state import HoldReader

_WHY: dict[TraceState, str] = {
    "recent": "it is being written",
    "kept": "it is being written, or was received on a day of which it was not kept",
    "sampled_out": "the session was not among those whose traces are kept",
    "expired": "the time for which traces are kept is over",
}


class HoldGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who holds or releases a session, and why; neither need be said."""

    by: str = ""
    note: str = ""


class HoldAnswer(msgspec.Struct, frozen=True):
    """A session that is held, or was just released."""

    session: str
    project: str
    session_id: str
    trace: TraceAnswer


class KeptTraces:
    """Its methods read the stores and block; call them from a worker thread."""

    def __init__(self, sampled: SampledReader, holds: HoldReader) -> None:
        self._sampled = sampled
        self._holds = holds

    def of(self, keys: Sequence[str]) -> dict[str, TraceAnswer]:
        """What is left of the traces of these sessions, by key."""
        found = self._sampled.sampled(keys) if keys else {}
        held = {session_key(hold.project, hold.session_id) for hold in self._holds.holds()} if keys else set()
        answers: dict[str, TraceAnswer] = {}
        for key in keys:
            one = found.get(key)
            if one is None:
                answers[key] = TraceAnswer("recent", None, "", key in held)
                continue
            state: TraceState = (
                "expired" if one.gone == "expired" else "sampled_out" if one.gone or not one.kept else "kept"
            )
            answers[key] = TraceAnswer(state, one.share, one.reason, key in held)
        return answers

    def missing(self, key: str) -> str:
        """Why the span of a step cannot be read, in a sentence."""
        return f"the step is counted, but its contents cannot be read: {_WHY[self.of([key])[key].state]}"

    def answer(self, hold: Hold) -> HoldAnswer:
        """How it stands now."""
        key = session_key(hold.project, hold.session_id)
        return HoldAnswer(key, hold.project, hold.session_id, self.of([key])[key])
