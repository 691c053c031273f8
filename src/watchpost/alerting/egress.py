"""Where an address chosen by a user may lead: to the public internet, unless the channel allows more.

A name is resolved once, its addresses are checked, and the connection goes to an address that was checked; a name
server that answers differently the second time is never asked a second time.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from watchpost.alerting.notifier import Failed
from watchpost.alerting.plain_text import fault_words

TIMEOUT_S = 15.0

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) to numeric addresses, best first; raises OSError where the name has none."""

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are the IPv4 address that is reached."""

GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All that IANA hands out of IPv6; the rest is local, multicast, reserved or a way to write IPv4."""

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Outbound(msgspec.Struct, frozen=True):
    """How a channel reaches out: names, clock (Unix nanoseconds) and trust, whether to private addresses too, and for how long one exchange may take."""

    resolve: Resolve
    now_ns: Callable[[], int]
    tls: ssl.SSLContext
    allow_private: bool = False
    timeout_s: float = TIMEOUT_S


NOT_PUBLIC: tuple[tuple[str, Callable[[IpAddress], bool]], ...] = (
    ("unspecified", lambda address: address.is_unspecified),
    ("loopback", lambda address: address.is_loopback),
    ("link-local", lambda address: address.is_link_local),
    ("multicast", lambda address: address.is_multicast),
    ("reserved", lambda address: address.is_reserved),
    ("private", lambda address: not address.is_global),
    ("reserved", lambda address: address.version == 6 and address not in GLOBAL_UNICAST),
)
"""The first that holds names the refusal."""


def refusal(address: str) -> str:
    """Why a connection to this numeric address is refused, in a word; empty where it is public.

    `ValueError` for text that is no address.
    """
    for reached in _reached(ipaddress.ip_address(address)):
        for word, holds in NOT_PUBLIC:
            if holds(reached):
                return word
    return ""


async def checked_addresses(host: str, port: int, outbound: Outbound) -> list[str] | Failed:
    """The numeric addresses of a host, at least one, each of which may be connected to; else why none is."""
    try:
        found = list(await outbound.resolve(host, port))
    except (OSError, UnicodeError) as error:
        return Failed(permanent=False, detail=f"the host's name was not resolved: {fault_words(error)}")
    if not found:
        return Failed(permanent=False, detail="the host's name has no address")
    for address in () if outbound.allow_private else found:
        if word := refusal(address):
            return Failed(
                permanent=True,
                detail=f"refused: the host resolves to a {word} address; allow private addresses for this channel if meant",
            )
    return found


def _reached(address: IpAddress) -> list[IpAddress]:
    """What a packet to this address may reach: IPv6 has several ways to write an IPv4 address."""
    if not isinstance(address, ipaddress.IPv6Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address] if address.sixtofour is None else [address.sixtofour, address]


class SystemResolver:
    """Asks the system's resolver, on `threads` threads of its own: a dead name server holds up nobody else's work."""

    def __init__(self, threads: int = 4) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="resolve")

    async def __call__(self, host: str, port: int) -> list[str]:
        """The addresses of a host, in the system's order of preference; `OSError` where it has none."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._pool, _addresses, host, port)
        return list(dict.fromkeys(found))


def _addresses(host: str, port: int) -> list[str]:
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
