"""OTLP over HTTP: the body is read up to a hard limit and handed to the door; the answer is in the caller's encoding.

Plain ASGI, for this is the path that every span takes.
"""

from __future__ import annotations

from prometheus_client import Counter
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from watchpost.ingest.request import OtlpRequest, OverloadedError, RefusedError, Signal
from watchpost.server import otlp_answer
from watchpost.server.door import Door, project_name
from watchpost.server.otlp_answer import Fault

PROTOBUF = b"application/x-protobuf"
JSON = b"application/json"

_RPC_CODE = {405: otlp_answer.UNIMPLEMENTED, 413: otlp_answer.RESOURCE_EXHAUSTED}


class BodyBudget:
    """Bytes of request bodies held at one moment, over all connections; what does not fit is to be sent again later."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    def take(self, size: int) -> None:
        """Count `size` bytes more; raises `OverloadedError` where they do not fit."""
        if self.held + size > self._limit:
            raise OverloadedError("too many bytes of other requests are being read", 1)
        self.held += size

    def give_back(self, size: int) -> None:
        """Count `size` bytes less."""
        self.held -= size


class OtlpEndpoint:
    """One of `/v1/traces` and `/v1/logs`."""

    def __init__(self, signal: Signal, door: Door, max_body_bytes: int, budget: BodyBudget, answers: Counter) -> None:
        self._signal: Signal = signal
        self._door = door
        self._max_body_bytes = max_body_bytes
        self._budget = budget
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: 200 once it is durable, in full or in part, else the status that says what to do."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        media = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        status, extra = 200, []
        try:
            body = await self._answer(scope["method"], media, headers, receive)
        except ClientDisconnect:
            return
        except RefusedError as error:
            status, fault = error.status, _refused(error)
            body = _fault_body(fault, media)
            extra = [(b"allow", b"POST")] if status == 405 else []
        except OverloadedError as error:
            status = 503
            body = _fault_body(Fault(otlp_answer.UNAVAILABLE, error.detail, retry_after_s=error.retry_after_s), media)
            extra = [(b"retry-after", str(error.retry_after_s).encode())]
        self._answers.labels(self._signal, "http", str(status)).inc()
        kind = PROTOBUF if media == PROTOBUF else JSON
        fixed = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": fixed + extra})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, method: str, media: bytes, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        if method != "POST":
            raise RefusedError(405, "send exports with POST", "method")
        if media not in (PROTOBUF, JSON):
            said = media.decode("latin-1") or "nothing"
            raise RefusedError(415, f"{said} is not application/x-protobuf or application/json", "content-type")
        project = project_name(headers.get(b"x-watchpost-project", b""))
        if project is None:
            raise RefusedError(400, "a project is at most 128 printable characters", "x-watchpost-project")
        self._check_length(headers.get(b"content-length"))
        taken = 0
        chunks: list[bytes] = []
        try:
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                chunk: bytes = message.get("body", b"")
                more = message.get("more_body", False)
                self._budget.take(len(chunk))
                taken += len(chunk)
                if taken > self._max_body_bytes:
                    raise self._too_large()
                chunks.append(chunk)
            accepted = await self._door.accept(
                OtlpRequest(
                    signal=self._signal,
                    body=chunks[0] if len(chunks) == 1 else b"".join(chunks),
                    content_type=media.decode(),
                    content_encoding=headers.get(b"content-encoding", b"").decode("latin-1"),
                    project=project,
                )
            )
        finally:
            self._budget.give_back(taken)
        if media == PROTOBUF:
            return otlp_answer.export_response(accepted)
        return otlp_answer.export_response_json(accepted, self._signal)

    def _check_length(self, declared: bytes | None) -> None:
        """Refuse a body by its declared length, before any of it is read."""
        if declared is not None and int(declared) > self._max_body_bytes:
            raise self._too_large()

    def _too_large(self) -> RefusedError:
        return RefusedError(413, f"at most {self._max_body_bytes} bytes are read; send smaller batches", "body")


def _refused(error: RefusedError) -> Fault:
    code = _RPC_CODE.get(error.status, otlp_answer.INVALID_ARGUMENT)
    return Fault(code, f"{error.field}: {error.detail}", error.field)


def _fault_body(fault: Fault, media: bytes) -> bytes:
    return otlp_answer.status(fault) if media == PROTOBUF else otlp_answer.status_json(fault)
