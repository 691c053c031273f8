"""An anomaly at a step, with evidence that a person can check."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

Severity = Literal["critical", "high", "error", "warning", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "error", "warning", "info")
"""From the most to the least severe."""

FlagState = Literal["provisional", "confirmed", "withdrawn"]


class Finding(msgspec.Struct, frozen=True):
    """What a detector says of the step it has just seen.

    `subject` names what the finding is about (a tool, a field) and with `kind` tells one ongoing anomaly from another in
    the same trace. `evidence` holds JSON values only; steps in it are named by their hexadecimal span id.
    `refutable` findings stay provisional until the session is quiet. A finding stands at the step just seen, or at the one
    named by `at`, its trace id and span id.
    """

    kind: str
    subject: str
    severity: Severity
    summary: str
    evidence: dict[str, object]
    refutable: bool = False
    at: bytes = b""


class Flag(msgspec.Struct, frozen=True):
    """A finding at a step of a session. `id` derives from project, kind, subject and step, so finding it twice leaves one."""

    id: str
    project: str
    session_id: str
    kind: str
    subject: str
    trace_id: bytes
    span_id: bytes
    severity: Severity
    state: FlagState
    summary: str
    evidence: dict[str, object]
    at_ns: int

    @property
    def tool(self) -> str:
        """The tool that the evidence names, empty where it names none; without NUL, which databases do not take."""
        return str(self.evidence.get("tool", "")).replace("\0", " ")


def flag_id(project: str, kind: str, subject: str, trace_id: bytes, span_id: bytes) -> str:
    """32 hexadecimal digits that are the same for the same finding at the same step."""
    text = f"{project}\0{kind}\0{subject}\0".encode() + trace_id + span_id
    return hashlib.blake2b(text, digest_size=16).hexdigest()
