"""A request becomes what the log keeps of it. Needs `ingest` and `model` alone, so that a process can do this and nothing else."""

from __future__ import annotations

import msgspec

from watchpost.ingest import otlp
from watchpost.ingest.items import Limits
from watchpost.ingest.redact import RedactionSettings, Redactor
from watchpost.ingest.request import OtlpRequest
from watchpost.model.telemetry import Delivery


class Prepared(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """What is kept of one request and what is not.

    `payload` is a `Delivery` in MessagePack, empty where nothing is kept; `spans`, `logs` and `points` are how many it holds.
    `rejected` items were left out, and `reasons` says why, one sentence per cause.
    """

    payload: bytes
    spans: int
    logs: int
    points: int
    rejected: int
    reasons: tuple[str, ...]


class Setup(msgspec.Struct, frozen=True):
    """All that decides what becomes of a request: limits, what is hidden, and the key of the pseudonyms."""

    limits: Limits
    redaction: RedactionSettings
    key: bytes


class Preparer:
    """Decodes, redacts and encodes. Raises what `Redactor` raises for a setup that cannot be used. Not for two threads at once."""

    def __init__(self, setup: Setup) -> None:
        self._limits = setup.limits
        self._redactor = Redactor(setup.redaction, setup.key)

    def prepare(self, request: OtlpRequest, received_ns: int) -> Prepared:
        """What is to be kept of a request received at a time, or `RefusedError` naming what is wrong with all of it."""
        decoded = otlp.decode(request, self._limits)
        parcels = tuple(parcel for parcel in decoded.parcels if parcel.spans or parcel.logs or parcel.metrics)
        delivery = self._redactor.delivery(Delivery(received_ns, parcels))
        return Prepared(
            msgspec.msgpack.encode(delivery) if parcels else b"",
            sum(len(parcel.spans) for parcel in parcels),
            sum(len(parcel.logs) for parcel in parcels),
            sum(len(parcel.metrics) for parcel in parcels),
            decoded.rejected,
            decoded.reasons,
        )
