"""Whether a session was a success, by what its workflow counts as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Literal

import msgspec

from watchpost.model.session import Outcome
from watchpost.model.step import Step
from watchpost.query.catalogue.quality import NEGATIVE, POSITIVE
from watchpost.session.session import Session

FlagKinds = Mapping[tuple[bytes, bytes], tuple[str, ...]]
"""The kinds of the flags that stand at a step, by trace and span id."""


class Success(msgspec.Struct, frozen=True):
    """What a session must be whose workflow fits a shell pattern; all that is given must hold.

    Its outcome is one of `outcomes`. No flag of the kinds `without` stands in it. Each of `tools`, by name or shell pattern, was called
    and answered. Of what people said, the last word was a `positive` one, or, with `not_negative`, was no negative one. The last score by
    `evaluator`, of any where that is empty, is at least `score`.
    """

    workflow: str = "*"
    outcomes: tuple[Outcome, ...] = ("completed",)
    without: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    feedback: Literal["", "positive", "not_negative"] = ""
    score: float | None = None
    evaluator: str = ""


BY_DEFAULT = Success()


def rule_for(rules: Iterable[Success], workflow: str) -> Success:
    """The first rule that fits a workflow; without one a session that was completed is a success."""
    return next((each for each in rules if fnmatchcase(workflow, each.workflow)), BY_DEFAULT)


def succeeded(rule: Success, session: Session, flags: FlagKinds) -> bool | None:
    """Whether a session was a success by a rule; None before it ended."""
    if session.state != "ended" or session.outcome is None:
        return None
    if session.outcome not in rule.outcomes:
        return False
    if rule.without and any(kind in rule.without for kinds in flags.values() for kind in kinds):
        return False
    answered = (
        {step.tool for step in session.steps if step.kind == "tool" and step.status == "ok" and step.ran}
        if rule.tools
        else ()
    )
    if not all(any(fnmatchcase(tool, wanted) for tool in answered) for wanted in rule.tools):
        return False
    return _is_liked(rule, session.steps) and _is_scored(rule, session.steps)


def _is_liked(rule: Success, steps: Iterable[Step]) -> bool:
    if not rule.feedback:
        return True
    said = [step.judged.label.lower() for step in steps if step.kind == "evaluation"]
    last = next((label for label in reversed(said) if label in POSITIVE or label in NEGATIVE), "")
    return last in POSITIVE or (not last and rule.feedback == "not_negative")


def _is_scored(rule: Success, steps: Iterable[Step]) -> bool:
    if rule.score is None:
        return True
    scores = [
        step.judged.score
        for step in steps
        if step.kind == "evaluation" and step.judged.score is not None and rule.evaluator in {"", step.judged.evaluator}
    ]
    return bool(scores) and scores[-1] >= rule.score
