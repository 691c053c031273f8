"""Rules tried over what the stores hold: one back-test at a time, of at most a month and so many steps, so that serving goes on beside it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from watchpost.ingest.request import OverloadedError
from watchpost.model.flag import Flag
from watchpost.model.ledger import LedgerRow
from watchpost.model.session import Summary
from watchpost.query.flags import FlagFilter
from watchpost.query.measures import Measured, Question
from watchpost.rules.backtest import Span, replay, span_of
from watchpost.rules.history import refresh_ns
from watchpost.rules.proposal import propose
from watchpost.rules.rule import Rule
from watchpost.rules.rule_fields import RuleFileError
from watchpost.rules.rule_file import Known, read_rule_files
from watchpost.rules.stretch import Quietness, in_order
from watchpost.rules.tally import CELL_NS
from watchpost.rules.truth import Incident, Judged, read_incidents, score, within
from watchpost.server.answers import moment
from watchpost.server.backtest_answers import BacktestAnswer, BacktestGiven, incident_answer, rule_backtest
from watchpost.server.days import Days
from watchpost.server.measure_parameters import duration_ns
from watchpost.server.problem import ParameterError
from watchpost.store.readers import LedgerReader, MeasureReader
from watchpost.store.state import FlagList

LONGEST_NS = 31 * 24 * 3600 * 10**9
MOST_STEPS = 5_000_000
MOST_FLAGS = 100_000
INCIDENTS = "incidents"
"""What faults call the text of incidents."""

_NS = 10**9
_PAGE = 1_000
_POINTS = 84
"""A baseline is asked so many times while its own length goes by, where that is rarer than live: one of seven days every two hours."""

_DURATION = re.compile(r"[0-9]{1,9}[smhdw]")


class Records(msgspec.Struct, frozen=True):
    """What is read: the ledger by time, measures for what reaches further back, flags, and when a run counts as over."""

    ledger: LedgerReader
    measures: MeasureReader
    flags: FlagList
    quiet: Quietness = Quietness()


class Backtests:
    """Tries rules. It reads the stores and computes for a long time; call it from a worker thread."""

    def __init__(
        self, records: Records, rules: Sequence[Rule], now_ns: Callable[[], int], days: Days, interval_ns: int = CELL_NS
    ) -> None:
        """`rules` are those at work, judged every `interval_ns`."""
        self._records = records
        self._rules = rules
        self._now_ns = now_ns
        self._days = days
        self._interval_ns = interval_ns
        self._busy = threading.Lock()

    def answer(self, given: BacktestGiven) -> BacktestAnswer:
        """What rules would have told. Raises `ParameterError` for what cannot be tried, `OverloadedError` while another is under way."""
        every = _read(given.files) if given.files else self._rules
        incidents = _incidents(given.incidents, every)
        rules = _chosen(every, given.rule)
        if not 0 <= given.alerts_a_week < 1e6:
            raise ParameterError("alerts_a_week", "a number from 0")
        since_ns, until_ns = window_of(given.since, given.until, self._now_ns(), self._days)
        span = span_of(rules, since_ns, until_ns)
        stored = self._records.ledger.steps_between(span.told_ns, span.until_ns)
        if stored > MOST_STEPS:
            raise ParameterError("since", f"{stored} steps are more than the {MOST_STEPS} that are replayed at once")
        if not self._busy.acquire(blocking=False):
            raise OverloadedError("another back-test is under way", 30)
        try:
            return self._replay(given, rules, within(incidents, span), span)
        finally:
            self._busy.release()

    def _replay(
        self, given: BacktestGiven, rules: Sequence[Rule], incidents: Sequence[Incident], span: Span
    ) -> BacktestAnswer:
        began_ns, records = self._now_ns(), self._records
        flags, judged = _flags(records.flags, span)
        count = _Count()
        told = in_order(
            count.steps_of(records.ledger.rows_between(span.told_ns, span.until_ns)),
            count.sessions_of(records.ledger.sessions_between(span.told_ns, span.until_ns)),
            flags,
            interval_ns=self._interval_ns,
            quiet=records.quiet,
        )
        reach_ns = max((rule.for_ns + rule.window_ns for rule in rules), default=0)
        history = StoredHistory(records.measures, span.since_ns - reach_ns)
        replayed = replay(rules, told, history, span, interval_ns=self._interval_ns, with_values=given.propose)
        answers = []
        found_by: dict[str, list[str]] = {each.name: [] for each in incidents}
        for each in replayed:
            scored = score(each, incidents, judged, are_all=bool(given.incidents))
            for name in scored.caught:
                found_by[name].append(each.rule.name)
            proposal = None
            if given.propose:
                proposal = propose(
                    each, incidents, span, alerts_a_week=given.alerts_a_week, interval_ns=self._interval_ns
                )
            answers.append(rule_backtest(each, scored, proposal))
        return BacktestAnswer(
            moment(span.since_ns),
            moment(span.until_ns),
            self._interval_ns / _NS,
            count.steps,
            count.sessions,
            (self._now_ns() - began_ns) / _NS,
            answers,
            [incident_answer(each, found_by[each.name]) for each in incidents],
        )


class StoredHistory:
    """Fulfils `watchpost.rules.history.History` out of the store, at once. What reaches far back is asked seldom: for seven days the answer of two hours ago does.

    Of windows that end before `since_ns` nothing is said: nobody asks what was told then.
    """

    def __init__(self, reader: MeasureReader, since_ns: int = 0) -> None:
        self._reader = reader
        self._since_ns = since_ns
        self._known: dict[Question, tuple[int, Measured]] = {}

    def answer(self, question: Question) -> Measured:
        """What the store says, of the same window a little earlier where that is good enough."""
        if question.until_ns < self._since_ns:
            return Measured(0, [])
        length_ns = question.until_ns - question.since_ns
        every_ns = max(refresh_ns(length_ns), length_ns // _POINTS // CELL_NS * CELL_NS)
        until_ns = question.until_ns // every_ns * every_ns
        shape = msgspec.structs.replace(question, since_ns=0, until_ns=length_ns)
        known = self._known.get(shape)
        if known is None or known[0] != until_ns:
            asked = msgspec.structs.replace(question, since_ns=until_ns - length_ns, until_ns=until_ns)
            known = self._known[shape] = until_ns, self._reader.measured(asked)
        return known[1]


class _Count:
    """How much was read."""

    def __init__(self) -> None:
        self.steps = 0
        self.sessions = 0

    def steps_of(self, rows: Iterator[LedgerRow]) -> Iterator[LedgerRow]:
        for row in rows:
            self.steps += len(row.steps)
            yield row

    def sessions_of(self, sessions: Iterator[Summary]) -> Iterator[Summary]:
        for session in sessions:
            self.sessions += 1
            yield session


def window_of(since: str, until: str, now_ns: int, days: Days) -> tuple[int, int]:
    """The stretch of time that two parameters ask for, `since` being a moment or a duration; whole cells. Raises `ParameterError`."""
    until_ns = days.moment_ns(until, "until", now_ns) or now_ns
    since_ns = (
        until_ns - duration_ns(since, "since") if _DURATION.fullmatch(since) else days.moment_ns(since, "since", now_ns)
    )
    since_ns, until_ns = since_ns // CELL_NS * CELL_NS, min(until_ns, now_ns) // CELL_NS * CELL_NS
    if since_ns >= until_ns:
        raise ParameterError("since", "the window ends before it begins")
    if until_ns - since_ns > LONGEST_NS:
        raise ParameterError("since", f"more than {LONGEST_NS // (86_400 * _NS)} days before the end")
    if since_ns < 0:
        raise ParameterError("since", "before 1970")
    return since_ns, until_ns


def _read(files: Mapping[str, str]) -> Sequence[Rule]:
    try:
        return read_rule_files(files, Known()).rules
    except RuleFileError as error:
        raise ParameterError("files", "; ".join(map(str, error.faults))) from error


def _chosen(rules: Sequence[Rule], name: str) -> Sequence[Rule]:
    found = [rule for rule in rules if name in {"", rule.name}]
    if not found:
        raise ParameterError("rule", f"there is no rule {name}; there are: {', '.join(rule.name for rule in rules)}")
    return found


def _incidents(text: str, rules: Sequence[Rule]) -> tuple[Incident, ...]:
    if not text:
        return ()
    try:
        return read_incidents(text, INCIDENTS, [rule.name for rule in rules])
    except RuleFileError as error:
        raise ParameterError("incidents", "; ".join(map(str, error.faults))) from error


def _flags(reader: FlagList, span: Span) -> tuple[list[Flag], list[Judged]]:
    """The flags of a span by time, and what was said of them last."""
    found: list[Flag] = []
    wanted = FlagFilter(since_ns=span.told_ns, until_ns=span.until_ns, limit=_PAGE)
    while page := reader.flags_matching(wanted):
        found += page
        if len(found) > MOST_FLAGS:
            raise ParameterError("since", f"more than the {MOST_FLAGS} flags that are replayed at once")
        wanted = msgspec.structs.replace(wanted, before=(page[-1].at_ns, page[-1].id))
    found.reverse()
    said: dict[str, bool] = {}
    for first in range(0, len(found), _PAGE):
        ids = [flag.id for flag in found[first : first + _PAGE]]
        said |= {each.flag_id: each.verdict == "confirm" for each in reader.verdicts(ids)}
    return found, [Judged(flag, said[flag.id]) for flag in found if flag.id in said]
