"""Recorded spans, log records and metrics become OTLP requests of a size that the door takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from watchpost.ingest.request import OtlpRequest, Signal
from watchpost.model.telemetry import Attributes

MAX_ITEMS = 5_000
MAX_BYTES = 4 * 1024 * 1024
"""What one request may hold, unless a single item is larger than this."""

MAX_ITEM_BYTES = 12 * 1024 * 1024
"""A single item beyond this would not fit through the door, whose limit is 16 MiB for a whole body."""

_JSON_NAMES = {
    "traces": ("resourceSpans", "scopeSpans", "spans"),
    "logs": ("resourceLogs", "scopeLogs", "logRecords"),
    "metrics": ("resourceMetrics", "scopeMetrics", "metrics"),
}


class Item(msgspec.Struct, frozen=True):
    """One encoded span, log record or metric with the encoded resource and scope it belongs to, in OTLP's JSON or protobuf."""

    signal: Signal
    media: str
    resource: bytes
    scope: bytes
    body: bytes

    def goes_with(self, other: Item) -> bool:
        """Whether both can stand in one request."""
        return (self.signal, self.media, self.resource, self.scope) == (
            other.signal,
            other.media,
            other.resource,
            other.scope,
        )


JSON = "application/json"
PROTOBUF = "application/x-protobuf"


def batches(stream: Iterable[Item | OtlpRequest], said: Callable[[str], None]) -> Iterator[OtlpRequest]:
    """Put neighbouring items of one resource and scope together; pass whole requests on, in order.

    An item that is too large for any request is left out and said.
    """
    waiting: list[Item] = []
    size = 0
    for item in stream:
        if isinstance(item, Item) and len(item.body) > MAX_ITEM_BYTES:
            said(f"left out one item of {len(item.body)} bytes; at most {MAX_ITEM_BYTES} are read")
            continue
        if waiting and not _fits(item, waiting, size):
            yield _request(waiting)
            waiting, size = [], 0
        if isinstance(item, Item):
            waiting.append(item)
            size += len(item.body)
        else:
            yield item
    if waiting:
        yield _request(waiting)


def _fits(item: Item | OtlpRequest, waiting: list[Item], size: int) -> bool:
    if not isinstance(item, Item):
        return False
    return len(waiting) < MAX_ITEMS and size + len(item.body) <= MAX_BYTES and item.goes_with(waiting[0])


def _request(items: list[Item]) -> OtlpRequest:
    join = _json_body if items[0].media == JSON else _protobuf_body
    return OtlpRequest(items[0].signal, join(items), items[0].media)


def _json_body(items: list[Item]) -> bytes:
    if items[0].signal == "agents_sdk":
        return msgspec.json.encode({"data": [msgspec.Raw(item.body) for item in items]})
    groups, scopes, members = _JSON_NAMES[items[0].signal]
    scope = {"scope": msgspec.Raw(items[0].scope), members: [msgspec.Raw(item.body) for item in items]}
    return msgspec.json.encode({groups: [{"resource": msgspec.Raw(items[0].resource), scopes: [scope]}]})


def _protobuf_body(items: list[Item]) -> bytes:
    scope = _field(1, items[0].scope) + b"".join(_field(2, item.body) for item in items)
    return _field(1, _field(1, items[0].resource) + _field(2, scope))


def _field(number: int, content: bytes) -> bytes:
    """One length-delimited protobuf field; field numbers up to 15."""
    size = len(content)
    encoded = bytearray([number << 3 | 2])
    while size > 0x7F:
        encoded.append(size & 0x7F | 0x80)
        size >>= 7
    encoded.append(size)
    return bytes(encoded) + content


def json_attributes(attributes: Attributes) -> list[dict[str, object]]:
    """Attributes as OTLP's JSON spells them. A value of None is left out."""
    return [{"key": key, "value": _value(value)} for key, value in attributes.items() if value is not None]


def _value(value: object) -> dict[str, object]:
    match value:
        case bool():
            return {"boolValue": value}
        case int() if -(2**63) <= value < 2**63:
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_value(item) for item in value if item is not None]}}
        case str():
            return {"stringValue": value}
        case _:
            return {"stringValue": as_text(value)}


def as_text(value: object) -> str:
    """Text as it is, nothing as nothing, any other JSON value as JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()
