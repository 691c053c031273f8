"""JSON and forms that people and programs send to routes that write something down."""

from __future__ import annotations

import re
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from watchpost.server.problem import ParameterError

BODY_LIMIT = 64 * 1024
"""Bytes of a body that are read unless a route says otherwise."""

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
_FIELDS = 20
_FIELD = re.compile(r"(?:field `|\$\.)(?P<name>\w+)")
"""How a validation error of msgspec names the field."""

Given = TypeVar("Given")


def body_of(kind: type[msgspec.Struct]) -> dict[str, object]:
    """What the description of a route says of its body."""
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


async def read_body(request: Request, limit: int = BODY_LIMIT, media: str = JSON) -> bytes:
    """A whole body of this media type, with status 415 for another, and of at most so many bytes, with status 413 for a longer one."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != media:
        raise HTTPException(415, f"it is sent as {media}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise HTTPException(413, f"at most {limit} bytes are read")
    return bytes(body)


async def read_json(request: Request, kind: type[Given], limit: int = BODY_LIMIT) -> Given:
    """A body of JSON as a struct, as `decoded` reads it."""
    return decoded(await read_body(request, limit), kind)


def decoded(body: bytes, kind: type[Given]) -> Given:
    """JSON as a struct. Raises `ParameterError` that names the field for what is wrong."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise fault_of(error) from error
    except RecursionError as error:
        raise ParameterError("body", "nests too deep") from error


async def read_form(request: Request, kind: type[Given]) -> Given:
    """The same of what a page's form sends: numbers are read from text, and of a field sent twice the last one counts."""
    try:
        body = (await read_body(request, media=FORM)).decode()
        fields = parse_qsl(body, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_FIELDS)
        return msgspec.convert(dict(fields), kind, strict=False)
    except msgspec.ValidationError as error:
        raise fault_of(error) from error
    except ValueError as error:
        raise ParameterError("body", "is no form") from error


def fault_of(error: msgspec.DecodeError, place: str = "") -> ParameterError:
    """What msgspec has against a body, with the field that it names; `place` stands before it."""
    field = _FIELD.search(str(error))
    return ParameterError(f"{place}{field['name'] if field else 'body'}", str(error))
