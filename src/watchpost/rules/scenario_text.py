r"""Reads scenarios of rules.

A series is `from TIME to TIME every TIME: KIND [NAME] [STATUS] [xCOUNT] [FIELD=VALUE ...]`, both ends included, or `at TIME: ...` once. KIND is that of a step, NAME its tool or model,
STATUS `ok`, `error` or `running`. Fields of a step: `took=1.5s`, `tokens=100/20`, `cost=0.01USD`, `error_type=`, `score=`, `label=`, `agent=`, `flags=A,B`, and of its
session `session=`, `workflow=`, `user=`, `service=`, `release=`, `project=`. `at TIME: session ID STATE [OUTCOME] [FIELD=VALUE ...]` tells how a session stands, in a series one session each where the ID holds a `*`: running, ended or
reopened, its last step ending then, with `took=`, `cost=`, `tokens=`, `steps=` and those of sessions. `at TIME: flag KIND [FIELD=VALUE ...]` has `session=`, `tool=`, `severity=`, `summary=` and those of sessions; what is told with the same `id=`
and `state=withdrawn` takes one back.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import cast

import msgspec

from watchpost.model.flag import Flag, FlagState, Severity, flag_id
from watchpost.model.ledger import LedgerRow, LedgerStep
from watchpost.model.session import Outcome, State, Summary, Totals, session_key
from watchpost.query.measures import Unit
from watchpost.rules.pack import shipped
from watchpost.rules.quantity import QuantityError, amount, duration_ns
from watchpost.rules.rule import Rule
from watchpost.rules.rule_fields import RuleFileError
from watchpost.rules.rule_file import Known, read_rules
from watchpost.rules.scenario import BEGIN_NS, Expectation, Happening, Scenario
from watchpost.rules.tally import CELL_NS

_SERIES = re.compile(r"from (\S+) to (\S+) every (\S+): (.+)")
_ONCE = re.compile(r"at (\S+): (.+)")
_EXPECT = re.compile(
    r"at (\S+) expect (?:(?P<rule>[A-Za-z][\w-]*) )?(?P<state>pending|firing|resolved|nothing)(?: \{(?P<labels>.*)\})?(?: value (?P<value>\S+))?"
)
_COUNT = re.compile(r"x([0-9]{1,6})")
_MOST = 2_000_000
_SLOT_S = 600

_STEP_WORDS = frozenset({"ok", "error", "running"})
_STEP_FIELDS = frozenset({"took", "tokens", "cost", "error_type", "score", "label", "agent", "flags"})
_TITLE_FIELDS = frozenset({"session", "workflow", "user", "service", "release", "project", "outcome"})
_SESSION_FIELDS = frozenset({"took", "cost", "tokens", "steps"}) | _TITLE_FIELDS
_FLAG_FIELDS = frozenset({"id", "tool", "severity", "state", "summary"}) | _TITLE_FIELDS
_KINDS = frozenset({"llm", "tool", "handoff", "guardrail", "retrieval", "evaluation", "state", "human"})
_STATES = ("running", "ended", "reopened")


class ScenarioError(ValueError):
    """A scenario that cannot be read. The message names the line."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line


class _Said:
    """One line: words and fields."""

    def __init__(self, line: int, text: str) -> None:
        try:
            parts = shlex.split(text)
        except ValueError as error:
            raise ScenarioError(line, str(error)) from error
        self.line = line
        self.fields = dict(part.split("=", 1) for part in parts if "=" in part)
        self.words = [part for part in parts if "=" not in part]

    def check(self, known: frozenset[str]) -> None:
        """Refuse a field that is not known."""
        for name in self.fields.keys() - known:
            raise ScenarioError(self.line, f"there is no field {name!r}; known are {', '.join(sorted(known))}")

    def get(self, name: str, default: str = "") -> str:
        """A field's text."""
        return self.fields.get(name, default)

    def number(self, name: str, unit: Unit, scale: int) -> int | None:
        """A field's number in integers, so many to the unit; None where it is not given."""
        if name not in self.fields:
            return None
        return int(_amount(self.line, self.fields[name], unit) * scale)

    def tokens(self) -> tuple[int | None, int | None]:
        """What was sent, and answered."""
        if "tokens" not in self.fields:
            return None, None
        sent, _, answered = self.fields["tokens"].partition("/")
        return int(_amount(self.line, sent, "tokens")), int(_amount(self.line, answered or "0", "tokens"))


def parse(text: str, known: Known | None = None) -> Scenario:
    """The scenario; raises `ScenarioError`."""
    rules: list[Rule] = []
    happenings: list[Happening] = []
    expected: list[Expectation] = []
    interval_ns = CELL_NS
    for line, said in _lines(text):
        word, _, rest = said.partition(" ")
        if said.startswith(("rules:", "slos:")):
            rules += _own(line, said, known)
        elif word == "shipped":
            rules += _shipped(line, rest.split())
        elif word == "interval":
            interval_ns = _duration(line, rest)
        elif found := _EXPECT.fullmatch(said):
            expected.append(_expectation(line, found))
        elif found := _SERIES.fullmatch(said):
            span = (_duration(line, found[1]), _duration(line, found[2]), _duration(line, found[3]))
            happenings += _series(_Said(line, found[4]), *span)
        elif found := _ONCE.fullmatch(said):
            happenings += _series(_Said(line, found[2]), _duration(line, found[1]), _duration(line, found[1]), 1)
        else:
            raise ScenarioError(line, f"{said.splitlines()[0]!r} is no line of a scenario")
    if not expected:
        raise ScenarioError(1, "nothing is expected")
    if not rules:
        raise ScenarioError(1, "there is no rule in it")
    return Scenario(tuple(rules), tuple(_accumulated(happenings)), tuple(expected), interval_ns)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """What stands in a file, with the number of its line; a line that begins with a space goes on with the one before it."""
    held: tuple[int, str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace() and held is not None:
            held = held[0], f"{held[1]}\n{line}"
            continue
        if held is not None:
            yield held
        held = number, line.rstrip()
    if held is not None:
        yield held


def _accumulated(happenings: list[Happening]) -> Iterator[Happening]:
    """In order of time, with every row holding all steps of its session and slot so far, as the fold tells it."""
    held: dict[tuple[str, str, int], LedgerRow] = {}
    for happening in sorted(happenings, key=lambda each: each.at_ns):
        rows = []
        for row in happening.rows:
            key = row.project, row.session_id, row.slot
            before = held[key].steps if key in held else ()
            held[key] = msgspec.structs.replace(row, steps=(*before, *row.steps))
            rows.append(held[key])
        yield msgspec.structs.replace(happening, rows=tuple(rows))


def _own(line: int, text: str, known: Known | None) -> tuple[Rule, ...]:
    try:
        return read_rules(text, f"line {line}", known).rules
    except RuleFileError as error:
        raise ScenarioError(line, str(error)) from error


def _shipped(line: int, names: list[str]) -> list[Rule]:
    found = {rule.name: rule for rule in shipped().rules}
    for name in names:
        if name not in found:
            raise ScenarioError(line, f"no shipped rule is called {name}")
    return [found[name] for name in names]


def _expectation(line: int, found: re.Match[str]) -> Expectation:
    pairs = [part.strip().partition("=") for part in (found["labels"] or "").split(",") if part.strip()]
    try:
        value = float(found["value"]) if found["value"] else None
    except ValueError as error:
        raise ScenarioError(line, f"{found['value']!r} is no number") from error
    labels = tuple((name, value) for name, _, value in pairs)
    return Expectation(line, _duration(line, found[1]), found["rule"] or "", found["state"], labels, value)


def _series(said: _Said, first_ns: int, last_ns: int, every_ns: int) -> Iterator[Happening]:
    if every_ns <= 0 or last_ns < first_ns or (last_ns - first_ns) // every_ns > _MOST:
        raise ScenarioError(said.line, "a series goes forward, by some time and not too often")
    kind = said.words[0] if said.words else ""
    for at_ns in range(first_ns, last_ns + 1, every_ns):
        if kind == "session":
            yield _session(said, at_ns)
        elif kind == "flag":
            yield _flag(said, at_ns)
        elif kind in _KINDS:
            yield _steps(said, kind, at_ns)
        else:
            raise ScenarioError(
                said.line, f"{kind!r} is neither session nor flag nor one of {', '.join(sorted(_KINDS))}"
            )


def _steps(said: _Said, kind: str, at_ns: int) -> Happening:
    said.check(_STEP_FIELDS | _TITLE_FIELDS)
    counts = [int(found[1]) for word in said.words[1:] if (found := _COUNT.fullmatch(word))]
    status = next((word for word in said.words[1:] if word in _STEP_WORDS), "ok")
    names = [word for word in said.words[1:] if word not in _STEP_WORDS and not _COUNT.fullmatch(word)]
    if len(names) > 1 or len(counts) > 1:
        raise ScenarioError(said.line, f"one name and one count: {' '.join(names)}")
    steps = [
        _step(said, kind, names[0] if names else "", status, (at_ns, n)) for n in range(counts[0] if counts else 1)
    ]
    if "session" in said.fields:
        return Happening(at_ns, (_row(said, said.fields["session"], at_ns, tuple(steps)),))
    rows = tuple(_row(said, f"line-{said.line}-{at_ns // 10**6}-{n}", at_ns, (step,)) for n, step in enumerate(steps))
    return Happening(at_ns, rows)


def _step(said: _Said, kind: str, name: str, status: str, place: tuple[int, int]) -> LedgerStep:
    at_ns, number = place
    sent, answered = said.tokens()
    took_us = said.number("took", "seconds", 10**6)
    return LedgerStep(
        trace_id=(said.line << 64 | at_ns).to_bytes(16, "big"),
        span_id=number.to_bytes(8, "big"),
        parent_id=b"",
        start_ns=BEGIN_NS + at_ns,
        dur_us=None if status == "running" else 1000 if took_us is None else took_us,
        kind=kind,
        name=name,
        agent=said.get("agent"),
        model=name if kind == "llm" else "",
        tool=name if kind == "tool" else "",
        status=status,
        error_type=said.get("error_type"),
        in_tok=sent,
        out_tok=answered,
        cost_nano=said.number("cost", "usd", 10**9),
        flags=tuple(said.get("flags").split(",")) if "flags" in said.fields else (),
        score=float(said.fields["score"]) if "score" in said.fields else None,
        label=said.get("label"),
        evaluator=name if kind == "evaluation" else "",
    )


def _row(said: _Said, session: str, at_ns: int, steps: tuple[LedgerStep, ...]) -> LedgerRow:
    slot = (BEGIN_NS + at_ns) // 10**9 // _SLOT_S * _SLOT_S
    return LedgerRow(
        said.get("project", "default"),
        slot,
        session,
        said.line,
        gone=False,
        workflow=said.get("workflow"),
        user_id=said.get("user"),
        outcome=said.get("outcome"),
        steps=steps,
        service=said.get("service"),
        release=said.get("release"),
    )


def _session(said: _Said, at_ns: int) -> Happening:
    said.check(_SESSION_FIELDS)
    if not 3 <= len(said.words) <= 4 or said.words[2] not in _STATES:
        raise ScenarioError(said.line, f"a session is told by: session ID {'|'.join(_STATES)} [OUTCOME]")
    session = said.words[1].replace("*", str(at_ns // 10**9))
    return Happening(
        at_ns,
        sessions=(_summary(said, session, said.words[2], said.words[3] if said.words[3:] else None, at_ns),),
    )


def _summary(said: _Said, session: str, state: str, outcome: str | None, at_ns: int) -> Summary:
    project = said.get("project", "default")
    sent, answered = said.tokens()
    took_us = said.number("took", "seconds", 10**6) or 0
    totals = Totals(
        steps=said.number("steps", "count", 1) or 0,
        input_tokens=sent,
        output_tokens=answered,
        cost_nano=said.number("cost", "usd", 10**9),
    )
    return Summary(
        key=session_key(project, session),
        project=project,
        session_id=session,
        workflow=said.get("workflow"),
        user_id=said.get("user"),
        state=cast("State", state),
        outcome=cast("Outcome | None", outcome or ("completed" if state == "ended" else None)),
        revision=at_ns,
        started_ns=BEGIN_NS + at_ns - took_us * 1000,
        ended_ns=BEGIN_NS + at_ns,
        received_ns=BEGIN_NS + at_ns,
        due_ns=0,
        totals=totals,
        service=said.get("service"),
        release=said.get("release"),
    )


def _flag(said: _Said, at_ns: int) -> Happening:
    said.check(_FLAG_FIELDS)
    if len(said.words) != 2:
        raise ScenarioError(said.line, "a flag is told by: flag KIND")
    kind, project, session = (
        said.words[1],
        said.get("project", "default"),
        said.get("session", f"line-{said.line}-{at_ns}"),
    )
    evidence: dict[str, object] = {"tool": said.fields["tool"]} if "tool" in said.fields else {}
    named = said.get("id", f"{said.line} {at_ns}").encode()
    state, trace_id, span_id = said.get("state", "confirmed"), named[:16].ljust(16), bytes(8)
    flag = Flag(
        id=flag_id(project, kind, said.get("tool"), trace_id, span_id),
        project=project,
        session_id=session,
        kind=kind,
        subject=said.get("tool"),
        trace_id=trace_id,
        span_id=span_id,
        severity=cast("Severity", said.get("severity", "warning")),
        state=cast("FlagState", state),
        summary=said.get("summary", kind),
        evidence=evidence,
        at_ns=BEGIN_NS + at_ns,
    )
    about = _summary(said, session, "running", None, at_ns)
    return Happening(
        at_ns, sessions=(about,) if said.fields.keys() & {"workflow", "service", "release"} else (), flags=(flag,)
    )


def _amount(line: int, text: str, unit: Unit) -> float:
    try:
        return float(amount(text, unit))
    except QuantityError as error:
        raise ScenarioError(line, str(error)) from error


def _duration(line: int, text: str) -> int:
    try:
        return duration_ns(text)
    except QuantityError as error:
        raise ScenarioError(line, str(error)) from error
