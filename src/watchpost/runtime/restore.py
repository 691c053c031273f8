"""Sessions that left memory come back from the store, whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from watchpost.model.step import Reading
from watchpost.session.sessions import Sessions, TraceRef
from watchpost.session.timers import SessionRef
from watchpost.store.contracts import FoldSource


def restore(
    sessions: Sessions, readings: Sequence[Reading], ripe: Iterable[SessionRef], source: FoldSource, visible_seq: int
) -> list[TraceRef]:
    """Hold every trace and session that these readings touch and those that are ripe; the traces that were found.

    What the store has beyond log sequence `visible_seq` is overlooked: it is from a batch that a crash cut short and that is
    about to be folded again. A trace that an evaluation speaks of is restored with it. A trace stands in the
    session that its visible spans say, so half-written memberships, which only tell where to look, do no harm.
    """
    found: list[TraceRef] = []
    telling = list({(r.project, r.trace_id, r.own_session): r for r in readings}.values())
    touched = {(r.project, r.trace_id) for r in telling} | {(r.project, r.target[:16]) for r in readings if r.target}
    traces = sessions.unknown(touched)
    wanted = list({*sessions.wanted(telling), *ripe})
    while traces or wanted:
        members = source.members_of_traces(traces) if traces else []
        members += source.members_of_sessions(wanted) if wanted else []
        known = sessions.unknown((m.project, m.trace_id) for m in members)
        stored = source.readings(known, visible_seq) if known else []
        sessions.load(sessions.unknown([*traces, *known]), wanted, stored)
        found += known
        traces = []
        wanted = sessions.wanted(telling)
    sessions.restored()
    return found
