"""From what a batch decided to how alerts stand and who is told: rules, then routing. Decides only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from watchpost.alerting.dispatch import Dispatcher, DispatchState
from watchpost.alerting.erased import Erased, unnamed
from watchpost.alerting.group import GroupState
from watchpost.alerting.outside import alert_of, is_outside
from watchpost.alerting.outside_watch import OutsideWatch
from watchpost.model.alert import Alert, Firing, Pending, Resolved
from watchpost.model.flag import Flag
from watchpost.model.ledger import LedgerRow
from watchpost.model.notice import Notice
from watchpost.model.outside_alert import OutsideAlert
from watchpost.model.session import Summary
from watchpost.model.silence import Acknowledgement, Silence
from watchpost.rules.engine import RuleEngine
from watchpost.rules.standing import Changes
from watchpost.store.alerts import AcknowledgedAlert, AlertGroup, AlertMemory, AlertNews
from watchpost.store.engines.erased_names import names_of
from watchpost.store.erasure import Erasure

Said = Silence | Acknowledgement | OutsideAlert
"""What people say about alerts, and what other systems say of theirs."""


class Raised(msgspec.Struct, frozen=True):
    """What is to be written, and who is to be told."""

    news: AlertNews = AlertNews()
    notices: Sequence[Notice] = ()


class Alarms:
    """Judges rules and groups what they say, batch by batch. What it goes on from after a restart is what was written with the last batch."""

    def __init__(
        self, engine: RuleEngine, dispatcher: Dispatcher, memory: AlertMemory, now_ns: int, *, no_word_ns: int = 0
    ) -> None:
        """Go on at a time. Alerts of rules that are gone end with the first batch, those of others after so long without a word; 0 is never."""
        self._engine = engine
        self._dispatcher = dispatcher
        groups = [msgspec.msgpack.decode(group.body, type=GroupState) for group in memory.alert_groups()]
        dispatched = tuple(memory.dispatched())
        dispatcher.resume(DispatchState(now_ns, dispatched, tuple(groups), tuple(memory.silences(now_ns))))
        standing = memory.standing()
        self._over = engine.resume([alert for alert in standing if not is_outside(alert)])
        self._outside = OutsideWatch(standing, no_word_ns, now_ns)

    def react(
        self,
        ledger: Iterable[LedgerRow],
        sessions: Sequence[Summary],
        flags: Iterable[Flag],
        said: Sequence[Said],
        now_ns: int,
        *,
        erasures: Sequence[Erasure] = (),
    ) -> Raised:
        """Take what one batch decided and what people said, and judge what is to be judged by now.

        What is erased with the batch nothing names that is told or written from then on.
        """
        self._engine.take(ledger, sessions, flags)
        names = names_of(erasures) if erasures else None
        ended = Changes()
        if names is not None:
            aliases = {ref: erasure.pseudonym(ref) for erasure in erasures for ref in erasure.found.sessions}
            ended = self._engine.erase(aliases, names, now_ns)
            self._over = [unnamed(alert, names) for alert in self._over]
        changes = self._end_what_no_rule_gives(self._engine.tick(now_ns), now_ns)
        outside = {
            alert.id: alert for alert in map(alert_of, (each for each in said if isinstance(each, OutsideAlert)))
        }
        self._outside.take(outside.values())
        outside |= {alert.id: alert for alert in self._outside.end(now_ns)}
        self._dispatcher.heed(outside.values(), now_ns)
        erased = Erased([], [])
        if names is not None:
            erased = self._dispatcher.erase(names, now_ns)
            self._outside.erase(names)
        self._dispatcher.heed(changes.alerts, now_ns)
        alerts = [*outside.values(), *erased.alerts, *ended.alerts, *changes.alerts]
        silences = [each for each in said if isinstance(each, Silence)]
        for silence in silences:
            self._dispatcher.silence(silence)
        for each in said:
            if isinstance(each, Acknowledgement):
                self._dispatcher.acknowledge(each)
        notices = self._dispatcher.flush(now_ns)
        dispatched = self._dispatcher.changes()
        return Raised(
            AlertNews(
                now_ns,
                list({alert.id: alert for alert in alerts}.values()),
                [*ended.lapsed, *changes.lapsed],
                dispatched.alerts,
                dispatched.alerts_gone,
                [_stored(group) for group in dispatched.groups],
                dispatched.groups_gone,
                silences,
                _acknowledged(said, dispatched.groups),
            ),
            [*erased.notices, *notices],
        )

    def is_ripe(self, now_ns: int) -> bool:
        """Whether something is to be judged or told though nothing came in."""
        due = (self._engine.due_ns(), self._dispatcher.due_ns(), self._outside.due_ns())
        return any(due_ns is not None and due_ns <= now_ns for due_ns in due)

    @property
    def judged_ns(self) -> int:
        """Until when rules were judged last; 0 before. May be asked from any thread."""
        return self._engine.judged_ns

    def crowded(self) -> list[str]:
        """Names of the rules of which groups are put together, because there are too many to tell apart."""
        return self._engine.crowded()

    def _end_what_no_rule_gives(self, changes: Changes, now_ns: int) -> Changes:
        over, self._over = self._over, []
        ended: list[Alert] = []
        lapsed: list[str] = []
        for alert in over:
            match alert.state:
                case Firing(since_ns, fired_ns):
                    state = Resolved(since_ns, fired_ns, now_ns)
                    ended.append(msgspec.structs.replace(alert, state=state))
                case Pending():
                    lapsed.append(alert.id)
                case Resolved():
                    pass
        return Changes([*ended, *changes.alerts], [*lapsed, *changes.lapsed])


def _acknowledged(said: Iterable[Said], groups: Iterable[GroupState]) -> list[AcknowledgedAlert]:
    """Every alert that somebody is on from now on."""
    told = {each.key: each for each in said if isinstance(each, Acknowledgement)}
    return [
        AcknowledgedAlert(alert_id, told[group.key].at_ns, group.acknowledged.by)
        for group in groups
        if group.key in told and group.acknowledged is not None
        for alert_id in group.acknowledged.alerts
    ]


def _stored(group: GroupState) -> AlertGroup:
    return AlertGroup(group.id, group.project, group.key, msgspec.msgpack.encode(group))
