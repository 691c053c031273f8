"""A real Alertmanager in a process of its own, and a receiver of its webhooks."""

from __future__ import annotations

import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.request import Request, urlopen

import msgspec
import yaml
from foreign_server import ForeignServer

from watchpost.alerting.alertmanager_config import alertmanager_config
from watchpost.alerting.route_file import Routing


class Said(msgspec.Struct, frozen=True):
    status: str
    labels: dict[str, str]


class Message(msgspec.Struct, frozen=True):
    """A webhook's body, version 4."""

    status: str
    alerts: list[Said]


_MESSAGES = msgspec.json.Decoder(Message)
"""Made before there are threads: two of them must not work out at once what a message is."""


class Arrival(msgspec.Struct, frozen=True):
    at_s: float
    channel: str
    message: Message


class _Server(ThreadingHTTPServer):
    request_queue_size = (
        512  # every group is told at the same moment; a refused connection is tried again a second later
    )


class WebhookReceiver:
    """A `with` block around a server that notes what is posted, by the last part of the path."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                at_s = time.time()
                body = self.rfile.read(int(self.headers["Content-Length"]))
                message = _MESSAGES.decode(body)
                receiver.arrivals.append(Arrival(at_s, self.path.rpartition("/")[2], message))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)

    def url(self, channel: str) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/{channel}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def write_config(folder: Path, routing: Routing, receiver: WebhookReceiver) -> Path:
    """The configuration of a routing whose channels are webhooks of this receiver."""
    hooks = {
        name: {"webhook_configs": [{"url": receiver.url(name), "send_resolved": True}]} for name in routing.channels
    }
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(alertmanager_config(routing, hooks).config), encoding="utf-8")
    return path


class AlertmanagerProcess:
    """A `with` block around an Alertmanager with its data in `folder`."""

    def __init__(self, folder: Path, configuration: Path) -> None:
        for template in ("default.tmpl", "email.tmpl"):
            # Made to look where it is started; webhooks need nothing of them.
            (folder / template).touch()
        self._server = ForeignServer(
            "alertmanager",
            folder,
            lambda address: [
                f"--config.file={configuration}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address={address}",
                "--cluster.listen-address=",
            ],
        )

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.__exit__(kind, error, at)

    def post(self, what: str, body: object) -> bytes:
        """What `/api/v2/alerts` or `/api/v2/silences` answers."""
        encoded = msgspec.json.encode(body)
        request = Request(  # noqa: S310  our own process
            f"{self._server.url}/api/v2/{what}",
            data=encoded,
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        with urlopen(request, timeout=10) as answer:  # noqa: S310  our own process
            said: bytes = answer.read()
            return said
