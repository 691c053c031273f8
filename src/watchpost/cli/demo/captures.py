"""Recorded sessions: OTLP requests as real frameworks sent them, told again as if they happened now.

`captures.zip` holds the request bodies byte for byte, `<framework>-<what happens>/<place>.traces.pb`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.resources import files
from zipfile import ZipFile

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

SESSION_KEYS = ("session.id", "gen_ai.conversation.id")
"""Attributes that name the session, in the two conventions that the captures use."""


class Capture(msgspec.Struct, frozen=True):
    """The requests of one recorded run, in the order they were sent."""

    name: str
    bodies: tuple[bytes, ...]


def captures() -> list[Capture]:
    """All recorded runs that the package holds, by name."""
    with files(__package__).joinpath("captures.zip").open("rb") as packed, ZipFile(packed) as archive:
        names = sorted(archive.namelist())
        return [
            Capture(run, tuple(archive.read(name) for name in names if name.startswith(f"{run}/")))
            for run in dict.fromkeys(name.partition("/")[0] for name in names)
        ]


def retell(capture: Capture, *, ended_ns: int, new_bytes: Callable[[int], bytes]) -> list[bytes]:
    """The requests of a capture as a new run whose last span ends at `ended_ns`, Unix nanoseconds.

    Every trace, span and session id is replaced by a new one from `new_bytes(length)`, wherever it stands, and every time
    is shifted by the same amount: order, durations and everything else stay as recorded.
    """
    requests = [ExportTraceServiceRequest.FromString(body) for body in capture.bodies]
    spans = list(_spans(requests))
    ids = _new_ids(spans, new_bytes)
    texts = {old.hex(): new.hex() for old, new in ids.items()}
    for old in dict.fromkeys(_session_ids(spans)):
        texts[old] = f"{capture.name}-{new_bytes(4).hex()}"
    shift_ns = ended_ns - max(span.end_time_unix_nano for span in spans)
    replace = _replacing(texts)
    for span in spans:
        _shift(span, shift_ns)
        span.trace_id, span.span_id = ids[span.trace_id], ids[span.span_id]
        span.parent_span_id = ids.get(span.parent_span_id, b"")
        for part in (span, *span.events, *span.links):
            _rewrite(part.attributes, replace)
        for link in span.links:
            link.trace_id = ids.get(link.trace_id, link.trace_id)
            link.span_id = ids.get(link.span_id, link.span_id)
    return [request.SerializeToString() for request in requests]


def _spans(requests: Iterable[ExportTraceServiceRequest]) -> Iterator[Span]:
    for request in requests:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                yield from scope.spans


def _new_ids(spans: Sequence[Span], new_bytes: Callable[[int], bytes]) -> dict[bytes, bytes]:
    """A new id for each that the spans name, parents that were never sent included."""
    old = (one for span in spans for one in (span.trace_id, span.span_id, span.parent_span_id) if one)
    return {one: new_bytes(len(one)) for one in dict.fromkeys(old)}


def _session_ids(spans: Iterable[Span]) -> Iterator[str]:
    for span in spans:
        for attribute in span.attributes:
            if attribute.key in SESSION_KEYS and attribute.value.string_value:
                yield attribute.value.string_value


def _replacing(texts: dict[str, str]) -> Callable[[str], str]:
    pattern = re.compile("|".join(map(re.escape, texts)))
    return lambda text: pattern.sub(lambda found: texts[found[0]], text)


def _shift(span: Span, shift_ns: int) -> None:
    span.start_time_unix_nano += shift_ns
    span.end_time_unix_nano += shift_ns
    for event in span.events:
        event.time_unix_nano += shift_ns


def _rewrite(attributes: Iterable[KeyValue], replace: Callable[[str], str]) -> None:
    for attribute in attributes:
        _rewrite_value(attribute.value, replace)


def _rewrite_value(value: AnyValue, replace: Callable[[str], str]) -> None:
    match value.WhichOneof("value"):
        case "string_value":
            value.string_value = replace(value.string_value)
        case "array_value":
            for each in value.array_value.values:
                _rewrite_value(each, replace)
        case "kvlist_value":
            _rewrite(value.kvlist_value.values, replace)
