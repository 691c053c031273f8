"""OTLP's JSON encoding: identifiers in hexadecimal, 64-bit integers as text, enumerations as numbers or names."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TypeVar

import msgspec

from watchpost.ingest.items import MAX_NS, InvalidItemError, Tally, checked, checked_line
from watchpost.ingest.request import RefusedError, Signal
from watchpost.ingest.wire import MAX_DEPTH
from watchpost.model.telemetry import Attributes, Event, Link, LogLine, Parcel, Span

_Item = TypeVar("_Item")

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
    try:
        request: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedError(400, f"the body is no JSON: {error}", "body") from error
    except RecursionError as error:
        raise RefusedError(400, "the body nests too deep", "body") from error
    groups, scopes, items = (
        ("resourceSpans", "scopeSpans", "spans") if signal == "traces" else ("resourceLogs", "scopeLogs", "logRecords")
    )
    try:
        _few(sum(len(_list(group, scopes)) for group in _list(request, groups)), tally, items)
        found = [
            (_object(_member(group, "resource")), _object(_member(scope, "scope")), _list(scope, items))
            for group in _list(request, groups)
            for scope in _list(group, scopes)
        ]
        _few(sum(len(listed) for _, _, listed in found), tally, items)
        return [
            _parcel(signal, _attributes(resource), _text(scope, "name"), listed, tally)
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
    return Parcel("", resource, scope, logs=tuple(_kept(items, "logRecords", _log_line, tally)))


def _kept(items: list[object], noun: str, read: Callable[[dict[str, object]], _Item], tally: Tally) -> list[_Item]:
    kept: list[_Item] = []
    for place, item in enumerate(items):
        try:
            if len(_list(item, "attributes")) > tally.limits.attributes:
                tally.reject(f"{noun}[{place}]", f"attributes: more than {tally.limits.attributes}")
            else:
                kept.append(read(_object(item)))
        except InvalidItemError as error:
            tally.reject(f"{noun}[{place}]", str(error))
    return kept


def _span(s: dict[str, object]) -> Span:
    status = _object(s.get("status"))
    return checked(
        Span(
            _hex(s, "traceId"),
            _hex(s, "spanId"),
            _hex(s, "parentSpanId"),
            _text(s, "name"),
            _time(s, "startTimeUnixNano"),
            _time(s, "endTimeUnixNano"),
            _enum(s, "kind", _KIND),
            _enum(status, "code", _STATUS),
            _text(status, "message"),
            _attributes(s),
            tuple(
                Event(min(_time(e, "timeUnixNano"), MAX_NS), _text(e, "name"), _attributes(e))
                for e in map(_object, _list(s, "events"))
            ),
            tuple(Link(_hex(k, "traceId"), _hex(k, "spanId"), _attributes(k)) for k in map(_object, _list(s, "links"))),
        )
    )


def _log_line(r: dict[str, object]) -> LogLine:
    return checked_line(
        LogLine(
            _time(r, "timeUnixNano") or _time(r, "observedTimeUnixNano"),
            _enum(r, "severityNumber", {}),
            _hex(r, "traceId"),
            _hex(r, "spanId"),
            _text(r, "eventName"),
            _value(r.get("body"), 0),
            _attributes(r),
        )
    )


def _attributes(holder: dict[str, object]) -> Attributes:
    return _pairs(_list(holder, "attributes"), 0)


def _pairs(listed: list[object], depth: int) -> Attributes:
    return {_text(pair, "key"): _value(pair.get("value"), depth) for pair in map(_object, listed)}


def _value(value: object, depth: int) -> object:  # noqa: PLR0911 - one return per variant
    """The JSON value of an AnyValue object; unknown variants read as None, as an unknown protobuf field would."""
    if depth > MAX_DEPTH:
        raise InvalidItemError(f"attributes: values may nest {MAX_DEPTH} deep")
    holder = _object(value)
    for variant, content in holder.items():
        match variant:
            case "stringValue":
                return _text(holder, variant)
            case "boolValue":
                return _boolean(content)
            case "doubleValue":
                return _double(content)
            case "intValue":
                return _integer(holder, variant)
            case "arrayValue":
                return [_value(item, depth + 1) for item in _list(content, "values")]
            case "kvlistValue":
                return _pairs(_list(content, "values"), depth + 1)
            case "bytesValue":
                return _base64(holder, variant)
            case _:
                continue
    return None


def _object(value: object) -> dict[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidItemError(f"{type(value).__name__}: found where an object is expected")
    return value


def _member(holder: object, name: str) -> object:
    return _object(holder).get(name)


def _list(holder: object, name: str) -> list[object]:
    value = _member(holder, name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidItemError(f"{name}: must be an array")
    return value


def _text(holder: dict[str, object], name: str) -> str:
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidItemError(f"{name}: must be text")
    return value


def _integer(holder: dict[str, object], name: str) -> int:
    value = holder.get(name)
    if value is None:
        return 0
    if isinstance(value, str) and len(value) <= 20:
        try:
            value = int(value)
        except ValueError as error:
            raise InvalidItemError(f"{name}: must be an integer") from error
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidItemError(f"{name}: must be an integer")
    if not -(2**63) <= value < 2**64:
        raise InvalidItemError(f"{name}: must fit 64 bits")
    return value


def _time(holder: dict[str, object], name: str) -> int:
    value = _integer(holder, name)
    if value < 0:
        raise InvalidItemError(f"{name}: must not be negative")
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidItemError("boolValue: must be true or false")
    return value


def _double(value: object) -> float:
    """A number, or one of the three that JSON has no number for as text."""
    if isinstance(value, str) and value in {"NaN", "Infinity", "-Infinity"}:
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidItemError("doubleValue: must be a number")
    try:
        return float(value)
    except OverflowError as error:
        raise InvalidItemError("doubleValue: must fit 64 bits") from error


def _enum(holder: dict[str, object], name: str, names: dict[str, int]) -> int:
    value = holder.get(name)
    if isinstance(value, str) and value in names:
        return names[value]
    number = _integer(holder, name)
    if not -(2**31) <= number < 2**31:
        raise InvalidItemError(f"{name}: must fit 32 bits")
    return number


def _hex(holder: dict[str, object], name: str) -> bytes:
    try:
        return bytes.fromhex(_text(holder, name))
    except ValueError as error:
        raise InvalidItemError(f"{name}: must be hexadecimal") from error


def _base64(holder: dict[str, object], name: str) -> bytes:
    try:
        return base64.b64decode(_text(holder, name), validate=True)
    except ValueError as error:
        raise InvalidItemError(f"{name}: must be base64") from error
