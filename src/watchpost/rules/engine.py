"""Rules at work: what is decided batch by batch goes in, and what changed about alerts comes out. No clock, no input, no output.

Call `take` with every batch, and `tick` whenever the time has reached `due_ns()`. Rules on flags and on single sessions are judged by the next
`tick` after what they look at came in; rules on measures at the multiples of the interval. What a measure comes to at a multiple of the interval is exact: what the store would answer
for that window if it knew just what was taken. What is heard of later counts from the next judgement on.

Time that goes back by up to five minutes stands still until it has caught up; where it goes back further, nothing is judged by the first `tick`, so nothing ends by it,
memory begins anew and the history answers meanwhile. After a jump forward there is one judgement, not one for each interval left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from watchpost.model.alert import Alert
from watchpost.model.flag import Flag
from watchpost.model.ledger import LedgerRow
from watchpost.model.session import Summary
from watchpost.model.unnaming import Unnaming
from watchpost.rules.flag_watch import FlagWatch
from watchpost.rules.history import History
from watchpost.rules.measure_watch import MeasureWatch
from watchpost.rules.memory import Memory
from watchpost.rules.rule import Limit, OfFlags, OfMeasure, OfSession, Rule
from watchpost.rules.session_watch import SessionWatch
from watchpost.rules.source import Tapes
from watchpost.rules.standing import Changes, Damping, Standings
from watchpost.rules.tally import CELL_NS
from watchpost.rules.waiting_rows import WaitingRows

MOST_HELD = 200_000
"""Rows of the ledger and sessions that rules count; the oldest are let go beyond that."""

PATIENCE_NS = 300 * 10**9
"""By how much time may go back and be waited for."""

_NEVER = 1 << 62

Watch = MeasureWatch | FlagWatch | SessionWatch


class RuleEngine:
    """All rules over all projects.

    `since_ns` is from when on everything that is decided will be taken, 0 for ever: windows that reach further back are asked of `history`, and
    where there is none, alerts stay as they are until the window is known. `interval_ns` is a multiple of fifteen seconds.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        history: History | None = None,
        *,
        interval_ns: int = CELL_NS,
        damping: Damping | None = None,
        since_ns: int = 0,
        most_held: int = MOST_HELD,
    ) -> None:
        if interval_ns <= 0 or interval_ns % CELL_NS:
            raise ValueError(f"interval_ns must be a multiple of {CELL_NS}")
        self._interval_ns = interval_ns
        tapes = Tapes()
        self._rules: list[tuple[Rule, Watch, Standings]] = []
        for rule in rules:
            watch = _watch(rule, tapes, history)
            self._rules.append((rule, watch, Standings(rule, watch.look, damping or Damping())))
        self._all_tapes, self._most_held = tapes.all(), most_held
        self._memory = Memory(self._all_tapes, since_ns=since_ns, most=most_held)
        self._rows = WaitingRows()
        self._waiting: list[tuple[Flag, Summary | None, int | None]] = []
        self._changed: list[Summary] = []
        self._disturbed: set[int] = set()
        self._now_ns: int | None = None
        self._end_ns = 0

    def fill(
        self,
        ledger: Iterable[LedgerRow],
        sessions: Iterable[Summary],
        flags: Iterable[Flag],
        since_ns: int,
        counted: Iterable[Summary] = (),
    ) -> None:
        """Take what the store has, before anything else is taken.

        Since a time, that is every row, with those of the slot before, and among `counted` every session that ended; of `sessions` and `flags` as much as
        rules on single sessions and on flags look back. A flag counts at the time of its step: when it was heard of is not known any more.
        """
        self._memory.since_ns = since_ns
        for session in counted:
            self._memory.take_session(session)
        known = self._take(ledger, sessions)
        self._hear_of((flag, known.get((flag.project, flag.session_id)), flag.at_ns) for flag in flags)

    def take(self, ledger: Iterable[LedgerRow], sessions: Iterable[Summary], flags: Iterable[Flag] = ()) -> None:
        """Take what one batch decided. `sessions` hold those of the flags, which say what service and workflow a flag is of."""
        known = self._take(ledger, sessions)
        self._hear_of((flag, known.get((flag.project, flag.session_id)), None) for flag in flags)

    def due_ns(self) -> int:
        """When to call `tick` next; 0 for at once."""
        if self._now_ns is None or self._waiting or self._changed:
            return 0
        timed = (watch.due_ns() for _, watch, _ in self._rules if not isinstance(watch, MeasureWatch))
        return min(self._end_ns + self._interval_ns, *timed, _NEVER)

    def tick(self, now_ns: int) -> Changes:
        """Judge what is to be judged by now."""
        if self._now_ns is not None and now_ns < self._now_ns:
            if now_ns < self._now_ns - PATIENCE_NS:
                self._go_back(now_ns)
                return Changes()
            now_ns = self._now_ns
        end_ns = now_ns // self._interval_ns * self._interval_ns
        is_time = self._now_ns is None or end_ns > self._end_ns
        self._now_ns = now_ns
        if is_time:
            self._end_ns = end_ns
            self._count()
            self._memory.move(end_ns)
        heard = self._hear(now_ns) | self._disturbed
        self._disturbed = set()
        changes = Changes()
        for number, (_, watch, standings) in enumerate(self._rules):
            if is_time or number in heard or (not isinstance(watch, MeasureWatch) and watch.due_ns() <= now_ns):
                found = self._judge(watch, standings, now_ns)
                changes.alerts.extend(found.alerts)
                changes.lapsed.extend(found.lapsed)
        return changes

    def states(self) -> list[Alert]:
        """Every alert that is pending or fires, by rule."""
        return [alert for _, _, standings in self._rules for alert in standings.states()]

    def resume(self, alerts: Iterable[Alert]) -> list[Alert]:
        """Go on with alerts as they stood before a restart; returns those that no rule gives any more, which are to be resolved."""
        standings = {rule.name: each for rule, _, each in self._rules}
        return [alert for alert in alerts if alert.rule not in standings or not standings[alert.rule].resume(alert)]

    def erase(self, aliases: Mapping[tuple[str, str], str], names: Unnaming, now_ns: int) -> Changes:
        """Let sessions, by project and id, be known by other ids and as nobody's, and their flags be forgotten; `names` stand in no alert any more.

        The history, asked anew, must not name them either.
        """
        self._count()
        self._memory.rename(aliases)
        self._waiting = [each for each in self._waiting if (each[0].project, each[0].session_id) not in aliases]
        self._changed = [each for each in self._changed if (each.project, each.session_id) not in aliases]
        changes = Changes()
        for number, (_, watch, standings) in enumerate(self._rules):
            match watch:
                case MeasureWatch():
                    watch.erase(names)
                case FlagWatch() | SessionWatch():
                    if watch.erase(aliases):
                        self._disturbed.add(number)
            found = standings.erase(names, now_ns)
            changes.alerts.extend(found.alerts)
            changes.lapsed.extend(found.lapsed)
        return changes

    @property
    def held(self) -> int:
        """Rows and sessions in memory."""
        return self._memory.held

    @property
    def held_since_ns(self) -> int:
        """From when on memory answers; what reaches further back is asked of the history."""
        return self._memory.since_ns

    @property
    def looks_back_ns(self) -> int:
        """The longest window that memory answers; 0 where rules have none."""
        return self._memory.longest_ns

    @property
    def judged_ns(self) -> int:
        """Until when rules were judged last; 0 before."""
        return self._end_ns

    def crowded(self) -> list[str]:
        """Names of the rules of which groups are put together, because a project has more than `MOST_GROUPS`."""
        return [rule.name for rule, watch, _ in self._rules if isinstance(watch, MeasureWatch) and watch.is_crowded]

    def _take(self, ledger: Iterable[LedgerRow], sessions: Iterable[Summary]) -> dict[tuple[str, str], Summary]:
        for row in ledger:
            self._rows.put(row)
        for row in self._rows.surplus():
            self._memory.take_row(row)
        known: dict[tuple[str, str], Summary] = {}
        for session in sessions:
            self._memory.take_session(session)
            known[session.project, session.session_id] = session
        if any(isinstance(watch, SessionWatch) for _, watch, _ in self._rules):
            self._changed += known.values()
        return known

    def _count(self) -> None:
        """Count what waits: windows are looked at."""
        for row in self._rows.all():
            self._memory.take_row(row)

    def _hear_of(self, flags: Iterable[tuple[Flag, Summary | None, int | None]]) -> None:
        if any(isinstance(watch, FlagWatch) for _, watch, _ in self._rules):
            self._waiting += flags

    def _hear(self, now_ns: int) -> set[int]:
        """Let watches hear of flags and sessions; the places of those that have something new to say."""
        heard: set[int] = set()
        for number, (_, watch, _) in enumerate(self._rules):
            match watch:
                case FlagWatch():
                    changed = [watch.take(flag, session, heard_ns, now_ns) for flag, session, heard_ns in self._waiting]
                case SessionWatch():
                    changed = [watch.take(session, now_ns) for session in self._changed]
                case MeasureWatch():
                    continue
            if any(changed):
                heard.add(number)
        self._waiting.clear()
        self._changed.clear()
        return heard

    def _judge(self, watch: Watch, standings: Standings, now_ns: int) -> Changes:
        match watch:
            case MeasureWatch():
                found = watch.judge(self._end_ns, self._memory.since_ns)
                return Changes() if found is None else standings.judge(self._end_ns, found)
            case FlagWatch():
                if watch.counts_sessions:
                    self._count()
                return standings.judge(now_ns, watch.judge(now_ns, self._end_ns, self._memory.since_ns))
            case SessionWatch():
                return standings.judge(now_ns, watch.judge(now_ns))

    def _go_back(self, now_ns: int) -> None:
        self._now_ns = now_ns
        self._end_ns = now_ns // self._interval_ns * self._interval_ns
        for tape in self._all_tapes:
            tape.clear()
        self._memory = Memory(self._all_tapes, since_ns=now_ns, most=self._most_held)
        self._rows = WaitingRows()
        for _, _, standings in self._rules:
            standings.go_back(now_ns)


def _watch(rule: Rule, tapes: Tapes, history: History | None) -> Watch:
    match rule.subject, rule.test:
        case OfMeasure() as subject, _:
            return MeasureWatch(rule, subject, tapes, history)
        case OfFlags() as subject, Limit() as limit:
            return FlagWatch(rule, subject, limit, tapes, history)
        case OfSession() as subject, Limit() as limit:
            return SessionWatch(rule, subject, limit)
        case _:
            raise ValueError(f"{rule.name}: flags and single sessions are compared with a threshold alone")
