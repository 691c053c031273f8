"""An OTLP request becomes parcels. What cannot be read is left out and said, one reason per cause; the rest is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
from google.protobuf.message import DecodeError

from watchpost.ingest import agents_sdk, metrics, otlp_json, wire
from watchpost.ingest.encoding import decompress
from watchpost.ingest.items import MAX_NS, InvalidItemError, Limits, Tally, checked, checked_line
from watchpost.ingest.request import OtlpRequest, RefusedError, Signal
from watchpost.model.telemetry import Attributes, Event, Link, LogLine, Parcel, Span

PROJECT_ATTRIBUTE = "watchpost.project"
DEFAULT_PROJECT = "default"

_ITEMS: Mapping[Signal, str] = {"traces": "resource_spans", "logs": "resource_logs", "metrics": "resource_metrics"}


class Decoded(msgspec.Struct, frozen=True):
    """The parcels of one request and what was left out of them."""

    parcels: tuple[Parcel, ...]
    rejected: int
    reasons: tuple[str, ...]


def decode(request: OtlpRequest, limits: Limits) -> Decoded:
    """Read a request whole, or raise `RefusedError` naming what is wrong with all of it."""
    check_size(request, limits)
    body = decompress(request.body, request.content_encoding, limits.decompressed_bytes)
    tally = Tally(limits)
    media = request.content_type.partition(";")[0].strip().lower()
    match request.signal, media:
        case "agents_sdk", "application/json":
            parcels = agents_sdk.parcels(body, tally)
        case "agents_sdk", _:
            raise RefusedError(415, f"{media or 'nothing'} is not application/json", "content-type")
        case _, "application/x-protobuf" | "":
            parcels = _protobuf(request, body, tally)
        case _, "application/json":
            parcels = otlp_json.parcels(request.signal, body, tally)
        case _:
            raise RefusedError(415, f"{media} is neither application/x-protobuf nor application/json", "content-type")
    return Decoded(tuple(_with_project(p, request.project) for p in parcels), tally.rejected, tally.reasons)


def check_size(request: OtlpRequest, limits: Limits) -> None:
    """Raise `RefusedError` for a body of which nothing need be read to know that it is too large."""
    if len(request.body) > limits.body_bytes:
        raise RefusedError(413, f"the body has {len(request.body)} bytes; at most {limits.body_bytes} are read", "body")


def _protobuf(request: OtlpRequest, body: bytes, tally: Tally) -> list[Parcel]:
    items = _ITEMS[request.signal]
    try:
        wire_resources = wire.request(body).resources
        _few(len(wire_resources), tally, items)
        resources = [wire.resource_items(r) for r in wire_resources]
        _few(sum(len(r.scopes) for r in resources), tally, items)
        groups = [(r.resource, [wire.scope_items(s) for s in r.scopes]) for r in resources]
        _few(sum(len(s.items) for _, scopes in groups for s in scopes), tally, items)
        if request.signal == "metrics":
            _few(sum(metrics.size(m) for _, scopes in groups for s in scopes for m in s.items), tally, items)
        return [
            _parcel(request, wire.attributes(wire.resource(resource).attributes), scope, tally)
            for resource, scopes in groups
            for scope in scopes
        ]
    except DecodeError as error:
        raise RefusedError(400, f"the body is no OTLP {request.signal} request: {error}", items) from error
    except wire.TooDeepError as error:
        raise RefusedError(400, f"resource: {error}", items) from error


def _few(count: int, tally: Tally, field: str) -> None:
    """Refuse a request of too many resources, scopes or items before it fills memory with them."""
    if count > tally.limits.items:
        raise RefusedError(413, f"the request holds {count} items; at most {tally.limits.items} are read", field)


def _parcel(request: OtlpRequest, resource: Attributes, scope: wire.WireScopeItems, tally: Tally) -> Parcel:
    name = wire.text(wire.scope(scope.scope).name) if scope.scope else ""
    if request.signal == "traces":
        spans = _items(scope.items, "span", _span, tally)
        return Parcel("", resource, name, spans=tuple(spans))
    if request.signal == "metrics":
        return Parcel("", resource, name, metrics=tuple(metrics.points(scope.items, tally)))
    return Parcel("", resource, name, logs=tuple(_items(scope.items, "log_record", _log_line, tally)))


_Item = TypeVar("_Item")


def _items(items: Sequence[bytes], noun: str, read: Callable[[bytes, int], _Item], tally: Tally) -> list[_Item]:
    kept: list[_Item] = []
    for place, data in enumerate(items):
        try:
            kept.append(read(data, tally.limits.attributes))
        except (InvalidItemError, wire.TooDeepError) as error:
            tally.reject(f"{noun}[{place}]", str(error))
        except DecodeError:
            tally.reject(f"{noun}[{place}]", "not a well-formed message")
    return kept


def _span(data: bytes, max_attributes: int) -> Span:
    s = wire.span(data)
    if len(s.attributes) > max_attributes:
        raise InvalidItemError(f"attributes: more than {max_attributes}")
    status = wire.status(s.status) if s.status else None
    return checked(
        Span(
            s.trace_id,
            s.span_id,
            s.parent_span_id,
            wire.text(s.name),
            s.start_time_unix_nano,
            s.end_time_unix_nano,
            s.kind,
            status.code if status else 0,
            wire.text(status.message) if status else "",
            wire.attributes(s.attributes),
            tuple([_event(e) for e in s.events]) if s.events else (),
            tuple([_link(link) for link in s.links]) if s.links else (),
        )
    )


def _event(data: bytes) -> Event:
    e = wire.event(data)
    return Event(min(e.time_unix_nano, MAX_NS), wire.text(e.name), wire.attributes(e.attributes))


def _link(data: bytes) -> Link:
    link = wire.link(data)
    return Link(link.trace_id, link.span_id, wire.attributes(link.attributes))


def _log_line(data: bytes, max_attributes: int) -> LogLine:
    r = wire.log_record(data)
    if len(r.attributes) > max_attributes:
        raise InvalidItemError(f"attributes: more than {max_attributes}")
    return checked_line(
        LogLine(
            r.time_unix_nano or r.observed_time_unix_nano,
            r.severity_number,
            r.trace_id,
            r.span_id,
            wire.text(r.event_name),
            wire.any_value(r.body),
            wire.attributes(r.attributes),
        )
    )


def _with_project(parcel: Parcel, admitted: str) -> Parcel:
    named = parcel.resource.get(PROJECT_ATTRIBUTE)
    project = admitted or (named if isinstance(named, str) else "") or DEFAULT_PROJECT
    return msgspec.structs.replace(parcel, project=project)
