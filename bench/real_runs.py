"""Real agent runs as the product sees them: read, redacted, folded into steps by its own code, with what is known of how they went beside it.

A folder holds `*.jsonl.gz`, one session a line: `{session_id, source, ground_truth, steps}`, as `watchpost import` reads it. The ground truth
goes to whoever measures, never to a detector.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from watchpost.ingest import batching, session_jsonl
from watchpost.ingest.items import Limits
from watchpost.ingest.read import Reader
from watchpost.ingest.redact import RedactionSettings
from watchpost.model.step import Step
from watchpost.model.telemetry import Delivery
from watchpost.runtime.prepare import Preparer, Setup
from watchpost.session.session import Quiet
from watchpost.session.sessions import Sessions

MIB = 1 << 20
BASE_NS = 1_790_000_000 * 10**9
HOUR_NS = 3600 * 10**9


class Run(msgspec.Struct, frozen=True):
    """One run: the file it is from, its truth as the file has it, and its steps in order. `workflow` is the source it names."""

    file: str
    session_id: str
    workflow: str
    truth: dict[str, object]
    steps: list[Step]

    @property
    def succeeded(self) -> bool | None:
        """Whether the run did what it was to do; None where nobody says."""
        told = self.truth.get("outcome")
        return None if told not in {"success", "fail"} else told == "success"


def preparer() -> Preparer:
    """Decodes and redacts as a server with default settings does; its pseudonyms are the same each time."""
    return Preparer(Setup(Limits(64 * MIB, 64 * MIB, 1_000_000, 1024), RedactionSettings(), b"k" * 32))


def runs(folder: Path, files: Sequence[str] = ()) -> Iterator[Run]:
    """The runs of these files of a folder, all where none is named, in the order of names and lines."""
    prepared = preparer()
    for path in sorted(folder.glob("*.jsonl.gz")):
        name = path.name.split(".")[0]
        if files and name not in files:
            continue
        with gzip.open(path, "rb") as lines:
            for line in lines:
                value = msgspec.json.decode(line, type=dict[str, object])
                yield run_of(name, value, prepared)


def run_of(file: str, value: dict[str, object], prepared: Preparer) -> Run:
    """One session as its file has it, folded."""
    truth = value.get("ground_truth")
    return Run(
        file,
        str(value["session_id"]),
        str(value.get("source") or "session"),
        truth if isinstance(truth, dict) else {},
        steps_of(value, prepared),
    )


def steps_of(value: dict[str, object], prepared: Preparer) -> list[Step]:
    """The steps of one session as the product folds them."""
    requests = batching.batches(session_jsonl.items(value, BASE_NS), lambda _: None)
    return folded(
        msgspec.msgpack.decode(prepared.prepare(request, BASE_NS).payload, type=Delivery) for request in requests
    )


def folded(deliveries: Iterable[Delivery]) -> list[Step]:
    """The steps of the one session that deliveries tell of, the longest where they tell of more."""
    sessions = Sessions(Quiet())
    for seq, delivery in enumerate(deliveries, start=1):
        for parcel in delivery.parcels:
            readings = [reading for reading, _ in Reader(parcel, delivery.received_ns, seq).readings()]
            traces = sessions.unknown({(reading.project, reading.trace_id) for reading in readings})
            sessions.load(traces, sessions.wanted(readings), ())
            while wanted := sessions.wanted(readings):
                sessions.load((), wanted, ())
            sessions.restored()
            for reading in readings:
                sessions.add(reading)
    settled = sessions.settle(1, BASE_NS + HOUR_NS)
    return max((session.steps for session in settled.changed), key=len)


def session_of(run: Run) -> str:
    """What keeps runs of one session together."""
    return run.session_id


def halves(
    found: Sequence[Run], seed: int = 1, together: Callable[[Run], str] = session_of
) -> tuple[list[Run], list[Run]]:
    """The same two halves of some runs each time: one to choose on, one to measure on. Runs with the same `together` stay together."""
    names = sorted({together(run) for run in found})
    random.Random(seed).shuffle(names)
    chosen = set(names[: len(names) // 2])
    return [run for run in found if together(run) in chosen], [run for run in found if together(run) not in chosen]
