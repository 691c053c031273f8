"""Erasures as they are asked for and told of, for API and CLI alike."""

from __future__ import annotations

import secrets  # noqa: TID251 - a nonce must not be guessed; it is written down at once, and nothing else here is random
import threading
from collections.abc import Callable
from typing import Literal

import msgspec
from starlette.concurrency import run_in_threadpool

from watchpost.model.fact import Erase
from watchpost.model.session import session_key
from watchpost.model.telemetry import Delivery, Parcel, Span
from watchpost.query.sessions import SessionFilter
from watchpost.server.answers import moment
from watchpost.server.problem import NotFoundError, ParameterError
from watchpost.server.review import BY_LENGTH, NOTE_LENGTH, Notebook
from watchpost.store.erasure import (
    ErasureReader,
    ErasureRecord,
    ErasureState,
    TelemetryEraser,
    erasure_id,
    keyed_digest,
)
from watchpost.store.readers import SessionReader

SHOWN = 500
ID_LENGTH = 1024


class ErasureGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be erased, a session or everything of a user, who says so and why.

    An empty `project` is every project that knows the user, and the only one that has the session. With `dry_run` nothing is done but counted.
    """

    session_id: str = ""
    user_id: str = ""
    project: str = ""
    by: str = ""
    reason: str = ""
    dry_run: bool = False


class ErasureMeant(msgspec.Struct, frozen=True):
    """What an erasure would take: so many sessions and traces, which need not all be steps' that are counted."""

    sessions: int
    traces: int


class ErasureAsked(msgspec.Struct, frozen=True):
    """The id of an erasure that is on disk and will be done, and how far it is."""

    id: str
    state: ErasureState


class ErasureAnswer(msgspec.Struct, frozen=True):
    """One erasure: `digest` is a keyed digest of the session's or user's id, `rows` how many rows went, by table.

    It is `asked` for, then `hidden` from everybody, then `purged` from the disk; times are null until then.
    """

    id: str
    state: ErasureState
    project: str
    subject: Literal["session", "user"]
    digest: str
    by: str
    reason: str
    asked_at: str | None
    hidden_at: str | None
    purged_at: str | None
    sessions: int
    rows: dict[str, int]


class ErasuresAnswer(msgspec.Struct, frozen=True):
    """The latest erasures."""

    erasures: list[ErasureAnswer]


class ErasureDesk:
    """Its methods read the stores and block, but for `give`; call them from a worker thread."""

    def __init__(
        self,
        sessions: SessionReader,
        find: TelemetryEraser,
        known: ErasureReader,
        *,
        notes: Notebook,
        redact: Callable[[Delivery], Delivery],
        secret: bytes,
        now_ns: Callable[[], int],
    ) -> None:
        """`redact` does what is done to telemetry before it is stored; `secret` keys the digests of ids."""
        self._sessions = sessions
        self._find = find
        self._known = known
        self._notes = notes
        self._redact = redact
        self._redacting = threading.Lock()
        self._secret = secret
        self._now_ns = now_ns

    def every(self) -> ErasuresAnswer:
        """The latest ones."""
        return ErasuresAnswer([_answer(record) for record in self._known.erasures(SHOWN)])

    def one(self, erasure: str) -> ErasureAnswer:
        """One of them; raises `NotFoundError`."""
        record = self._known.erasure(erasure)
        if record is None:
            raise NotFoundError(f"no erasure has the id {erasure}")
        return _answer(record)

    def is_erased(self, key: str) -> bool:
        """Whether the session of a key was erased."""
        return self._known.is_erased(keyed_digest(self._secret, key))

    def of_session(self, key: str, by: str, reason: str) -> ErasureGiven:
        """What is to be given for the session of a key, or the one that took its traces; raises `NotFoundError` for a key never seen."""
        summary = self._sessions.session(key)
        if summary is not None and summary.moved_to:
            summary = self._sessions.session(summary.moved_to)
        if summary is None:
            raise NotFoundError(f"no session has the key {key}")
        return ErasureGiven(session_id=summary.session_id, project=summary.project, by=by, reason=reason)

    def meant(self, given: ErasureGiven) -> ErasureMeant:
        """What it would take; raises as `fact` does."""
        fact = self.fact(given)
        found = self._find.find(fact.project, fact.session_id, fact.user_id)
        return ErasureMeant(len(found.sessions), len(found.traces))

    def fact(self, given: ErasureGiven) -> Erase:
        """What is to be noted of it. Raises `ParameterError`, and `NotFoundError` for a session that is not known."""
        if bool(given.session_id) == bool(given.user_id):
            raise ParameterError("session_id", "give one of session_id and user_id")
        for name, length in (("by", BY_LENGTH), ("reason", NOTE_LENGTH)):
            text = getattr(given, name).strip()
            if not text and not given.dry_run:
                raise ParameterError(name, "must be given: it stays on record")
            if len(text) > length or not all(char.isprintable() for char in text):
                raise ParameterError(name, f"is longer than {length} characters, or holds some that cannot be printed")
        if max(len(given.session_id), len(given.user_id), len(given.project)) > ID_LENGTH:
            raise ParameterError("user_id", f"an id has at most {ID_LENGTH} characters")
        project = self._project(given) if given.session_id else given.project
        user_id = self._as_stored(given.user_id) if given.user_id else ""
        nonce = secrets.token_hex(16)
        return Erase(project, given.session_id, user_id, given.by.strip(), given.reason.strip(), self._now_ns(), nonce)

    async def give(self, given: ErasureGiven, wait_s: float) -> ErasureAsked:
        """Note it, and wait so long until it is hidden. Raises as `fact` and `Notebook.note` do."""
        fact = await run_in_threadpool(self.fact, given)
        seq = await self._notes.note((fact,))
        await self._notes.settled(seq, wait_s)
        record = await run_in_threadpool(self._known.erasure, erasure_id(fact.nonce))
        return ErasureAsked(erasure_id(fact.nonce), "asked" if record is None else record.state)

    def _project(self, given: ErasureGiven) -> str:
        """The project that has the session, or feedback that waits for it."""
        found = {
            each.project for each in self._sessions.sessions(SessionFilter(session_id=given.session_id, limit=100))
        }
        found |= {project for project, _ in self._find.find(given.project, given.session_id, "").traces}
        if given.project:
            if (
                given.project not in found
                and self._sessions.session(session_key(given.project, given.session_id)) is None
            ):
                raise NotFoundError("there is no such session in this project")
            return given.project
        if not found:
            raise NotFoundError("there is no such session")
        if len(found) > 1:
            raise ParameterError("project", f"there are such sessions in {', '.join(sorted(found))}")
        return found.pop()

    def _as_stored(self, user_id: str) -> str:
        """A user's id as redaction leaves it in what agents send."""
        span = Span(bytes(16), bytes(8), b"", "", 0, 0, 1, 0, "", {"user.id": user_id})
        with self._redacting:
            redacted = self._redact(Delivery(0, (Parcel("", {}, "", (span,)),)))
        return str(redacted.parcels[0].spans[0].attributes.get("user.id", user_id))


def _answer(record: ErasureRecord) -> ErasureAnswer:
    return ErasureAnswer(
        record.id,
        record.state,
        record.project,
        record.subject,
        record.digest,
        record.by,
        record.reason,
        moment(record.asked_ns),
        moment(record.hidden_ns) if record.hidden_ns else None,
        moment(record.purged_ns) if record.purged_ns else None,
        record.sessions,
        dict(record.rows),
    )
