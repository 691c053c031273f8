"""How long twenty fixed questions take on ten million stored spans, and a scrape of `/metrics` beside them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from lab import Lab, Measured, milliseconds, percentile
from stored import Filled

_TIMES = 5

QUESTIONS: tuple[tuple[str, int, str], ...] = (
    ("sessions", 24, "step=1h&by=outcome"),
    ("completion_rate", 168, "step=1d&by=workflow"),
    ("workflow_duration_seconds", 24, "step=1h&quantile=p99"),
    ("workflow_duration_seconds", 168, "by=release"),
    ("llm_calls", 1, "step=1m&by=model"),
    ("llm_error_rate", 1, "step=5m"),
    ("llm_call_duration_seconds", 1, "step=5m&quantile=p95&by=model"),
    ("llm_call_duration_seconds", 168, "step=6h&quantile=p99"),
    ("first_token_seconds", 24, "quantile=p50&by=model"),
    ("tool_error_rate", 24, "step=1h&by=tool"),
    ("tool_duration_seconds", 24, "by=tool&quantile=p95"),
    ("tool_retry_rate", 24, "step=1h"),
    ("cost_usd", 168, "step=1d&by=model"),
    ("cost_usd", 168, "by=user_id&top=20"),
    ("cost_usd", 24, "step=1h&by=workflow,model&compare=1d"),
    ("input_tokens", 168, "step=1d&by=workflow"),
    ("flags", 24, "step=1h&by=flag"),
    ("flagged_session_share", 24, "step=1h"),
    ("active_sessions", 24, "step=10m"),
    ("steps", 168, "by=kind"),
)
"""Measure, hours before now that are asked about, and parameters."""


def questions(_: Lab, filled: Filled) -> Measured:
    """The latency of each question over the API, and of all of them; the size and time of an exposition."""
    server = filled.running()
    numbers: dict[str, float] = {}
    every: list[float] = []
    slowest = (0.0, "")
    now = datetime.now(UTC)
    for number, (measure, hours, parameters) in enumerate(QUESTIONS, 1):
        since, until = (quote(moment.isoformat()) for moment in (now - timedelta(hours=hours), now))
        asked = f"/api/measures/{measure}?since={since}&until={until}&{parameters}"
        answers = [server.client.get(asked) for _ in range(_TIMES)]
        if bad := [answer.status for answer in answers if answer.status != 200]:
            raise LookupError(f"{asked} answers {bad[0]}")
        seconds = [answer.seconds for answer in answers]
        numbers[f"question_{number:02}_p50_ms"] = 1e3 * percentile(seconds, 0.5)
        slowest = max(slowest, (percentile(seconds, 0.5), f"{measure} of {hours} h, {parameters}"))
        every += seconds
    scrapes = [server.client.get("/metrics") for _ in range(_TIMES)]
    numbers |= milliseconds(every, "question") | milliseconds([scrape.seconds for scrape in scrapes], "scrape")
    value = (
        f"p95 {1e3 * percentile(every, 0.95):,.0f} ms, median {1e3 * percentile(every, 0.5):,.0f} ms; "
        f"a scrape of /metrics {1e3 * percentile([scrape.seconds for scrape in scrapes[1:]], 0.5):,.0f} ms"
    )
    note = (
        f"{len(QUESTIONS)} questions, {_TIMES} times each, over 1 hour to 7 days, on {filled.spans:,} spans; "
        f"slowest {slowest[1]} {1e3 * slowest[0]:,.0f} ms; the first scrape, which reads two hours, {1e3 * scrapes[0].seconds:,.0f} ms"
    )
    return Measured(value, numbers, [note])
