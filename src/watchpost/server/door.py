"""What OTLP callers are let in through, over either protocol."""

from __future__ import annotations

from typing import Protocol

from watchpost.ingest.request import Accepted, OtlpRequest


class Door(Protocol):
    """Where OTLP requests go."""

    async def accept(self, request: OtlpRequest) -> Accepted:
        """Return only when the request is durable.

        Raises `RefusedError` for a request that can never be kept and `OverloadedError` for one to send again later.
        """
        ...


def project_name(header: bytes) -> str | None:
    """The project a caller names in `x-watchpost-project`, or None for what no project can be called.

    A name is UTF-8, at most 128 characters, all of them printable; an absent header is the empty name.
    """
    try:
        name = header.decode()
    except UnicodeDecodeError:
        return None
    return name if len(name) <= 128 and (not name or name.isprintable()) else None
