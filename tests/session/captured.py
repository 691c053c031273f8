"""The recordings of real frameworks in the fixtures, with what really happened in each."""

from __future__ import annotations

import functools
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from folding import Fold

from watchpost.ingest import recordings
from watchpost.ingest.items import Limits
from watchpost.ingest.otlp import decode
from watchpost.ingest.request import OtlpRequest
from watchpost.model.session import Totals
from watchpost.model.telemetry import Parcel
from watchpost.session.session import Session

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
    raised: bool
    files: tuple[str, ...]
    expected: Expected

    @property
    def source(self) -> str:
        """The framework and its instrumentation."""
        return self.capture.partition("/")[0]

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
        for request in _requests(file, _members()[f"{capture.capture}/{file}"]):
            decoded = decode(request, Limits())
            assert decoded.reasons == ()
            found += decoded.parcels
    return found


def _requests(file: str, body: bytes) -> Iterator[OtlpRequest]:
    if file.endswith(".jsonl"):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / file
            path.write_bytes(body)
            yield from recordings.requests(path, pytest.fail)
    elif ".other." in file:
        yield OtlpRequest("agents_sdk", body, "application/json")
    else:
        media = "application/json" if file.endswith(".json") else "application/x-protobuf"
        yield OtlpRequest("logs" if ".logs." in file else "traces", body, media, "gzip" * file.endswith(".gz"))


@functools.cache
def folded(capture: Capture) -> Fold:
    """The sessions of a recording."""
    fold = Fold()
    for parcel in parcels(capture):
        fold.receive_parcel(parcel)
    return fold


def runs(fold: Fold) -> list[Session]:
    """The sessions in which an agent did anything."""
    return [session for session in fold.sessions if session.is_agentic]


def reported(fold: Fold, fact: Fact) -> int | None:
    """What the sessions together say of a fact; nothing if one of them cannot say a count of calls, or none says a count of tokens."""
    totals: list[Totals] = [session.totals() for session in runs(fold)]
    values: list[int | None] = [getattr(each, fact) for each in totals]
    said = [value for value in values if value is not None]
    if not fact.endswith("_tokens") and len(said) < len(values):
        return None
    return sum(said) if said else None
