"""The floor: what the least that any store of this kind must do costs, in process and with no product code.

Decode the requests with OpenTelemetry's own classes, read every attribute, put them into Arrow columns, insert those into the
embedded database. Run as `python floor.py --folder DIR --spans N --rows R`; prints one JSON object.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import clickhouse_connect
import msgspec
import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from spans import Shape, Template

TABLE = """CREATE TABLE spans (trace_id FixedString(16), span_id FixedString(8), parent_id FixedString(8), start_ns Int64, end_ns Int64,
status UInt8, name LowCardinality(String), kind LowCardinality(String), agent LowCardinality(String), model LowCardinality(String),
tool LowCardinality(String), session String, in_tok Nullable(UInt32), out_tok Nullable(UInt32), input String, output String, rest String)
ENGINE = MergeTree ORDER BY (trace_id, span_id)"""

TEXT = {
    "kind": ("gen_ai.operation.name",),
    "agent": ("gen_ai.agent.name",),
    "model": ("gen_ai.request.model",),
    "tool": ("gen_ai.tool.name",),
    "session": ("gen_ai.conversation.id",),
    "input": ("gen_ai.input.messages", "gen_ai.tool.call.arguments"),
    "output": ("gen_ai.output.messages", "gen_ai.tool.call.result"),
}
"""Which attributes a column of text is read from, the first present wins."""

NUMBER = {"in_tok": "gen_ai.usage.input_tokens", "out_tok": "gen_ai.usage.output_tokens"}

SCHEMA = pa.schema(
    [
        ("trace_id", pa.binary(16)),
        ("span_id", pa.binary(8)),
        ("parent_id", pa.binary(8)),
        ("start_ns", pa.int64()),
        ("end_ns", pa.int64()),
        ("status", pa.uint8()),
        ("name", pa.string()),
        *((name, pa.string()) for name in ("kind", "agent", "model", "tool", "session")),
        ("in_tok", pa.uint32()),
        ("out_tok", pa.uint32()),
        *((name, pa.string()) for name in ("input", "output", "rest")),
    ]
)


class Floor(msgspec.Struct, frozen=True):
    """What it cost. CPU is of the whole process, the database's threads included."""

    spans: int
    cpu_us_per_span: float
    seconds: float
    bytes_per_span: float


def value(any_value: AnyValue) -> object:
    """What an attribute holds, as a JSON value."""
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value(item) for item in any_value.array_value.values]
    held: object = getattr(any_value, kind) if kind else None
    return held


def append(columns: dict[str, list[object]], span: Span) -> None:
    """Add one span to the columns."""
    attributes = {attribute.key: value(attribute.value) for attribute in span.attributes}
    columns["trace_id"].append(span.trace_id)
    columns["span_id"].append(span.span_id)
    columns["parent_id"].append(span.parent_span_id or bytes(8))
    columns["start_ns"].append(span.start_time_unix_nano)
    columns["end_ns"].append(span.end_time_unix_nano)
    columns["status"].append(span.status.code)
    columns["name"].append(span.name)
    for column, keys in TEXT.items():
        columns[column].append(next((attributes.pop(key) for key in keys if key in attributes), ""))
    for column, key in NUMBER.items():
        columns[column].append(attributes.pop(key, None))
    columns["rest"].append(msgspec.json.encode(attributes).decode())


class Inserter:
    """Gathers spans and inserts them `rows` at a time."""

    def __init__(self, folder: Path, rows: int) -> None:
        """Open a new embedded database in `folder`."""
        self._client = clickhouse_connect.get_client(dsn=f"chdb:///{folder}")
        self._client.command(TABLE)
        self._rows = rows
        self._columns: dict[str, list[object]] = {name: [] for name in SCHEMA.names}

    def take(self, body: bytes) -> None:
        """Decode one request and insert when enough rows are there."""
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    append(self._columns, span)
        if len(self._columns["name"]) >= self._rows:
            self.flush()

    def flush(self) -> None:
        """Insert what is gathered."""
        if self._columns["name"]:
            self._client.insert_arrow("spans", pa.table(self._columns, schema=SCHEMA))
            self._columns = {name: [] for name in SCHEMA.names}

    def bytes_per_span(self) -> float:
        """Bytes on disk per row after one merge of everything."""
        self._client.command("OPTIMIZE TABLE spans FINAL")
        rows = self._client.query(
            "SELECT sum(bytes_on_disk) / sum(rows) FROM system.parts WHERE active AND table = 'spans'"
        ).result_rows
        return float(rows[0][0])


def measure(folder: Path, spans: int, rows: int, now_ns: int) -> Floor:
    """Cost of `spans` spans, after one group to warm up."""
    template = Template(Shape(), 0)
    groups = [template.group(1, number, now_ns) for number in range(1 + -(-spans // template.shape.spans))]
    warm, *bodies = [[template.body(index, group) for index in range(template.bodies)] for group in groups]
    inserter = Inserter(folder, rows)
    _take(inserter, warm)
    begun, cpu = time.perf_counter(), time.process_time()
    for group in bodies:
        _take(inserter, group)
    used, seconds = time.process_time() - cpu, time.perf_counter() - begun
    counted = len(bodies) * template.shape.spans
    return Floor(counted, 1e6 * used / counted, seconds, inserter.bytes_per_span())


def _take(inserter: Inserter, bodies: Sequence[bytes]) -> None:
    for body in bodies:
        inserter.take(body)
    inserter.flush()


def main() -> None:
    """Measure as asked on the command line."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--folder", type=Path, required=True)
    asked.add_argument("--spans", type=int, default=100_000)
    asked.add_argument("--rows", type=int, default=10_000)
    arguments = asked.parse_args()
    now_ns = time.time_ns()
    print(msgspec.json.encode(measure(arguments.folder, arguments.spans, arguments.rows, now_ns)).decode())


if __name__ == "__main__":
    main()
