"""From what a batch decided to how alerts stand and who is told: rules, then routing. Decides only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from watchpost.alerting.dispatch import Dispatcher, DispatchState
from watchpost.alerting.group import GroupState
from watchpost.alerting.outside import alert_of, is_outside
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

Said = Silence | Acknowledgement | OutsideAlert
"""What people say about alerts, and what other systems say of theirs."""


class Raised(msgspec.Struct, frozen=True):
    """What is to be written, and who is to be told."""

    news: AlertNews = AlertNews()
    notices: Sequence[Notice] = ()


class Alarms:
    """Judges rules and groups what they say, batch by batch. What it goes on from after a restart is what was written with the last batch."""

    def __init__(self, engine: RuleEngine, dispatcher: Dispatcher, memory: AlertMemory, now_ns: int) -> None:
        """Go on at a time. Alerts of rules that are gone end with the first batch."""
        self._engine = engine
        self._dispatcher = dispatcher
        groups = [msgspec.msgpack.decode(group.body, type=GroupState) for group in memory.alert_groups()]
        dispatched = tuple(memory.dispatched())
        dispatcher.resume(DispatchState(now_ns, dispatched, tuple(groups), tuple(memory.silences(now_ns))))
        self._over = engine.resume([alert for alert in memory.standing() if not is_outside(alert)])

    def react(
        self,
        ledger: Iterable[LedgerRow],
        sessions: Sequence[Summary],
        flags: Iterable[Flag],
        said: Sequence[Said],
        now_ns: int,
    ) -> Raised:
        """Take what one batch decided and what people said, and judge what is to be judged by now."""
        self._engine.take(ledger, sessions, flags)
        changes = self._end_what_no_rule_gives(self._engine.tick(now_ns), now_ns)
        outside = {
            alert.id: alert for alert in map(alert_of, (each for each in said if isinstance(each, OutsideAlert)))
        }
        changes = Changes([*changes.alerts, *outside.values()], changes.lapsed)
        self._dispatcher.heed(changes.alerts, now_ns)
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
                changes.alerts,
                changes.lapsed,
                dispatched.alerts,
                dispatched.alerts_gone,
                [_stored(group) for group in dispatched.groups],
                dispatched.groups_gone,
                silences,
                _acknowledged(said, dispatched.groups),
            ),
            notices,
        )

    def is_ripe(self, now_ns: int) -> bool:
        """Whether something is to be judged or told though nothing came in."""
        due_ns = self._dispatcher.due_ns()
        return self._engine.due_ns() <= now_ns or (due_ns is not None and due_ns <= now_ns)

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
