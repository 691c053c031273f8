from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from backports import zstd
from recorded import FIXTURES, Import

from watchpost.ingest.request import OtlpRequest

TRACES = (FIXTURES / "pydantic_ai.traces.pb").read_bytes()
LOGS = (FIXTURES / "openai_sdk.logs.pb").read_bytes()
METRICS = (FIXTURES / "strands.metrics.pb").read_bytes()
OTLP_JSON = (FIXTURES / "vercel_ai.traces.otlp.json").read_bytes()


def saved(folder: Path, content: bytes, name: str = "recording") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("packed", [bytes, gzip.compress, zstd.compress])
def test_an_otlp_body_is_passed_on_as_it_was_sent_whatever_its_name_and_compression(tmp_path: Path, packed) -> None:  # type: ignore[no-untyped-def]
    for signal, body in (("traces", TRACES), ("logs", LOGS)):
        assert Import(saved(tmp_path, packed(body))).requests == [OtlpRequest(signal, body)]  # type: ignore[arg-type]
