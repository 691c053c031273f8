"""Recorded sessions: OTLP requests as real frameworks sent them, told again as if they happened now.

`captures.zip` and `incidents.zip` hold request bodies byte for byte, `<what happens>/<place>.traces.pb`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from types import MappingProxyType
from zipfile import ZipFile

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

SESSION_KEYS = ("session.id", "gen_ai.conversation.id")
"""Attributes that name the session, in the two conventions that the captures use."""

NO_TEXTS: Mapping[str, str] = MappingProxyType({})


class Capture(msgspec.Struct, frozen=True):
    """The requests of one recorded run, in the order they were sent."""

    name: str
    bodies: tuple[bytes, ...]


class Sent(msgspec.Struct, frozen=True):
    """One request of a run that is told as if it went on now: it is due so many seconds after the run began."""

    after_s: float
    body: bytes


def captures(archive_name: str = "captures.zip") -> list[Capture]:
    """All recorded runs that an archive of the package holds, by name."""
    with files(__package__).joinpath(archive_name).open("rb") as packed, ZipFile(packed) as archive:
        names = sorted(archive.namelist())
        return [
            Capture(run, tuple(archive.read(name) for name in names if name.startswith(f"{run}/")))
            for run in dict.fromkeys(name.partition("/")[0] for name in names)
        ]


def retell(
    capture: Capture, *, ended_ns: int, new_bytes: Callable[[int], bytes], texts: Mapping[str, str] = NO_TEXTS
) -> list[bytes]:
    """The requests of a capture as a new run whose last span ends at `ended_ns`, Unix nanoseconds.

    Every trace, span and session id is replaced by a new one from `new_bytes(length)`, wherever it stands, each of `texts` by
    another, and every time is shifted by the same amount: order, durations and everything else stay as recorded.
    """
    requests = [ExportTraceServiceRequest.FromString(body) for body in capture.bodies]
    spans = list(_spans(requests))
    shift_ns = ended_ns - max(span.end_time_unix_nano for span in spans)
    _rename(capture.name, spans, new_bytes, texts)
    for span in spans:
        _move(span, lambda at_ns: at_ns + shift_ns)
    return [request.SerializeToString() for request in requests]


def relive(
    capture: Capture,
    *,
    started_ns: int,
    seconds: float,
    new_bytes: Callable[[int], bytes],
    texts: Mapping[str, str] = NO_TEXTS,
) -> list[Sent]:
    """The spans of a capture as a new run that begins at `started_ns` and takes `seconds`, each sent when it has ended.

    Ids and texts are replaced as `retell` does; times keep their proportions.
    """
    requests = [ExportTraceServiceRequest.FromString(body) for body in capture.bodies]
    spans = list(_spans(requests))
    first_ns = min(span.start_time_unix_nano for span in spans)
    slower = seconds * 10**9 / max(max(span.end_time_unix_nano for span in spans) - first_ns, 1)
    _rename(capture.name, spans, new_bytes, texts)
    for span in spans:
        _move(span, lambda at_ns: started_ns + round((at_ns - first_ns) * slower))
    sent = [
        Sent((span.end_time_unix_nano - started_ns) / 10**9, _alone(resource, scope, span).SerializeToString())
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    return sorted(sent, key=lambda each: each.after_s)


def _alone(resource: ResourceSpans, scope: ScopeSpans, span: Span) -> ExportTraceServiceRequest:
    """A request that holds one span, in the resource and scope that it was in."""
    spans = ScopeSpans(scope=scope.scope, schema_url=scope.schema_url, spans=[span])
    holder = ResourceSpans(resource=resource.resource, schema_url=resource.schema_url, scope_spans=[spans])
    return ExportTraceServiceRequest(resource_spans=[holder])


def _rename(name: str, spans: Sequence[Span], new_bytes: Callable[[int], bytes], texts: Mapping[str, str]) -> None:
    """Give spans new ids wherever they stand, and other texts."""
    ids = _new_ids(spans, new_bytes)
    others = dict(texts) | {old.hex(): new.hex() for old, new in ids.items()}
    for old in dict.fromkeys(_session_ids(spans)):
        others[old] = f"{name}-{new_bytes(4).hex()}"
    replace = _replacing(others)
    for span in spans:
        span.trace_id, span.span_id = ids[span.trace_id], ids[span.span_id]
        span.parent_span_id = ids.get(span.parent_span_id, b"")
        for part in (span, *span.events, *span.links):
            _rewrite(part.attributes, replace)
        for link in span.links:
            link.trace_id = ids.get(link.trace_id, link.trace_id)
            link.span_id = ids.get(link.span_id, link.span_id)


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


def _move(span: Span, moved: Callable[[int], int]) -> None:
    span.start_time_unix_nano = moved(span.start_time_unix_nano)
    span.end_time_unix_nano = moved(span.end_time_unix_nano)
    for event in span.events:
        event.time_unix_nano = moved(event.time_unix_nano)


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
