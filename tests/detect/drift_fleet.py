"""Sessions of one project that end one after the other, and what their tool responses teach."""

from __future__ import annotations

import json
from collections.abc import Sequence

from watchpost.detect.contract_learning import ContractLearner
from watchpost.detect.detector import Surroundings
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.learner import Ended
from watchpost.detect.schema_drift import SchemaDriftDetector, SchemaDriftSettings, guards
from watchpost.model.flag import Finding
from watchpost.model.knowledge import Contract
from watchpost.model.step import Status, Step, Tokens

PROJECT = "loans"


def call(number: int, tool: str, result: object, *, status: Status = "ok", arguments: str = "{}") -> Step:
    """A tool call with a response, as JSON unless it is text."""
    return Step(
        trace_id=bytes(16),
        span_id=number.to_bytes(8, "big"),
        parent_id=b"",
        start_ns=number,
        end_ns=number + 1,
        kind="tool",
        name=tool,
        agent="",
        model="",
        tool=tool,
        status=status,
        error_type="",
        tokens=Tokens(),
        cost_nano=None,
        arguments=arguments,
        result=result if isinstance(result, str) else json.dumps(result),
    )


def an_applicant(number: int) -> dict[str, object]:
    return {"id": f"A-{number}", "name": "Ada", "annual_income": 50_000 + number, "employed": True}


class Fleet:
    """Sessions of one project, which end one after the other."""

    def __init__(self, settings: SchemaDriftSettings | None = None) -> None:
        self.settings = settings or SchemaDriftSettings()
        self.base = KnowledgeBase({"contract": lambda: ContractLearner(self.settings.enough)})
        self.guards = guards()
        self.declared: dict[str, Contract] = {}

    def judge(self, steps: Sequence[Step]) -> list[tuple[int, Finding]]:
        knowledge = self.base.at(PROJECT, self.base.version(PROJECT))
        around = Surroundings(PROJECT, knowledge=knowledge)
        detector = SchemaDriftDetector(self.settings, around, self.declared.get, self.guards)
        return [(place, each) for place, step in enumerate(steps) for each in detector.see(place, step)]

    def end(self, *steps: Step, well: bool = True) -> list[Finding]:
        """Judge a session, and let it teach."""
        found = [each for _, each in self.judge(steps)]
        self.base.learn(PROJECT, Ended("", steps, well and not found), 1)
        return found

    def contract(self, tool: str) -> Contract | None:
        return self.base.at(PROJECT, self.base.version(PROJECT)).contract(tool)


def a_fleet(responses: Sequence[object], tool: str = "get") -> Fleet:
    """One that has seen these responses, one a session."""
    fleet = Fleet()
    for number, response in enumerate(responses):
        fleet.end(call(number, tool, response))
    return fleet


def found_in(fleet: Fleet, response: object, tool: str = "get") -> list[str]:
    return [each.summary for _, each in fleet.judge([call(900, tool, response)])]


def learnt(fleet: Fleet) -> ContractLearner:
    learner = fleet.base.learner(PROJECT, "contract")
    assert isinstance(learner, ContractLearner)
    return learner
