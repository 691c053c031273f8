"""Rules as a rule file of Prometheus, with tests for promtool; what cannot be said there is named with the reason, and left out.

A rule becomes an alert of its name with the same labels, but the project: `/metrics` does not tell projects apart. An objective becomes recording
rules for its share of errors over each window, as Sloth writes them, and two alerts on these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import Formatter

import msgspec
import yaml

from watchpost.query.measures import Unit
from watchpost.rules.event import dimensions_of, labels_of, metric_of, unit_of
from watchpost.rules.history import FEWEST_BUCKETS
from watchpost.rules.promql import (
    SHORTEST_WINDOW_NS,
    Asked,
    Buckets,
    Growth,
    Hourly,
    Share,
    UnsayableError,
    asked_of,
    behind,
    number,
    quoted,
    value,
)
from watchpost.rules.quantity import amount_text, duration_text
from watchpost.rules.rule import Burn, Comparison, Limit, Rule, RuleSet, Slo, Spread, Times
from watchpost.rules.words import in_words

RULES_FILE = "watchpost.rules.yml"
TESTS_FILE = "watchpost.rules.test.yml"

VALUE_RECORD = "watchpost:rule_value"
"""What a rule with a spread as its baseline looks at, by the label `rule`."""

_HOUR_NS = 3600 * 10**9
_SIGNS: Mapping[Comparison, str] = {"above": ">", "at_least": ">=", "below": "<", "at_most": "<="}
_BEYOND_NOISE = 1e-9
_VALUES: Mapping[Unit, str] = {
    "share": "{{ $value | humanizePercentage }}",
    "seconds": "{{ $value | humanizeDuration }}",
    "usd": '{{ printf "%.2f" $value }} USD',
    "count": "{{ $value | humanize }}",
    "tokens": "{{ $value | humanize }}",
    "bytes": "{{ $value | humanize1024 }}B",
    "score": '{{ printf "%.4g" $value }}',
}


class LeftOut(msgspec.Struct, frozen=True):
    """A rule that Prometheus cannot judge, and why."""

    rule: str
    reason: str


class Alerting(msgspec.Struct, frozen=True):
    """A rule as Prometheus has it. `records` are the recording rules that it needs besides, `notes` say where its number is another than Watchpost's."""

    rule: Rule
    asked: Asked
    alert: dict[str, object]
    records: tuple[dict[str, object], ...] = ()
    notes: tuple[str, ...] = ()


class PrometheusRules(msgspec.Struct, frozen=True):
    """The rules that can be exported, those that cannot, and the objectives of the former."""

    exported: tuple[Alerting, ...]
    left_out: tuple[LeftOut, ...]
    slos: tuple[Slo, ...] = ()


def prometheus_rules(rules: RuleSet) -> PrometheusRules:
    """What of the rules Prometheus can judge by the metrics of `/metrics`."""
    exported: list[Alerting] = []
    left_out: list[LeftOut] = []
    for rule in rules.rules:
        try:
            exported.append(_alerting(rule))
        except UnsayableError as error:
            left_out.append(LeftOut(rule.name, str(error)))
    told = {each.rule.labels.get("slo") for each in exported if isinstance(each.rule.test, Burn)}
    return PrometheusRules(tuple(exported), tuple(left_out), tuple(slo for slo in rules.slos if slo.name in told))


def rules_file(rules: PrometheusRules) -> str:
    """The YAML, with what was left out, and what differs, as comments above it."""
    plain = [each for each in rules.exported if not isinstance(each.rule.test, Burn)]
    groups: list[dict[str, object]] = []
    if plain:
        groups.append(
            {"name": "watchpost", "rules": [entry for each in plain for entry in (*each.records, each.alert)]}
        )
    for slo in rules.slos:
        burning = [
            each
            for each in rules.exported
            if isinstance(each.rule.test, Burn) and each.rule.labels.get("slo") == slo.name
        ]
        records = {str(record["record"]): record for each in burning for record in each.records}
        entries = [*records.values(), *_budget(slo), *[each.alert for each in burning]]
        groups.append({"name": f"watchpost-slo-{slo.name}", "rules": entries})
    lines = ["Rules of Watchpost for Prometheus."]
    lines += [f"{each.rule.name}: {note}" for each in rules.exported for note in each.notes]
    lines += [f"Not here: {each.rule}: {each.reason}" for each in rules.left_out]
    return "".join(f"# {line}\n" for line in lines) + write_yaml({"groups": groups})


def write_yaml(document: object) -> str:
    """YAML in the order given, text of several lines as a block; what is repeated is written out."""
    # A copy in which nothing is there twice: PyYAML would refer from one place to the other.
    copied = msgspec.json.decode(msgspec.json.encode(document))
    written: str = yaml.dump(copied, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    return written


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    # Other line breaks than \n stand only in quotes: elsewhere they are read as spaces.
    style = ("|" if "\n" in text else None) if text.replace("\n", "").isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper = type("_Dumper", (yaml.SafeDumper,), {})
yaml.add_representer(str, _text, Dumper=_Dumper)


def static_labels(rule: Rule) -> dict[str, str]:
    """The labels that every alert of a rule has in Prometheus."""
    dimensions = dimensions_of(rule.subject)
    labels = labels_of(rule, ("", *dimensions))
    for name in ("alertname", "project", *dimensions):
        del labels[name]
    return {name: text for name, text in labels.items() if text}


def _alerting(rule: Rule) -> Alerting:
    asked = asked_of(rule.subject)
    _check(rule, asked)
    records: tuple[dict[str, object], ...] = ()
    match rule.test:
        case Limit() as limit:
            expr = _limited(rule, asked, limit)
        case Times() as times:
            expr = _multiplied(rule, asked, times)
        case Spread() as spread:
            expr = _spread(rule, asked, spread)
            records = ({"record": VALUE_RECORD, "expr": value(asked, rule.window_ns), "labels": {"rule": rule.name}},)
        case Burn() as burn:
            expr = _burning(rule, asked, burn)
            records = tuple(_error_record(rule, asked, burn, window_ns) for window_ns in _burn_windows(burn))
    alert: dict[str, object] = {"alert": rule.name, "expr": expr}
    if rule.for_ns:
        alert["for"] = duration_text(rule.for_ns)
    if rule.keep_firing_ns:
        alert["keep_firing_for"] = duration_text(rule.keep_firing_ns)
    renamed = {name: f"{{{{ $labels.{label} }}}}" for name, label in asked.by if name != label}
    alert["labels"] = renamed | {name: _literal(text) for name, text in static_labels(rule).items()}
    alert["annotations"] = _annotations(rule, asked)
    return Alerting(rule, asked, alert, records, tuple(_notes(rule, asked)))


def _check(rule: Rule, asked: Asked) -> None:
    """Raise `UnsayableError` for what no expression can say."""
    if rule.share_of_sessions is not None:
        raise UnsayableError("no metric tells sessions apart, and so what share of them is affected")
    if rule.no_data != "ok":
        raise UnsayableError("Prometheus cannot tell a group without data from one that never was")
    if rule.window_ns < SHORTEST_WINDOW_NS:
        raise UnsayableError(f"in {duration_text(rule.window_ns)} there are too few scrapes to judge by")
    match asked.source:
        case Hourly():
            _check_hourly(rule, asked)
        case Share(relative=True) if not isinstance(rule.test, Times):
            raise UnsayableError(
                "the measure is of sessions and the metrics are of runs, so that only its change can be told"
            )
        case Share(most=float(most)):
            _check_reach(rule.test, most, "a share never gets there, or is always below")
        case Buckets(bounds=bounds):
            _check_reach(rule.test, bounds[-1], f"the buckets of its metric end at {bounds[-1]:g} s")


def _check_hourly(rule: Rule, asked: Asked) -> None:
    if rule.window_ns != _HOUR_NS or not isinstance(rule.test, Limit):
        raise UnsayableError("its metric is a share over the last hour, and over no other window")
    if [name for name, _ in asked.by] != ["workflow"]:
        raise UnsayableError(
            "its metric is a share of each workflow, and shares cannot be put together: group by workflow alone"
        )
    if rule.at_least_count:
        raise UnsayableError("no metric tells how many stand behind the value, as at_least_count asks")
    _check_reach(rule.test, 1.0, "a share never gets there, or is always below")


def _check_reach(test: Limit | Times | Spread | Burn, most: float, reason: str) -> None:
    """Raise `UnsayableError` for a threshold on which everything, or nothing, lies to one side."""
    if isinstance(test, Limit) and (test.value > most or (test.value == most and test.how in {"above", "at_most"})):
        raise UnsayableError(reason)


def _limited(rule: Rule, asked: Asked, limit: Limit) -> str:
    looked = value(asked, rule.window_ns)
    least = rule.at_least_count
    if isinstance(asked.source, Growth) and asked.source.whole:
        if limit.how in {"above", "at_least"}:
            sign, threshold = (">=", least) if least > limit.value else (_SIGNS[limit.how], limit.value)
            return f"{looked} {sign} {number(threshold)}"
        enough = f"\nand {looked} >= {least}" if least else ""
        return f"{looked} {_SIGNS[limit.how]} {number(limit.value)}{enough}"
    return f"{looked} {_SIGNS[limit.how]} {number(limit.value)}{_enough(rule, asked)}"


def _multiplied(rule: Rule, asked: Asked, times: Times) -> str:
    usual = value(asked, times.over_ns, rule.window_ns)
    sign = ">" if times.times > 1 else "<"
    return (
        f"{_grouped(value(asked, rule.window_ns))}\n{sign} {number(times.times)} * ({_grouped(usual)} > 0)"
        f"{_enough(rule, asked)}"
    )


def _spread(rule: Rule, asked: Asked, spread: Spread) -> str:
    record = f"{VALUE_RECORD}{{rule={quoted(rule.name)}}}"
    # A window without anything is no number where shares are told, and 0 where counts are: neither is a usual one.
    seen = f"{record} > 0" if isinstance(asked.source, Growth) else f"{record} >= 0"
    before = f"({seen})[{duration_text(spread.over_ns)}:{duration_text(rule.window_ns)}] offset {duration_text(rule.window_ns)}"
    count = f"count_over_time({before})"
    far = f"{number(spread.deviations)} * stddev_over_time({before}) * sqrt({count} / ({count} - 1))"
    usual = f"avg_over_time({before})"
    beyond = f"{record} > {number(1 + _BEYOND_NOISE)} * ({usual} + {far})"
    if spread.both:
        beyond += f"\n  or {record} < {number(1 - _BEYOND_NOISE)} * ({usual} - {far})"
    return f"max without (rule) (\n  ({beyond})\n  and {count} >= {FEWEST_BUCKETS}\n){_enough(rule, asked)}"


def _enough(rule: Rule, asked: Asked) -> str:
    """The further condition that enough stand behind the value."""
    if not rule.at_least_count:
        return ""
    if isinstance(asked.source, Growth) and asked.source.whole:
        return f"\nand {value(asked, rule.window_ns)} >= {rule.at_least_count}"
    return f"\nand {behind(asked, rule.window_ns)} >= {rule.at_least_count}"


def _grouped(expr: str) -> str:
    return f"({expr})" if "\n" in expr else expr


def _burn_windows(burn: Burn) -> list[int]:
    return sorted({window_ns for pair in burn.pairs for window_ns in (pair.long_ns, pair.short_ns)})


def _error_name(window_ns: int) -> str:
    return f"slo:sli_error:ratio_rate{duration_text(window_ns)}"


def _of_slo(rule: Rule) -> str:
    return f"{{slo={quoted(rule.labels['slo'])}}}"


def _error_record(rule: Rule, asked: Asked, burn: Burn, window_ns: int) -> dict[str, object]:
    share = value(asked, window_ns)
    expr = f"1 - {_grouped(share)}" if burn.is_good else share
    return {"record": _error_name(window_ns), "expr": expr, "labels": {"slo": rule.labels["slo"]}}


def _burning(rule: Rule, asked: Asked, burn: Burn) -> str:
    if not isinstance(asked.source, Share) or asked.source.relative:
        raise UnsayableError("no two counters make the share of errors over any window")
    pairs = []
    for pair in burn.pairs:
        limit = f"({number(pair.factor)} * {number(burn.budget)})"
        both = " and ".join(
            f"{_error_name(window_ns)}{_of_slo(rule)} > {limit}" for window_ns in (pair.long_ns, pair.short_ns)
        )
        enough = ""
        if rule.at_least_count:
            enough = f"\n  and on ({asked.labels}) {behind(asked, pair.long_ns)} >= {rule.at_least_count}"
        pairs.append(f"({both}{enough})")
    return "\nor ".join(pairs)


def _budget(slo: Slo) -> list[dict[str, object]]:
    """What an objective is, and what is left of its error budget."""
    labels = {"slo": slo.name}
    mine = f"{{slo={quoted(slo.name)}}}"
    period = duration_text(slo.window_ns)
    hourly = f"{_error_name(300 * 10**9)}{mine}[{period}]"
    period_name = f"slo:sli_error:ratio_rate{period}"
    return [
        {"record": "slo:objective:ratio", "expr": f"vector({number(slo.objective)})", "labels": labels},
        {"record": "slo:error_budget:ratio", "expr": f"vector({number(slo.budget)})", "labels": labels},
        {
            "record": period_name,
            "expr": f"sum_over_time({hourly})\n/ count_over_time({hourly})",
            "labels": labels,
        },
        {
            "record": "slo:period_error_budget_remaining:ratio",
            "expr": f"1 - {period_name}{mine} / {number(slo.budget)}",
            "labels": labels,
        },
    ]


def _annotations(rule: Rule, asked: Asked) -> dict[str, str]:
    unit = unit_of(rule.subject)
    looks_at, condition = in_words(rule)
    is_burn = isinstance(rule.test, Burn)
    over = "" if is_burn else f", over {duration_text(rule.window_ns)}"
    held = f", for {duration_text(rule.for_ns)}" if rule.for_ns else ""
    summary = rule.summary or f"{metric_of(rule.subject)} is {{value}}, the threshold {{threshold}}, over {{window}}"
    names = {
        "value": _VALUES[unit],
        "threshold": _literal(_threshold(rule, unit)),
        "window": " or ".join(duration_text(pair.long_ns) for pair in rule.test.pairs)
        if isinstance(rule.test, Burn)
        else duration_text(rule.window_ns),
        "project": "all projects",
        "latest": "Watchpost shows the latest flags",
        **{name: f"{{{{ $labels.{label} }}}}" for name, label in asked.by},
    }
    told = "".join(
        _literal(literal) + (names[name] if name is not None else "")
        for literal, name, _, _ in Formatter().parse(summary)
    )
    return {
        "summary": told,
        "description": f"{_literal(f'{looks_at}: {condition}{over}{held}')}. It is {_VALUES[unit]}.",
        "runbook_url": _literal(rule.runbook),
    }


def _threshold(rule: Rule, unit: Unit) -> str:
    match rule.test:
        case Limit(value=threshold):
            return amount_text(threshold, unit)
        case Times() | Spread():
            return "what is usual"
        case Burn(pairs, budget, _):
            return " or ".join(amount_text(pair.factor * budget, "share") for pair in pairs)


def _literal(text: str) -> str:
    """Text that a template of Prometheus leaves as it is."""
    return text.replace("{{", '{{"{{"}}')


def _notes(rule: Rule, asked: Asked) -> Sequence[str]:
    source = asked.source
    notes = [source.note] if isinstance(source, Share | Buckets) and source.note else []
    if isinstance(source, Buckets):
        if not isinstance(rule.test, Limit):
            notes.append(f"the quantile is estimated within its bucket, and never above {source.bounds[-1]:g} s")
        elif rule.test.value not in source.bounds or rule.test.how in {"at_least", "below"}:
            notes.append(f"the quantile is estimated within the bucket of {rule.test.value:g} s")
    return notes
