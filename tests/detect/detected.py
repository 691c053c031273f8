"""What one kind of finding is in a session that a text tells."""

from __future__ import annotations

import msgspec

from watchpost.detect.detector import Detector
from watchpost.detect.scenario import judge, parse
from watchpost.model.flag import Finding
from watchpost.model.knowledge import Knowledge, Lesson, Norm
from watchpost.model.step import Step


def detected(text: str, kind: str) -> list[Finding]:
    """The findings of a kind, in step order, with every detector at its defaults save for what the text sets."""
    return [finding for _, finding in judge(parse(f"{text}\nexpect nothing")) if finding.kind == kind]


def steps(text: str) -> tuple[Step, ...]:
    """The steps that a text tells."""
    return parse(f"{text}\nexpect nothing").steps


def seen(detector: Detector, *told: Step) -> list[Finding]:
    """What a detector finds in these steps."""
    return [
        finding
        for place, step in enumerate(told)
        for finding in detector.see(place, step)
        if isinstance(finding, Finding)
    ]


def calls_of(finding: Finding) -> list[dict[str, object]]:
    """The calls that a finding names."""
    return msgspec.convert(finding.evidence["calls"], list[dict[str, object]])


def known(**norms: Norm) -> Knowledge:
    """Norms by name, with two underscores for the space."""
    lessons = (Lesson("default", "norm", name.replace("__", " "), 1, "learnt", norm, 0) for name, norm in norms.items())
    return Knowledge(1, lessons)
