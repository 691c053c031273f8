"""Who may talk to a Watchpost without keys: programs on this machine, and the pages it served itself.

A web page elsewhere can make a browser here send requests, by another site's name that resolves to this machine or by
posting across origins. So the Host header must name this machine, and an Origin, where a browser sends one, must be ours.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from watchpost.server.problem import problem, problem_response

HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (
        b"content-security-policy",
        (
            b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
            b"form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
            b"require-trusted-types-for 'script'; trusted-types watchpost-pages"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    # `no-referrer` would make browsers send `Origin: null` with our own forms
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


def refuse_address(host: str) -> str | None:
    """Why Watchpost will not listen on `host`, or None for a loopback address."""
    if _is_loopback(host):
        return None
    return (
        f"{host} can be reached from other machines, and this Watchpost has no API keys to tell callers apart: "
        "listen on 127.0.0.1, ::1 or localhost"
    )


def _is_loopback(host: str) -> bool:
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class LoopbackOnly:
    """ASGI middleware: 403 for a Host that is not this machine's with our port, or an Origin that is not our own.

    The port is the one that the connection came in by. Every answer carries the security headers; none allows another
    origin anything.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one connection on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message.get("headers", [])
                names = {name for name, _ in given}
                message["headers"] = [*given, *(header for header in HEADERS if header[0] not in names)]
            await send(message)

        reason = _refusal(scope)
        if reason:
            await problem_response(problem(403, reason))(scope, receive, with_headers)
            return
        await self._app(scope, receive, with_headers)


def _refusal(scope: Scope) -> str | None:
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
    own = f"{scope['scheme']}://{hosts[0]}" if len(hosts) == 1 else ""
    place = _place(own)
    if place is None or not _is_loopback(place[1]) or place[2] != scope["server"][1]:
        return f"the Host header must name this machine, such as localhost:{scope['server'][1]}"
    if any(_place(origin) != place for origin in origins):
        return "requests from pages of another origin are refused"
    return None


def _place(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of an origin; None for what is no bare origin."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        return None
    if not parts.hostname or parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        return None
    return parts.scheme, parts.hostname, port
