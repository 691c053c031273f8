"""What members of an OTLP/JSON message hold; `InvalidItemError` names the member that holds something else."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from watchpost.ingest.items import InvalidItemError
from watchpost.ingest.wire import MAX_DEPTH
from watchpost.model.telemetry import Attributes


def attributes(holder: dict[str, object], name: str = "attributes") -> Attributes:
    """The attributes that a member lists."""
    return _pairs(array(holder, name), 0)


def _pairs(listed: list[object], depth: int) -> Attributes:
    return {text(pair, "key"): any_value(pair.get("value"), depth) for pair in map(mapping, listed)}


def any_value(value: object, depth: int) -> object:  # noqa: PLR0911 - one return per variant
    """The JSON value of an AnyValue object; unknown variants read as None, as an unknown protobuf field would."""
    if depth > MAX_DEPTH:
        raise InvalidItemError(f"attributes: values may nest {MAX_DEPTH} deep")
    holder = mapping(value)
    for variant, content in holder.items():
        match variant:
            case "stringValue":
                return text(holder, variant)
            case "boolValue":
                return _boolean(content)
            case "doubleValue":
                return _double(content, variant)
            case "intValue":
                return integer(holder, variant)
            case "arrayValue":
                return [any_value(item, depth + 1) for item in array(content, "values")]
            case "kvlistValue":
                return _pairs(array(content, "values"), depth + 1)
            case "bytesValue":
                return _base64(holder, variant)
            case _:
                continue
    return None


def mapping(value: object) -> dict[str, object]:
    """An object; null is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidItemError(f"{type(value).__name__}: found where an object is expected")
    return value


def member(holder: object, name: str) -> object:
    """What an object holds under a name, None where nothing."""
    return mapping(holder).get(name)


def array(holder: object, name: str) -> list[object]:
    """An array; absent and null are an empty one."""
    value = member(holder, name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidItemError(f"{name}: must be an array")
    return value


def text(holder: dict[str, object], name: str) -> str:
    """Text; absent and null are empty."""
    value = holder.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidItemError(f"{name}: must be text")
    return value


def integer(holder: dict[str, object], name: str) -> int:
    """A number, or text of one, that fits 64 bits with or without a sign; absent and null are 0."""
    value = holder.get(name)
    return 0 if value is None else _integer(value, name)


def counts(holder: dict[str, object], name: str) -> tuple[int, ...]:
    """An array of numbers that are not negative; absent and null are none."""
    return tuple(_not_negative(_integer(value, name), name) for value in array(holder, name))


def count(holder: dict[str, object], name: str) -> int:
    """A number that is not negative; absent and null are 0."""
    return _not_negative(integer(holder, name), name)


def _integer(value: object, name: str) -> int:
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


def _not_negative(value: int, name: str) -> int:
    if value < 0:
        raise InvalidItemError(f"{name}: must not be negative")
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidItemError("boolValue: must be true or false")
    return value


def double(holder: dict[str, object], name: str) -> float | None:
    """A number, or one of the three that JSON has no number for as text; None where it is absent or null."""
    value = holder.get(name)
    return None if value is None else _double(value, name)


def doubles(holder: dict[str, object], name: str) -> tuple[float, ...]:
    """An array of such numbers; absent and null are none."""
    return tuple(_double(value, name) for value in array(holder, name))


def _double(value: object, name: str) -> float:
    if isinstance(value, str) and value in {"NaN", "Infinity", "-Infinity"}:
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidItemError(f"{name}: must be a number")
    try:
        return float(value)
    except OverflowError as error:
        raise InvalidItemError(f"{name}: must fit 64 bits") from error


def enum(holder: dict[str, object], name: str, names: Mapping[str, int]) -> int:
    """A number that fits 32 bits, or the name of one; absent and null are 0."""
    value = holder.get(name)
    if isinstance(value, str) and value in names:
        return names[value]
    number = integer(holder, name)
    if not -(2**31) <= number < 2**31:
        raise InvalidItemError(f"{name}: must fit 32 bits")
    return number


def identifier(holder: dict[str, object], name: str) -> bytes:
    """The bytes of a trace or span id; absent and null are none."""
    try:
        return bytes.fromhex(text(holder, name))
    except ValueError as error:
        raise InvalidItemError(f"{name}: must be hexadecimal") from error


def _base64(holder: dict[str, object], name: str) -> bytes:
    try:
        return base64.b64decode(text(holder, name), validate=True)
    except ValueError as error:
        raise InvalidItemError(f"{name}: must be base64") from error
