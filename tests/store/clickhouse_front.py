"""As much of ClickHouse's HTTP interface as clickhouse-connect needs, over an embedded engine.

Run as a program with a folder as argument; prints the port it listens on at loopback, and serves until it is ended.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import chdb

# What a client says to the HTTP interface itself, no setting of the engine.
TRANSPORT = {
    "query",
    "database",
    "buffer_size",
    "session_id",
    "session_timeout",
    "query_id",
    "quota_key",
    "compress",
    "decompress",
    "wait_end_of_query",
    "client_protocol_version",
    "role",
    "send_progress_in_http_headers",
    "http_headers_progress_interval_ms",
    "enable_http_compression",
    "default_format",
}


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Engine:
    """The embedded engine, one request at a time."""

    def __init__(self, folder: Path) -> None:
        self._connection = chdb.connect(f"{folder}?background_pool_size=16")  # a server's own default
        self._lock = threading.Lock()

    def answer(self, database: str, sql: str, data: bytes, settings: dict[str, str]) -> bytes:
        """The engine's answer in the format that the statement names; `data` is what an INSERT inserts."""
        with self._lock:
            self._connection.query(f"USE {database}")
            if data:
                return self._insert(sql, data, settings)
            for name, value in settings.items():
                self._connection.query(f"SET {name} = {quoted(value)}")
            return bytes(self._connection.query(sql, "TabSeparated").bytes())

    def _insert(self, sql: str, data: bytes, settings: dict[str, str]) -> bytes:
        head, _, form = sql.rpartition(" FORMAT ")
        clause = ", ".join(f"{name} = {quoted(value)}" for name, value in settings.items())
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            self._connection.query(f"{head} FROM INFILE {quoted(file.name)} SETTINGS {clause} FORMAT {form}")
        return b""


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    engine: Engine
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: a second one waits until the first is acknowledged, which takes 40 ms

    def do_GET(self) -> None:
        self._send(200, b"Ok.\n")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.headers.get("transfer-encoding") == "chunked":
            body = self._chunks()
        params = dict(parse_qsl(urlsplit(self.path).query))
        settings = {name: value for name, value in params.items() if name not in TRANSPORT}
        sql, data = (params["query"], body) if "query" in params else (body.decode(), b"")
        try:
            self._send(200, self.engine.answer(params.get("database", "default"), sql, data, settings))
        except RuntimeError as error:
            self._send(500, str(error).encode())

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    Handler.engine = Engine(Path(sys.argv[1]))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
