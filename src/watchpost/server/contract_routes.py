"""The routes by which the contracts of tools are looked at and pinned."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from watchpost.ingest.request import OverloadedError
from watchpost.server.api import JsonResponse, Text, described
from watchpost.server.contracts import ContractAnswer, Contracts, ContractsAnswer, PinGiven
from watchpost.server.json_body import body_of, read_json

BODY_LIMIT = 1 << 20
"""Bytes of a pin that are read."""


def router(contracts: Contracts) -> APIRouter:
    """The routes. Those that only read the store are plain functions, which run in worker threads."""
    routes = APIRouter(default_response_class=JsonResponse)

    @routes.get("/api/contracts", responses=described(ContractsAnswer))
    def contracts_known(project: Text = "") -> Response:
        """The tools whose responses are known, and by which contract."""
        return JsonResponse(contracts.every(project))

    @routes.get("/api/contracts/{tool:path}", responses=described(ContractAnswer, 404))
    def contract(tool: str, project: Text = "", version: Annotated[int, Query(ge=0, le=2**31)] = 0) -> Response:
        """The contract of one tool, its versions and its candidates."""
        return JsonResponse(contracts.one(tool, project, version))

    @routes.post(
        "/api/contracts/{tool:path}/pin", responses=described(ContractAnswer, 404), openapi_extra=body_of(PinGiven)
    )
    async def pin(request: Request, tool: str, project: Text = "") -> Response:
        """Say which contract holds. 200 once it does; 202 where that is on disk and will be so."""
        given = await read_json(request, PinGiven, BODY_LIMIT)
        try:
            answer, holds = await contracts.give(tool, project, given)
        except OverloadedError as error:
            raise HTTPException(503, error.detail, {"retry-after": str(error.retry_after_s)}) from error
        return JsonResponse(answer, 200 if holds else 202)

    return routes
