"""Sessions without a store: whatever was received is held, and the clock says what it is told."""

from __future__ import annotations

from collections.abc import Sequence

from watchpost.ingest.read import Reader
from watchpost.model.session import State, Summary, session_key
from watchpost.model.step import Reading
from watchpost.model.telemetry import Attributes, Parcel, Span
from watchpost.runtime.restore import restore
from watchpost.session.session import Quiet, Session
from watchpost.session.sessions import Sessions, Settled
from watchpost.store.contracts import Member

SECOND = 10**9
DAY_NS = 1_790_000_000 * SECOND
PROJECT = "default"


class NothingStored:
    """A store that has nothing to give back."""

    def members_of_traces(self, traces: Sequence[tuple[str, bytes]]) -> list[Member]:
        del traces
        return []

    def members_of_sessions(self, sessions: Sequence[tuple[str, str]]) -> list[Member]:
        del sessions
        return []

    def readings(self, traces: Sequence[tuple[str, bytes]], upto: int) -> list[Reading]:
        del traces, upto
        return []

    def open_sessions(self, applied: int) -> list[Summary]:
        del applied
        return []


class Fold:
    """Parcels in, sessions out. Times are seconds after the start of a day."""

    def __init__(self, quiet: Quiet | None = None) -> None:
        self._sessions = Sessions(quiet or Quiet())
        self._revision = 0

    def receive(self, *spans: Span, at_s: float = 0) -> Settled:
        """Take spans of one request and settle."""
        return self.receive_parcel(Parcel(PROJECT, {"service.name": "shop"}, "", spans), at_s)

    def receive_parcel(self, parcel: Parcel, at_s: float = 0) -> Settled:
        """Take one parcel and settle."""
        at_ns = DAY_NS + int(at_s * SECOND)
        self._revision += 1
        reader = Reader(parcel, at_ns, self._revision)
        readings = [reading for reading, _ in reader.readings()]
        restore(self._sessions, readings, (), NothingStored(), 0)
        for reading in readings:
            self._sessions.add(reading)
        return self._sessions.settle(self._revision, at_ns)

    def wait(self, until_s: float) -> Settled:
        """Let time pass without anything coming in."""
        self._revision += 1
        return self._sessions.settle(self._revision, DAY_NS + int(until_s * SECOND))

    def forget(self) -> None:
        """Let go of everything held, as a fold over its budget does."""
        self._sessions.evict(0, self._revision)

    def session(self, session_id: str) -> Session:
        """The session with an id; it must be there."""
        key = session_key(PROJECT, session_id)
        return next(session for session in self._sessions.held if session.key == key)

    def state(self) -> State:
        """How the one session there is stands."""
        return self.only.state

    @property
    def sessions(self) -> list[Session]:
        """Every session that has a trace, by id."""
        return sorted((s for s in self._sessions.held if s.traces), key=lambda session: session.session_id)

    @property
    def only(self) -> Session:
        """The one session there is."""
        (session,) = self.sessions
        return session


def trace_id(number: int) -> bytes:
    """The 16 bytes of a trace."""
    return number.to_bytes(16, "big")


def span_id(number: int) -> bytes:
    """The 8 bytes of a span."""
    return number.to_bytes(8, "big")


def span(
    number: int,
    kind: str = "chain",
    parent: int | None = None,
    *,
    trace: int = 1,
    start_s: float | None = None,
    end_s: float | None = None,
    ended: bool = True,
    failed: bool = False,
    name: str = "",
    also: Attributes | None = None,
    **attributes: object,
) -> Span:
    """Span `number` of a trace: it starts that many seconds into the day and lasts half a second, unless said otherwise.

    Attributes are given by their names with `__` for a dot, or as they are in `also`.
    """
    start = number if start_s is None else start_s
    end = start + 0.5 if end_s is None else end_s
    said: Attributes = {"watchpost.step.kind": kind, **(also or {})}
    said.update({key.replace("__", "."): value for key, value in attributes.items()})
    return Span(
        trace_id(trace),
        span_id(number),
        b"" if parent is None else span_id(parent),
        name or f"{kind} {number}",
        DAY_NS + int(start * SECOND),
        DAY_NS + int(end * SECOND) if ended else 0,
        1,
        2 if failed else 0,
        "",
        said,
    )


def numbers(session: Session) -> list[int]:
    """The span numbers of a session's steps, in order."""
    return [int.from_bytes(step.span_id, "big") for step in session.steps]
