"""What is exported for Grafana is a dashboard by Grafana's own types, and asks Prometheus only for what Watchpost exposes."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from watchpost.rules.grafana import AGENTS, agents_dashboard

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / ".venv" / "node"
"""Where `make setup` puts Grafana's types and a compiler."""

PRELUDE = """
import { type Dashboard, GraphDrawStyle, GraphThresholdsStyleMode, LegendDisplayMode, SortOrder, ThresholdsMode, TooltipDisplayMode,
  VisibilityMode } from "@grafana/schema";
import type { FieldConfig, Options } from "@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen";
"""
ENUMS = {
    '"drawStyle":"line"': '"drawStyle":GraphDrawStyle.Line',
    '"showPoints":"never"': '"showPoints":VisibilityMode.Never',
    '"displayMode":"list"': '"displayMode":LegendDisplayMode.List',
    '"sort":"desc"': '"sort":SortOrder.Descending',
    '"thresholdsStyle":{"mode":"line"}': '"thresholdsStyle":{"mode":GraphThresholdsStyleMode.Line}',
    '"mode":"absolute"': '"mode":ThresholdsMode.Absolute',
    '"mode":"multi"': '"mode":TooltipDisplayMode.Multi',
}
"""Words of the file and the members of Grafana's enumerations that have them as values: TypeScript takes only the member."""


def literal(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    for word, member in ENUMS.items():
        text = text.replace(word, member)
    return text


def complaints(dashboard: dict[str, object], folder: Path) -> str:
    """What the compiler has against a dashboard, its panels' options and what is drawn how."""
    panels = dashboard["panels"]
    assert isinstance(panels, list)
    graphs = [panel for panel in panels if panel["type"] == "timeseries"]
    assert len(graphs) == sum(len(row.panels) for row in AGENTS)
    lines = [PRELUDE, f"export const dashboard: Dashboard = {literal(dashboard)};"]
    for number, graph in enumerate(graphs):
        lines.append(f"export const options{number}: Options = {literal(graph['options'])};")
        lines.append(
            f"export const drawn{number}: FieldConfig = {literal(graph['fieldConfig']['defaults']['custom'])};"
        )
    (folder / "dashboard.ts").write_text("\n".join(lines), encoding="utf-8")
    (folder / "node_modules").symlink_to(SCHEMA / "node_modules")
    flags = [
        "--noEmit",
        "--strict",
        "--skipLibCheck",
        "--module",
        "esnext",
        "--moduleResolution",
        "node",
    ]
    command = [str(SCHEMA / "node_modules" / ".bin" / "tsc"), *flags, "--target", "es2022", "dashboard.ts"]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    return found.stdout + found.stderr


def test_grafana_takes_the_dashboard_for_one(tmp_path: Path) -> None:
    assert complaints(agents_dashboard(), tmp_path) == ""


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"schemaVersion":42', '"schemaVersion":"42"', "TS2322"),
        ('"showLegend":true', '"showLegends":true', "TS2353"),
        ('"lineWidth":1', '"lineWidth":"1"', "TS2322"),
    ],
)
def test_a_wrong_type_or_key_would_be_seen(tmp_path: Path, old: str, new: str, fault: str) -> None:
    text = msgspec.json.encode(agents_dashboard()).decode()
    assert old in text
    assert fault in complaints(msgspec.json.decode(text.replace(old, new)), tmp_path)


def expressions() -> Iterator[str]:
    for row in AGENTS:
        for panel in row.panels:
            yield from (query.expr for query in panel.queries)


def test_prometheus_can_read_every_expression(tmp_path: Path) -> None:
    rules = [
        {
            "record": f"panel:{number}",
            "expr": expr.replace("$__rate_interval", "5m").replace("$workflow", ".*"),
        }
        for number, expr in enumerate(expressions())
    ]
    file = tmp_path / "rules.json"
    file.write_bytes(msgspec.json.encode({"groups": [{"name": "panels", "rules": rules}]}))
    promtool = shutil.which("promtool") or str(ROOT / ".venv" / "bin" / "promtool")
    checked = subprocess.run(
        [promtool, "check", "rules", file], capture_output=True, text=True, check=False, timeout=60
    )
    assert f"SUCCESS: {len(rules)} rules found" in checked.stdout, checked.stderr


def test_every_metric_that_is_drawn_is_one_that_is_exposed() -> None:
    documented = "".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("prometheus.md", "api.md"))
    asked = {name for expr in expressions() for name in re.findall(r"\b(?:agent|watchpost)_[a-z_]+", expr)}
    assert len(asked) > 12
    assert [name for name in sorted(asked) if f"`{name.removesuffix('_bucket')}`" not in documented] == []
