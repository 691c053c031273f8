"""What rules cost: CPU of a tick of 200 rules with full windows, and of taking a step, by how many rules care for it.

    python bench/rules.py [--rate 100] [--minutes 60] [--json]

Sessions of 20 steps, model and tool calls in turn, over 20 workflows, 10 tools and 5 models, come in at `--rate` steps a second for so many minutes, each in three
rows of which the later replaces the earlier, as the fold tells them. 200 rules look at them: rates, counts, sums, quantiles and shares of sessions, over one minute to
an hour, half of them filtered by workflow, most grouped by tool, model or workflow. A tick's cost follows from cells and groups and hardly from the rate, but for
quantiles and shares of sessions, so the rate at which it was measured is told with it. Rows wait to be counted until windows
are looked at, so most of what a step costs stands in the tick; `cpu_us_per_step` is all of both. All figures are CPU time of one process.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import time
from collections.abc import Iterator

from watchpost.model.ledger import LedgerRow, LedgerStep
from watchpost.model.session import Summary, Totals, session_key
from watchpost.rules.engine import RuleEngine
from watchpost.rules.pack import shipped
from watchpost.rules.rule import Rule
from watchpost.rules.rule_file import read_rules

SECOND = 10**9
BEGIN = 1_790_000_400
STEPS = 20
END = "severity: warning, owner: me, runbook: https://runbooks.example/a"

SHAPES = (
    ("tool_error_rate", "tool", "5m", "90 %"),
    ("tool_error_rate", "tool", "10m", "90 %"),
    ("llm_error_rate", "model", "5m", "90 %"),
    ("tool_calls", "tool", "15m", "1000000000"),
    ("cost_usd", "workflow", "1h", "1000000 USD"),
    ("tokens", "workflow", "1h", "100000000000"),
    ("llm_call_duration_seconds", "model", "5m", "1h"),
    ("workflow_duration_seconds", "workflow", "5m", "1d"),
    ("loop_session_share", "workflow", "30m", "90 %"),
    ("cost_per_session_usd", "workflow", "1h", "1000000 USD"),
)


def two_hundred() -> tuple[Rule, ...]:
    """The rules of `two_hundred_text`."""
    return read_rules(two_hundred_text()).rules


def two_hundred_text(also: str = "w-0") -> str:
    """A file of ten shapes, each for all workflows and for nineteen of them by name, ten of these for one more."""
    rules = []
    for number, (measure, by, window, above) in enumerate(SHAPES):
        for workflow in range(20):
            names = f"[w-{workflow}, {also}]" if workflow > 9 and also != "w-0" else f"w-{workflow}"
            where = f"where: {{workflow: {names}}}, " if workflow else ""
            rules.append(
                f"  - {{name: R{number}-{workflow}, measure: {measure}, {where}by: [{by}], window: {window}, above: {above}, for: 1m, {END}}}"
            )
    return "rules:\n" + "\n".join(rules)


def sessions(rate: float, seconds: int) -> Iterator[tuple[float, LedgerRow, Summary | None]]:
    """Rows and what is told of their sessions, by when they come in."""
    chance = random.Random(1)
    found = []
    for number in range(int(rate * seconds / STEPS)):
        at = number * STEPS / rate
        workflow, session = f"w-{chance.randrange(20)}", f"s-{number}"
        steps = tuple(a_step(chance, number, n, at + n * 1.5) for n in range(STEPS))
        for count in (7, 14, STEPS):
            last = at + count * 1.5 + 1
            held = [step for step in steps[:count] if step.start_ns // SECOND // 600 == int(BEGIN + at) // 600]
            row = LedgerRow(
                "p",
                int(BEGIN + at) // 600 * 600,
                session,
                count,
                gone=False,
                workflow=workflow,
                user_id="",
                outcome="",
                steps=tuple(held),
            )
            found.append((last, row, ended(session, workflow, at) if count == STEPS else None))
    yield from sorted(found, key=lambda each: each[0])


def a_step(chance: random.Random, session: int, number: int, at: float) -> LedgerStep:
    """A model call or the tool call after it."""
    is_tool = number % 2 == 1
    return LedgerStep(
        session.to_bytes(16, "big"),
        number.to_bytes(8, "big"),
        b"",
        int((BEGIN + at) * SECOND),
        chance.randrange(1, 5_000_000),
        "tool" if is_tool else "llm",
        "",
        "clerk",
        "" if is_tool else f"m-{chance.randrange(5)}",
        f"t-{chance.randrange(10)}" if is_tool else "",
        "error" if chance.random() < 0.02 else "ok",
        "",
        None if is_tool else chance.randrange(1000),
        None if is_tool else chance.randrange(200),
        None if is_tool else chance.randrange(10**7),
    )


def ended(session: str, workflow: str, at: float) -> Summary:
    """The session once all of its steps are told."""
    start_ns = int((BEGIN + at) * SECOND)
    totals = Totals(STEPS, 10, 10, 0, 5000, 1000, None, None, 10**7)
    key = session_key("p", session)
    return Summary(
        key, "p", session, workflow, "", "ended", "completed", 1, start_ns, start_ns + 30 * SECOND, start_ns, 0, totals
    )


def measured(rules: tuple[Rule, ...], rate: float, minutes: int) -> dict[str, float]:
    """CPU of taking and of ticking, over the last ten minutes, when windows are full."""
    engine = RuleEngine(rules, most_held=1 << 40)
    took = counted = 0.0
    ticks: list[float] = []
    due = 0.0
    coming = list(sessions(rate, minutes * 60))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for at, row, session in coming:
        while at >= due:
            begun = time.process_time()
            engine.tick(int((BEGIN + due) * SECOND))
            ticks.append(time.process_time() - begun)
            due += 15
        begun = time.process_time()
        engine.take([row], [] if session is None else [session])
        took += time.process_time() - begun
        counted += len(row.steps)
    full = ticks[len(ticks) * 5 // 6 :]
    return {
        "rules": len(rules),
        "steps_per_second": rate,
        "cpu_us_per_step": 1e6 * (took + sum(ticks)) / counted,
        "take_us_per_step": 1e6 * took / counted,
        "tick_ms_median": 1e3 * statistics.median(full),
        "tick_ms_worst": 1e3 * max(full),
        "held_rows": engine.held,
        "grown_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    careless = read_rules(f"rules: [{{name: R, measure: handoffs, window: 5m, above: 1000, {END}}}]").rules
    for name, rules in (
        ("one rule, of other steps", careless),
        ("shipped", tuple(r for r in shipped().rules)),
        ("200 rules", two_hundred()),
    ):
        found = measured(rules, given.rate, given.minutes)
        if given.json:
            print(json.dumps({"what": name, **found}))
        else:
            print(f"{name}: " + ", ".join(f"{key} {value:.4g}" for key, value in found.items()))


if __name__ == "__main__":
    main()
