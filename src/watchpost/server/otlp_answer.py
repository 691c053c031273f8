"""The bytes that answer an OTLP export, as the OTLP specification 1.x states them: success, partial success, Status.

The four messages are so small, and so frozen, that they are written field by field here; tests read them back with the
published protobuf classes.
"""

from __future__ import annotations

import msgspec

from watchpost.ingest.request import Accepted, Signal

INVALID_ARGUMENT = 3
RESOURCE_EXHAUSTED = 8
UNIMPLEMENTED = 12
UNAVAILABLE = 14
"""Numbers of google.rpc.Code."""

_TYPE = "type.googleapis.com/google.rpc."
_REJECTED: dict[Signal, str] = {
    "traces": "rejectedSpans",
    "logs": "rejectedLogRecords",
    "metrics": "rejectedDataPoints",
}


class Fault(msgspec.Struct, frozen=True):
    """Why an export was not kept: a google.rpc.Status. `field` names the part at fault, `retry_after_s` when to try again."""

    code: int
    message: str
    field: str = ""
    retry_after_s: int | None = None


def export_response(accepted: Accepted) -> bytes:
    """The ExportServiceResponse of any signal as protobuf; their fields have the same numbers."""
    if not accepted.rejected and not accepted.reasons:
        return b""
    partial = _number(1, accepted.rejected) + _text(2, "; ".join(accepted.reasons))
    return _chunk(1, partial)


def export_response_json(accepted: Accepted, signal: Signal) -> bytes:
    """The same in OTLP/JSON, where a 64-bit integer is a string."""
    if not accepted.rejected and not accepted.reasons:
        return b"{}"
    partial = {_REJECTED[signal]: str(accepted.rejected), "errorMessage": "; ".join(accepted.reasons)}
    return msgspec.json.encode({"partialSuccess": partial})


def status(fault: Fault) -> bytes:
    """google.rpc.Status as protobuf, with a BadRequest or RetryInfo detail where the fault has one."""
    message = _number(1, fault.code) + _text(2, fault.message)
    if fault.field:
        violation = _text(1, fault.field) + _text(2, fault.message)
        message += _chunk(3, _text(1, _TYPE + "BadRequest") + _chunk(2, _chunk(1, violation)))
    if fault.retry_after_s is not None:
        delay = _chunk(1, _number(1, fault.retry_after_s))
        message += _chunk(3, _text(1, _TYPE + "RetryInfo") + _chunk(2, delay))
    return message


def status_json(fault: Fault) -> bytes:
    """The same as protobuf JSON."""
    answer: dict[str, object] = {"code": fault.code, "message": fault.message}
    details: list[dict[str, object]] = []
    if fault.field:
        violation = {"field": fault.field, "description": fault.message}
        details.append({"@type": _TYPE + "BadRequest", "fieldViolations": [violation]})
    if fault.retry_after_s is not None:
        details.append({"@type": _TYPE + "RetryInfo", "retryDelay": f"{fault.retry_after_s}s"})
    if details:
        answer["details"] = details
    return msgspec.json.encode(answer)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    """A varint field; zero is absent, as proto3 has it."""
    return bytes([field << 3]) + _varint(value) if value else b""


def _chunk(field: int, payload: bytes) -> bytes:
    """A length-delimited field."""
    return bytes([field << 3 | 2]) + _varint(len(payload)) + payload


def _text(field: int, text: str) -> bytes:
    """A string field; characters that UTF-8 cannot hold are replaced, as receivers refuse them."""
    return _chunk(field, text.encode("utf-8", "replace"))
