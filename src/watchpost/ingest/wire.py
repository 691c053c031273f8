"""OTLP's protobuf, read at the wire so that one malformed span, attribute or byte sequence costs only itself.

The messages here describe the same bytes as OTLP's own, with three differences. Spans and log records are length-delimited
bytes that are parsed one by one, so that a broken one is refused alone. Text is bytes, so that invalid UTF-8 is
replaced instead of failing the request. Attributes are a protobuf map, which has the wire form of repeated KeyValue (a
key twice: the last wins) and is read 40 % faster, with the values left as bytes and decoded by `any_value`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from watchpost.model.telemetry import Attributes

MAX_DEPTH = 32
"""How deep attribute values may nest."""


class TooDeepError(ValueError):
    """An attribute value nests deeper than MAX_DEPTH."""


class WireMap(Protocol):
    """Attributes as parsed: text keys, undecoded AnyValue bytes."""

    def __iter__(self) -> Iterator[str]: ...
    def __getitem__(self, key: str) -> bytes: ...
    def __len__(self) -> int: ...


class WireSpan(Protocol):
    """opentelemetry.proto.trace.v1.Span."""

    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    name: bytes
    kind: int
    start_time_unix_nano: int
    end_time_unix_nano: int
    attributes: WireMap
    events: Sequence[bytes]
    links: Sequence[bytes]
    status: bytes


class WireEvent(Protocol):
    """opentelemetry.proto.trace.v1.Span.Event."""

    time_unix_nano: int
    name: bytes
    attributes: WireMap


class WireLink(Protocol):
    """opentelemetry.proto.trace.v1.Span.Link."""

    trace_id: bytes
    span_id: bytes
    attributes: WireMap


class WireStatus(Protocol):
    """opentelemetry.proto.trace.v1.Status."""

    message: bytes
    code: int


class WireLogRecord(Protocol):
    """opentelemetry.proto.logs.v1.LogRecord."""

    time_unix_nano: int
    observed_time_unix_nano: int
    severity_number: int
    body: bytes
    attributes: WireMap
    trace_id: bytes
    span_id: bytes
    event_name: bytes


class WireScope(Protocol):
    """opentelemetry.proto.common.v1.InstrumentationScope."""

    name: bytes


class WireResource(Protocol):
    """opentelemetry.proto.resource.v1.Resource."""

    attributes: WireMap


class WireScopeItems(Protocol):
    """ScopeSpans and ScopeLogs: the items are unparsed spans or log records."""

    scope: bytes
    items: Sequence[bytes]


class WireResourceItems(Protocol):
    """ResourceSpans and ResourceLogs."""

    resource: bytes
    scopes: Sequence[bytes]


class WireRequest(Protocol):
    """ExportTraceServiceRequest and ExportLogsServiceRequest."""

    resources: Sequence[bytes]


class _WireAny(Protocol):
    string_value: bytes
    array_value: bytes
    kvlist_value: bytes

    def WhichOneof(self, oneof: str) -> str | None: ...  # noqa: N802 - protobuf's name


class _WireArray(Protocol):
    values: Sequence[bytes]


class _WireKeyValueList(Protocol):
    values: WireMap


_Field = descriptor_pb2.FieldDescriptorProto
_BYTES, _INT32, _FIXED64 = _Field.TYPE_BYTES, _Field.TYPE_INT32, _Field.TYPE_FIXED64
_MAP = -1
_REPEATED = 100

# message -> field -> (number, type); + _REPEATED marks a repeated field
_MESSAGES: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "Request": {"resources": (1, _BYTES + _REPEATED)},
    "ResourceItems": {"resource": (1, _BYTES), "scopes": (2, _BYTES + _REPEATED)},
    "ScopeItems": {"scope": (1, _BYTES), "items": (2, _BYTES + _REPEATED)},
    "Resource": {"attributes": (1, _MAP)},
    "Scope": {"name": (1, _BYTES)},
    "Span": {
        "trace_id": (1, _BYTES),
        "span_id": (2, _BYTES),
        "parent_span_id": (4, _BYTES),
        "name": (5, _BYTES),
        "kind": (6, _INT32),
        "start_time_unix_nano": (7, _FIXED64),
        "end_time_unix_nano": (8, _FIXED64),
        "attributes": (9, _MAP),
        "events": (11, _BYTES + _REPEATED),
        "links": (13, _BYTES + _REPEATED),
        "status": (15, _BYTES),
    },
    "Event": {"time_unix_nano": (1, _FIXED64), "name": (2, _BYTES), "attributes": (3, _MAP)},
    "Link": {"trace_id": (1, _BYTES), "span_id": (2, _BYTES), "attributes": (4, _MAP)},
    "Status": {"message": (2, _BYTES), "code": (3, _INT32)},
    "LogRecord": {
        "time_unix_nano": (1, _FIXED64),
        "severity_number": (2, _INT32),
        "body": (5, _BYTES),
        "attributes": (6, _MAP),
        "trace_id": (9, _BYTES),
        "span_id": (10, _BYTES),
        "observed_time_unix_nano": (11, _FIXED64),
        "event_name": (12, _BYTES),
    },
    "KeyValueList": {"values": (1, _MAP)},
    "ArrayValue": {"values": (1, _BYTES + _REPEATED)},
}
_ANY_VALUE = (
    ("string_value", _BYTES),
    ("bool_value", _Field.TYPE_BOOL),
    ("int_value", _Field.TYPE_INT64),
    ("double_value", _Field.TYPE_DOUBLE),
    ("array_value", _BYTES),
    ("kvlist_value", _BYTES),
    ("bytes_value", _BYTES),
)


def _add_map(message: descriptor_pb2.DescriptorProto, name: str, number: int) -> None:
    entry = message.nested_type.add(name=name.title() + "Entry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=_BYTES, label=_Field.LABEL_OPTIONAL)
    message.field.add(
        name=name,
        number=number,
        type=_Field.TYPE_MESSAGE,
        label=_Field.LABEL_REPEATED,
        type_name=f".watchpost.wire.{message.name}.{entry.name}",
    )


def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="watchpost/wire.proto", package="watchpost.wire", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            if kind == _MAP:
                _add_map(message, field, number)
                continue
            repeated, plain = divmod(kind, _REPEATED)
            label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            message.field.add(name=field, number=number, type=plain, label=label)
    value = file.message_type.add(name="AnyValue")
    value.oneof_decl.add(name="value")
    for number, (field, any_kind) in enumerate(_ANY_VALUE, 1):
        value.field.add(name=field, number=number, type=any_kind, label=_Field.LABEL_OPTIONAL, oneof_index=0)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL = _pool()


_Message_co = TypeVar("_Message_co", covariant=True)


class Parser(Protocol[_Message_co]):
    """Bytes to a message; raises `DecodeError` where they are none."""

    def __call__(self, data: bytes) -> _Message_co:
        """Parse one message."""
        ...


def _parser(name: str) -> Parser[_Message_co]:
    parser: Parser[_Message_co] = message_factory.GetMessageClass(
        _POOL.FindMessageTypeByName(f"watchpost.wire.{name}")
    ).FromString
    return parser


request: Parser[WireRequest] = _parser("Request")
resource_items: Parser[WireResourceItems] = _parser("ResourceItems")
scope_items: Parser[WireScopeItems] = _parser("ScopeItems")
resource: Parser[WireResource] = _parser("Resource")
scope: Parser[WireScope] = _parser("Scope")
span: Parser[WireSpan] = _parser("Span")
event: Parser[WireEvent] = _parser("Event")
link: Parser[WireLink] = _parser("Link")
status: Parser[WireStatus] = _parser("Status")
log_record: Parser[WireLogRecord] = _parser("LogRecord")
_any: Parser[_WireAny] = _parser("AnyValue")
_array: Parser[_WireArray] = _parser("ArrayValue")
_kvlist: Parser[_WireKeyValueList] = _parser("KeyValueList")


def text(data: bytes) -> str:
    """UTF-8, with what is not UTF-8 replaced by U+FFFD."""
    return data.decode("utf-8", "replace")


def attributes(wire: WireMap) -> Attributes:
    """Every attribute with its value decoded; raises `TooDeepError` or `DecodeError` for a value that is none."""
    return {key: any_value(wire[key]) for key in wire}


_STRING_TAG = 0x0A
_LONG = 0x80


def any_value(data: bytes, depth: int = 0) -> object:
    """The JSON value of an AnyValue's bytes; absent is None. Strings, by far the commonest, are cut out without a parser."""
    size = len(data)
    if size > 1 and data[0] == _STRING_TAG:
        if data[1] == size - 2 and size < _LONG + 2:
            return str(data[2:], "utf-8", "replace")
        if size > _LONG and data[1] >= _LONG > data[2] and (data[1] & 0x7F | data[2] << 7) == size - 3:
            return str(data[3:], "utf-8", "replace")
    return _parsed_value(_any(data), depth) if data else None


def _parsed_value(value: _WireAny, depth: int) -> object:
    which = value.WhichOneof("value")
    match which:
        case None:
            return None
        case "string_value":
            return text(value.string_value)
        case "array_value":
            return [any_value(item, _deeper(depth)) for item in _array(value.array_value).values]
        case "kvlist_value":
            return _entries(_kvlist(value.kvlist_value).values, _deeper(depth))
        case _:
            plain: object = getattr(value, which)
            return plain


def _entries(wire: WireMap, depth: int) -> Attributes:
    return {key: any_value(wire[key], depth) for key in wire}


def _deeper(depth: int) -> int:
    if depth >= MAX_DEPTH:
        raise TooDeepError(f"attribute values may nest {MAX_DEPTH} deep")
    return depth + 1
