"""OTLP over gRPC: the same door, the same limits; messages pass as bytes and are never built and torn down in between.

grpcio itself undoes gzip and deflate, and stops where a message grows over the limit.
"""

from __future__ import annotations

import grpc
from prometheus_client import Counter

from watchpost.ingest.request import OtlpRequest, OverloadedError, RefusedError, Signal
from watchpost.server import otlp_answer
from watchpost.server.door import Door, project_name
from watchpost.server.otlp_answer import Fault

_SERVICES: tuple[tuple[str, Signal], ...] = (
    ("opentelemetry.proto.collector.trace.v1.TraceService", "traces"),
    ("opentelemetry.proto.collector.logs.v1.LogsService", "logs"),
    ("opentelemetry.proto.collector.metrics.v1.MetricsService", "metrics"),
)
_CODES = {
    otlp_answer.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    otlp_answer.RESOURCE_EXHAUSTED: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_GRACE_S = 5.0


class GrpcServer:
    """A running server. `port` is the one it listens on, also where 0 was asked for."""

    def __init__(self, server: grpc.aio.Server, port: int) -> None:
        self._server = server
        self.port = port

    async def stop(self) -> None:
        """Take no new exports and return when those in flight are answered, or after five seconds."""
        await self._server.stop(_GRACE_S)


async def start(door: Door, host: str, port: int, max_message_bytes: int, answers: Counter) -> GrpcServer:
    """Listen on `host:port` and return once it does; raises `RuntimeError` where the address cannot be bound."""
    options = [("grpc.max_receive_message_length", max_message_bytes), ("grpc.so_reuseport", 0)]
    server = grpc.aio.server(options=options)
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(
                service, {"Export": grpc.unary_unary_rpc_method_handler(_Export(signal, door, answers).export)}
            )
            for service, signal in _SERVICES
        ]
    )
    bound = server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    await server.start()
    return GrpcServer(server, bound)


class _Export:
    """The one method that each service has."""

    def __init__(self, signal: Signal, door: Door, answers: Counter) -> None:
        self._signal: Signal = signal
        self._door = door
        self._answers = answers

    async def export(self, body: bytes, context: grpc.aio.ServicerContext) -> bytes:
        """Return the export response once the request is durable, or end the call with the status that says what to do."""
        try:
            accepted = await self._door.accept(OtlpRequest(self._signal, body, project=_project(context)))
        except RefusedError as error:
            code = otlp_answer.RESOURCE_EXHAUSTED if error.status == 413 else otlp_answer.INVALID_ARGUMENT
            return await self._abort(context, Fault(code, f"{error.field}: {error.detail}", error.field))
        except OverloadedError as error:
            fault = Fault(otlp_answer.RESOURCE_EXHAUSTED, error.detail, retry_after_s=error.retry_after_s)
            return await self._abort(context, fault)
        self._answers.labels(self._signal, "grpc", "OK").inc()
        return otlp_answer.export_response(accepted)

    async def _abort(self, context: grpc.aio.ServicerContext, fault: Fault) -> bytes:
        """End the call; the details travel as `grpc-status-details-bin`, where OTLP clients look for RetryInfo."""
        code = _CODES[fault.code]
        self._answers.labels(self._signal, "grpc", code.name).inc()
        context.set_code(code)
        context.set_details(fault.message)
        context.set_trailing_metadata((("grpc-status-details-bin", otlp_answer.status(fault)),))
        return b""


def _project(context: grpc.aio.ServicerContext) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == "x-watchpost-project":
            name = project_name(value.encode() if isinstance(value, str) else value)
            if name is None:
                raise RefusedError(400, "a project is at most 128 printable characters", "x-watchpost-project")
            return name
    return ""
