"""The route by which feedback comes in."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from watchpost.ingest.request import OverloadedError
from watchpost.server.api import JsonResponse, described
from watchpost.server.feedback import Feedback, FeedbackGiven, FeedbacksAnswer, read
from watchpost.server.json_body import JSON, read_body

BODY_LIMIT = 16 << 20
"""Bytes that are read: more than a full batch takes."""


def router(feedback: Feedback) -> APIRouter:
    """The routes."""
    routes = APIRouter(default_response_class=JsonResponse)
    one = {"$ref": f"#/components/schemas/{FeedbackGiven.__name__}"}
    body: dict[str, object] = {
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": {"anyOf": [one, {"type": "array", "items": one}]}}},
        }
    }

    @routes.post("/api/feedback", responses=described(FeedbacksAnswer, 404), openapi_extra=body)
    async def give(request: Request) -> Response:
        """Say what somebody thinks of a session or a step. 200 once it is counted; 202 where it is on disk and will be."""
        given = read(await read_body(request, BODY_LIMIT))
        try:
            answers, is_counted = await feedback.give(given)
        except OverloadedError as error:
            raise HTTPException(503, error.detail, {"retry-after": str(error.retry_after_s)}) from error
        return JsonResponse(FeedbacksAnswer(answers), 200 if is_counted else 202)

    return routes
