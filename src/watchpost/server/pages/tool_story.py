"""What a tool's page tells: in what its responses differ from its contract, and how its calls went over time."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from watchpost.detect.contract import Guard
from watchpost.detect.schema_drift import KIND as DRIFT
from watchpost.query.flags import FlagFilter
from watchpost.server.answers import FlagEntry
from watchpost.server.contracts import CandidateAnswer, ContractAnswer
from watchpost.server.measures import MeasuredAnswer, Measures, PointAnswer
from watchpost.server.pages.measure_figures import Figures, figures
from watchpost.server.pages.measure_question import Asking, Pair
from watchpost.server.review import Review
from watchpost.server.tools import differs

FLAGS = 200
"""Flags of one tool that are looked at, the latest."""

_TOLD = ("renamed", "removed", "added", "retyped")
_STILL = ("tool_calls", "tool_error_rate", "tool_duration_seconds")


class Drift(msgspec.Struct, frozen=True):
    """One way in which responses differ: the latest flag that says so, and all its flags.

    `candidate` is what a person can accept, None while no session with it has ended; `settled` says that the contract that holds now
    allows it, or that people dismissed every flag.
    """

    flag: FlagEntry
    flags: tuple[FlagEntry, ...]
    candidate: CandidateAnswer | None
    settled: bool


class Course(msgspec.Struct, frozen=True):
    """One measure of a tool over time, and where it is looked at closely."""

    heading: str
    answer: MeasuredAnswer
    figures: Figures
    href: str

    @property
    def total(self) -> PointAnswer:
        """What it came to in the whole window."""
        return self.answer.series[0].total


class Courses(msgspec.Struct, frozen=True):
    """How its calls went: how many, how many of them failed, how long they took, and of what types the errors were."""

    calls: Course
    failed: Course
    took: Course
    errors: Course | None


def drifts(review: Review, tool: str, project: str, contract: ContractAnswer | None) -> list[Drift]:
    """The ways in which a tool's responses were flagged, the latest first."""
    wanted = FlagFilter(project, kind=DRIFT, tool=tool, limit=FLAGS)
    flags = [flag for flag in review.page(wanted).flags if flag.state != "withdrawn"]
    alike: dict[bytes, list[FlagEntry]] = {}
    for flag in flags:
        alike.setdefault(msgspec.json.encode([flag.evidence.get(part) for part in _TOLD]), []).append(flag)
    offered = {each.digest: each for each in contract.candidates} if contract else {}
    guard = Guard(contract.contract) if contract and contract.contract else None
    return [_drift(same, offered, guard) for same in alike.values()]


def candidates(contract: ContractAnswer | None, shown: Sequence[Drift]) -> list[CandidateAnswer]:
    """What can be accepted beside what is offered with these differences."""
    offered = {each.candidate.digest for each in shown if each.candidate is not None and not each.settled}
    return [each for each in contract.candidates if each.digest not in offered] if contract else []


def courses(measures: Measures, asking: Asking, now_ns: int) -> Courses:
    """How the calls went that a question is about."""
    times = asking.times(now_ns)
    asked = asking.asked(times, "auto")
    calls, failed, took = measures.together(_STILL, asked)
    errors = None
    if failed.series[0].total.value:
        typed = msgspec.structs.replace(asking, by=("error_type",))
        errors = _course("Errors by type", measures.answer("tool_errors", typed.asked(times, "auto")), typed)
    return Courses(
        _course("Calls", calls, asking),
        _course("Share that failed", failed, asking),
        _course("Time taken, p95", took, asking),
        errors,
    )


def owners(measures: Measures, asking: Asking, now_ns: int) -> list[str]:
    """The projects in which a tool was called in the window of a question about it."""
    asked: list[Pair] = msgspec.structs.replace(asking, by=("project",)).asked(asking.times(now_ns), "1w")
    return sorted(each.group["project"] for each in measures.answer("tool_calls", asked).series)


def _drift(flags: list[FlagEntry], offered: dict[str, CandidateAnswer], guard: Guard | None) -> Drift:
    dismissed = all(flag.verdict is not None and flag.verdict.verdict == "dismiss" for flag in flags)
    allowed = guard is not None and not any(differs(flag.evidence, guard) for flag in flags)
    digests = (str(flag.evidence.get("candidate", "")) for flag in flags)
    candidate = next((offered[digest] for digest in digests if digest in offered), None)
    return Drift(flags[0], tuple(flags), candidate, dismissed or allowed)


def _course(heading: str, answer: MeasuredAnswer, asking: Asking) -> Course:
    return Course(heading, answer, figures(answer, asking), asking.address(answer.measure.name))
