"""What Watchpost says of itself. The flow fills it, `/readyz` and `/metrics` show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from watchpost.model.cost import UnpricedReason
from watchpost.model.notice import DeliveryState
from watchpost.rules.precision import Row
from watchpost.runtime.retention import RetentionNumbers


class HealthNumbers(msgspec.Struct, frozen=True):
    """The state of the flow at one moment; counts run from the start of the process.

    `apply_seconds` is the time spent in all batches applied; `react_lag_s` is how long ago the oldest delivery was received
    that has not been reacted to, 0 if there is none. `unpriced` counts received model calls by why they have no
    price, `drift_measured` and `drift_failed` the checkpoints at which sessions were compared with their task and were not, `outbox` notices by (channel, state), and `telemetry_rows` and
    `telemetry_bytes` by table, the latter as they lie on disk. `retention` is what was kept and let go, `precision` what people said of flags,
    `rules_judged_ns` until when rules were judged last, 0 before. Beyond `lag_limit_bytes` in the log that are not applied senders are put off; the disk is that of the
    data folder, all 0 where nobody says.
    """

    accepted_spans: int = 0
    rejected_spans: int = 0
    accepted_logs: int = 0
    rejected_logs: int = 0
    accepted_points: int = 0
    rejected_points: int = 0
    put_off: int = 0
    log_bytes: int = 0
    log_lag_bytes: int = 0
    batches_applied: int = 0
    apply_seconds: float = 0.0
    react_lag_s: float = 0.0
    open_sessions: int = 0
    held_fold_bytes: int = 0
    unpriced: Mapping[UnpricedReason, int] = {}
    drift_measured: int = 0
    drift_failed: int = 0
    outbox: Mapping[tuple[str, DeliveryState], int] = {}
    telemetry_rows: Mapping[str, int] = {}
    telemetry_bytes: Mapping[str, int] = {}
    retention: RetentionNumbers = RetentionNumbers()
    precision: Sequence[Row] = ()
    crowded_rules: Sequence[str] = ()
    rules_judged_ns: int = 0
    lag_limit_bytes: int = 0
    disk_free_bytes: int = 0
    disk_bytes: int = 0


class Health(Protocol):
    """How the flow stands."""

    def unready(self) -> str | None:
        """Why requests cannot be served yet or any more, in a sentence; None when they can."""
        ...

    def numbers(self) -> HealthNumbers:
        """The numbers of this moment; may read the stores, and is never called on the event loop."""
        ...
