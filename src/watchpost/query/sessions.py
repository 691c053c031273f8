"""Which sessions are wanted."""

from __future__ import annotations

import msgspec


class SessionFilter(msgspec.Struct, frozen=True):
    """Conditions on sessions; empty text, 0, False and None leave a condition out.

    `before` continues a list: the (`received_ns`, `key`) of the last session already shown.

    `trace_id` is one of its traces. `entity` is what its texts name: every id, number of three digits or more, word of five capital
    letters or e-mail address in it must stand in one of them as a whole, in small or capital letters, a number also as part of an id.
    `text` stands in one of its texts as it is, in small or capital letters, in a span received at or after `text_since_ns`, or
    at or after `words_since_ns` if its words, runs of ASCII letters, stand there as whole words too. `flag` is the kind of a flag that holds,
    `flagged` wants one of any kind, and `error` a step that failed. Its steps lie, by their senders' clocks, at or after `since_ns` and before
    `until_ns`, some of them at least.

    `among` are the keys of all sessions that meet these conditions but the text, where that is known: their texts are searched whenever
    they were received.
    """

    project: str = ""
    session_id: str = ""
    state: str = ""
    outcome: str = ""
    workflow: str = ""
    user_id: str = ""
    before: tuple[int, str] | None = None
    limit: int = 50
    key: str = ""
    service: str = ""
    org_id: str = ""
    feature: str = ""
    release: str = ""
    trace_id: bytes = b""
    entity: str = ""
    text: str = ""
    text_since_ns: int = 0
    words_since_ns: int | None = None
    flag: str = ""
    flagged: bool = False
    error: bool = False
    since_ns: int = 0
    until_ns: int = 0
    among: tuple[str, ...] | None = None
