"""Errors of the API as RFC 9457 problem details, of pages as a page, and nothing of ours in either."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


class ParameterFault(msgspec.Struct, frozen=True):
    """One parameter that cannot be used, and why."""

    parameter: str
    detail: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of an error (RFC 9457); `type` is left out, which stands for `about:blank`.

    `errors` names every parameter at fault.
    """

    title: str
    status: int
    detail: str = ""
    errors: tuple[ParameterFault, ...] = ()


class NotFoundError(Exception):
    """What the address names does not exist; the message says what was looked for."""


class MovedError(Exception):
    """The session was merged into another; `key` is where it is now."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class ParameterError(Exception):
    """A parameter holds what cannot be used."""

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(detail)
        self.fault = ParameterFault(parameter, detail)


def problem(status: int, detail: str = "", errors: Sequence[ParameterFault] = ()) -> Problem:
    """A problem titled by its status."""
    return Problem(HTTPStatus(status).phrase, status, detail, tuple(errors))


def problem_of(error: Exception) -> tuple[Problem, dict[str, str]]:
    """The problem an exception stands for, and the headers it asks for; what is not meant for callers is a bare 500."""
    match error:
        case NotFoundError():
            return problem(404, str(error)), {}
        case ParameterError():
            return problem(422, _sentence(error.fault), [error.fault]), {}
        case RequestValidationError():
            # a value that fits no member of a union is reported once per member
            faults = {fault.parameter: fault for fault in map(_fault, error.errors())}
            return problem(422, "; ".join(map(_sentence, faults.values())), [*faults.values()]), {}
        case HTTPException():
            detail = "" if error.detail == HTTPStatus(error.status_code).phrase else error.detail
            return problem(error.status_code, detail), dict(error.headers or {})
        case _:
            return problem(500, "Watchpost failed to answer; its own log says why."), {}


def problem_response(answer: Problem, headers: dict[str, str] | None = None) -> Response:
    """The problem as an HTTP answer."""
    return Response(msgspec.json.encode(answer), answer.status, headers, MEDIA_TYPE)


def moved(request: Request, key: str) -> Response:
    """A permanent redirect to the same page of the session that took this one's traces, query kept."""
    old = str(request.path_params["key"])
    path = request.url.path.replace(f"/sessions/{old}", f"/sessions/{key}", 1)
    query = f"?{request.url.query}" if request.url.query else ""
    return Response(status_code=308, headers={"location": path + query})


def _fault(error: object) -> ParameterFault:
    """One entry of a pydantic error list: `loc` is where the parameter stands, then its name."""
    entry = msgspec.convert(error, dict[str, object], strict=False)
    place = entry.get("loc", ())
    name = str(place[1]) if isinstance(place, (tuple, list)) and len(place) > 1 else "request"
    return ParameterFault(name, str(entry.get("msg", "invalid")))


def _sentence(fault: ParameterFault) -> str:
    return f"{fault.parameter}: {fault.detail}"
