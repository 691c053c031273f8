"""`/metrics`: the numbers of the flow, of the door and of the process, and what agents did, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.exposition import ALLOWUTF8
from prometheus_client.registry import Collector

from watchpost.runtime.retention import RetentionNumbers
from watchpost.server.health import Health, HealthNumbers

_COUNTERS = (
    ("watchpost_batches_applied", "Batches applied to the stores.", "batches_applied"),
    ("watchpost_apply_seconds", "Seconds spent applying batches.", "apply_seconds"),
    ("watchpost_requests_put_off", "Requests told to come again later.", "put_off"),
)
_GAUGES = (
    ("watchpost_log_bytes", "Bytes that the log takes on disk.", "log_bytes"),
    ("watchpost_log_lag_bytes", "Bytes in the log that have not been applied.", "log_lag_bytes"),
    ("watchpost_react_lag_seconds", "Age of the oldest delivery not yet reacted to.", "react_lag_s"),
    ("watchpost_open_sessions", "Sessions that have not ended.", "open_sessions"),
    ("watchpost_fold_held_bytes", "Bytes of session folds held in memory.", "held_fold_bytes"),
)


class Metrics:
    """The registry of one server. `answers` counts OTLP answers by signal, transport and status."""

    def __init__(self, health: Health, agents: Collector) -> None:
        self._registry = CollectorRegistry()
        self.answers = Counter(
            "watchpost_otlp_answers",
            "OTLP exports answered.",
            ["signal", "transport", "status"],
            registry=self._registry,
        )
        self._registry.register(_FlowCollector(health))
        self._registry.register(agents)
        ProcessCollector("watchpost", registry=self._registry)

    def text(self, accept: str) -> tuple[bytes, str]:
        """The exposition that an Accept header asks for, and its content type."""
        encode, content_type = choose_encoder(accept)
        # no name here needs escaping, and looking at each of its characters takes most of the time
        return encode(self._registry, escaping=ALLOWUTF8), content_type  # type: ignore[call-arg] # every encoder takes it


class _FlowCollector(Collector):
    """Asks the flow at every scrape."""

    def __init__(self, health: Health) -> None:
        self._health = health

    def describe(self) -> Iterable[Metric]:
        """The same families without asking the flow, so that registering does not."""
        return _families(HealthNumbers())

    def collect(self) -> Iterable[Metric]:
        """All families with the numbers of now."""
        return _families(self._health.numbers())


def _families(now: HealthNumbers) -> Iterable[Metric]:
    for name, what, field in _COUNTERS:
        yield CounterMetricFamily(name, what, value=getattr(now, field))
    for name, what, field in _GAUGES:
        yield GaugeMetricFamily(name, what, value=getattr(now, field))
    items = CounterMetricFamily(
        "watchpost_items", "Spans, log records and metric points by what became of them.", labels=["item", "fate"]
    )
    items.add_metric(["span", "accepted"], now.accepted_spans)
    items.add_metric(["span", "rejected"], now.rejected_spans)
    items.add_metric(["log", "accepted"], now.accepted_logs)
    items.add_metric(["log", "rejected"], now.rejected_logs)
    items.add_metric(["point", "accepted"], now.accepted_points)
    items.add_metric(["point", "rejected"], now.rejected_points)
    yield items
    unpriced = CounterMetricFamily(
        "watchpost_unpriced_calls", "Model calls received without a price, by reason.", labels=["reason"]
    )
    for reason, count in now.unpriced.items():
        unpriced.add_metric([reason], count)
    yield unpriced
    drift = CounterMetricFamily(
        "watchpost_drift_checks", "Checkpoints at which a session was compared with its task.", labels=["fate"]
    )
    drift.add_metric(["measured"], now.drift_measured)
    drift.add_metric(["failed"], now.drift_failed)
    yield drift
    crowded = GaugeMetricFamily(
        "watchpost_rule_groups_folded", "Rules with too many groups to tell apart.", labels=["rule"]
    )
    for rule in now.crowded_rules:
        crowded.add_metric([rule], 1)
    yield crowded
    outbox = GaugeMetricFamily("watchpost_outbox_notices", "Notices by channel and state.", labels=["channel", "state"])
    for (channel, state), count in now.outbox.items():
        outbox.add_metric([channel, state], count)
    yield outbox
    yield from _precision(now)
    yield from _retention(now.retention)
    rows = GaugeMetricFamily("watchpost_telemetry_rows", "Rows stored, by table.", labels=["table"])
    size = GaugeMetricFamily("watchpost_telemetry_bytes", "Bytes on disk, by table.", labels=["table"])
    for table, count in now.telemetry_rows.items():
        rows.add_metric([table], count)
    for table, count in now.telemetry_bytes.items():
        size.add_metric([table], count)
    yield rows
    yield size


def _retention(now: RetentionNumbers) -> Iterable[Metric]:
    yield CounterMetricFamily("watchpost_retention_sweeps", "Sweeps done.", value=now.sweeps)
    yield CounterMetricFamily("watchpost_retention_failures", "Sweeps that a store cut short.", value=now.failures)
    sessions = CounterMetricFamily(
        "watchpost_retention_sessions", "Sessions whose traces were sorted, by what became of them.", labels=["fate"]
    )
    sessions.add_metric(["kept"], now.kept)
    sessions.add_metric(["dropped"], now.dropped)
    yield sessions
    yield CounterMetricFamily("watchpost_retention_freed_bytes", "Bytes on disk freed.", value=now.freed_bytes)
    yield GaugeMetricFamily(
        "watchpost_retention_last_sweep_timestamp_seconds",
        "When the last sweep was done, 0 before.",
        value=now.last_ns / 1e9,
    )


def _precision(now: HealthNumbers) -> Iterable[Metric]:
    given = GaugeMetricFamily(
        "watchpost_flag_verdicts", "Flags by the verdict that holds.", labels=["project", "kind", "verdict"]
    )
    muted = GaugeMetricFamily(
        "watchpost_detector_muted",
        "1 where nobody is told of such flags, for people dismissed too many; tools judged by their own verdicts apart.",
        labels=["project", "kind"],
    )
    tools = GaugeMetricFamily(
        "watchpost_detector_tool_muted",
        "The same of flags about a tool that is judged by its own verdicts.",
        labels=["project", "kind", "tool"],
    )
    for row in now.precision:
        given.add_metric([row.project, row.kind, "confirm"], row.tally.confirmed)
        given.add_metric([row.project, row.kind, "dismiss"], row.tally.dismissed)
        muted.add_metric([row.project, row.kind], row.others.is_muted)
        for tool, (_, standing) in row.tools.items():
            if standing.is_own:
                tools.add_metric([row.project, row.kind, tool], standing.is_muted)
    yield from (given, muted, tools)
