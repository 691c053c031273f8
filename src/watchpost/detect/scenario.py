"""Behaviour of detectors as readable text: what a session did, and what must be found in it.

    # a comment
    workflow refunds
    set loop.repeats 3
    know tool get_order {"order_id": "$session", "checked": $session}
    step 1 human "Where is the money for order 4711?"
    step 2-9 tool get_order {"order_id": "4711"} -> {"order_id": "4711", "checked": $step}
    expect LOOP_DETECTED at step 5 about get_order because alike_calls

Every detector sees the session with its defaults, save for what `set SECTION.FIELD VALUE` sets: JSON, or one word that is a text.
`sequence NAME PATTERN` adds one that a user wrote. A line that begins with a space goes on with the one before it. A
scenario expects at least one finding, or `expect nothing`; `about` and `because` may be left out.

Steps are numbered from 1 without gaps; `2-9` repeats one. `scenario_step` says what may stand in them. What is known of other
sessions is learnt from sessions before: `know tool NAME RESPONSE` stands for sound ones in which the tool gave this response, `session learn x20` and
the steps beneath it for so many sessions that went as these steps say, `session learn x20 unsound` for such as failed or were flagged;
`session judge` begins the one that is judged. In a step `$session` is the number of its session and `$step` its own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from watchpost.detect.catalogue import CATALOGUE, learners, makes
from watchpost.detect.detector import Make, Surroundings
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.learner import Ended
from watchpost.detect.own_sequences import own_sequence, sequence_makes
from watchpost.detect.run import DetectorRun
from watchpost.detect.scenario_step import read_step
from watchpost.model.flag import Finding
from watchpost.model.step import Step

PROJECT = "default"
KNOWN_SESSIONS = 20
"""Sound sessions that `know` stands for, unless it says how many."""

_STEP = re.compile(r"step (\d+)(?:-(\d+))? (.+)")
_EXPECT = re.compile(r"expect (\w+) at step (\d+)(?: about (\"[^\"]*\"|\S+))?(?: because (\w+))?")
_SET = re.compile(r"set (\w+)\.(\w+) (.+)")
_KNOW = re.compile(r"know tool (\S+) (.+?)(?: x(\d+))?")
_LEARN = re.compile(r"session learn(?: x(\d+))?( unsound)?")
_SEQUENCE = re.compile(r"sequence (\w+)\s+(.+)", re.DOTALL)
_WORKFLOW = re.compile(r"workflow (\S+)")


class Expectation(msgspec.Struct, frozen=True):
    """One finding that must be there; what it is about and its reason are left open where they are empty."""

    kind: str
    step: int
    about: str = ""
    reason: str = ""

    def __str__(self) -> str:
        about = f" about {self.about}" if self.about else ""
        return f"{self.kind} at step {self.step}{about}" + (f" because {self.reason}" if self.reason else "")


class Scenario(msgspec.Struct, frozen=True):
    """What a session did, and what the detectors must say of it: nothing, where `expected` is empty.

    `settings` are those of each section that are not the default, `sequences` those a user wrote; `earlier` are the sessions from which is learnt what is known, in
    order.
    """

    steps: tuple[Step, ...]
    expected: tuple[Expectation, ...]
    settings: Mapping[str, Mapping[str, object]] = {}
    sequences: tuple[Mapping[str, object], ...] = ()
    workflow: str = ""
    earlier: tuple[Ended, ...] = ()

    def detectors(self) -> tuple[Make, ...]:
        """Those that see the session. Raises `DetectorSettingsError`."""
        return (*makes(self.settings), *sequence_makes(self.sequences))

    def surroundings(self) -> Surroundings:
        """What they know beside its steps."""
        base = KnowledgeBase(learners(self.settings))
        for number, session in enumerate(self.earlier, start=1):
            base.learn(PROJECT, session, number)
        return Surroundings(PROJECT, self.workflow, base.at(PROJECT, base.version(PROJECT)))


class ScenarioError(Exception):
    """A scenario that cannot be read; the message names the line."""

    def __init__(self, number: int, detail: str) -> None:
        super().__init__(f"line {number}: {detail}")


class _Draft:
    """What has been read so far."""

    def __init__(self) -> None:
        self.number = 0
        self.settings: dict[str, dict[str, object]] = {}
        self.set_at: dict[str, int] = {}
        """The last line that set something of a section."""
        self.sequences: list[Mapping[str, object]] = []
        self.workflow = ""
        self.expected: list[Expectation] = []
        self.nothing = False
        self.earlier: list[tuple[list[Step], bool]] = []
        self.learning: list[tuple[list[Step], bool]] = []
        """The sessions that the steps being read are told of, where they are not those of the session that is judged."""
        self.steps: list[Step] = []

    def read(self, line: str) -> None:
        """Take one line in; raises ValueError saying what is wrong with it."""
        match line.split(maxsplit=1)[0]:
            case "step":
                self._step(_whole(_STEP, line, "step NUMBER[-NUMBER] KIND ..."))
            case "expect" if line == "expect nothing":
                self.nothing = True
            case "expect":
                self._expect(_whole(_EXPECT, line, "expect KIND at step NUMBER [about WHAT] [because REASON]"))
            case "set":
                self._set(_whole(_SET, line, "set SECTION.FIELD VALUE"))
            case "sequence":
                found = _whole(_SEQUENCE, line, "sequence NAME PATTERN")
                self.sequences.append({"name": found[1], "pattern": found[2]})
                own_sequence(self.sequences[-1])
            case "know":
                self._know(_whole(_KNOW, line, "know tool NAME RESPONSE [xNUMBER]"))
            case "session" if line == "session judge":
                self._close()
            case "session":
                self._learn(_whole(_LEARN, line, "session learn [xNUMBER] [unsound], or session judge"))
            case "workflow":
                self.workflow = _whole(_WORKFLOW, line, "workflow NAME")[1]
            case word:
                raise ValueError(
                    f"a line begins with step, expect, set, sequence, know, session, workflow or #, not {word!r}"
                )

    def finished(self) -> Scenario:
        """All that was read; raises ValueError where it does not amount to a scenario."""
        self._close()
        if not self.nothing and not self.expected:
            raise ValueError("the scenario expects neither a finding nor nothing")
        if self.nothing and self.expected:
            raise ValueError("the scenario expects findings and also nothing")
        earlier = tuple(Ended(self.workflow, steps, sound) for steps, sound in self.earlier)
        return Scenario(
            tuple(self.steps), tuple(self.expected), self.settings, tuple(self.sequences), self.workflow, earlier
        )

    def _step(self, found: re.Match[str]) -> None:
        sessions = [steps for steps, _ in self.learning] or [self.steps]
        first, last = int(found[1]), int(found[2] or found[1])
        if first != len(sessions[0]) + 1 or last < first:
            raise ValueError(f"the next step is {len(sessions[0]) + 1}, not {found[1]}")
        for session, steps in enumerate(sessions, start=len(self.earlier) + 1):
            for number in range(first, last + 1):
                told = found[3].replace("$session", str(session)).replace("$step", str(number))
                steps.append(read_step(told, number, steps[-1] if steps else None))

    def _expect(self, found: re.Match[str]) -> None:
        if self.learning:
            raise ValueError("what is expected stands after session judge")
        if not 0 < int(found[2]) <= len(self.steps):
            raise ValueError(f"there is no step {found[2]} above this line")
        self.expected.append(Expectation(found[1], int(found[2]), (found[3] or "").strip('"'), found[4] or ""))

    def _set(self, found: re.Match[str]) -> None:
        section, field, value = found.groups()
        rows = {row.section: row for row in CATALOGUE}
        if section not in rows:
            raise ValueError(f"there is no section {section!r}; there are {', '.join(rows)}")
        fields = rows[section].settings.__struct_fields__
        if field not in fields:
            raise ValueError(f"{section} has no setting {field!r}; it has {', '.join(fields)}")
        self.settings.setdefault(section, {})[field] = _value(value)
        self.set_at[section] = self.number

    def _know(self, found: re.Match[str]) -> None:
        if self.learning:
            raise ValueError("know stands outside the sessions to learn from")
        for session in range(len(self.earlier) + 1, len(self.earlier) + 1 + int(found[3] or KNOWN_SESSIONS)):
            told = f"tool {found[1]} {{}} -> {found[2]}".replace("$session", str(session))
            self.earlier.append(([read_step(told, 1, None)], True))

    def _learn(self, found: re.Match[str]) -> None:
        self._close()
        if self.steps:
            raise ValueError("sessions to learn from stand above the one that is judged")
        self.learning = [([], not found[2]) for _ in range(int(found[1] or 1))]

    def _close(self) -> None:
        self.earlier += self.learning
        self.learning = []


def parse(text: str) -> Scenario:
    """Read a scenario; raises ScenarioError naming the first line that is wrong."""
    draft = _Draft()
    try:
        for draft.number, line in _lines(text):
            draft.read(line)
        scenario = draft.finished()
    except ValueError as error:
        raise ScenarioError(draft.number, str(error)) from error
    for section, number in draft.set_at.items():
        try:
            makes({section: draft.settings[section]})
        except ValueError as error:
            raise ScenarioError(number, str(error)) from error
    return scenario


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Each line that says something, with its number; lines that begin with a space go on with it."""
    begun, number = "", 0
    for place, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace() and begun:
            begun += f"\n{line.rstrip()}"
            continue
        if begun:
            yield number, begun
        begun, number = line.strip(), place
    if begun:
        yield number, begun


def judge(scenario: Scenario) -> Sequence[tuple[int, Finding]]:
    """What the detectors find, each with the position of its step, from 0."""
    surroundings = scenario.surroundings()
    run = DetectorRun(scenario.detectors(), surroundings)
    run.update(scenario.steps, 0, surroundings)
    return run.findings


def differences(scenario: Scenario, findings: Sequence[tuple[int, Finding]]) -> list[str]:
    """What was expected and is missing, and what was found and not expected, one readable line each; none if all is well."""
    missing = sorted(scenario.expected, key=lambda each: (not each.about) + (not each.reason))
    surplus = []
    for position, finding in findings:
        match = next((each for each in missing if _fits(each, position, finding)), None)
        if match is None:
            found = Expectation(finding.kind, position + 1, _about(finding), str(finding.evidence.get("reason") or ""))
            surplus.append(f"unexpected: {found}: {finding.summary}")
        else:
            missing.remove(match)
    return [f"missing: {each}" for each in missing] + surplus


def _fits(expected: Expectation, position: int, finding: Finding) -> bool:
    return (
        expected.kind == finding.kind
        and expected.step == position + 1
        and expected.about in ("", _about(finding))
        and expected.reason in ("", finding.evidence.get("reason"))
    )


def _about(finding: Finding) -> str:
    """The tool a finding is about, or its subject where it is about none."""
    return str(finding.evidence.get("tool") or finding.subject)


def _value(text: str) -> object:
    """JSON, or a word as the text it is."""
    try:
        value: object = json.loads(text)
    except json.JSONDecodeError as error:
        if not re.fullmatch(r"[\w.*-]+", text):
            raise ValueError(f"{text!r} is neither JSON nor one word") from error
        return text
    return value


def _whole(pattern: re.Pattern[str], line: str, form: str) -> re.Match[str]:
    found = pattern.fullmatch(line)
    if found is None:
        raise ValueError(f"write {form}, not {line!r}")
    return found
