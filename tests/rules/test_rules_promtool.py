"""The same series through the real Prometheus: pending, firing and over at the same evaluations.

A cell of fifteen seconds is a sample at its end, and a range of one second less than the window holds the same cells as the window does.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from watchpost.model.alert import Firing
from watchpost.model.ledger import LedgerRow, LedgerStep
from watchpost.rules.engine import RuleEngine
from watchpost.rules.rule_file import read_rules
from watchpost.rules.standing import Damping

sys.path.append(str(Path(__file__).parents[1] / "live"))
from foreign_server import may_be_missing, program

CELL_S = 15
BEGIN = 1_790_000_400
AS_PROMETHEUS = Damping(hold_ns=0, fires=0)

Cells = Sequence[tuple[int, int] | None]
"""Calls and errors of each cell of one tool; None where there was none of either."""

OURS = """
rules:
  - name: Failing
    measure: tool_error_rate
    by: [tool]
    window: {window}
    above: 0.1
    for: {wait}
    keep_firing_for: {keep}
    severity: warning
    owner: me
    runbook: https://runbooks.example/a
"""
THEIRS = """
groups:
  - name: ours
    interval: 15s
    rules:
      - alert: Failing
        expr: sum by (tool) (sum_over_time(errors[{range}])) / sum by (tool) (sum_over_time(calls[{range}])) > 0.1
        for: {wait}
        keep_firing_for: {keep}
"""
OUR_SLO = """
slos:
  - name: Tools
    bad: tool_error_rate
    by: [tool]
    objective: 99 %
    window: 30d
    at_least_count: 0
    owner: me
    runbook: https://runbooks.example/a
"""
BURNS = "(sum by (tool) (sum_over_time(errors[{0}])) / sum by (tool) (sum_over_time(calls[{0}])) > ({1} * 0.01))"
THEIR_SLO = f"""
groups:
  - name: ours
    interval: 15s
    rules:
      - alert: ToolsBurnsFast
        expr: >-
          ({BURNS.format("3599s", 14.4)} and {BURNS.format("299s", 14.4)})
          or ({BURNS.format("21599s", 6)} and {BURNS.format("1799s", 6)})
"""


def a_series(seed: int, cells: int, phase: int, most: int) -> Cells:
    """Phases of health, faults and silence."""
    chance = random.Random(seed)
    found: list[tuple[int, int] | None] = []
    while len(found) < cells:
        share = chance.choice([0.0, 0.02, 0.09, 0.11, 0.3, None])
        for _ in range(chance.randint(1, phase)):
            calls = chance.randint(1, most)
            errors = 0 if share is None else sum(chance.random() < share for _ in range(calls))
            found.append(None if share is None else (calls, errors))
    return found[:cells]


def steps(tool: str, cell: int, calls: int, errors: int) -> list[LedgerRow]:
    """One session for each cell."""
    start = BEGIN + cell * CELL_S
    return [
        LedgerRow(
            "p",
            start // 600 * 600,
            f"{tool}-{cell}",
            cell,
            gone=False,
            workflow="",
            user_id="",
            outcome="",
            steps=tuple(
                LedgerStep(
                    cell.to_bytes(16, "big"),
                    n.to_bytes(8, "big"),
                    b"",
                    start * 10**9 + n,
                    1000,
                    "tool",
                    tool,
                    "",
                    "",
                    tool,
                    "error" if n < errors else "ok",
                    "",
                    None,
                    None,
                    None,
                )
                for n in range(calls)
            ),
        )
    ]


class Expected(msgspec.Struct):
    labels: str
    value: int = 1


class At(msgspec.Struct):
    expr: str
    eval_time: str
    exp_samples: list[Expected]


def ours(text: str, series: dict[str, Cells], rule: str) -> list[At]:
    """How alerts stand after each cell, as samples of `ALERTS`."""
    rules = [each for each in read_rules(text).rules if each.name == rule]
    engine = RuleEngine(rules, damping=AS_PROMETHEUS)
    found: list[At] = []
    cells = len(next(iter(series.values())))
    for cell in range(cells):
        for tool, each in series.items():
            counted = each[cell]
            if counted is not None:
                engine.take(steps(tool, cell, *counted), [])
        engine.tick((BEGIN + (cell + 1) * CELL_S) * 10**9)
        samples = [
            Expected(
                f'ALERTS{{alertname="{rule}", alertstate="{"firing" if isinstance(alert.state, Firing) else "pending"}", '
                f'tool="{alert.labels["tool"]}"}}'
            )
            for alert in engine.states()
        ]
        found.append(At("ALERTS", f"{(cell + 1) * CELL_S}s", samples))
    return found


def agrees(folder: Path, theirs: str, series: dict[str, Cells], expected: list[At]) -> str:
    """What promtool says of it; empty where it agrees."""
    (folder / "rules.yml").write_text(theirs, encoding="utf-8")
    metrics = []
    for tool, cells in series.items():
        for place, name in enumerate(("calls", "errors")):
            values = " ".join("_" if each is None else str(each[place]) for each in cells)
            metrics.append({"series": f'{name}{{tool="{tool}"}}', "values": f"_ {values}"})
    test = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": metrics,
                "promql_expr_test": [msgspec.to_builtins(each) for each in expected],
            }
        ],
    }
    (folder / "test.yml").write_bytes(msgspec.json.encode(test))
    done = subprocess.run(
        [program("promtool") or "promtool", "test", "rules", "test.yml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else f"{done.stdout[-3000:]}{done.stderr[-3000:]}"


pytestmark = pytest.mark.skipif(may_be_missing("prometheus"), reason="there is no Prometheus to be had")


@pytest.mark.parametrize(
    ("window", "wait", "keep", "seed"),
    [
        ("1m", "0s", "0s", 1),
        ("5m", "1m", "0s", 2),
        ("5m", "5m", "0s", 3),
        ("2m", "1m", "2m", 4),
        ("1m", "30s", "5m", 5),
        ("5m", "3m", "1m", 6),
    ],
)
def test_a_threshold_is_pending_firing_and_over_when_prometheus_says_so(
    tmp_path: Path, window: str, wait: str, keep: str, seed: int
) -> None:
    series = {"search": a_series(seed, 240, 40, 20), "pay": a_series(seed + 100, 240, 25, 5)}
    expected = ours(OURS.format(window=window, wait=wait, keep=keep), series, "Failing")
    told = {sample.labels.split('alertstate="')[1].split('"')[0] for at in expected for sample in at.exp_samples}
    assert "firing" in told
    span = f"{int(window[:-1]) * 60 - 1}s"
    assert agrees(tmp_path, THEIRS.format(range=span, wait=wait, keep=keep), series, expected) == ""


def test_an_error_budget_burns_too_fast_when_prometheus_says_so(tmp_path: Path) -> None:
    well = [(5, 0)] * 400
    series: dict[str, Cells] = {
        "search": [*well, *[(5, 2)] * 120, *well],
        "pay": a_series(7, 920, 200, 6),
    }
    expected = ours(OUR_SLO, series, "ToolsBurnsFast")
    firing = [at for at in expected if any('tool="search"' in sample.labels for sample in at.exp_samples)]
    assert len(firing) > 50
    for at in expected:
        for sample in at.exp_samples:
            sample.labels = sample.labels.replace(', slo="Tools"', "")
    assert agrees(tmp_path, THEIR_SLO, series, expected) == ""


def test_promtool_would_have_said_so_had_they_differed(tmp_path: Path) -> None:
    series = {"search": a_series(2, 240, 40, 20)}
    expected = ours(OURS.format(window="5m", wait="1m", keep="0s"), series, "Failing")
    assert "FAILED" in agrees(tmp_path, THEIRS.format(range="299s", wait="2m", keep="0s"), series, expected)
