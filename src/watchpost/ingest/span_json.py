"""Spans as objects: what Phoenix and OpenInference export and what the OpenTelemetry SDKs print, one object per span."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from watchpost.ingest.batching import JSON, Item, json_attributes
from watchpost.ingest.instant import instant_ns
from watchpost.ingest.items import MAX_NS, InvalidItemError
from watchpost.ingest.wire import MAX_DEPTH
from watchpost.model.telemetry import Attributes

_SCOPE = msgspec.json.encode({})

_STATUS = {"UNSET": 0, "OK": 1, "ERROR": 2}
_KIND = {"INTERNAL": 1, "SERVER": 2, "CLIENT": 3, "PRODUCER": 4, "CONSUMER": 5}


def is_span(value: dict[str, object]) -> bool:
    """Whether an object claims to be a span."""
    context = value.get("context")
    return "span_id" in value or (isinstance(context, dict) and "span_id" in context)


def item(span: dict[str, object], trace_id: object = None) -> Item:
    """One span; `InvalidItemError` names the field that cannot be read. `trace_id` serves where the span itself has none."""
    context = _object(span, "context")
    own_trace = context.get("trace_id", span.get("trace_id", trace_id))
    start = _time(span.get("start_time"), "start_time")
    end = span.get("end_time")
    body = {
        "traceId": _identifier(own_trace, 32, "trace_id"),
        "spanId": _identifier(context.get("span_id", span.get("span_id")), 16, "span_id"),
        "parentSpanId": _parent(span),
        "name": _text(span.get("name")),
        "kind": _number(span.get("kind"), _KIND),
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": "0" if end is None else str(_time(end, "end_time")),
        "status": _status(span),
        "attributes": json_attributes(_attributes(span)),
        "events": [_event(event, start) for event in _objects(span, "events")],
        "links": [_link(link) for link in _objects(span, "links")],
    }
    resource = {"attributes": json_attributes(flat(_object(_object(span, "resource"), "attributes")))}
    return Item("traces", JSON, msgspec.json.encode(resource), _SCOPE, msgspec.json.encode(body))


def flat(nested: dict[str, object]) -> Attributes:
    """Nested attributes under dotted keys; lists of plain values stay lists. `InvalidItemError` where they nest too deep."""
    return dict(_leaves("", nested, 0))


def _leaves(path: str, value: object, depth: int) -> Iterator[tuple[str, object]]:
    if depth > MAX_DEPTH:
        raise InvalidItemError(f"attributes: values may nest {MAX_DEPTH} deep")
    match value:
        case dict():
            for key, inner in value.items():
                yield from _leaves(f"{path}.{key}" if path else key, inner, depth + 1)
        case list() if any(isinstance(inner, (dict, list)) for inner in value):
            for place, inner in enumerate(value):
                yield from _leaves(f"{path}.{place}", inner, depth + 1)
        case _:
            yield path, value


def _attributes(span: dict[str, object]) -> Attributes:
    attributes = flat(_object(span, "attributes"))
    kind = span.get("span_kind")  # Phoenix keeps the OpenInference kind beside the attributes
    if isinstance(kind, str) and "openinference.span.kind" not in attributes:
        attributes["openinference.span.kind"] = kind
    return attributes


def _event(event: dict[str, object], start_ns: int) -> dict[str, object]:
    at = event.get("timestamp", event.get("time"))
    return {
        "timeUnixNano": str(start_ns if at is None else _time(at, "events")),
        "name": _text(event.get("name")),
        "attributes": json_attributes(flat(_object(event, "attributes"))),
    }


def _link(link: dict[str, object]) -> dict[str, object]:
    context = _object(link, "context")
    return {
        "traceId": _identifier(context.get("trace_id", link.get("trace_id")), 32, "links"),
        "spanId": _identifier(context.get("span_id", link.get("span_id")), 16, "links"),
        "attributes": json_attributes(flat(_object(link, "attributes"))),
    }


def _parent(span: dict[str, object]) -> str:
    parent = span.get("parent_id", span.get("parent_span_id"))
    if parent is None or parent == "":
        return ""
    return _identifier(parent, 16, "parent_id")


def _identifier(value: object, digits: int, field: str) -> str:
    """Hexadecimal digits, with or without 0x and without leading zeros, in full length."""
    if not isinstance(value, str):
        raise InvalidItemError(f"{field}: must be hexadecimal text")
    text = value.removeprefix("0x").replace("-", "").zfill(digits)
    if len(text) != digits or not set(text) <= set("0123456789abcdefABCDEF"):
        raise InvalidItemError(f"{field}: must be at most {digits} hexadecimal digits")
    return text


def _time(value: object, field: str) -> int:
    """Nanoseconds since 1970 from as many, or from an ISO 8601 text; a text without an offset is UTC."""
    match value:
        case bool():
            nanoseconds = -1
        case int():
            nanoseconds = value
        case str():
            nanoseconds = instant_ns(value, field)
        case _:
            nanoseconds = -1
    if not 0 <= nanoseconds <= MAX_NS:
        raise InvalidItemError(f"{field}: must be ISO 8601 or integer nanoseconds, between 1970 and 2262")
    return nanoseconds


def _status(span: dict[str, object]) -> dict[str, object]:
    status = span.get("status")
    if isinstance(status, dict):
        code, message = status.get("status_code", status.get("code")), status.get("description", status.get("message"))
    else:
        code, message = span.get("status_code", status), span.get("status_message")
    return {"code": _number(code, _STATUS), "message": _text(message)}


def _number(value: object, names: dict[str, int]) -> int:
    """An enumeration's number from itself or its name, as `ERROR`, `StatusCode.ERROR` or `STATUS_CODE_ERROR`; else 0."""
    if isinstance(value, str):
        return names.get(re.split(r"[._]", value.upper())[-1], 0)
    return value if isinstance(value, int) and not isinstance(value, bool) and value in names.values() else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _object(holder: dict[str, object], name: str) -> dict[str, object]:
    value = holder.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidItemError(f"{name}: must be an object")
    return value


def _objects(holder: dict[str, object], name: str) -> list[dict[str, object]]:
    value = holder.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(member, dict) for member in value):
        raise InvalidItemError(f"{name}: must be an array of objects")
    return value
