"""Reads recordings the way an import does: through the door's decoder and the reader of every span."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from watchpost.ingest import recordings
from watchpost.ingest.items import Limits
from watchpost.ingest.otlp import decode
from watchpost.ingest.read import Reader
from watchpost.model.step import STEP_KINDS, Reading
from watchpost.model.telemetry import LogLine, Parcel, Span

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
MTIME = 1_700_000_000


class Import:
    """What an import of one path gives, and what was said."""

    def __init__(self, path: Path) -> None:
        self.said: list[str] = []
        self.requests = list(recordings.requests(path, self.said.append))
        decoded = [decode(request, Limits()) for request in self.requests]
        self.refused = [reason for each in decoded for reason in each.reasons]
        self.parcels: list[Parcel] = [parcel for each in decoded for parcel in each.parcels]

    @property
    def spans(self) -> list[Span]:
        return [span for parcel in self.parcels for span in parcel.spans]

    @property
    def logs(self) -> list[LogLine]:
        return [line for parcel in self.parcels for line in parcel.logs]

    @property
    def readings(self) -> list[Reading]:
        return [Reader(parcel, 1, 1).read(span) for parcel in self.parcels for span in parcel.spans]

    @property
    def steps(self) -> list[Reading]:
        steps = [reading for reading in self.readings if reading.kind in STEP_KINDS]
        return sorted(steps, key=lambda step: (step.trace_id, step.start_ns))


def session(steps: list[object], **fields: object) -> dict[str, object]:
    return {"session_id": "s-1", "source": "shop", "task": "refund A1", "ground_truth": {}, "steps": steps, **fields}


def step(kind: str, place: int = 0, **fields: object) -> dict[str, object]:
    bare: dict[str, object] = {
        "step": place,
        "kind": kind,
        "agent": "",
        "name": "",
        "input": "",
        "output": "",
        "error": None,
    }
    return bare | fields


def write(path: Path, *lines: object) -> Path:
    """One JSON line each; text stays as it is. The modification time is always the same."""
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines), "utf-8")
    os.utime(path, (MTIME + 0.75, MTIME + 0.75))
    return path


def sessions_of(name: str) -> Iterator[dict[str, object]]:
    with gzip.open(FIXTURES / name, "rt", encoding="utf-8") as lines:
        yield from (cast("dict[str, object]", json.loads(line)) for line in lines)
