"""The part of `/metrics` that says what agents did, under the names that rules and dashboards are written for.

The numbers begin with the process, as counters of Prometheus do, and never fall while it lives: docs/prometheus.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence

import prometheus_client.samples as shown
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from watchpost.runtime.flag_tally import FlagCount
from watchpost.server.agent_series import LABEL_SETS, OTHER, Exemplar, Family, labels_of
from watchpost.server.agent_tally import (
    CALLS,
    ERRORS,
    INPUT,
    LLM_BOUNDS,
    OUTPUT,
    RUN_BOUNDS,
    TOOL_BOUNDS,
    AgentTally,
    Ref,
)
from watchpost.store.erasure import Erasure
from watchpost.store.work import TraceSpan, WorkReader

_ASKED_AT_ONCE = 2000
"""Traces whose length one query asks for."""

_NANO = 1e9

_LLM = ("model", "workflow")
_TOOL = ("tool", "workflow")
_WORKFLOW = ("workflow",)
_FLAG = ("kind", "severity", "tool", "workflow")


class AgentMetrics(Collector):
    """Asks the ledger at every scrape for what was written since the one before. What stands in it at first is known and not counted."""

    def __init__(self, reader: WorkReader, flags: Callable[[], Sequence[FlagCount]], now_ns: Callable[[], int]) -> None:
        self._reader = reader
        self._flags = flags
        self._now_ns = now_ns
        self._tally = AgentTally()
        self._seq = 0
        self._active: dict[str, int] = {}
        self._lock = threading.Lock()
        self._catch_up(now_ns())
        self._tally.begin()

    def describe(self) -> Iterable[Metric]:
        """The families with what is known already, without asking the ledger."""
        return _families(self._tally, self._active, (), self._now_ns())

    def collect(self) -> Iterable[Metric]:
        """All families, as of now."""
        with self._lock:
            now_ns = self._now_ns()
            self._catch_up(now_ns)
            self._count_active()
            return list(_families(self._tally, self._active, self._flags(), now_ns))

    def erase(self, erasure: Erasure) -> None:
        """Count the sessions on under their pseudonyms, and show none of them as an example; before their rows change."""
        with self._lock:
            self._tally.rename({ref: (ref[0], erasure.pseudonym(ref)) for ref in erasure.found.sessions})

    def erased(self, erasure: Erasure) -> None:
        """Their rows have changed: what comes under these names now is new."""
        with self._lock:
            self._tally.renamed({ref: (ref[0], erasure.pseudonym(ref)) for ref in erasure.found.sessions})

    def _catch_up(self, now_ns: int) -> None:
        # rows of the last batch seen are read again: not all of them may have been written when it was
        rows = self._reader.work(self._seq, self._tally.first(now_ns))
        self._seq = max((row.seq for row in rows), default=self._seq)
        refs = self._tally.take(rows, now_ns)
        self._tally.count_runs(refs, self._lasted(refs))
        self._tally.forget(now_ns)

    def _lasted(self, refs: Iterable[Ref]) -> dict[tuple[str, bytes], TraceSpan]:
        ended = self._tally.ended(refs)
        lasted: dict[tuple[str, bytes], TraceSpan] = {}
        for start in range(0, len(ended), _ASKED_AT_ONCE):
            lasted |= self._reader.traces(ended[start : start + _ASKED_AT_ONCE])
        return lasted

    def _count_active(self) -> None:
        """A workflow of which anything was seen is among them, at 0 too; those beyond the limit are counted together."""
        seen = (workflow for (workflow,), _ in self._tally.run.places())
        self._active = dict.fromkeys((*self._active, *seen), 0)
        for workflow, count in self._reader.active().items():
            (name,) = labels_of((workflow,))
            if name not in self._active and len(self._active) >= LABEL_SETS:
                name = OTHER
            self._active[name] = self._active.get(name, 0) + count


def _families(tally: AgentTally, active: dict[str, int], flags: Sequence[FlagCount], now_ns: int) -> Iterator[Metric]:
    yield from _runs(tally, active, now_ns)
    yield from _calls(tally)
    yield from _tools(tally, now_ns)
    yield _counter("agent_cost_dollars", "What calls cost, in US dollars.", (*_LLM, "cost_type"), _costs(tally))
    spent = ((labels, nano / _NANO, None) for labels, nano, _ in tally.spend.counts(0))
    yield _counter("agent_token_cost", "What the calls of a workflow cost, in US dollars.", _WORKFLOW, spent)
    yield _counter("agent_flags", "Flags that were confirmed.", _FLAG, _raised(flags))
    failed = tally.failed.counts(0)
    yield _counter("agent_step_errors", "Steps of any kind that failed.", ("error_type", "kind", "workflow"), failed)
    judged = tally.judged.counts(0)
    yield _counter("agent_evaluations", "Evaluations, by their label.", ("evaluator", "label", "workflow"), judged)
    folded = GaugeMetricFamily(
        "watchpost_agent_label_sets_folded", "Label sets counted under other, by what is counted.", labels=["of"]
    )
    for name, family in (
        ("llm", tally.llm), ("tool", tally.tool), ("cost", tally.cost), ("workflow", tally.run),
        ("step_errors", tally.failed), ("evaluations", tally.judged),
    ):  # fmt: skip
        folded.add_metric([name], family.folded)
    yield folded


def _runs(tally: AgentTally, active: dict[str, int], now_ns: int) -> Iterator[Metric]:
    yield _histogram(
        "agent_workflow_duration_seconds", "How long runs took that ended.", _WORKFLOW, tally.run, RUN_BOUNDS
    )
    yield _counter(
        "agent_workflow_completions", "Runs that ended, whatever came of them.", _WORKFLOW, tally.run.counts(0)
    )
    running = GaugeMetricFamily("agent_active_workflows", "Sessions that have not ended.", labels=_WORKFLOW)
    for workflow, count in active.items():
        running.add_metric([workflow], count)
    yield running
    completed = GaugeMetricFamily(
        "agent_task_completion_rate",
        "Share of sessions that ended as completed, among those that ended, in the last hour.",
        labels=_WORKFLOW,
    )
    for labels, share in tally.completed(now_ns):
        completed.add_metric(labels, share)
    yield completed


def _calls(tally: AgentTally) -> Iterator[Metric]:
    yield _histogram(
        "agent_llm_call_duration_seconds", "How long model calls took that ended.", _LLM, tally.llm, LLM_BOUNDS
    )
    yield _counter("agent_llm_calls", "Model calls that ended.", _LLM, tally.llm.counts(CALLS))
    yield _counter("agent_llm_errors", "Model calls that failed.", _LLM, tally.llm.counts(ERRORS))
    tokens = (
        ((model, direction, workflow), count, None)
        for direction, offset in (("input", INPUT), ("output", OUTPUT))
        for (model, workflow), count, _ in tally.llm.counts(offset)
    )
    yield _counter("agent_tokens", "Tokens of model calls that ended.", ("model", "direction", "workflow"), tokens)


def _tools(tally: AgentTally, now_ns: int) -> Iterator[Metric]:
    yield _histogram(
        "agent_tool_duration_seconds", "How long tool calls took that ended.", _TOOL, tally.tool, TOOL_BOUNDS
    )
    yield _counter("agent_tool_calls", "Tool calls that ended.", _TOOL, tally.tool.counts(CALLS))
    yield _counter("agent_tool_errors", "Tool calls that failed.", _TOOL, tally.tool.counts(ERRORS))
    failed = GaugeMetricFamily(
        "agent_tool_error_rate", "Share of tool calls that failed, in the last hour.", labels=_TOOL
    )
    for labels, share in tally.tool_errors(now_ns):
        failed.add_metric(labels, share)
    yield failed


def _raised(flags: Iterable[FlagCount]) -> Iterator[tuple[tuple[str, ...], int, Exemplar | None]]:
    """Counts of flags by their labels as they are shown, and the latest of each; names that are alike once cut are counted together."""
    shown: dict[tuple[str, ...], tuple[int, Exemplar | None]] = {}
    for flag in flags:
        labels = (flag.kind, flag.severity, *labels_of((flag.tool, flag.workflow)))
        before, latest = shown.get(labels, (0, None))
        if flag.session_key and (latest is None or flag.at_ns > latest.at_ns):
            latest = Exemplar(flag.at_ns, 1.0, flag.trace_id, flag.session_key)
        shown[labels] = (before + flag.count, latest)
    return ((labels, count, latest) for labels, (count, latest) in shown.items())


def _costs(tally: AgentTally) -> Iterator[tuple[tuple[str, ...], float, None]]:
    return (((*labels, "total"), nano / _NANO, None) for labels, nano, _ in tally.cost.counts(0))


def _counter(
    name: str, means: str, labels: Sequence[str], samples: Iterable[tuple[Sequence[str], float, Exemplar | None]]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, means, labels=labels)
    for values, count, exemplar in samples:
        family.add_metric(values, count, exemplar=_exemplar(exemplar))
    return family


def _histogram(
    name: str, means: str, labels: Sequence[str], series: Family, bounds: Sequence[float]
) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, means, labels=labels)
    names = [*map(str, bounds), "+Inf"]
    for values, buckets in series.histograms():
        counts = (*buckets.at_or_below, buckets.count)
        found = zip(names, counts, buckets.exemplars, strict=True)
        family.add_metric(values, [_bucket(*each) for each in found], buckets.sum)
    return family


def _bucket(name: str, count: int, exemplar: Exemplar | None) -> tuple[str, float] | tuple[str, float, shown.Exemplar]:
    return (name, count) if exemplar is None else (name, count, _shown(exemplar))


def _exemplar(of: Exemplar | None) -> shown.Exemplar | None:
    return None if of is None else _shown(of)


def _shown(of: Exemplar) -> shown.Exemplar:
    labels = {"trace_id": of.trace_id.hex(), "session": of.session_key}
    return shown.Exemplar(labels, of.value, of.at_ns / _NANO)
