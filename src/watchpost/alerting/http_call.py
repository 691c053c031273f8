"""One HTTP request to an address that was set for a channel, with what every such channel needs.

The name is resolved once, its addresses are checked, and a checked one is connected to. No redirect is followed, no proxy of the
environment is used, no address is logged, all of it takes a bounded time, and of the answer a bounded part is read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx
import msgspec

from watchpost.alerting.egress import Outbound, checked_addresses
from watchpost.alerting.notifier import Answer, Failed, Sent, Throttled
from watchpost.alerting.plain_text import fault_words, one_line
from watchpost.alerting.retry_after import retry_after_s

BODY_READ = 4096
"""Bytes of an answer that are read unless a channel needs more; those of a refusal become part of the detail."""

RETRIED = frozenset({408, 425, 429})
"""Refusals below 500 that say nothing about the notice itself; every other one is permanent."""


class HttpAddressError(ValueError):
    """An address that nothing can be sent to. The message never repeats the address: it may hold a token."""


class Reply(msgspec.Struct, frozen=True):
    """What the far end answered: its status, the beginning of its body, and its `Retry-After` header, empty where it sent none."""

    status: int
    body: bytes
    retry_after: str = ""


class HttpCall:
    """Posts to one address. `HttpAddressError` for one that cannot work."""

    def __init__(self, url: str, outbound: Outbound) -> None:
        self._url = _address(url)
        self._outbound = outbound

    async def post(self, headers: Mapping[str, str], body: bytes, *, read: int = BODY_READ) -> Reply | Failed:
        """Try once; at most `read` bytes of the answer's body come back. Whatever goes wrong is a `Failed`, never an exception."""
        try:
            async with asyncio.timeout(self._outbound.timeout_s):
                return await self._post(headers, body, read)
        except TimeoutError:
            return Failed(permanent=False, detail=f"no answer within {self._outbound.timeout_s:g} s")

    async def _post(self, headers: Mapping[str, str], body: bytes, read: int) -> Reply | Failed:
        port = self._url.port or (443 if self._url.scheme == "https" else 80)
        addresses = await checked_addresses(self._host, port, self._outbound)
        if isinstance(addresses, Failed):
            return addresses
        failed = Failed(permanent=False, detail="not connected")
        for address in addresses:
            request = self._request(address, self._outbound.timeout_s / len(addresses), headers, body)
            try:
                # A transport and not a client: a client logs the whole address, and the address may hold a token.
                async with httpx.AsyncHTTPTransport(verify=self._outbound.tls, trust_env=False) as transport:
                    response = await transport.handle_async_request(request)
                    try:
                        beginning = await _beginning(response, read)
                    finally:
                        await response.aclose()
                    return Reply(response.status_code, beginning, response.headers.get("retry-after", ""))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failed = Failed(permanent=False, detail=f"not connected: {fault_words(error)}")
            except httpx.TransportError as error:
                return Failed(permanent=False, detail=f"no answer: {fault_words(error)}")
        return failed

    @property
    def _host(self) -> str:
        return self._url.raw_host.decode("ascii")

    def _request(self, address: str, connect_s: float, headers: Mapping[str, str], body: bytes) -> httpx.Request:
        return httpx.Request(
            "POST",
            # The checked address itself, so that no second look-up can lead elsewhere; receiver and certificate
            # still see the name.
            self._url.copy_with(host=address),
            headers={
                "host": self._url.netloc.decode("ascii"),
                "content-type": "application/json",
                "accept-encoding": "identity",
                "user-agent": "watchpost",
                **headers,
            },
            content=body,
            extensions={"timeout": {"connect": connect_s}, "sni_hostname": self._host},
        )


def judge(reply: Reply, now_ns: int, handle: str = "") -> Answer:
    """What a status means: 2xx is sent, 408, 425, 429 and from 500 on a failure of the moment, anything else permanent.

    A failure of the moment whose answer says when to come back is `Throttled`.
    """
    if 200 <= reply.status < 300:
        return Sent(f"HTTP {reply.status}", handle)
    text = one_line(reply.body.decode("utf-8", "replace"), BODY_READ)
    detail = f"HTTP {reply.status}: {text}" if text else f"HTTP {reply.status}"
    if reply.status not in RETRIED and reply.status < 500:
        return Failed(permanent=True, detail=detail)
    asked_s = retry_after_s(reply.retry_after, now_ns)
    return Failed(permanent=False, detail=detail) if asked_s is None else Throttled(asked_s, detail)


def _address(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        # The parser's own words may quote the address.
        raise HttpAddressError("the address is no URL") from None
    if parsed.scheme not in {"http", "https"}:
        raise HttpAddressError("the address starts with https:// or http://")
    if not parsed.host:
        raise HttpAddressError("the address names no host")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise HttpAddressError("the address's port lies outside 1 to 65535")
    if parsed.userinfo:
        raise HttpAddressError("the address holds a user or password; it must not")
    return parsed


async def _beginning(response: httpx.Response, read: int) -> bytes:
    """The first bytes of the body, or what came of it before the far end broke off."""
    got = bytearray()
    try:
        async for part in response.aiter_raw():
            got += part
            if len(got) >= read:
                break
    except httpx.TransportError:
        pass
    return bytes(got[:read])
