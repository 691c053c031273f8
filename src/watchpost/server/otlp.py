"""Exports over HTTP: the body is read up to a hard limit and handed to the door; the answer is in the caller's protocol and encoding.

Plain ASGI, for this is the path that every span takes.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from prometheus_client import Counter
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from watchpost.ingest.request import Accepted, OtlpRequest, OverloadedError, RefusedError, Signal
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


class Answer(NamedTuple):
    """The body of an answer and its media type."""

    media: bytes
    body: bytes


class Language(Protocol):
    """How the senders of one signal speak, in the media types `medias`.

    The `media` of a request is in lower case and without parameters.
    """

    signal: Signal
    medias: tuple[bytes, ...]

    def accepted(self, accepted: Accepted, media: bytes) -> Answer:
        """That the request is durable, and what was left out of it."""
        ...

    def refused(self, error: RefusedError, media: bytes) -> Answer:
        """Which field is at fault, and why."""
        ...

    def overloaded(self, error: OverloadedError, media: bytes) -> Answer:
        """That the same may be sent again."""
        ...


class OtlpLanguage:
    """OTLP/HTTP, in protobuf and JSON: partial success, and google.rpc.Status for errors."""

    medias: tuple[bytes, ...] = (PROTOBUF, JSON)

    def __init__(self, signal: Signal) -> None:
        self.signal: Signal = signal

    def accepted(self, accepted: Accepted, media: bytes) -> Answer:
        """ExportTraceServiceResponse and its like for logs and metrics."""
        if media == PROTOBUF:
            return Answer(PROTOBUF, otlp_answer.export_response(accepted))
        return Answer(JSON, otlp_answer.export_response_json(accepted, self.signal))

    def refused(self, error: RefusedError, media: bytes) -> Answer:
        """A Status with BadRequest."""
        code = _RPC_CODE.get(error.status, otlp_answer.INVALID_ARGUMENT)
        return _status(Fault(code, f"{error.field}: {error.detail}", error.field), media)

    def overloaded(self, error: OverloadedError, media: bytes) -> Answer:
        """A Status with RetryInfo."""
        return _status(Fault(otlp_answer.UNAVAILABLE, error.detail, retry_after_s=error.retry_after_s), media)


def _status(fault: Fault, media: bytes) -> Answer:
    if media == PROTOBUF:
        return Answer(PROTOBUF, otlp_answer.status(fault))
    return Answer(JSON, otlp_answer.status_json(fault))


class ExportEndpoint:
    """Where one signal is posted to."""

    def __init__(
        self, language: Language, door: Door, max_body_bytes: int, budget: BodyBudget, answers: Counter
    ) -> None:
        self._language = language
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
            answer = self._language.accepted(await self._accept(scope["method"], media, headers, receive), media)
        except ClientDisconnect:
            return
        except RefusedError as error:
            status, answer = error.status, self._language.refused(error, media)
            extra = [(b"allow", b"POST")] if status == 405 else []
        except OverloadedError as error:
            status, answer = 503, self._language.overloaded(error, media)
            extra = [(b"retry-after", str(error.retry_after_s).encode())]
        self._answers.labels(self._language.signal, "http", str(status)).inc()
        fixed = [(b"content-type", answer.media), (b"content-length", str(len(answer.body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": fixed + extra})
        await send({"type": "http.response.body", "body": answer.body})

    async def _accept(self, method: str, media: bytes, headers: dict[bytes, bytes], receive: Receive) -> Accepted:
        if method != "POST":
            raise RefusedError(405, "send exports with POST", "method")
        if media not in self._language.medias:
            said = media.decode("latin-1") or "nothing"
            known = " or ".join(known.decode() for known in self._language.medias)
            raise RefusedError(415, f"{said} is not {known}", "content-type")
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
            return await self._door.accept(
                OtlpRequest(
                    signal=self._language.signal,
                    body=chunks[0] if len(chunks) == 1 else b"".join(chunks),
                    content_type=media.decode(),
                    content_encoding=headers.get(b"content-encoding", b"").decode("latin-1"),
                    project=project,
                )
            )
        finally:
            self._budget.give_back(taken)

    def _check_length(self, declared: bytes | None) -> None:
        """Refuse a body by its declared length, before any of it is read."""
        if declared is not None and int(declared) > self._max_body_bytes:
            raise self._too_large()

    def _too_large(self) -> RefusedError:
        return RefusedError(413, f"at most {self._max_body_bytes} bytes are read; send smaller batches", "body")
