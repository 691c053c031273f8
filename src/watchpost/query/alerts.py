"""Which alerts are wanted."""

from __future__ import annotations

import msgspec


class AlertFilter(msgspec.Struct, frozen=True):
    """Conditions on alerts; empty text and None leave a condition out.

    `before` continues a list: the (`changed_ns`, id) of the last alert already shown.
    """

    project: str = ""
    rule: str = ""
    state: str = ""
    severity: str = ""
    before: tuple[int, str] | None = None
    limit: int = 50
