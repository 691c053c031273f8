"""Measures and flags in PromQL: which metric of `/metrics` counts what a measure counts, and what to ask of it.

Only what a metric counts in the same way has a place in the table, and only by the labels that the metric has. `docs/prometheus.md` describes the metrics.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from watchpost.query.measures import Measure
from watchpost.rules.quantity import duration_text
from watchpost.rules.rule import OfFlags, OfMeasure, OfSession, Subject

Labels = Mapping[str, str]
"""By dimension, what the label is called."""

RUN_BOUNDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0)
LLM_BOUNDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
TOOL_BOUNDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""The buckets of the histograms, in seconds."""

_UNKNOWN = "unknown"
_LONGEST_LABEL = 200
_RUNS = "Prometheus is told of runs, each a single trace; a session of several runs counts as several there"

SHORTEST_WINDOW_NS = 60 * 10**9
"""In less than a minute there are too few scrapes to tell by how much a counter grew."""


class UnsayableError(ValueError):
    """What a rule asks that cannot be asked of Prometheus. The message is the reason."""


class Counter(msgspec.Struct, frozen=True):
    """A metric that only grows. `fixed` are label values that always hold."""

    metric: str
    labels: Labels
    fixed: tuple[tuple[str, str], ...] = ()


class Growth(msgspec.Struct, frozen=True):
    """By how much a counter grew; `whole` where it counts single things, and each must be seen."""

    of: Counter
    whole: bool


class Share(msgspec.Struct, frozen=True):
    """The growth of one counter for each of another. `most` is what it can come to; `relative` says that it means something only beside itself, as it was before."""

    over: Counter
    per: Counter
    most: float | None = 1.0
    relative: bool = False
    note: str = ""


class Buckets(msgspec.Struct, frozen=True):
    """A quantile, read from a histogram."""

    of: Counter
    bounds: tuple[float, ...]
    note: str = ""


class Hourly(msgspec.Struct, frozen=True):
    """A share that `/metrics` itself takes over the last hour."""

    of: Counter


Source = Growth | Share | Buckets | Hourly

_RUN: Labels = {"workflow": "workflow"}
_LLM: Labels = {"model": "model", "workflow": "workflow"}
_TOOL: Labels = {"tool": "tool", "workflow": "workflow"}
_LLM_CALLS = Counter("agent_llm_calls_total", _LLM)
_LLM_ERRORS = Counter("agent_llm_errors_total", _LLM)
_TOOL_CALLS = Counter("agent_tool_calls_total", _TOOL)
_TOOL_ERRORS = Counter("agent_tool_errors_total", _TOOL)
_COMPLETIONS = Counter("agent_workflow_completions_total", _RUN)

_JUDGED: Labels = {"evaluator": "evaluator", "label": "label", "workflow": "workflow"}
_FLAG: Labels = {"flag": "kind", "severity": "severity", "tool": "tool", "workflow": "workflow"}

FLAGS = Growth(Counter("agent_flags_total", _FLAG), whole=True)

SOURCES: Mapping[str, Source] = {
    "workflow_duration_seconds": Buckets(Counter("agent_workflow_duration_seconds", _RUN), RUN_BOUNDS, _RUNS),
    "llm_call_duration_seconds": Buckets(Counter("agent_llm_call_duration_seconds", _LLM), LLM_BOUNDS),
    "tool_duration_seconds": Buckets(Counter("agent_tool_duration_seconds", _TOOL), TOOL_BOUNDS),
    "llm_calls": Growth(_LLM_CALLS, whole=True),
    "llm_errors": Growth(_LLM_ERRORS, whole=True),
    "llm_error_rate": Share(_LLM_ERRORS, _LLM_CALLS),
    "tool_calls": Growth(_TOOL_CALLS, whole=True),
    "tool_errors": Growth(_TOOL_ERRORS, whole=True),
    "tool_error_rate": Share(_TOOL_ERRORS, _TOOL_CALLS),
    "input_tokens": Growth(Counter("agent_tokens_total", _LLM, (("direction", "input"),)), whole=False),
    "output_tokens": Growth(Counter("agent_tokens_total", _LLM, (("direction", "output"),)), whole=False),
    "tokens": Growth(Counter("agent_tokens_total", _LLM), whole=False),
    "cost_usd": Growth(Counter("agent_cost_dollars_total", _LLM), whole=False),
    "cost_per_session_usd": Share(
        Counter("agent_token_cost_total", _RUN), _COMPLETIONS, most=None, relative=True, note=_RUNS
    ),
    "evaluations": Growth(Counter("agent_evaluations_total", _JUDGED), whole=True),
    "completion_rate": Hourly(Counter("agent_task_completion_rate", _RUN)),
}  # fmt: skip
"""By measure, the metric that counts the same."""

_FAILED = "agent_step_errors_total"
_TYPED: Labels = {"error_type": "error_type", "workflow": "workflow"}

BY_ERROR_TYPE: Mapping[str, Source] = {
    "steps": Growth(Counter(_FAILED, {**_TYPED, "kind": "kind"}), whole=True),
    "llm_errors": Growth(Counter(_FAILED, _TYPED, (("kind", "llm"),)), whole=True),
    "tool_errors": Growth(Counter(_FAILED, _TYPED, (("kind", "tool"),)), whole=True),
}
"""By measure, the metric that counts the same where types of errors are asked for. No step that did not fail has one."""

_SESSIONS = "sessions are not told apart by any metric, and a session in which it happens twice is one"

NO_METRIC: Mapping[str, str] = {
    "sessions": "the metric counts runs, of which a session may have several",
    "active_sessions": "the metric counts sessions that have not ended, not those in which a step began",
    "steps": "no metric counts steps that did not fail",
    "loop_session_share": _SESSIONS,
    "invalid_output_rate": _SESSIONS,
    "score_mean": "scores may be negative, and a counter cannot fall",
}
"""Measures for which a metric of another meaning would easily be taken, or whose metric cannot be, and why."""


class Asked(msgspec.Struct, frozen=True):
    """What a rule looks at, as Prometheus knows it: labels to select by, and those to group by, each with the dimension that it stands for."""

    source: Source
    select: tuple[tuple[str, tuple[str, ...]], ...]
    by: tuple[tuple[str, str], ...]
    quantile: int = 950

    @property
    def labels(self) -> str:
        """What is grouped by, separated by commas."""
        return ", ".join(label for _, label in self.by)


def asked_of(subject: Subject) -> Asked:
    """What a rule's subject is in Prometheus. Raises `UnsayableError`."""
    match subject:
        case OfSession():
            raise UnsayableError("it judges single sessions, and no metric tells sessions apart")
        case OfFlags(kinds=kinds):
            where = (("flag", kinds), *subject.where) if kinds else subject.where
            return _asked(FLAGS, FLAGS.of, where, subject.by, "flags")
        case OfMeasure(measure=measure):
            source = _source(measure, subject)
            counter = source.per if isinstance(source, Share) else source.of
            asked = _asked(source, counter, subject.where, subject.by, measure.name)
            return msgspec.structs.replace(asked, quantile=subject.quantile)


def _source(measure: Measure, subject: OfMeasure) -> Source:
    types = dict(subject.where).get("error_type", ())
    is_typed = all(types) and (bool(types) or ("error_type" in subject.by and measure.name != "steps"))
    if is_typed and measure.name in BY_ERROR_TYPE:
        return BY_ERROR_TYPE[measure.name]
    if measure.name not in SOURCES:
        raise UnsayableError(NO_METRIC.get(measure.name, f"no metric counts what {measure.name} does"))
    return SOURCES[measure.name]


def _asked(
    source: Source, counter: Counter, where: tuple[tuple[str, tuple[str, ...]], ...], by: tuple[str, ...], name: str
) -> Asked:
    if missing := [each for each in (*[each for each, _ in where], *by) if each not in counter.labels]:
        raise UnsayableError(f"the metric of {name} has no label for {', '.join(dict.fromkeys(missing))}")
    select = tuple((counter.labels[each], tuple(map(label_value, values))) for each, values in where)
    return Asked(source, select, tuple((each, counter.labels[each]) for each in by))


def label_value(value: str) -> str:
    """A value of a dimension as `/metrics` shows it."""
    value = value or _UNKNOWN
    return value if len(value) <= _LONGEST_LABEL else value[: _LONGEST_LABEL - 1] + "…"


def quoted(text: str) -> str:
    """Text as a string of PromQL."""
    return msgspec.json.encode(text).decode()


def selector(counter: Counter, asked: Asked, suffix: str = "") -> str:
    """The series of a metric that are looked at."""
    matchers = [f"{name}={quoted(value)}" for name, value in counter.fixed]
    for name, values in asked.select:
        if len(values) == 1:
            matchers.append(f"{name}={quoted(values[0])}")
        else:
            matchers.append(f"{name}=~{quoted('|'.join(map(re.escape, values)))}")
    return counter.metric + suffix + ("{" + ", ".join(matchers) + "}" if matchers else "")


def value(asked: Asked, window_ns: int, before_ns: int = 0) -> str:
    """What it comes to over a window that ended so long ago."""
    source, range_ = asked.source, _range(window_ns, before_ns)
    match source:
        case Share(over=over, per=per):
            return (
                f"{_sum(asked, f'rate({selector(over, asked)}{range_})')}\n"
                f"/ {_sum(asked, f'rate({selector(per, asked)}{range_})')}"
            )
        case Buckets(of=of):
            by = ", ".join(("le", *[label for _, label in asked.by]))
            rate = f"rate({selector(of, asked, '_bucket')}{range_})"
            return f"histogram_quantile({number(asked.quantile / 1000)}, sum by ({by}) ({rate}))"
        case Growth(of=of, whole=True) if not before_ns:
            return _sum(asked, _counted(selector(of, asked), duration_text(window_ns)))
        case Growth(of=of):
            return _sum(asked, f"increase({selector(of, asked)}{range_})")
        case Hourly(of=of):
            by = f" by ({asked.labels})"
            return f"max{by} ({selector(of, asked)})"


def behind(asked: Asked, window_ns: int) -> str:
    """How many stand behind a share or a quantile. Raises `UnsayableError` where no metric tells."""
    match asked.source:
        case Share(per=per):
            return _sum(asked, f"increase({selector(per, asked)}{_range(window_ns, 0)})")
        case Buckets(of=of):
            return _sum(asked, f"increase({selector(of, asked, '_count')}{_range(window_ns, 0)})")
        case Growth() | Hourly():
            raise UnsayableError("no metric tells how many stand behind the value, as at_least_count asks")


def number(value: float) -> str:
    """A number as PromQL reads it, the same to the last bit."""
    return repr(float(value)).removesuffix(".0")


def _counted(series: str, window: str) -> str:
    """Exactly by how much series grew, not estimated; one that began within the window, while Prometheus looked on, began at 0."""
    return (
        f"\n  ({series} - {series} offset {window}\n    and resets({series}[{window}]) == 0)\n"
        f"  or ({series} unless {series} offset {window}\n    and on (job, instance) up offset {window} == 1)\n"
        f"  or increase({series}[{window}])\n"
    )


def _sum(asked: Asked, of: str) -> str:
    return f"sum by ({asked.labels}) ({of})" if asked.by else f"sum({of})"


def _range(window_ns: int, before_ns: int) -> str:
    return f"[{duration_text(window_ns)}]" + (f" offset {duration_text(before_ns)}" if before_ns else "")
