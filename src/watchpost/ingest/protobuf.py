"""Protobuf messages written down as tables, and the parsers for them.

A table names the fields that are read; others are skipped. A message inside a message is declared as bytes and parsed by
itself, so that a broken one is refused alone. Text is bytes too, so that invalid UTF-8 can be replaced instead of refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto

BOOL, BYTES, DOUBLE = _Field.TYPE_BOOL, _Field.TYPE_BYTES, _Field.TYPE_DOUBLE
INT32, INT64, SINT32 = _Field.TYPE_INT32, _Field.TYPE_INT64, _Field.TYPE_SINT32
UINT32, UINT64 = _Field.TYPE_UINT32, _Field.TYPE_UINT64
FIXED64, SFIXED64 = _Field.TYPE_FIXED64, _Field.TYPE_SFIXED64

MAP = -1
"""Repeated messages of a text and a message, read as a map from text to bytes."""

REPEATED = 100
"""Added to a type: there may be any number of them."""

CHOICE = 200
"""Added to a type: at most one of the fields so marked is there, and `WhichOneof("value")` tells which."""

OPTIONAL = 300
"""Added to a type: `HasField` tells whether it is there."""

Table = Mapping[str, Mapping[str, tuple[int, int]]]
"""Message, field, (number, type)."""


class WireMap(Protocol):
    """A MAP as parsed."""

    def __iter__(self) -> Iterator[str]: ...
    def __getitem__(self, key: str) -> bytes: ...
    def __len__(self) -> int: ...


_Message_co = TypeVar("_Message_co", covariant=True)


class Parser(Protocol[_Message_co]):
    """Bytes to a message; raises `DecodeError` where they are none."""

    def __call__(self, data: bytes) -> _Message_co:
        """Parse one message."""
        ...


class Messages:
    """The messages of one table, in a package of their own."""

    def __init__(self, package: str, table: Table) -> None:
        file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
        for name, fields in table.items():
            message = file.message_type.add(name=name)
            for field, (number, kind) in fields.items():
                _add(message, f".{package}.{name}", field, number, kind)
        self._package = package
        self._pool = descriptor_pool.DescriptorPool()
        self._pool.AddSerializedFile(file.SerializeToString())

    def parser(self, name: str) -> Parser[_Message_co]:
        """The parser for one message."""
        kind = self._pool.FindMessageTypeByName(f"{self._package}.{name}")
        parser: Parser[_Message_co] = message_factory.GetMessageClass(kind).FromString
        return parser


def _add(message: descriptor_pb2.DescriptorProto, path: str, name: str, number: int, kind: int) -> None:
    if kind == MAP:
        _add_map(message, path, name, number)
        return
    mark, plain = kind // 100 * 100, kind % 100
    label = _Field.LABEL_REPEATED if mark == REPEATED else _Field.LABEL_OPTIONAL
    choice = {CHOICE: "value", OPTIONAL: f"optional_{name}"}.get(mark)
    index = {} if choice is None else {"oneof_index": _oneof(message, choice)}
    message.field.add(name=name, number=number, type=plain, label=label, **index)


def _add_map(message: descriptor_pb2.DescriptorProto, path: str, name: str, number: int) -> None:
    entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=BYTES, label=_Field.LABEL_OPTIONAL)
    message.field.add(
        name=name,
        number=number,
        type=_Field.TYPE_MESSAGE,
        label=_Field.LABEL_REPEATED,
        type_name=f"{path}.{entry.name}",
    )


def _oneof(message: descriptor_pb2.DescriptorProto, name: str) -> int:
    names = [one.name for one in message.oneof_decl]
    if name not in names:
        message.oneof_decl.add(name=name)
    return names.index(name) if name in names else len(names)
