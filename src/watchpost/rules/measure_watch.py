"""Rules on a measure: what it comes to in each group's window, against a threshold, a baseline or an error budget."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping

from watchpost.model.session import session_key
from watchpost.model.unnaming import Unnaming
from watchpost.query.measures import MOST_GROUPS, Cell, Count, Distinct, Group, Question, value_of
from watchpost.rules.event import Look, Verdict
from watchpost.rules.history import FEWEST_BUCKETS, Asked, History, refresh_ns
from watchpost.rules.quantity import in_unit
from watchpost.rules.rule import Burn, BurnWindows, Comparison, Limit, OfMeasure, Rule, Spread, Times
from watchpost.rules.source import Affected, Source, Tapes, least_of, question_of

_REMEMBERED_NS = 24 * 3600 * 10**9

_COMPARE: Mapping[Comparison, Callable[[float, float], bool]] = {
    "above": operator.gt,
    "at_least": operator.ge,
    "below": operator.lt,
    "at_most": operator.le,
}


class MeasureWatch:
    """Judges one rule each time the windows have moved."""

    def __init__(self, rule: Rule, subject: OfMeasure, tapes: Tapes, history: History | None) -> None:
        self._rule = rule
        self._subject = subject
        self._measure = subject.measure
        self._seen: dict[Group, int] = {}
        self._misses_nothing = rule.no_data == "ok" and not self._is_below()
        if rule.share_of_sessions is None:
            self._affected = None
        else:
            self._affected = Affected(tapes, history, subject, rule.window_ns)
        self._baseline: Asked | None = None
        self._pairs: tuple[tuple[BurnWindows, Source, Source], ...] = ()
        match rule.test:
            case Times() | Spread():
                self._baseline = Asked(history, self._before, refresh_ns(rule.test.over_ns))
            case Burn(pairs=pairs):
                self._pairs = tuple(
                    (
                        pair,
                        Source(tapes, history, subject, pair.long_ns),
                        Source(tapes, history, subject, pair.short_ns),
                    )
                    for pair in pairs
                )
        self._source = self._pairs[0][1] if self._pairs else Source(tapes, history, subject, rule.window_ns)

    def judge(self, end_ns: int, held_since_ns: int) -> dict[Group, Verdict] | None:
        """A verdict for every group of which the condition holds, or that is to stay as it is. None where there is nothing to judge by at all."""
        if self._pairs:
            return self._burning(end_ns, held_since_ns)
        if not self._source.look(end_ns, held_since_ns):
            return None
        if self._affected is not None and not self._affected.look(end_ns, held_since_ns):
            return None
        baseline = None
        if self._baseline is not None:
            baseline = self._baseline.points(end_ns)
            if baseline is None:
                return None
        verdicts: dict[Group, Verdict] = {}
        for group in self._all_groups(end_ns):
            verdict = self._judged(group, baseline)
            if verdict is not None and verdict.holds is not False:
                verdicts[group] = verdict
        return verdicts

    def look(self, group: Group) -> Look:
        """Sessions above the line of a group."""
        return Look([session_key(group[0], session) for session in self._source.examples(group)])

    def erase(self, names: Unnaming) -> None:
        """Forget groups that name what was erased, and what the history said of any."""
        for group in list(self._seen):
            values: dict[str, str] = dict(zip(self._subject.by, group[1:], strict=True))
            if names.labels(values) != values:
                del self._seen[group]
        looked = (self._source, self._affected, self._baseline, *[each for pair in self._pairs for each in pair[1:]])
        for source in looked:
            if source is not None:
                source.forget()

    @property
    def is_crowded(self) -> bool:
        """Whether groups are put together because there are too many."""
        return self._source.is_crowded

    def _all_groups(self, end_ns: int) -> Iterator[Group]:
        if self._misses_nothing:
            yield from self._source.groups()
            return
        if not self._seen and not self._subject.by:
            named = next((values for name, values in self._subject.where if name == "project"), ())
            self._seen.update(((project,), end_ns) for project in named)
        for group in self._source.groups():
            if group in self._seen or len(self._seen) < 10 * MOST_GROUPS:
                self._seen[group] = end_ns
        for group in [each for each, at_ns in self._seen.items() if at_ns < end_ns - _REMEMBERED_NS]:
            del self._seen[group]
        yield from self._seen

    def _judged(self, group: Group, baseline: Mapping[Group, list[Cell]] | None) -> Verdict | None:
        cell = self._source.cell(group)
        value = in_unit(value_of(self._measure, cell), self._measure.unit)
        if value is None:
            return self._without()
        if cell is None and not self._is_below():
            return self._without()
        line = self._line(value, (baseline or {}).get(group, []))
        if line is None:
            return self._without()
        threshold, holds = line
        if holds and self._rule.at_least_count:
            holds = cell is not None and least_of(self._measure, cell) >= self._rule.at_least_count
        if holds and self._affected is not None and self._rule.share_of_sessions is not None:
            holds = self._affected.share(group) >= self._rule.share_of_sessions
        return Verdict(holds, value, threshold)

    def _without(self) -> Verdict | None:
        """What no data means."""
        match self._rule.no_data:
            case "fire":
                threshold = self._rule.test.value if isinstance(self._rule.test, Limit) else 0.0
                return Verdict(holds=True, threshold=threshold)
            case "hold":
                return Verdict(holds=None)
            case "ok":
                return None

    def _line(self, value: float, before: list[Cell]) -> tuple[float, bool] | None:
        """The threshold, and whether the value is beyond it; None where there is none."""
        match self._rule.test:
            case Limit(how, threshold):
                return threshold, _COMPARE[how](value, threshold)
            case Times(times):
                usual = in_unit(value_of(self._measure, before[0]), self._measure.unit) if before else None
                if not usual:
                    return None
                return times * usual, value > times * usual if times > 1 else value < times * usual
            case Spread(deviations, _, both):
                return self._beyond(value, before, deviations, both=both)
            case Burn():
                return None

    def _beyond(self, value: float, before: list[Cell], deviations: float, *, both: bool) -> tuple[float, bool] | None:
        told = (in_unit(value_of(self._measure, cell), self._measure.unit) for cell in before)
        usual = [each for each in told if each is not None]
        if len(usual) < FEWEST_BUCKETS:
            return None
        mean = math.fsum(usual) / len(usual)
        deviation = math.sqrt(math.fsum((each - mean) ** 2 for each in usual) / (len(usual) - 1))
        far = deviations * deviation
        if both and value < mean:
            return mean - far, value < mean - far and not math.isclose(value, mean, rel_tol=1e-9)
        return mean + far, value > mean + far and not math.isclose(value, mean, rel_tol=1e-9)

    def _burning(self, end_ns: int, held_since_ns: int) -> dict[Group, Verdict] | None:
        verdicts: dict[Group, Verdict] = {}
        looked = [
            pair for pair in self._pairs if pair[1].look(end_ns, held_since_ns) and pair[2].look(end_ns, held_since_ns)
        ]
        for pair, long, short in looked:
            for group in long.groups():
                if group not in verdicts and (verdict := self._burns(pair, long.cell(group), short.cell(group))):
                    verdicts[group] = verdict
        return verdicts if looked else None

    def _burns(self, pair: BurnWindows, long: Cell | None, short: Cell | None) -> Verdict | None:
        test = self._rule.test
        if not isinstance(test, Burn) or long is None or short is None or not long.per or not short.per:
            return None
        limit = pair.factor * test.budget
        bad = [(cell.per - cell.over if test.is_good else cell.over) / cell.per for cell in (long, short)]
        if min(bad) > limit and least_of(self._measure, long) >= self._rule.at_least_count:
            return Verdict(holds=True, value=bad[0], threshold=limit, window_ns=pair.long_ns)
        return None

    def _is_below(self) -> bool:
        """Whether a count of nothing can be what the rule looks for."""
        test = self._rule.test
        is_counted = isinstance(self._measure.formula, Count | Distinct)
        return is_counted and isinstance(test, Limit) and test.how in {"below", "at_most"}

    def _before(self, end_ns: int) -> Question:
        """What the baseline asks: the time before the window, in windows where a spread is wanted."""
        until_ns = end_ns - self._rule.window_ns
        match self._rule.test:
            case Spread(_, over_ns, _):
                return question_of(self._subject, until_ns - over_ns, until_ns, self._rule.window_ns)
            case Times(_, over_ns):
                return question_of(self._subject, until_ns - over_ns, until_ns)
            case Limit() | Burn():
                raise ValueError("there is no baseline")
