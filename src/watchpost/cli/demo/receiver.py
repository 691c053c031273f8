"""Somebody who is told: a receiver of signed webhooks on a free port of this machine.

It verifies by Standard Webhooks 1.0.0 with nothing but the standard library, so it also shows how little that takes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import queue
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

import msgspec

from watchpost.cli.demo.chance import new_bytes
from watchpost.runtime.clock import now_ns

TOLERANCE_S = 300
KEY_LENGTH = 32
LARGEST_BODY = 1 << 20
SILENCE_S = 5.0
"""A sender that says nothing for so long is let go."""


class Message(msgspec.Struct, frozen=True):
    """The body of a notice; `data` is the event with its `notice_id`."""

    type: str
    timestamp: str
    data: dict[str, object]


_MESSAGES = msgspec.json.Decoder(Message)
"""Made before there are threads: two of them must not work out at once what a message is."""


def _silently(line: str) -> None:
    """Say nothing."""


class NoticeReceiver:
    """A `with` block in which `url` takes notices that `secret` signed and refuses all others.

    `say` gets a line for each notice as it arrives; a notice that is sent twice counts once. The secret is made of
    `new_bytes(length)`, and timestamps are judged by `now_ns`, Unix nanoseconds.
    """

    def __init__(
        self,
        say: Callable[[str], None] = _silently,
        *,
        now_ns: Callable[[], int] = now_ns,
        new_bytes: Callable[[int], bytes] = new_bytes,
    ) -> None:
        self._key = new_bytes(KEY_LENGTH)
        self._now_ns = now_ns
        self._say = say
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self._notices: queue.Queue[dict[str, object]] = queue.Queue()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="notices", daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self.secret = f"whsec_{base64.b64encode(self._key).decode()}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait(self, seconds: float) -> dict[str, object] | None:
        """The event of the next notice that was not yet waited for, or None when none arrived in time."""
        try:
            return self._notices.get(timeout=seconds)
        except queue.Empty:
            return None

    def receive(self, headers: Mapping[str, str], body: bytes) -> HTTPStatus:
        """Take one request: 204, 401 where the signature does not hold, 400 where the body is no notice."""
        if not self._verified(headers, body):
            return HTTPStatus.UNAUTHORIZED
        try:
            message = _MESSAGES.decode(body)
        except msgspec.DecodeError:
            return HTTPStatus.BAD_REQUEST
        notice_id = headers.get("webhook-id", "")
        with self._lock:
            known = notice_id in self._seen
            self._seen.add(notice_id)
        if not known:
            self._notices.put(message.data)
            event = message.data
            self._say(f"notice for {event.get('owner')}: {event.get('metric')}: {event.get('summary')}")
        return HTTPStatus.NO_CONTENT

    def _verified(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether the holder of the secret sent exactly this body within the last five minutes."""
        sent = headers.get("webhook-timestamp", "")
        if not sent.isdecimal() or abs(self._now_ns() // 10**9 - int(sent)) > TOLERANCE_S:
            return False
        signed = f"{headers.get('webhook-id', '')}.{sent}.".encode() + body
        expected = f"v1,{base64.b64encode(hmac.new(self._key, signed, hashlib.sha256).digest()).decode()}"
        given = headers.get("webhook-signature", "").split()
        return any(hmac.compare_digest(expected.encode(), one.encode()) for one in given)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receive = self.receive

        class Handler(BaseHTTPRequestHandler):
            timeout = SILENCE_S

            def do_POST(self) -> None:
                length = self.headers.get("content-length", "")
                if length.isdecimal() and int(length) <= LARGEST_BODY:
                    status = receive(
                        {key.lower(): value for key, value in self.headers.items()}, self.rfile.read(int(length))
                    )
                else:
                    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
                self.send_response(status)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that http.server gives it
                """Nothing: `say` tells what matters."""

        return Handler
