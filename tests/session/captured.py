"""The recordings of real frameworks in the fixtures, with what really happened in each."""

from __future__ import annotations

import functools
import tarfile
from pathlib import Path
from typing import Literal

import msgspec
from folding import Fold

from watchpost.ingest.items import Limits
from watchpost.ingest.otlp import decode
from watchpost.ingest.request import OtlpRequest
from watchpost.model.session import Totals
from watchpost.model.telemetry import Parcel

ARCHIVE = Path(__file__).resolve().parents[1] / "fixtures" / "captures" / "captures.tar.xz"

Fact = Literal[
    "llm_calls",
    "tool_calls",
    "tool_errors",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "reasoning_tokens",
]


class Expected(msgspec.Struct, frozen=True):
    """Counted by the scripted model and by the tools themselves."""

    llm_http_requests: int
    llm_ok: int
    embedding_requests: int
    tool_calls: int
    tool_errors: int
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int


class Capture(msgspec.Struct, frozen=True):
    """One run of a framework. `raised` says whether the application saw an exception."""

    capture: str
    session_id_set: bool
    traces: int
    raised: bool
    files: tuple[str, ...]
    expected: Expected

    @property
    def scenario(self) -> str:
        """What was played."""
        return self.capture.partition("/")[2]


@functools.cache
def _members() -> dict[str, bytes]:
    with tarfile.open(ARCHIVE) as archive:
        read = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        return {name: file.read() for name, file in read.items() if file is not None}


def captures() -> list[Capture]:
    """Every recording, by name."""
    return msgspec.json.decode(_members()["manifest.json"], type=list[Capture])


def parcels(capture: Capture) -> list[Parcel]:
    """What was sent, decoded request by request; nothing of it may be refused."""
    found: list[Parcel] = []
    for file in capture.files:
        body = _members()[f"{capture.capture}/{file}"]
        decoded = decode(OtlpRequest("traces", body, content_encoding="gzip" * file.endswith(".gz")), Limits())
        assert decoded.reasons == ()
        found += decoded.parcels
    return found


@functools.cache
def folded(capture: Capture) -> Fold:
    """The sessions of a recording."""
    fold = Fold()
    for parcel in parcels(capture):
        fold.receive_parcel(parcel)
    return fold


def reported(fold: Fold, fact: Fact) -> int | None:
    """What the sessions together say of a fact."""
    totals: list[Totals] = [session.totals() for session in fold.sessions]
    values: list[int | None] = [getattr(each, fact) for each in totals]
    said = [value for value in values if value is not None]
    return sum(said) if said else None
