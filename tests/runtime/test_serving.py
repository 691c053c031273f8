"""The socket that a server listens on."""

from __future__ import annotations

import asyncio
import socket

import pytest

from watchpost.server.serving import AddressError, listening


async def is_undelayed(sock: socket.socket) -> bool:
    """Whether a connection that asyncio accepts at `sock` sends at once."""
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def accepted(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    server = await asyncio.start_server(accepted, sock=sock)
    async with server:
        _, writer = await asyncio.open_connection(*sock.getsockname()[:2])
        undelayed = await found
        writer.close()
        await writer.wait_closed()
    return bool(undelayed)


def test_answers_are_sent_at_once() -> None:
    with listening("127.0.0.1", 0) as sock:
        assert asyncio.run(is_undelayed(sock))


def test_an_address_that_is_taken_is_named() -> None:
    with listening("127.0.0.1", 0) as sock:
        sock.listen()
        port = sock.getsockname()[1]
        with pytest.raises(AddressError, match=f"127.0.0.1:{port}"), listening("127.0.0.1", port):
            pass
