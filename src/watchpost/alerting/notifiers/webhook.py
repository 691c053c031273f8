"""Signed webhooks by Standard Webhooks 1.0.0, to an address that a user chose and that may be hostile."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable, Sequence

import httpx
import msgspec

from watchpost.alerting.egress import Resolve, refusal
from watchpost.alerting.notifier import Answer, Failed, Sent, Throttled
from watchpost.alerting.retry_after import retry_after_s
from watchpost.alerting.signature import SecretError, signature, signing_key
from watchpost.model.notice import Notice

TIMEOUT_S = 15.0
BODY_READ = 4096
"""Bytes of a refusal's body that are read; they become part of the detail."""

MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,256}")
"""What may stand in the `webhook-id` header; no full stop, for the signed content is joined by them."""

RETRIED = frozenset({408, 425, 429})
"""Refusals below 500 that say nothing about the notice itself; every other one is permanent."""


class WebhookAddressError(ValueError):
    """An address that no webhook can be sent to. The message never repeats the address: it may hold a token."""


class Webhook:
    """Posts each notice to one address; fulfils `watchpost.alerting.notifier.Notifier`.

    `secrets` sign, in order: one, or the new and the old while a secret is being replaced. Redirects are not followed,
    proxies of the environment are not used, and only public addresses are connected to unless `allow_private`.
    `WebhookAddressError` or `SecretError` where the settings cannot work.
    """

    def __init__(
        self,
        url: str,
        secrets: Sequence[str],
        *,
        resolve: Resolve,
        now_ns: Callable[[], int],
        tls: ssl.SSLContext,
        allow_private: bool = False,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._url = _address(url)
        self._keys = [signing_key(secret) for secret in secrets]
        if not self._keys:
            raise SecretError("a webhook needs a secret to sign with")
        self._resolve = resolve
        self._now_ns = now_ns
        self._tls = tls
        self._allow_private = allow_private
        self._timeout_s = timeout_s

    async def send(self, notice: Notice) -> Answer:
        """Try once. The webhook id is the notice's, so a receiver that has seen it may drop the copy."""
        if not MESSAGE_ID.fullmatch(notice.id):
            return Failed(permanent=True, detail="the notice's id cannot stand in a header")
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._send(notice)
        except TimeoutError:
            return Failed(permanent=False, detail=f"no answer within {self._timeout_s:g} s")

    async def _send(self, notice: Notice) -> Answer:
        try:
            addresses = await self._resolve(self._host, self._url.port or (443 if self._url.scheme == "https" else 80))
        except (OSError, UnicodeError) as error:
            return Failed(permanent=False, detail=f"the host's name was not resolved: {_words(error)}")
        for address in addresses:
            word = "" if self._allow_private else refusal(address)
            if word:
                detail = (
                    f"refused: the host resolves to a {word} address; allow private addresses for this channel if meant"
                )
                return Failed(permanent=True, detail=detail)
        answer = Failed(permanent=False, detail="the host's name has no address")
        body = encode(notice)
        for address in addresses:
            try:
                return await self._post(address, self._timeout_s / len(addresses), notice.id, body)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                answer = Failed(permanent=False, detail=f"not connected: {_words(error)}")
            except httpx.TransportError as error:
                return Failed(permanent=False, detail=f"no answer: {_words(error)}")
        return answer

    @property
    def _host(self) -> str:
        return self._url.raw_host.decode("ascii")

    async def _post(self, address: str, connect_s: float, message_id: str, body: bytes) -> Answer:
        seconds = self._now_ns() // 1_000_000_000
        request = httpx.Request(
            "POST",
            # The checked address itself, so that no second look-up can lead elsewhere; receiver and certificate
            # still see the name.
            self._url.copy_with(host=address),
            headers={
                "host": self._url.netloc.decode("ascii"),
                "content-type": "application/json",
                "accept-encoding": "identity",
                "user-agent": "watchpost",
                "webhook-id": message_id,
                "webhook-timestamp": str(seconds),
                "webhook-signature": signature(self._keys, message_id, seconds, body),
            },
            content=body,
            extensions={"timeout": {"connect": connect_s}, "sni_hostname": self._host},
        )
        # A transport and not a client: a client logs the whole address, and the address may hold a token.
        async with httpx.AsyncHTTPTransport(verify=self._tls, trust_env=False) as transport:
            response = await transport.handle_async_request(request)
            try:
                return await self._read(response)
            finally:
                await response.aclose()

    async def _read(self, response: httpx.Response) -> Answer:
        status = response.status_code
        if 200 <= status < 300:
            return Sent(f"HTTP {status}")
        text = one_line((await _beginning(response)).decode("utf-8", "replace"))
        detail = f"HTTP {status}: {text}" if text else f"HTTP {status}"
        if status not in RETRIED and status < 500:
            return Failed(permanent=True, detail=detail)
        asked_s = retry_after_s(response.headers.get("retry-after", ""), self._now_ns())
        return Failed(permanent=False, detail=detail) if asked_s is None else Throttled(asked_s, detail)


def encode(notice: Notice) -> bytes:
    """The body of a notice, the same bytes at every try."""
    data = {**msgspec.structs.asdict(notice.event), "notice_id": notice.id}
    return msgspec.json.encode({"type": "alert.firing", "timestamp": notice.event.timestamp, "data": data})


def one_line(text: str) -> str:
    """Text from the far end without what could forge a line or steer a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _words(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) else str(error)
    return one_line(said or "") or type(error).__name__


def _address(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        # The parser's own words may quote the address.
        raise WebhookAddressError("the webhook's address is no URL") from None
    if parsed.scheme not in {"http", "https"}:
        raise WebhookAddressError("a webhook's address starts with https:// or http://")
    if not parsed.host:
        raise WebhookAddressError("the webhook's address names no host")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise WebhookAddressError("the webhook's port lies outside 1 to 65535")
    if parsed.userinfo:
        raise WebhookAddressError("a webhook's address holds no user or password; the signature proves the sender")
    return parsed


async def _beginning(response: httpx.Response) -> bytes:
    """The first `BODY_READ` bytes of the body, or what came of it before the far end broke off."""
    read = bytearray()
    try:
        async for part in response.aiter_raw():
            read += part
            if len(read) >= BODY_READ:
                break
    except httpx.TransportError:
        pass
    return bytes(read[:BODY_READ])
