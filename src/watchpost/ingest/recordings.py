"""Recordings, files of telemetry in the forms that others write, become OTLP requests ready for the door.

The form shows in the content: OTLP in protobuf or JSON, session JSONL, spans as JSON objects, or the objects of the OpenAI Agents
SDK, each plain or compressed with gzip or zstd. How a file is called does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from google.protobuf.message import DecodeError

from watchpost.ingest import agents_sdk, metrics, session_jsonl, span_json, wire
from watchpost.ingest.batching import JSON, MAX_BYTES, MAX_ITEMS, PROTOBUF, Item, batches
from watchpost.ingest.items import InvalidItemError
from watchpost.ingest.recorded_file import BOM, CORRUPT, Broken, RecordedFile, UnreadableError, opened
from watchpost.ingest.request import OtlpRequest, Signal

SAID_PER_FILE = 20
"""How many of its faults are told one by one; of more than these only the number."""

REASON_LENGTH = 300

_HEAD = 512
_NS = 10**9
_LAST_BASE_NS = 2**62
_SIGNALS: tuple[tuple[Signal, str, str, str], ...] = (
    ("traces", "resourceSpans", "scopeSpans", "spans"),
    ("logs", "resourceLogs", "scopeLogs", "logRecords"),
    ("metrics", "resourceMetrics", "scopeMetrics", "metrics"),
)
_OTLP = {groups for _, groups, _, _ in _SIGNALS}


class UnreadableRecordingError(Exception):
    """Nothing of a file can be imported; `reason` says why."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def requests(path: Path, said: Callable[[str], None]) -> Iterator[OtlpRequest]:
    """Every span, log record and metric of a file, or of all files below a folder in name order, as requests the door takes.

    What is left out is told to `said`, one line each: broken lines and, in a folder, files of which nothing can be read.
    `UnreadableRecordingError` where that is true of the file named, or of all files of the folder. The same content
    gives the same ids every time; the times of a form that has none count from the file's modification time.
    """
    if not path.is_dir():
        yield from _file(path, said)
        return
    read = 0
    for member in sorted(found for found in path.rglob("*") if found.is_file()):
        try:
            yield from _file(member, said)
            read += 1
        except UnreadableRecordingError as error:
            said(f"left out {error}")
    if not read:
        raise UnreadableRecordingError(path, "holds no recording")


class _Report:
    """What is said of one file: nothing before it proves to be a recording, and never without end."""

    def __init__(self, path: Path, said: Callable[[str], None]) -> None:
        self._path = path
        self._said = said
        self._count = 0
        self._held: list[str] = []
        self._useful = False

    def say(self, where: str, reason: str) -> None:
        """Tell one fault, at a place that may be empty."""
        self._count += 1
        if self._count > SAID_PER_FILE:
            return
        text = f"{where}: {reason}" if where else reason
        self._held.append("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:REASON_LENGTH]))
        if self._useful:
            self._tell()

    def used(self) -> None:
        """The file is a recording."""
        self._useful = True
        self._tell()

    def close(self) -> None:
        """Raise `UnreadableRecordingError` if the file proved to be none."""
        if not self._useful:
            raise UnreadableRecordingError(self._path, self._held[0] if self._held else "is empty")
        if self._count > SAID_PER_FILE:
            self._said(f"{self._path}: {self._count - SAID_PER_FILE} more parts left out")

    def _tell(self) -> None:
        for text in self._held:
            self._said(f"{self._path}: {text}")
        self._held.clear()


def _file(path: Path, said: Callable[[str], None]) -> Iterator[OtlpRequest]:
    report = _Report(path, said)
    if not path.is_file():
        raise UnreadableRecordingError(path, "is no file")
    for request in batches(_undamaged(path, report), lambda reason: report.say("", reason)):
        report.used()
        yield request
    report.close()


def _undamaged(path: Path, report: _Report) -> Iterator[Item | OtlpRequest]:
    """What a file holds, up to where it can no longer be read."""
    try:
        base_ns = min(max(int(path.stat().st_mtime), 1) * _NS, _LAST_BASE_NS)
        with opened(path) as file:
            yield from _parts(file, base_ns, report)
    except UnreadableError as error:
        report.say("", str(error))
    except CORRUPT as error:
        report.say("", f"cannot be read on: {error}")


def _parts(file: RecordedFile, base_ns: int, report: _Report) -> Iterator[Item | OtlpRequest]:
    head = file.head(_HEAD)
    if _is_binary(head):
        yield from _protobuf(file, report)
        return
    for part in file.values():
        if isinstance(part, Broken):
            report.say(f"line {part.line}", part.reason)
        elif isinstance(part.json, list):
            for place, member in enumerate(part.json):
                yield from _member(member, f"line {part.line}, [{place}]", base_ns, report)
        else:
            yield from _member(part.json, f"line {part.line}", base_ns, report)


def _is_binary(head: bytes) -> bool:
    """Whether this is no text. An OTLP message begins like a line feed, and field tags soon follow that are in no text."""
    begins_as_json = head.removeprefix(BOM).lstrip()[:1] in {b"{", b"["} and not head.startswith(b"\n")
    return not begins_as_json and any(byte < 0x20 and byte not in b"\t\n\r" for byte in head)


def _member(value: object, where: str, base_ns: int, report: _Report) -> Iterator[Item | OtlpRequest]:
    """One value of a file or of a list in it; a run is a list of spans in its turn."""
    if isinstance(value, dict) and _is_run(value):
        for place, span in enumerate(value["spans"]):
            yield from _record(span, f"{where}, spans[{place}]", base_ns, report, value.get("trace_id"))
    else:
        yield from _record(value, where, base_ns, report, None)


def _is_run(value: dict[str, object]) -> bool:
    return isinstance(value.get("spans"), list) and not span_json.is_span(value)


def _record(value: object, where: str, base_ns: int, report: _Report, trace_id: object) -> Iterator[Item | OtlpRequest]:
    try:
        match value:
            case dict() if not _OTLP.isdisjoint(value):
                yield from _otlp_json(value)
            case dict() if agents_sdk.is_recorded(value):
                yield from (Item("agents_sdk", JSON, b"", b"", body) for body in agents_sdk.recorded(value))
            case dict() if session_jsonl.is_session(value):
                yield from session_jsonl.items(value, base_ns)
                if session_jsonl.misnumbered(value):
                    report.say(where, "steps are not numbered 0, 1, 2, ...; they are counted by their place")
            case dict() if span_json.is_span(value):
                yield span_json.item(value, trace_id)
            case {"trace": _, "observations": _}:
                report.say(where, "is a Langfuse export, which is not read; send the same spans as OpenTelemetry")
            case _:
                report.say(where, "is neither OTLP nor a session nor a span")
    except InvalidItemError as error:
        report.say(where, str(error))
    except RecursionError:
        report.say(where, "nests too deep")


def _otlp_json(value: dict[str, object]) -> Iterator[Item | OtlpRequest]:
    for signal, groups, scopes, members in _SIGNALS:
        found = [
            (resource.get("resource"), scope.get("scope"), item)
            for resource in _objects(value, groups)
            for scope in _objects(resource, scopes)
            for item in _list(scope, members)
        ]
        body = msgspec.json.encode({groups: value.get(groups)}) if found else b""
        if found and len(found) <= MAX_ITEMS and len(body) <= MAX_BYTES:
            yield OtlpRequest(signal, body, JSON)
        elif found:
            for resource, scope, item in found:
                encoded = [msgspec.json.encode(part) for part in (resource, scope, item)]
                yield Item(signal, JSON, *encoded)


def _list(holder: dict[str, object], name: str) -> list[object]:
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidItemError(f"{name}: must be an array")
    return value


def _objects(holder: dict[str, object], name: str) -> Iterator[dict[str, object]]:
    for value in _list(holder, name):
        if not isinstance(value, dict):
            raise InvalidItemError(f"{name}: must be an array of objects")
        yield value


def _protobuf(file: RecordedFile, report: _Report) -> Iterator[Item | OtlpRequest]:
    body = file.whole()
    if body is None:
        report.say("", "is too large to be one OTLP request")
        return
    try:
        found = _protobuf_items(body)
    except DecodeError:
        found = []
    signal = _signal([item for _, _, item in found])
    if signal is None:
        report.say("", "is neither JSON nor an OTLP request")
    elif len(found) <= MAX_ITEMS and len(body) <= MAX_BYTES:
        yield OtlpRequest(signal, body, PROTOBUF)
    else:
        for resource, scope, item in found:
            yield Item(signal, PROTOBUF, resource, scope, item)


def _protobuf_items(body: bytes) -> list[tuple[bytes, bytes, bytes]]:
    return [
        (resource.resource, scope.scope, item)
        for resource in map(wire.resource_items, wire.request(body).resources)
        for scope in map(wire.scope_items, resource.scopes)
        for item in scope.items
    ]


def _signal(items: list[bytes]) -> Signal | None:
    """What the items are: the first that shows it decides for all; None where none does.

    The times of spans and log records are fixed-width fields whose numbers differ; a metric has a name and a type.
    """
    for item in items:
        try:
            line = wire.log_record(item)
            if line.time_unix_nano or line.observed_time_unix_nano:
                return "logs"
            span = wire.span(item)
            if span.start_time_unix_nano or span.end_time_unix_nano:
                return "traces"
        except DecodeError:
            pass  # a metric is no well-formed span
        if metrics.is_named(item):
            return "metrics"
    return None
