"""A running Watchpost, spoken to by its address."""

from __future__ import annotations

import httpx

from watchpost.cli.exits import CommandError, Exit


def connect(server: str, timeout_s: float) -> httpx.Client:
    """A client for `server`; raises `CommandError` where that is no http:// or https:// address."""
    try:
        url = httpx.URL(server)
    except httpx.InvalidURL as error:
        raise CommandError(f"{server} is no address of a server: {error}", Exit.USAGE) from error
    if url.scheme not in {"http", "https"} or not url.host:
        raise CommandError(f"{server} is no address of a server, such as http://127.0.0.1:8484", Exit.USAGE)
    return httpx.Client(base_url=url, timeout=timeout_s, follow_redirects=True, trust_env=False)
