"""Which sessions' traces are kept: a pure function of what is known of a session."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping

import msgspec

from watchpost.store.retention import Candidate, Gone, Reason, Sampled

_WHOLE = 1 << 64


class Policy(msgspec.Struct, frozen=True):
    """What is kept beside what must be: `share` of the other sessions, or that of their workflow in `shares`.

    A session to which something came within `active_ns` is taken to go on.
    """

    share: float
    shares: Mapping[str, float]
    active_ns: int


class Known(msgspec.Struct, frozen=True):
    """The sessions that people hold, and those in which a flag stands."""

    held: Collection[tuple[str, str]] = ()
    flagged: Collection[tuple[str, str]] = ()


def decide(session: Candidate, policy: Policy, known: Known, now_ns: int) -> Sampled:
    """Whether a session's trace is kept, with what probability it was to be, and why.

    What was kept once stays kept. The same session, asked again with the same share, is told the same.
    """
    share = policy.shares.get(session.workflow, policy.share)
    must = _must(session, policy, known, now_ns)
    if must is None and session.before is not None and session.before.kept:
        return session.before
    kept = must is not None or place(session.project, session.session_id) < share
    reason: Reason = must or ("sampled" if kept else "dropped")
    gone: Gone = session.before.gone if session.before is not None else ""
    return Sampled(
        session.project,
        session.session_id,
        now_ns,
        kept,
        share if must is None else 1.0,
        reason,
        gone if kept else gone or "sampled",
    )


def goes_on(session: Candidate, policy: Policy, now_ns: int) -> bool:
    """Whether a session has not ended, or something came to it not long ago."""
    return session.state in {"running", "reopened"} or session.received_ns > now_ns - policy.active_ns


def place(project: str, session_id: str) -> float:
    """Where a session stands between 0 and 1: below its share it is kept. Evenly spread, and the same wherever it is computed."""
    text = f"{project}\0{session_id}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, person=b"sampling").digest(), "big") / _WHOLE


def _must(session: Candidate, policy: Policy, known: Known, now_ns: int) -> Reason | None:
    """Why it has to be kept; None if it need not be."""
    ref = (session.project, session.session_id)
    reasons: tuple[tuple[bool, Reason], ...] = (
        (ref in known.held, "held"),
        (session.failed, "error"),
        (ref in known.flagged, "flag"),
        (session.breached, "breach"),
        (session.judged, "feedback"),
        (0 < session.usual_ns < session.lasted_ns, "latency"),
        (goes_on(session, policy, now_ns), "running"),
    )
    return next((reason for holds, reason in reasons if holds), None)
