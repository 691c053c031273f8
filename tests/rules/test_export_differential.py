"""An exported rule on counters that a scrape would see holds when Watchpost's does, at the same value."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from watchpost.model.alert import Firing
from watchpost.model.ledger import LedgerRow, LedgerStep
from watchpost.rules.engine import RuleEngine
from watchpost.rules.prometheus import RULES_FILE, prometheus_rules, rules_file, write_yaml
from watchpost.rules.rule import RuleSet
from watchpost.rules.rule_file import read_rules
from watchpost.rules.standing import Damping

sys.path.append(str(Path(__file__).parents[1] / "live"))
from foreign_server import may_be_missing, program

pytestmark = pytest.mark.skipif(may_be_missing("prometheus"), reason="there is no Prometheus to be had")

CELL_S = 15
BEGIN = 1_790_000_400
CELLS = 160

RULES = """
rules:
  - name: R
    measure: {measure}
    by: [tool]
    where: {{workflow: [refunds]}}
    window: 5m
    {test}
    for: 1m
    at_least_count: 20
    severity: high
    owner: me
    runbook: https://runbooks.example/a
"""


def made_up(seed: int) -> list[tuple[int, int]]:
    """Calls and errors of one tool, cell by cell: health, faults, quiet."""
    chance = random.Random(seed)
    found: list[tuple[int, int]] = []
    while len(found) < CELLS:
        share, most = chance.choice([(0.0, 4), (0.05, 4), (0.2, 4), (0.5, 3), (0.0, 0)])
        for _ in range(chance.randint(10, 40)):
            calls = chance.randint(0, most)
            found.append((calls, sum(chance.random() < share for _ in range(calls))))
    return found[:CELLS]


def row(cell: int, calls: int, errors: int) -> LedgerRow:
    start = BEGIN + cell * CELL_S
    steps = tuple(
        LedgerStep(
            cell.to_bytes(16, "big"), number.to_bytes(8, "big"), b"", start * 10**9 + number, 1000, "tool", "get", "", "", "get",
            "error" if number < errors else "ok", "tool_timeout" if number < errors else "", None, None, None,
        )
        for number in range(calls)
    )  # fmt: skip
    return LedgerRow(
        "p", start // 600 * 600, f"s-{cell}", cell, gone=False, workflow="refunds", user_id="", outcome="", steps=steps
    )


def series(cells: list[tuple[int, int]]) -> list[dict[str, str]]:
    """What scrapes at the end of each cell see."""
    found = []
    for place, metric in enumerate(("agent_tool_calls_total", "agent_tool_errors_total")):
        total, seen = 0, ["0"]
        for cell in cells:
            total += cell[place]
            seen.append(str(total))
        name = f'{metric}{{tool="get", workflow="refunds", job="j", instance="i"}}'
        found.append({"series": name, "values": " ".join(seen)})
    typed = 'agent_step_errors_total{error_type="tool_timeout", kind="tool", workflow="refunds", job="j", instance="i"}'
    return [*found, {"series": typed, "values": found[1]["values"]}]


# No threshold here is a share that so few calls can come to: there, rates of Prometheus are off by the last bit to either side.
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("measure", "test"),
    [
        ("tool_error_rate", "above: 0.11"),
        ("tool_error_rate", "at_least: 0.21"),
        ("tool_error_rate", "below: 0.11"),
        ("tool_errors", "above: 5"),
        ("tool_calls", "at_least: 24"),
        ("tool_calls", "below: 24"),
        ("steps", "above: 5"),
    ],
)
def test_an_exported_rule_holds_when_ours_does(tmp_path: Path, measure: str, test: str, seed: int) -> None:
    text = RULES.format(measure=measure, test=test)
    if measure != "tool_error_rate":
        text = text.replace("    at_least_count: 20\n", "")
    if measure == "steps":
        text = text.replace("by: [tool]", "by: [error_type]").replace(
            "refunds]", "refunds], error_type: [tool_timeout]"
        )
    (rule,) = read_rules(text).rules
    exported = prometheus_rules(RuleSet((rule,)))
    (tmp_path / RULES_FILE).write_text(rules_file(exported), encoding="utf-8")
    (alerting,) = exported.exported
    engine = RuleEngine([rule], damping=Damping(hold_ns=0, fires=0))
    cells = made_up(seed)
    asked: list[dict[str, object]] = []
    held = 0
    for cell, counted in enumerate(cells):
        engine.take([row(cell, *counted)], [])
        engine.tick((BEGIN + (cell + 1) * CELL_S) * 10**9)
        if cell < 21:  # the window of the first cells reaches back before there was anything to scrape
            continue
        at = f"{(cell + 1) * CELL_S}s"
        alert = next(iter(engine.states()), None)
        if alert is None:
            asked.append({"expr": "ALERTS", "eval_time": at, "exp_samples": []})
            continue
        held += 1
        state = "firing" if isinstance(alert.state, Firing) else "pending"
        value = alert.event.value
        same = f"count(({alerting.alert['expr']}) > {value - 1e-9!r} < {value + 1e-9!r})"
        asked.append({"expr": same, "eval_time": at, "exp_samples": [{"labels": "{}", "value": 1}]})
        if state == "pending" or cell > 40:
            one = [{"labels": f'{{alertstate="{state}"}}', "value": 1}]
            asked.append({"expr": "count by (alertstate) (ALERTS)", "eval_time": at, "exp_samples": one})
    assert 10 < held < CELLS - 21
    document = {
        "rule_files": [RULES_FILE],
        "evaluation_interval": f"{CELL_S}s",
        "tests": [{"interval": f"{CELL_S}s", "input_series": series(cells), "promql_expr_test": asked}],
    }
    (tmp_path / "one.yml").write_text(write_yaml(document), encoding="utf-8")
    done = subprocess.run(
        [program("promtool") or "promtool", "test", "rules", "one.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
