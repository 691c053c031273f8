"""The routes by which the contracts of tools are looked at and pinned."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from watchpost.ingest.request import OverloadedError
from watchpost.server.api import JsonResponse, Text, described
from watchpost.server.contracts import ContractAnswer, Contracts, ContractsAnswer, PinGiven
from watchpost.server.problem import ParameterError

BODY_LIMIT = 1 << 20
"""Bytes of a pin that are read."""

_JSON = "application/json"


def router(contracts: Contracts) -> APIRouter:
    """The routes. Those that only read the store are plain functions, which run in worker threads."""
    routes = APIRouter(default_response_class=JsonResponse)
    body: dict[str, object] = {
        "requestBody": {
            "required": True,
            "content": {_JSON: {"schema": {"$ref": f"#/components/schemas/{PinGiven.__name__}"}}},
        }
    }

    @routes.get("/api/contracts", responses=described(ContractsAnswer))
    def contracts_known(project: Text = "") -> Response:
        """The tools whose responses are known, and by which contract."""
        return JsonResponse(contracts.every(project))

    @routes.get("/api/contracts/{tool:path}", responses=described(ContractAnswer, 404))
    def contract(tool: str, project: Text = "", version: Annotated[int, Query(ge=0, le=2**31)] = 0) -> Response:
        """The contract of one tool, its versions and its candidates."""
        return JsonResponse(contracts.one(tool, project, version))

    @routes.post("/api/contracts/{tool:path}/pin", responses=described(ContractAnswer, 404), openapi_extra=body)
    async def pin(request: Request, tool: str, project: Text = "") -> Response:
        """Say which contract holds. 200 once it does; 202 where that is on disk and will be so."""
        given = await _read(request)
        try:
            answer, holds = await contracts.give(tool, project, given)
        except OverloadedError as error:
            raise HTTPException(503, error.detail, {"retry-after": str(error.retry_after_s)}) from error
        return JsonResponse(answer, 200 if holds else 202)

    return routes


async def _read(request: Request) -> PinGiven:
    """A pin, of at most `BODY_LIMIT` bytes of JSON."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
        raise HTTPException(415, f"a pin is sent as {_JSON}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            raise HTTPException(413, f"at most {BODY_LIMIT} bytes are read")
    try:
        return msgspec.json.decode(bytes(body), type=PinGiven)
    except msgspec.DecodeError as error:
        raise ParameterError("body", str(error)) from error
    except RecursionError as error:
        raise ParameterError("body", "nests too deep") from error
