"""Which rules tell what nobody needs to know, by what became of their alerts, and what would make them quieter. Numbers that say so stand in every suggestion."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from watchpost.query.measures import Ratio
from watchpost.rules.event import unit_of
from watchpost.rules.quantity import amount_text, duration_text
from watchpost.rules.rule import Limit, OfFlags, OfMeasure, OfSession, Rule

SHORT_NS = 300 * 10**9
"""What ended by itself within this was over before anybody could have looked."""

_FEWEST = 3
"""With fewer alerts nothing is suggested."""

_FEW = 20
"""With fewer below the line of a ratio, two or three of them are a tenth."""

_MANY = 0.5
_NEARLY_ALL = 0.8
_MINUTE_NS = 60 * 10**9
_LOUD = ("critical", "high")


class Fired(msgspec.Struct, frozen=True):
    """One time that an alert fired; `resolved_ns` is 0 while it does. It was `silenced` where it fired into a silence, and `flapped` where it was told as flapping."""

    rule: str
    fired_ns: int
    resolved_ns: int
    value: float
    acknowledged: bool
    silenced: bool
    flapped: bool

    @property
    def is_short(self) -> bool:
        """Whether it ended soon, with nobody on it."""
        return not self.acknowledged and 0 < self.resolved_ns - self.fired_ns <= SHORT_NS


class Noise(msgspec.Struct, frozen=True):
    """What became of a rule's alerts. `short` ended within five minutes by themselves; `lasted_ns` is the median of those that ended, None of none."""

    rule: str
    fired: int
    a_week: float
    acknowledged: int
    short: int
    silenced: int
    flapped: int
    lasted_ns: int | None
    suggestions: tuple[str, ...]

    @property
    def ignored(self) -> float:
        """The share that nobody ever acknowledged."""
        return 1 - self.acknowledged / self.fired


def review(fired: Iterable[Fired], rules: Iterable[Rule], span_ns: int) -> list[Noise]:
    """Every rule that told anything within so much time, the most often ignored first. Rules that are no more have no suggestion."""
    by_rule: Mapping[str, list[Fired]] = defaultdict(list)
    for each in fired:
        by_rule[each.rule].append(each)
    known = {rule.name: rule for rule in rules}
    found = [_noise(name, each, known.get(name), span_ns) for name, each in by_rule.items()]
    return sorted(found, key=lambda each: (each.acknowledged - each.fired, each.rule))


def _noise(name: str, fired: Sequence[Fired], rule: Rule | None, span_ns: int) -> Noise:
    lasted = [each.resolved_ns - each.fired_ns for each in fired if each.resolved_ns]
    noise = Noise(
        name,
        len(fired),
        len(fired) * 7 * 86_400 * 10**9 / span_ns,
        sum(each.acknowledged for each in fired),
        sum(each.is_short for each in fired),
        sum(each.silenced for each in fired),
        sum(each.flapped for each in fired),
        int(statistics.median(lasted)) if lasted else None,
        (),
    )
    if rule is None or noise.fired < _FEWEST:
        return noise
    found = (
        _longer(rule, fired, noise),
        _higher(rule, fired),
        _more(rule, noise),
        _steadier(rule, noise),
        _lower(rule, noise),
    )
    return msgspec.structs.replace(noise, suggestions=tuple(each for each in found if each))


def _longer(rule: Rule, fired: Sequence[Fired], noise: Noise) -> str:
    """Wait longer: what ends by itself need not be told."""
    if noise.short < _MANY * noise.fired or not isinstance(rule.subject, OfMeasure):
        return ""
    lasted = sorted(each.resolved_ns - each.fired_ns for each in fired if each.is_short)
    longer_ns = lasted[math.ceil(0.9 * len(lasted)) - 1]
    for_ns = math.ceil((rule.for_ns + longer_ns + 1) / _MINUTE_NS) * _MINUTE_NS
    spared = sum(each <= for_ns - rule.for_ns for each in lasted)
    return (
        f"for: {duration_text(for_ns)} instead of {duration_text(rule.for_ns)}: {noise.short} of {noise.fired} ended by themselves within "
        f"{duration_text(SHORT_NS)}, {spared} of them would not have fired"
    )


def _higher(rule: Rule, fired: Sequence[Fired]) -> str:
    """Move the threshold beyond what nobody acknowledged, as far as nothing that somebody did is lost."""
    if not isinstance(rule.test, Limit):
        return ""
    sign = 1 if rule.test.how in {"above", "at_least"} else -1
    heeded = [sign * each.value for each in fired if each.acknowledged]
    ignored = sorted(sign * each.value for each in fired if not each.acknowledged)
    within = [value for value in ignored if not heeded or value < min(heeded)]
    if len(within) < max(_FEWEST, _MANY * len(fired)):
        return ""
    moved = sign * within[math.ceil(_NEARLY_ALL * len(within)) - 1]
    spared = sum(value <= sign * moved for value in within)
    unit = unit_of(rule.subject)
    kept = (
        f"none of the {len(heeded)} acknowledged"
        if heeded
        else "nothing was acknowledged to go by, so look at one first"
    )
    return (
        f"{rule.test.how}: beyond {amount_text(moved, unit)} instead of {amount_text(rule.test.value, unit)}: it would have spared {spared} of "
        f"{len(ignored)} that nobody acknowledged; {kept}"
    )


def _more(rule: Rule, noise: Noise) -> str:
    """Ask for more behind a share, or for more flags."""
    if noise.ignored < _MANY:
        return ""
    if (
        isinstance(rule.subject, OfMeasure)
        and isinstance(rule.subject.measure.formula, Ratio)
        and rule.at_least_count < _FEW
    ):
        return f"at_least_count: {_FEW} or more instead of {rule.at_least_count}: a share of few says little, and {noise.fired - noise.acknowledged} of {noise.fired} were ignored"
    if isinstance(rule.subject, OfFlags) and isinstance(rule.test, Limit) and rule.test.value < 1:
        return f"at_least: 2 in {duration_text(rule.window_ns)} instead of every flag: {noise.fired - noise.acknowledged} of {noise.fired} were ignored"
    return ""


def _steadier(rule: Rule, noise: Noise) -> str:
    """Go on firing: one alert instead of many."""
    if not noise.flapped or isinstance(rule.subject, OfSession):
        return ""
    return f"keep_firing_for: {duration_text(max(2 * rule.keep_firing_ns, 15 * _MINUTE_NS))}: it flapped in {noise.flapped} of {noise.fired}"


def _lower(rule: Rule, noise: Noise) -> str:
    """Tell it where it wakes nobody."""
    if noise.ignored < _NEARLY_ALL or rule.severity not in _LOUD:
        return ""
    return f"severity below {rule.severity}, or a route that wakes nobody: {noise.fired - noise.acknowledged} of {noise.fired} were never acknowledged"
