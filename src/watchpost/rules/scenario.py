"""Behaviour of rules as readable text: what agents did over time, and how alerts must stand.

    # a comment
    rules:
      - name: AgentToolHighFailureRate
        measure: tool_error_rate
        ...
    shipped AgentTokenBudgetExceeded
    from 0m to 20m every 30s: tool lookup ok x9
    from 5m to 20m every 30s: tool lookup error x1 workflow=refunds
    at 3m: session s-1 ended cost=0.61USD took=40s workflow=refunds
    at 4m: flag LOOP_DETECTED tool=lookup session=s-1
    at 5m expect AgentToolHighFailureRate pending {tool=lookup}
    at 10m expect AgentToolHighFailureRate firing {tool=lookup} value 0.18
    at 12m expect nothing

Rules are those of a YAML block, by `rules:` or `slos:`, whose lines begin with a space, and shipped ones by name. What happens is a series of steps, each
in a session of its own unless `session=` names one, or a single session or flag; `scenario_text` says what may stand there. Times count from the beginning, when
the engine starts; it judges every fifteen seconds, or as `interval` says. Of what is expected, `nothing` means no alert that is pending or fires, of the rule where one is
named; `resolved` that it fired and ended by then; labels and value may be left out. A later expectation does not undo an earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from watchpost.model.alert import Alert, Firing, Pending, Resolved
from watchpost.model.flag import Flag
from watchpost.model.ledger import LedgerRow
from watchpost.model.session import Summary
from watchpost.rules.engine import RuleEngine
from watchpost.rules.quantity import duration_text
from watchpost.rules.recollection import Recollection
from watchpost.rules.rule import Rule
from watchpost.rules.standing import Damping
from watchpost.rules.tally import CELL_NS

BEGIN_NS = 1_790_000_400 * 10**9
"""When scenarios begin: a full slot of the ledger."""

_TOLERANCE = 1e-6


class Happening(msgspec.Struct, frozen=True):
    """What becomes known at one time, after the beginning."""

    at_ns: int
    rows: tuple[LedgerRow, ...] = ()
    sessions: tuple[Summary, ...] = ()
    flags: tuple[Flag, ...] = ()


class Expectation(msgspec.Struct, frozen=True):
    """How alerts must stand at a time: of one rule, or of all where it is empty. Labels and value say more where they are given."""

    line: int
    at_ns: int
    rule: str
    state: str
    labels: tuple[tuple[str, str], ...] = ()
    value: float | None = None

    def __str__(self) -> str:
        labels = "{" + ", ".join(f"{name}={value}" for name, value in self.labels) + "}" if self.labels else ""
        value = "" if self.value is None else f"value {self.value:g}"
        parts = f"line {self.line}: at {duration_text(self.at_ns)} expect", self.rule, self.state, labels, value
        return " ".join(part for part in parts if part)


class Scenario(msgspec.Struct, frozen=True):
    """Rules, what happens by time, and what is expected by time."""

    rules: tuple[Rule, ...]
    happenings: tuple[Happening, ...]
    expected: tuple[Expectation, ...]
    interval_ns: int = CELL_NS


class _Run:
    """One engine that lives through a scenario."""

    def __init__(self, scenario: Scenario, damping: Damping) -> None:
        self._history = Recollection()
        self._engine = RuleEngine(scenario.rules, self._history, interval_ns=scenario.interval_ns, damping=damping)
        self.over: dict[str, Alert] = {}

    def live(self, happenings: Sequence[Happening], until_ns: int) -> None:
        """Let things happen, and judge whenever that is due, up to a time and at it."""
        for happening in happenings:
            self._judge(BEGIN_NS + happening.at_ns - 1)
            self._history.tell(happening.rows, happening.sessions)
            self._engine.take(happening.rows, happening.sessions, happening.flags)
            if happening.flags or happening.sessions:
                self._tick(BEGIN_NS + happening.at_ns)
        self._judge(until_ns)

    def standing(self) -> list[Alert]:
        """Alerts that are pending or fire, and those that ended."""
        return [*self._engine.states(), *self.over.values()]

    def _judge(self, until_ns: int) -> None:
        while (due_ns := max(self._engine.due_ns(), BEGIN_NS)) <= until_ns:
            self._tick(due_ns)

    def _tick(self, now_ns: int) -> None:
        for alert in self._engine.tick(now_ns).alerts:
            self.over.pop(alert.id, None)
            if isinstance(alert.state, Resolved):
                self.over[alert.id] = alert


def differences(scenario: Scenario, damping: Damping | None = None) -> list[str]:
    """What is not as expected, a line for each; nothing where the scenario holds."""
    run = _Run(scenario, damping or Damping())
    waiting = sorted(scenario.happenings, key=lambda each: each.at_ns)
    found = []
    for expected in sorted(scenario.expected, key=lambda each: each.at_ns):
        first = [
            each
            for each in waiting
            if each.at_ns < expected.at_ns or (each.at_ns == expected.at_ns and each.flags + each.sessions)
        ]
        waiting = waiting[len(first) :]
        run.live(first, BEGIN_NS + expected.at_ns)
        if (what := _differs(expected, run.standing())) is not None:
            found.append(f"{expected}; found {what}")
    return found


def _differs(expected: Expectation, alerts: Sequence[Alert]) -> str | None:
    """What is there in place of what is expected; None where that is there."""
    mine = [alert for alert in alerts if expected.rule in {"", alert.rule}]
    mine = [alert for alert in mine if all(alert.labels.get(name) == value for name, value in expected.labels)]
    standing = [alert for alert in mine if not isinstance(alert.state, Resolved)]
    if expected.state == "nothing":
        return ", ".join(map(_told, standing)) or None
    for alert in mine:
        is_close = expected.value is None or abs(alert.event.value - expected.value) <= _TOLERANCE * max(
            1.0, abs(expected.value)
        )
        if _KINDS[type(alert.state)] == expected.state and is_close:
            return None
    return ", ".join(map(_told, mine)) or "nothing"


_KINDS: dict[type[Pending | Firing | Resolved], str] = {
    Pending: "pending",
    Firing: "firing",
    Resolved: "resolved",
}


def _told(alert: Alert) -> str:
    hidden = {"alertname", "owner", "severity", "project", "rate"}
    labels = ", ".join(f"{name}={value}" for name, value in alert.labels.items() if name not in hidden)
    return f"{alert.rule} {_KINDS[type(alert.state)]} {{{labels}}} value {alert.event.value:g}"
