"""`watchpost import`: recordings into a data folder, or into a running server."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import httpx
import msgspec
import typer
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from watchpost.cli.exits import CommandError
from watchpost.cli.options import Data, Server
from watchpost.cli.printable import printable
from watchpost.cli.remote import connect
from watchpost.ingest import recordings
from watchpost.ingest.request import PATHS, Accepted, OtlpRequest, OverloadedError, RefusedError, Signal
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import Settings, read_settings
from watchpost.runtime.wiring import Watchpost, assemble, open_stores
from watchpost.store.folder import FolderHeldError

_NS = 10**9
_Answer = ExportTraceServiceResponse | ExportLogsServiceResponse | ExportMetricsServiceResponse
CAUGHT_UP_EVERY = 16
TIMEOUT_S = 60.0

_ANSWERS: Mapping[Signal, tuple[type[_Answer], str]] = {
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
}


def import_recordings(
    paths: Annotated[
        list[Path], typer.Argument(help="Files or folders: OTLP, span JSON, session JSONL, Agents SDK.", exists=True)
    ],
    data: Data = None,
    server: Server = "",
) -> None:
    """Read recorded telemetry. Into a data folder that a server holds it goes through that server."""
    settings = read_settings(data=data)
    if server:
        tally = _send(paths, server)
    else:
        try:
            tally = _store(paths, settings)
        except FolderHeldError as error:
            if not error.holder.address:
                raise
            tally = _send(paths, error.holder.address)
    sys.stdout.write(
        f"{tally.requests} requests imported, {tally.rejected} spans, log lines or metric points left out\n"
    )


class _Tally:
    def __init__(self) -> None:
        self.requests = 0
        self.rejected = 0

    def add(self, accepted: Accepted) -> None:
        self.requests += 1
        self.rejected += accepted.rejected
        for reason in accepted.reasons:
            _warn(reason)


def _requests(paths: list[Path]) -> Iterator[OtlpRequest]:
    for path in paths:
        yield from recordings.requests(path, _warn)


def _warn(text: str) -> None:
    sys.stderr.write(f"watchpost: {printable(text)}\n")


def _store(paths: list[Path], settings: Settings) -> _Tally:
    """Import and end every session: a recording is all there is."""
    tally = _Tally()
    with open_stores(settings) as stores:
        watchpost = assemble(settings, stores, patient=False)
        try:
            watchpost.flow.catch_up(now_ns())
            quiet_ns, idle_ns = (
                round(seconds * _NS) + _NS
                for seconds in (settings.session.quiet_seconds, settings.session.idle_seconds)
            )
            asyncio.run(_accept_all(watchpost, _requests(paths), tally, quiet_ns))
            watchpost.flow.catch_up(now_ns() + idle_ns)
        finally:
            watchpost.flow.close()
    return tally


async def _accept_all(watchpost: Watchpost, requests: Iterator[OtlpRequest], tally: _Tally, quiet_ns: int) -> None:
    """Take in every request. Now and then what has come so far is worked on, and runs that are over end: they teach what those after them are judged by."""
    for place, request in enumerate(requests, 1):
        try:
            tally.add(await watchpost.flow.accept(request))
        except RefusedError as error:
            _warn(f"request {place} left out: {error}")
        except OverloadedError as error:
            raise CommandError(error.detail) from error
        if place % CAUGHT_UP_EVERY == 0:
            watchpost.flow.catch_up(now_ns() + quiet_ns)


def _send(paths: list[Path], server: str) -> _Tally:
    tally = _Tally()
    with connect(server, TIMEOUT_S) as client:
        for place, request in enumerate(_requests(paths), 1):
            response = _post(client, request)
            if response.is_client_error:
                _warn(f"request {place} left out: {response.text.strip()}")
            elif response.is_error:
                raise CommandError(f"{server} answered {response.status_code}: {response.text.strip()}")
            else:
                tally.add(_accepted(request, response))
    return tally


def _accepted(request: OtlpRequest, response: httpx.Response) -> Accepted:
    if request.signal == "agents_sdk":
        return msgspec.json.decode(response.content, type=Accepted)
    kind, field = _ANSWERS[request.signal]
    answer = kind()
    if "json" in response.headers.get("content-type", ""):
        json_format.Parse(response.content, answer)
    else:
        answer.ParseFromString(response.content)
    partial = answer.partial_success
    rejected: int = getattr(partial, field)
    return Accepted(rejected, (partial.error_message,) if partial.error_message else ())


def _post(client: httpx.Client, request: OtlpRequest) -> httpx.Response:
    """Send one request, as often as the server asks to wait for it."""
    headers = {"content-type": request.content_type, "x-watchpost-project": request.project}
    if request.content_encoding:
        headers["content-encoding"] = request.content_encoding
    while True:
        try:
            response = client.post(PATHS[request.signal], content=request.body, headers=headers)
        except httpx.HTTPError as error:
            raise CommandError(f"{client.base_url} does not answer: {error}") from error
        if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or "retry-after" not in response.headers:
            return response
        time.sleep(float(response.headers["retry-after"]))
