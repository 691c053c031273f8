"""The ordered steps of one run or conversation, as lists, pages and rules speak of it."""

from __future__ import annotations

import base64
import hashlib
from typing import Literal

import msgspec

State = Literal["running", "ended", "reopened"]

Outcome = Literal["completed", "tool_error", "bad_output", "timeout", "budget_exceeded", "killed"]

SlaLimit = Literal["latency", "tokens", "cost"]
"""What a service level agreement bounds of a run."""


class Totals(msgspec.Struct, frozen=True):
    """What a session used. `None` means no source reported it, never zero.

    Tokens are those of model calls, and, where `estimated`, what agents report as a total beyond them, of calls that were not seen or told none;
    `cost_nano`, in nano-USD, is that of all steps. `retries` are model calls that failed and were made again at once, which
    count as one with the next. `unseen_tool_calls` are calls that a model asked for and that nothing shows to have run. A call that was
    refused before its tool ran is no tool call.
    """

    steps: int = 0
    llm_calls: int | None = 0
    tool_calls: int | None = 0
    tool_errors: int | None = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_nano: int | None = None
    retries: int = 0
    unseen_tool_calls: int = 0
    estimated: bool = False


class Summary(msgspec.Struct, frozen=True):
    """One session as the index of sessions holds it.

    `key` is opaque and stands in addresses. `revision` is the log sequence of the last change. `outcome` is None until
    the session ended. `started_ns` and `ended_ns` span its steps by their senders' clocks; `due_ns` is when, by our clock,
    it ends unless more arrives, and 0 once it has ended. `service` is what sent it, `release` the version of the agent or of its service. A session that was merged away has `moved_to`, the key of the one that took its traces.
    `success` is whether an ended session reached what its workflow counts as success, None until it ended. `breaches`, `within` and `unchecked`
    are the limits of its workflow's SLA that a run of it went beyond, that all kept, and that could not be checked for want of a number; none has two of them.
    """

    key: str
    project: str
    session_id: str
    workflow: str
    user_id: str
    state: State
    outcome: Outcome | None
    revision: int
    started_ns: int
    ended_ns: int
    received_ns: int
    due_ns: int
    totals: Totals
    moved_to: str = ""
    service: str = ""
    org_id: str = ""
    feature: str = ""
    release: str = ""
    success: bool | None = None
    breaches: tuple[SlaLimit, ...] = ()
    within: tuple[SlaLimit, ...] = ()
    unchecked: tuple[SlaLimit, ...] = ()


def session_key(project: str, session_id: str) -> str:
    """The opaque key of a session: 26 lower-case letters and digits, the same wherever it is computed."""
    digest = hashlib.blake2b(f"{project}\0{session_id}".encode(), digest_size=16).digest()
    return base64.b32encode(digest).decode().rstrip("=").lower()
