"""Which sessions are wanted."""

from __future__ import annotations

import msgspec


class SessionFilter(msgspec.Struct, frozen=True):
    """Conditions on sessions; empty text and None leave a condition out.

    `before` continues a list: the (`received_ns`, `key`) of the last session already shown.
    """

    project: str = ""
    session_id: str = ""
    state: str = ""
    outcome: str = ""
    workflow: str = ""
    user_id: str = ""
    before: tuple[int, str] | None = None
    limit: int = 50
