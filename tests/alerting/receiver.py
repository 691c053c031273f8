"""Receivers on loopback: one that answers with the bytes it is told to answer with, one that judges what it is sent as a service does."""

from __future__ import annotations

import asyncio
import ssl
from types import TracebackType
from typing import Self

HANG = b"\0hang"
"""An answer that ends so stops there, and the connection stays open."""

RESET = b"\0reset"
"""An answer that ends so stops there, and the connection is reset."""

TAKEN = b"\0taken"
"""A fault that begins so comes after the service has taken the request: the sender cannot know."""

Request = tuple[str, dict[str, str], bytes]
"""Request line, headers with lower-case names, body."""


def answer(status: str, *headers: str, body: bytes = b"") -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode() + body


class Receiver:
    """An `async with` server; `requests` holds (request line, headers with lower-case names, body) in order of arrival."""

    def __init__(self, *answers: bytes, tls: ssl.SSLContext | None = None) -> None:
        self._answers = list(answers)
        self._tls = tls
        self.requests: list[Request] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        self._closing = asyncio.Event()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers["content-length"]))
            self.requests.append((head[0], headers, body))
            said = self.said(self.requests[-1])
            writer.write(said.removesuffix(HANG).removesuffix(RESET))
            await writer.drain()
            if said.endswith(HANG):
                await self._closing.wait()
            if said.endswith(RESET):
                writer.transport.abort()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def said(self, request: Request) -> bytes:
        """The next answer; the last one for ever."""
        del request
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class Service(Receiver):
    """A service that takes what keeps its rules and refuses the rest; `faults` come first, one a request.

    `told` holds what was taken, an idempotency key and what was said of it, `refused` why something was not.
    """

    def __init__(self, *faults: bytes, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls=tls)
        self.faults = list(faults)
        self.told: list[tuple[str, str]] = []
        self.refused: list[str] = []

    def said(self, request: Request) -> bytes:
        """A fault while there is one, else what the service answers."""
        if self.faults:
            fault = self.faults.pop(0)
            if not fault.startswith(TAKEN):
                return fault
            self.judge(request)
            return fault.removeprefix(TAKEN)
        return self.judge(request)

    def judge(self, request: Request) -> bytes:
        """Take a request or refuse it."""
        raise NotImplementedError

    def refuse(self, reason: str, status: str = "400 Bad Request") -> bytes:
        """A refusal, remembered."""
        self.refused.append(reason)
        return answer(status, body=reason.encode()[:500])
