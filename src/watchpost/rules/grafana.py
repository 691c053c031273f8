"""Dashboards for Grafana over the metrics of `/metrics`, as JSON to import or to provision.

A dashboard is a table of panels; what Grafana wants beside it is added here once. Field names are Grafana's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from watchpost.rules.pack import shipped
from watchpost.rules.prometheus import write_yaml
from watchpost.rules.rule import Limit, Rule

SCHEMA_VERSION = 42
"""Of Grafana's dashboard model; newer Grafanas migrate it by themselves."""

Unit = Literal["short", "s", "percentunit", "currencyUSD", "bytes", "ops"]

DASHBOARD_FILE = "watchpost-agents.json"
DATASOURCES_FILE = "datasources.yml"

TEMPO = "tempo"
"""The uid of the data source of traces."""

_WIDTH = 24
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_EACH = '{workflow=~"$workflow"}'


class Query(msgspec.Struct, frozen=True):
    """One PromQL expression, and how its series are called in the legend."""

    expr: str
    legend: str


class Panel(msgspec.Struct, frozen=True):
    """One graph. The threshold of the rule that it names is drawn as a line; `width` is in the 24 columns of a row."""

    title: str
    unit: Unit
    queries: tuple[Query, ...]
    what: str
    rule: str = ""
    width: int = 8


class Row(msgspec.Struct, frozen=True):
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{_EACH}[$__rate_interval]))"


def _quantile(metric: str, quantile: float, by: str) -> str:
    return f"histogram_quantile({quantile}, sum by ({by}, le) (rate({metric}_bucket{_EACH}[$__rate_interval])))"


def _share(failed: str, every: str, by: str) -> str:
    return f"{_rate(failed, by)} / {_rate(every, by)}"


AGENTS: tuple[Row, ...] = (
    Row(
        "Quality",
        (
            Panel(
                "Completed sessions",
                "percentunit",
                (Query(f"agent_task_completion_rate{_EACH}", "{{workflow}}"),),
                "Share of the sessions that ended in the last hour with the outcome completed.",
            ),
            Panel(
                "Flags",
                "short",
                (Query(f"sum by (kind) (increase(agent_flags_total{_EACH}[$__rate_interval]))", "{{kind}}"),),
                "Anomalies that were confirmed. The points are exemplars: each leads to the session.",
            ),
            Panel(
                "Cost of a run",
                "currencyUSD",
                (
                    Query(
                        f"{_rate('agent_token_cost_total', 'workflow')} / {_rate('agent_workflow_completions_total', 'workflow')}",
                        "{{workflow}}",
                    ),
                ),
                "Dollars spent for each run that ended. Calls without a price are in no dollar.",
            ),
        ),
    ),
    Row(
        "Models",
        (
            Panel(
                "Failed model calls",
                "percentunit",
                (Query(_share("agent_llm_errors_total", "agent_llm_calls_total", "model"), "{{model}}"),),
                "Share of ended model calls that failed.",
                "AgentLLMHighErrorRate",
            ),
            Panel(
                "Model calls, 95th percentile",
                "s",
                (Query(_quantile("agent_llm_call_duration_seconds", 0.95, "model"), "{{model}}"),),
                "How long model calls took.",
            ),
            Panel(
                "Tokens",
                "short",
                (
                    Query(
                        f"sum by (model, direction) (increase(agent_tokens_total{_EACH}[1h]))",
                        "{{model}} {{direction}}",
                    ),
                ),
                "Tokens of the hour before each point.",
                "AgentTokenBudgetExceeded",
            ),
            Panel(
                "Model calls",
                "ops",
                (Query(_rate("agent_llm_calls_total", "model"), "{{model}}"),),
                "Model calls that ended, a second; a shift from one model to another shows here.",
                width=12,
            ),
            Panel(
                "Spend",
                "currencyUSD",
                (Query(f"sum by (model) (increase(agent_cost_dollars_total{_EACH}[1h]))", "{{model}}"),),
                "Dollars of the hour before each point.",
                width=12,
            ),
        ),
    ),
    Row(
        "Infrastructure",
        (
            Panel(
                "Failed tool calls",
                "percentunit",
                (Query(_share("agent_tool_errors_total", "agent_tool_calls_total", "tool"), "{{tool}}"),),
                "Share of ended tool calls that failed.",
                "AgentToolHighFailureRate",
            ),
            Panel(
                "Tool calls, 95th percentile",
                "s",
                (Query(_quantile("agent_tool_duration_seconds", 0.95, "tool"), "{{tool}}"),),
                "How long tool calls took.",
            ),
            Panel(
                "Runs, 95th percentile",
                "s",
                (Query(_quantile("agent_workflow_duration_seconds", 0.95, "workflow"), "{{workflow}}"),),
                "How long runs took from end to end.",
                "AgentWorkflowSlowResponse",
            ),
            Panel(
                "Runs that ended",
                "ops",
                (Query(_rate("agent_workflow_completions_total", "workflow"), "{{workflow}}"),),
                "Runs that ended a second, whatever came of them.",
                width=12,
            ),
            Panel(
                "Sessions that have not ended",
                "short",
                (Query(f"agent_active_workflows{_EACH}", "{{workflow}}"),),
                "A line that only grows is runs that never end.",
                width=12,
            ),
        ),
    ),
    Row(
        "Watchpost itself",
        (
            Panel(
                "Lag",
                "s",
                (Query("watchpost_react_lag_seconds", "{{instance}}"),),
                "Age of the oldest delivery that has not been reacted to.",
            ),
            Panel(
                "Refused and put off",
                "ops",
                (
                    Query(
                        'sum by (item) (rate(watchpost_items_total{fate="rejected"}[$__rate_interval]))',
                        "{{item}} refused",
                    ),
                    Query("sum(rate(watchpost_requests_put_off_total[$__rate_interval]))", "requests put off"),
                ),
                "What could not be taken in, a second.",
            ),
            Panel(
                "Notices",
                "short",
                (Query("sum by (channel, state) (watchpost_outbox_notices)", "{{channel}} {{state}}"),),
                "Notices by where they go and how they stand.",
            ),
        ),
    ),
)
"""What agents do, in the three tiers, and how Watchpost does."""


def agents_dashboard(rules: Iterable[Rule] | None = None) -> dict[str, object]:
    """The dashboard of all agents, as Grafana reads it, with the thresholds of these rules, or else of the shipped ones."""
    given = shipped().rules if rules is None else rules
    thresholds = {rule.name: rule.test.value for rule in given if isinstance(rule.test, Limit)}
    return dashboard("Agents (Watchpost)", "watchpost-agents", AGENTS, thresholds)


def datasources(public_url: str) -> str:
    """Provisioning of the data sources, as YAML: from the examples of Prometheus one link leads to the trace in Tempo, another to the session in Watchpost."""
    # A $ of Grafana's own is doubled in provisioning files: a single one names a variable of the environment.
    session = f"{public_url.rstrip('/')}/sessions/$${{__value.raw}}"
    prometheus = {
        "name": "Prometheus (Watchpost)",
        "type": "prometheus",
        "uid": "watchpost-prometheus",
        "access": "proxy",
        "url": "http://127.0.0.1:9090",
        "jsonData": {
            "httpMethod": "POST",
            "exemplarTraceIdDestinations": [
                {"name": "trace_id", "datasourceUid": TEMPO, "urlDisplayLabel": "Trace"},
                {"name": "session", "url": session, "urlDisplayLabel": "Session in Watchpost"},
            ],
        },
    }
    tempo = {"name": "Tempo", "type": "tempo", "uid": TEMPO, "access": "proxy", "url": "http://127.0.0.1:3200"}
    return write_yaml({"apiVersion": 1, "datasources": [prometheus, tempo]})


def dashboard(title: str, uid: str, rows: tuple[Row, ...], thresholds: Mapping[str, float]) -> dict[str, object]:
    """Rows of panels as a dashboard that any Grafana can import; it asks which Prometheus to read."""
    panels: list[dict[str, object]] = []
    y = 0
    for row in rows:
        panels.append(_heading(row, len(panels) + 1, y))
        y += 1
        x = 0
        for panel in row.panels:
            if x + panel.width > _WIDTH:
                x, y = 0, y + 8
            panels.append(_graph(panel, thresholds.get(panel.rule), len(panels) + 1, (x, y)))
            x += panel.width
        y += 8
    return {
        "title": title,
        "uid": uid,
        "tags": ["watchpost"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_source_variable(), _workflow_variable()]},
        "annotations": {"list": []},
        "panels": panels,
    }


def _heading(row: Row, number: int, y: int) -> dict[str, object]:
    return {
        "id": number,
        "type": "row",
        "title": row.title,
        "collapsed": False,
        "gridPos": {"x": 0, "y": y, "w": _WIDTH, "h": 1},
        "panels": [],
    }


def _graph(panel: Panel, threshold: float | None, number: int, at: tuple[int, int]) -> dict[str, object]:
    steps: list[dict[str, object]] = [{"color": "green", "value": None}]
    custom: dict[str, object] = {"drawStyle": "line", "lineWidth": 1, "fillOpacity": 8, "showPoints": "never"}
    if threshold is not None:
        steps.append({"color": "red", "value": threshold})
        custom["thresholdsStyle"] = {"mode": "line"}
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.what,
        "datasource": _SOURCE,
        "gridPos": {"x": at[0], "y": at[1], "w": panel.width, "h": 8},
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit,
                "min": 0,
                "custom": custom,
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [_target(query, letter) for letter, query in zip("ABCDEFGH", panel.queries, strict=False)],
    }


def _target(query: Query, letter: str) -> dict[str, object]:
    return {
        "refId": letter,
        "datasource": _SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend,
        "range": True,
        "exemplar": True,
    }


def _source_variable() -> dict[str, object]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus", "hide": 0}


def _workflow_variable() -> dict[str, object]:
    return {
        "name": "workflow",
        "type": "query",
        "label": "Workflow",
        "datasource": _SOURCE,
        "query": "label_values(agent_workflow_completions_total, workflow)",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "hide": 0,
    }
