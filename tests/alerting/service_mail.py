"""A mail server: aiosmtpd, with faults and a mailbox."""

from __future__ import annotations

import asyncio
import ssl
from email import message_from_bytes
from email.message import Message
from email.policy import default
from types import TracebackType
from typing import Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "watchpost", "pa55word"
HANG, RESET = "hang", "reset"


class MailService:
    """`faults` come first, one a message: a line of SMTP, `hang` or `reset`; after `taken ` the message was taken before that."""

    def __init__(
        self, *faults: str, tls: ssl.SSLContext | None = None, login: bool = False, implicit: bool = False
    ) -> None:
        self.faults = list(faults)
        self.mails: list[Message[str, str]] = []
        self.told: list[tuple[str, str]] = []
        self.refused: list[str] = []
        self.logins: list[bool] = []
        self._tls = tls
        self._login = login
        self._implicit = implicit
        self.port = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        self._sessions: list[SMTP] = []
        self._server = await loop.create_server(self._made, "127.0.0.1", 0, ssl=self._tls if self._implicit else None)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.close()
        for session in self._sessions:
            if session.transport is not None:
                session.transport.close()
        await asyncio.sleep(0.01)

    def _made(self) -> SMTP:
        made = SMTP(
            self,
            hostname="mail.example",
            loop=asyncio.get_running_loop(),
            tls_context=None if self._implicit else self._tls,
            require_starttls=self._tls is not None and not self._implicit,
            auth_required=self._login and not self._implicit,  # it warns of AUTH without a TLS of its own
            auth_require_tls=not self._implicit,
            authenticator=self._authenticate if self._login else None,
            timeout=30,
        )
        self._sessions.append(made)
        return made

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: object
    ) -> AuthResult:
        del server, session, envelope, mechanism
        good = isinstance(given, LoginPassword) and (given.login, given.password) == (USER.encode(), PASSWORD.encode())
        self.logins.append(good)
        return AuthResult(success=good, handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  the name that it is called by
        del session
        fault = self.faults.pop(0) if self.faults else ""
        if not fault or fault.startswith("taken "):
            assert isinstance(envelope.content, bytes)
            if fault_of := self._take(envelope.content):
                return fault_of
        match fault.removeprefix("taken "):
            case "hang":
                await self._closing.wait()
            case "reset":
                assert isinstance(server.transport, asyncio.WriteTransport)
                server.transport.abort()
            case "":
                return "250 OK queued"
            case line:
                return line
        return "421 closing"

    def _take(self, content: bytes) -> str:
        mail = message_from_bytes(content, policy=default)
        head = content.split(b"\r\n\r\n", 1)[0]
        if max(map(len, content.split(b"\r\n"))) > 998 or b"\n" in head.replace(b"\r\n", b""):
            self.refused.append("line too long or bare newline")
            return "554 5.6.0 bad message"
        if mail.defects or [part.get_content_type() for part in mail.walk()] != [
            "multipart/alternative",
            "text/plain",
            "text/html",
        ]:
            self.refused.append(str(mail.defects))
            return "554 5.6.0 not what a mail is"
        self.mails.append(mail)
        self.told.append((str(mail["Message-ID"]), str(mail["Subject"])))
        return ""
