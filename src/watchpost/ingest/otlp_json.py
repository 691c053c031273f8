"""OTLP's JSON encoding: identifiers in hexadecimal, 64-bit integers as text, enumerations as numbers or names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from watchpost.ingest import metrics_json
from watchpost.ingest.encoding import json_value
from watchpost.ingest.items import MAX_NS, InvalidItemError, Tally, checked, checked_line
from watchpost.ingest.json_members import any_value, array, attributes, count, enum, identifier, mapping, member, text
from watchpost.ingest.request import RefusedError, Signal
from watchpost.model.telemetry import Attributes, Event, Link, LogLine, Parcel, Span

_Item = TypeVar("_Item")

_NAMES: Mapping[Signal, tuple[str, str, str]] = {
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
}

_STATUS = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}
_KIND = {
    "SPAN_KIND_UNSPECIFIED": 0,
    "SPAN_KIND_INTERNAL": 1,
    "SPAN_KIND_SERVER": 2,
    "SPAN_KIND_CLIENT": 3,
    "SPAN_KIND_PRODUCER": 4,
    "SPAN_KIND_CONSUMER": 5,
}


def parcels(signal: Signal, body: bytes, tally: Tally) -> list[Parcel]:
    """Read a JSON export request, or raise `RefusedError` naming the field at which it stops being one."""
    request = json_value(body)
    groups, scopes, items = _NAMES[signal]
    try:
        _few(sum(len(array(group, scopes)) for group in array(request, groups)), tally, items)
        found = [
            (mapping(member(group, "resource")), mapping(member(scope, "scope")), array(scope, items))
            for group in array(request, groups)
            for scope in array(group, scopes)
        ]
        size = metrics_json.size if signal == "metrics" else lambda _: 1
        _few(sum(sum(map(size, listed)) for _, _, listed in found), tally, items)
        return [
            _parcel(signal, attributes(resource), text(scope, "name"), listed, tally)
            for resource, scope, listed in found
        ]
    except InvalidItemError as error:
        raise RefusedError(400, str(error), str(error).partition(":")[0]) from error


def _few(count: int, tally: Tally, field: str) -> None:
    if count > tally.limits.items:
        raise RefusedError(413, f"the request holds {count} items; at most {tally.limits.items} are read", field)


def _parcel(signal: Signal, resource: Attributes, scope: str, items: list[object], tally: Tally) -> Parcel:
    if signal == "traces":
        return Parcel("", resource, scope, spans=tuple(_kept(items, "spans", _span, tally)))
    if signal == "metrics":
        return Parcel("", resource, scope, metrics=tuple(metrics_json.points(items, tally)))
    return Parcel("", resource, scope, logs=tuple(_kept(items, "logRecords", _log_line, tally)))


def _kept(items: list[object], noun: str, read: Callable[[dict[str, object]], _Item], tally: Tally) -> list[_Item]:
    kept: list[_Item] = []
    for place, item in enumerate(items):
        try:
            if len(array(item, "attributes")) > tally.limits.attributes:
                tally.reject(f"{noun}[{place}]", f"attributes: more than {tally.limits.attributes}")
            else:
                kept.append(read(mapping(item)))
        except InvalidItemError as error:
            tally.reject(f"{noun}[{place}]", str(error))
    return kept


def _span(s: dict[str, object]) -> Span:
    status = mapping(s.get("status"))
    return checked(
        Span(
            identifier(s, "traceId"),
            identifier(s, "spanId"),
            identifier(s, "parentSpanId"),
            text(s, "name"),
            count(s, "startTimeUnixNano"),
            count(s, "endTimeUnixNano"),
            enum(s, "kind", _KIND),
            enum(status, "code", _STATUS),
            text(status, "message"),
            attributes(s),
            tuple(
                Event(min(count(e, "timeUnixNano"), MAX_NS), text(e, "name"), attributes(e))
                for e in map(mapping, array(s, "events"))
            ),
            tuple(
                Link(identifier(k, "traceId"), identifier(k, "spanId"), attributes(k))
                for k in map(mapping, array(s, "links"))
            ),
        )
    )


def _log_line(r: dict[str, object]) -> LogLine:
    return checked_line(
        LogLine(
            count(r, "timeUnixNano") or count(r, "observedTimeUnixNano"),
            enum(r, "severityNumber", {}),
            identifier(r, "traceId"),
            identifier(r, "spanId"),
            text(r, "eventName"),
            any_value(r.get("body"), 0),
            attributes(r),
        )
    )
