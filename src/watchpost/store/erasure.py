"""The seams of erasure: what is found of a session or a user, taken out of the stores, and remembered of having done so.

Every engine passes the same battery, `tests/store/`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

ErasureState = Literal["asked", "hidden", "purged"]
"""Asked for and on disk; not to be found by anybody any more; no longer on disk."""

Ref = tuple[str, str]
"""Project and session id."""

TraceRef = tuple[str, bytes]
"""Project and trace id."""


_PSEUDONYM = re.compile("erased-[0-9a-f]{16}")


class Traced(msgspec.Struct, frozen=True):
    """Sessions and the traces that belong to them."""

    sessions: tuple[Ref, ...] = ()
    traces: tuple[TraceRef, ...] = ()


class Erasure(msgspec.Struct, frozen=True):
    """What is to be erased, by names that are forgotten once it is.

    One of `session_id` and `user_id` is given, and `digest` is its keyed digest. `seq` is the log sequence of the fact. `copied` says that what is counted stands under
    pseudonyms already, so that it must not be looked for again.
    """

    id: str
    seq: int
    project: str
    session_id: str
    user_id: str
    by: str
    reason: str
    asked_ns: int
    nonce: str
    found: Traced
    digest: str = ""
    copied: bool = False

    def pseudonym(self, ref: Ref) -> str:
        """The session id that takes the place of one of `found`: the same each time, and nobody can go back from it without the nonce."""
        digest = hashlib.blake2b("\0".join(ref).encode(errors="replace"), digest_size=8, key=bytes.fromhex(self.nonce))
        return f"erased-{digest.hexdigest()}"


def is_pseudonym(session_id: str) -> bool:
    """Whether a session has the form of id that the erased have."""
    return _PSEUDONYM.fullmatch(session_id) is not None


def erasure_id(nonce: str) -> str:
    """16 hexadecimal digits that name an erasure and do not give its nonce away."""
    return hashlib.blake2b(f"erasure {nonce}".encode(), digest_size=8).hexdigest()


def keyed_digest(secret: bytes, name: str) -> str:
    """32 hexadecimal digits by which an id is known again, and which nobody without the secret can try ids out against."""
    return hashlib.blake2b(name.encode(errors="replace"), digest_size=16, key=secret).hexdigest()


class ErasureRecord(msgspec.Struct, frozen=True):
    """What stays of an erasure: who asked when and why, how far it is, and how many rows of each table are gone.

    `digest` is a keyed digest of the session or user id. Times are Unix nanoseconds, 0 where it is not so far.
    """

    id: str
    seq: int
    project: str
    subject: Literal["session", "user"]
    digest: str
    by: str
    reason: str
    state: ErasureState
    asked_ns: int
    hidden_ns: int
    purged_ns: int
    sessions: int
    rows: Mapping[str, int]


class TelemetryEraser(Protocol):
    """Takes sessions out of telemetry."""

    def find(self, project: str, session_id: str, user_id: str) -> Traced:
        """The stored sessions that are this one or name this user, those merged with them, and their traces; an empty `project` is every project."""
        ...

    def copy(self, erasure: Erasure) -> Mapping[str, int]:
        """Let what is counted of the sessions stand under pseudonyms too; how many rows of each table are to go. Doing it twice leaves one copy."""
        ...

    def conceal(self, erasure: Erasure) -> None:
        """Return only when no query finds anything of the sessions any more but what `copy` made; what is there already gone is no fault."""
        ...

    def purge(self) -> int:
        """Let no file that is in use hold what was concealed. Files that are out of use go some minutes later: of these none from before this time, in Unix nanoseconds, is left."""
        ...


class ErasureReader(Protocol):
    """What is remembered of erasures."""

    def erasures(self, limit: int) -> list[ErasureRecord]:
        """The latest, at most so many."""
        ...

    def erasure(self, erasure_id: str) -> ErasureRecord | None:
        """One of them."""
        ...

    def is_done(self) -> bool:
        """Whether nothing is left to be hidden or purged."""
        ...

    def is_erased(self, digest: str) -> bool:
        """Whether the session was erased of whose key this is the digest."""
        ...


class ErasureLog(ErasureReader, Protocol):
    """Erasures in the state store, which holds rows that are to go as well."""

    def unhidden(self) -> list[Erasure]:
        """Those that are asked for and not hidden, in the order of the log."""
        ...

    def copied(self, erasure: Erasure, rows: Mapping[str, int]) -> None:
        """Remember that what is counted was copied, and what is to go."""
        ...

    def hide(self, erasure: Erasure, digests: Sequence[str], at_ns: int) -> None:
        """Take all rows of its sessions out, and its names; let the sessions be known as erased by these digests of their keys: all or nothing."""
        ...

    def purge(self, upto_seq: int, at_ns: int) -> bool:
        """Free the disk, and call purged what is hidden and came before this log sequence; whether nothing is left to be purged."""
        ...
