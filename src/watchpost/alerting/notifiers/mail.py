"""E-mail: one message for each notice, as text and as HTML, all of a conversation in one thread."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import html
import re
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import Literal

import aiosmtplib

from watchpost.alerting.egress import Outbound, checked_addresses
from watchpost.alerting.message import Message, message
from watchpost.alerting.notifier import Answer, Failed, Sent
from watchpost.alerting.plain_text import fault_words, one_line
from watchpost.model.notice import Notice

Security = Literal["starttls", "tls", "none"]

PORTS: dict[Security, int] = {"starttls": 587, "tls": 465, "none": 25}

ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?P<domain>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)"
)
STEPS = 6
"""How many steps of a conversation with a mail server may each take all of their time before the whole is given up."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MailSettingsError(ValueError):
    """Settings by which no mail can be sent. The message names the field and never repeats a password."""


class Mail:
    """Hands each notice to one mail server; fulfils `watchpost.alerting.notifier.Notifier`. A handle is the first message's Message-ID.

    `port` 0 is the usual one for `security`. A user and password are sent only over TLS. `MailSettingsError` where the settings cannot work.
    """

    def __init__(
        self,
        host: str,
        sender: str,
        to: Sequence[str],
        outbound: Outbound,
        *,
        public_url: str = "",
        security: Security = "starttls",
        port: int = 0,
        username: str = "",
        password: str = "",
    ) -> None:
        for field, addresses in (("sender", [sender]), ("to", to)):
            if not addresses or not all(ADDRESS.fullmatch(address) for address in addresses):
                raise MailSettingsError(
                    f"{field}: an address is written name@host, in ASCII and without a display name"
                )
        if not re.fullmatch(r"[A-Za-z0-9.:-]+", host):
            raise MailSettingsError("host: name the mail server")
        if security == "none" and (username or password):
            raise MailSettingsError("password: is sent only over TLS; set security to starttls or tls")
        self._host = host
        self._port = port or PORTS[security]
        self._sender = sender
        self._to = tuple(to)
        self._outbound = outbound
        self._public_url = public_url
        self._security = security
        self._login = (username, password) if username else None

    async def send(self, notice: Notice, handle: str = "") -> Answer:
        """Try once. The Message-ID is the same at every try, so a mailbox may drop the copy."""
        now_ns = self._outbound.now_ns()
        mail = compose(notice, handle, sender=self._sender, to=self._to, public_url=self._public_url, now_ns=now_ns)
        try:
            async with asyncio.timeout(STEPS * self._outbound.timeout_s):
                return await self._send(mail, message_id(notice.id, self._sender))
        except aiosmtplib.SMTPResponseException as error:
            return _refused(error)
        except aiosmtplib.SMTPRecipientsRefused as error:
            return _refused(min(error.recipients, key=lambda one: one.code))
        except aiosmtplib.SMTPNotSupported as error:
            return Failed(permanent=True, detail=one_line(error.message, 300))
        except (aiosmtplib.SMTPTimeoutError, TimeoutError):
            return Failed(permanent=False, detail=f"no answer within {self._outbound.timeout_s:g} s")
        except (aiosmtplib.SMTPException, OSError) as error:
            return Failed(permanent=False, detail=f"no answer: {fault_words(error)}")

    async def _send(self, mail: bytes, mail_id: str) -> Answer:
        addresses = await checked_addresses(self._host, self._port, self._outbound)
        if isinstance(addresses, Failed):
            return addresses
        connection = await self._connect(addresses)
        if isinstance(connection, Failed):
            return connection
        client = aiosmtplib.SMTP(
            hostname=self._host,
            sock=connection,
            local_hostname=self._sender.partition("@")[2],
            timeout=self._outbound.timeout_s,
            use_tls=self._security == "tls",
            start_tls=self._security == "starttls",
            tls_context=None if self._security == "none" else self._outbound.tls,
        )
        try:
            await client.connect()  # from here on the client owns the connection
            if self._login:
                await client.login(*self._login)
            refused, said = await client.sendmail(self._sender, list(self._to), mail)
            with contextlib.suppress(aiosmtplib.SMTPException):  # the mail is taken, whatever becomes of the farewell
                await client.quit()
        finally:
            client.close()
        detail = one_line(said, 200)
        if refused:
            detail = f"{detail}; refused for {len(refused)} of {len(self._to)}: {one_line(str(next(iter(refused.values()))), 200)}"
        return Sent(detail, mail_id)

    async def _connect(self, addresses: Sequence[str]) -> socket.socket | Failed:
        """A connection to the first checked address that takes one."""
        loop, failed = asyncio.get_running_loop(), Failed(permanent=False, detail="not connected")
        for address in addresses:
            made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            made.settimeout(0)
            try:
                async with asyncio.timeout(self._outbound.timeout_s):
                    await loop.sock_connect(made, (address, self._port))
            except (OSError, TimeoutError) as error:
                made.close()
                failed = Failed(permanent=False, detail=f"not connected: {fault_words(error)}")
            except asyncio.CancelledError:
                made.close()
                raise
            else:
                return made
        return failed


def compose(notice: Notice, handle: str, *, sender: str, to: Sequence[str], public_url: str, now_ns: int) -> bytes:
    """The mail of a notice; `handle` is the Message-ID of the conversation's first mail, empty where this is the first."""
    shown = message(notice, public_url)
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Subject"] = shown.title
    mail["Date"] = format_datetime(EPOCH + timedelta(seconds=now_ns // 10**9))
    mail["Message-ID"] = message_id(notice.id, sender)
    if handle:
        mail["In-Reply-To"] = handle
        mail["References"] = handle
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(as_text(shown))
    mail.add_alternative(as_html(shown), subtype="html")
    return mail.as_bytes()


def message_id(notice_id: str, sender: str) -> str:
    """The Message-ID of a notice: its id where that can stand in one, else a digest."""
    known = re.fullmatch(r"[A-Za-z0-9_-]{1,64}", notice_id)
    local = notice_id if known else hashlib.blake2b(notice_id.encode("utf-8", "replace"), digest_size=16).hexdigest()
    return f"<{local}.watchpost@{sender.partition('@')[2]}>"


def as_text(shown: Message) -> str:
    """The message for readers of plain text."""
    lines = [shown.title, "", shown.summary, ""]
    if shown.by:
        lines += [f"{shown.state} by {shown.by}", ""]
    lines += [f"{name}: {value}" for name, value in shown.facts]
    lines += ["", *_group(shown)] if shown.alerts else []
    lines += ["", *(f"{link.text}: {link.url}" for link in shown.links)] if shown.links else []
    return "\n".join(lines) + "\n"


def as_html(shown: Message) -> str:
    """The same as HTML, without anything that is loaded from elsewhere; all text is escaped."""
    facts = "".join(f"<tr><th align='left'>{_(name)}</th><td>{_(value)}</td></tr>" for name, value in shown.facts)
    alerts = "".join(f"<li>{_(line)}</li>" for line in _group(shown))
    links = " · ".join(f"<a href='{_(link.url)}'>{_(link.text)}</a>" for link in shown.links)
    by = f"<p>{shown.state} by {_(shown.by)}</p>" if shown.by else ""
    body = (
        f"<h2>{_(shown.title)}</h2><p>{_(shown.summary)}</p>{by}<table>{facts}</table><ul>{alerts}</ul><p>{links}</p>"
    )
    return f"<!doctype html><html><body>{body}</body></html>\n"


def _(text: str) -> str:
    return html.escape(text, quote=True)


def _group(shown: Message) -> list[str]:
    return [*shown.alerts, *([f"and {shown.more} more"] if shown.more else [])]


def _refused(error: aiosmtplib.SMTPResponseException) -> Failed:
    """4xx asks to come back, 5xx not to."""
    return Failed(permanent=error.code >= 500, detail=one_line(f"{error.code} {error.message}", 300))
