"""What goes into the log, what comes out of it, and how much it takes."""

from __future__ import annotations

import msgspec

DELIVERY = 0
"""Kind of a record that holds something accepted."""

BATCH_BOUNDARY = 1
"""Kind of a record that ends a batch, so that a replay forms the same batches again."""


class Record(msgspec.Struct, frozen=True):
    """One durable record. `seq` counts from 1, `kind` is 0 to 255."""

    seq: int
    kind: int
    payload: bytes


class Appended(msgspec.Struct, frozen=True):
    """A record that has just become durable, without its bytes: `size` is their number, `token` what the appender gave along."""

    seq: int
    kind: int
    size: int
    token: object


class LogLimits(msgspec.Struct, frozen=True):
    """How much the log takes, in bytes.

    A new segment begins when the next group would take the current one past `segment_bytes`; a larger record gets a
    segment of its own. `max_record_bytes` bounds one payload, `max_queued_bytes` all payloads that wait for the disk.

    Raises:
        ValueError: a limit is not positive, or a payload of `max_record_bytes` would not fit a frame (4 GiB).
    """

    segment_bytes: int = 64 << 20
    max_record_bytes: int = 64 << 20
    max_queued_bytes: int = 256 << 20

    def __post_init__(self) -> None:
        if (
            min(self.segment_bytes, self.max_record_bytes, self.max_queued_bytes) <= 0
            or self.max_record_bytes >= 1 << 32
        ):
            raise ValueError(f"limits of the log must be positive, and max_record_bytes below 4 GiB: {self}")
