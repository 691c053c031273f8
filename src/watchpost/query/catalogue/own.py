"""How Watchpost itself does."""

from __future__ import annotations

from watchpost.query.measures import Growth, Level, Measure

MICRO = 10**6
"""What a sample in seconds counts in."""

OWN: tuple[Measure, ...] = (
    Measure(
        "watchpost_react_lag_seconds",
        "infrastructure",
        "seconds",
        "sample",
        Level("react_lag", MICRO),
        "How long ago the oldest delivery was received that had not been reacted to, at worst.",
    ),
    Measure(
        "watchpost_log_lag_bytes",
        "infrastructure",
        "bytes",
        "sample",
        Level("log_lag"),
        "Bytes in the log that had not been applied, at most.",
    ),
    Measure(
        "watchpost_apply_seconds",
        "infrastructure",
        "seconds",
        "sample",
        Growth("apply", MICRO),
        "Time spent writing batches to the stores.",
    ),
    Measure(
        "watchpost_accepted_spans",
        "infrastructure",
        "count",
        "sample",
        Growth("accepted_spans"),
        "Spans that were taken in.",
    ),
    Measure(
        "watchpost_refused_items",
        "infrastructure",
        "count",
        "sample",
        Growth("refused_items"),
        "Spans, log lines and metric points that were refused as wrong, each alone.",
    ),
    Measure(
        "watchpost_requests_put_off",
        "infrastructure",
        "count",
        "sample",
        Growth("requests_put_off"),
        "Requests that were told to come again later, for there was too much to do.",
    ),
    Measure(
        "watchpost_open_sessions",
        "infrastructure",
        "count",
        "sample",
        Level("open_sessions"),
        "Sessions that had not ended, at most.",
    ),
    Measure(
        "watchpost_notices_waiting",
        "infrastructure",
        "count",
        "sample",
        Level("notices_waiting"),
        "Notices that waited to be delivered, at most.",
    ),
    Measure(
        "watchpost_notices_failed",
        "infrastructure",
        "count",
        "sample",
        Growth("notices_failed"),
        "Notices that were given up.",
    ),
    Measure(
        "watchpost_notices_delivered",
        "infrastructure",
        "count",
        "sample",
        Growth("notices_delivered"),
        "Notices that were delivered.",
    ),
    Measure(
        "watchpost_checkpoints_unmeasured",
        "infrastructure",
        "count",
        "sample",
        Growth("checkpoints_unmeasured"),
        "Checkpoints at which a session could not be compared with its task.",
    ),
    Measure(
        "watchpost_stored_bytes",
        "infrastructure",
        "bytes",
        "sample",
        Level("stored_bytes"),
        "What telemetry took on disk, at most.",
    ),
)
