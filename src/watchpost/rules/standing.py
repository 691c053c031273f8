"""How the groups of one rule stand: pending, firing, resolved, by the semantics of Prometheus, and with flapping damped.

A condition that holds makes a group pending, and firing at the first judgement at which it has held for as long as the rule asks. One judgement at
which it does not hold ends what is pending. What fires ends once the condition has not held for `keep_firing_ns`, counted from the first judgement
that said so; its event stays that of the last time at which the condition held. Beyond Prometheus, what fired stays for a while (`hold_ns`), and what fires
again and again is told once, labelled `flapping`, until it has been calm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from watchpost.model.alert import Alert, Firing, Pending, Resolved, alert_id
from watchpost.model.notice import AlertEvent, timestamp
from watchpost.model.unnaming import Unnaming
from watchpost.query.measures import Group
from watchpost.rules.event import Look, Verdict, event_of, group_of, labels_of
from watchpost.rules.rule import OfSession, Rule

_LONGEST_HOLD_NS = 24 * 3600 * 10**9


class Damping(msgspec.Struct, frozen=True):
    """What fires stays for at least `hold_ns`. What fired `fires` times within `within_ns` flaps, and ends only after `calm_ns` without; 0 `fires` is never."""

    hold_ns: int = 60 * 10**9
    fires: int = 4
    within_ns: int = 1800 * 10**9
    calm_ns: int = 900 * 10**9


class Changes(msgspec.Struct, frozen=True):
    """Alerts whose state changed, and the ids of those that were pending and are not any more."""

    alerts: list[Alert] = []
    lapsed: list[str] = []


class _Standing:
    """One group that is pending or fires; `fired_ns` is 0 while pending, `cleared_ns` while the condition holds."""

    __slots__ = ("cleared_ns", "event", "fired_ns", "held_ns", "is_flapping", "since_ns", "verdict")

    def __init__(self, since_ns: int, at_ns: int, verdict: Verdict) -> None:
        self.since_ns = since_ns
        self.fired_ns = 0
        self.held_ns = at_ns
        self.cleared_ns = 0
        self.verdict = verdict
        self.event: AlertEvent | None = None
        self.is_flapping = False


class Standings:
    """All groups of a rule. `look` says where to look at the time it is asked."""

    def __init__(self, rule: Rule, look: Callable[[Group], Look], damping: Damping) -> None:
        self._rule = rule
        self._look = look
        self._damping = damping
        self._groups: dict[Group, _Standing] = {}
        self._fires: dict[Group, list[int]] = {}
        self._tells_pending = not isinstance(rule.subject, OfSession)

    def __len__(self) -> int:
        return len(self._groups)

    def judge(self, at_ns: int, verdicts: Mapping[Group, Verdict]) -> Changes:
        """Take what is said of each group at a time; of a group that is not named the condition does not hold."""
        changes = Changes()
        for group, verdict in verdicts.items():
            if verdict.holds:
                self._hold(group, verdict, at_ns, changes)
            elif group in self._groups and not self._stays(self._groups[group], verdict, at_ns):
                self._clear(group, at_ns, changes)
        for group in [each for each in self._groups if each not in verdicts]:
            self._clear(group, at_ns, changes)
        return changes

    def states(self) -> list[Alert]:
        """Every alert that is pending or fires."""
        return [self._alert(group, standing) for group, standing in self._groups.items()]

    def resume(self, alert: Alert) -> bool:
        """Go on with an alert as it stood before a restart; whether the rule still gives it."""
        group = group_of(self._rule, alert.project, alert.labels)
        if group is None or isinstance(alert.state, Resolved):
            return False
        event = alert.event
        verdict = Verdict(holds=True, value=event.value, threshold=event.threshold, since_ns=alert.state.since_ns)
        standing = _Standing(alert.state.since_ns, alert.state.since_ns, verdict)
        if isinstance(alert.state, Firing):
            standing.fired_ns, standing.held_ns = alert.state.fired_ns, alert.state.held_ns
        standing.event = event
        standing.is_flapping = "flapping" in alert.labels
        self._groups[group] = standing
        return True

    def erase(self, names: Unnaming, now_ns: int) -> Changes:
        """Let no alert name what was erased: one that was about it is over."""
        changes = Changes()
        for group in [each for each in self._fires if self._names(each, names)]:
            del self._fires[group]
        for group, standing in list(self._groups.items()):
            if standing.event is not None:
                standing.event = names.event(standing.event)
            if not self._names(group, names):
                continue
            alert = self._alert(group, standing)
            del self._groups[group]
            if standing.fired_ns:
                over = Resolved(standing.since_ns, standing.fired_ns, now_ns)
                labels, event = names.labels(alert.labels), names.event(alert.event)
                changes.alerts.append(msgspec.structs.replace(alert, labels=labels, event=event, state=over))
            elif self._tells_pending:
                changes.lapsed.append(alert.id)
        return changes

    def go_back(self, now_ns: int) -> None:
        """Go on from an earlier time: nothing began later than now."""
        for standing in self._groups.values():
            standing.since_ns = min(standing.since_ns, now_ns)
            standing.fired_ns = min(standing.fired_ns, now_ns)
            standing.held_ns = min(standing.held_ns, now_ns)
            standing.cleared_ns = min(standing.cleared_ns, now_ns)
        self._fires.clear()

    def _hold(self, group: Group, verdict: Verdict, at_ns: int, changes: Changes) -> None:
        standing = self._groups.get(group)
        is_new = standing is None
        if standing is None:
            standing = self._groups[group] = _Standing(verdict.since_ns or at_ns, at_ns, verdict)
        standing.held_ns, standing.cleared_ns, standing.verdict = at_ns, 0, verdict
        fires = not standing.fired_ns and at_ns - standing.since_ns >= self._rule.for_ns
        if fires:
            standing.fired_ns = at_ns
            standing.is_flapping = self._flaps(group, at_ns)
        if fires or (is_new and self._tells_pending):
            standing.event = event_of(self._rule, group, verdict, self._look(group), at_ns)
            changes.alerts.append(self._alert(group, standing))

    def _stays(self, standing: _Standing, verdict: Verdict, at_ns: int) -> bool:
        return verdict.holds is None and at_ns - standing.held_ns <= _LONGEST_HOLD_NS

    def _clear(self, group: Group, at_ns: int, changes: Changes) -> None:
        standing = self._groups[group]
        if not standing.fired_ns:
            del self._groups[group]
            if self._tells_pending:
                changes.lapsed.append(self._id(group))
            return
        standing.cleared_ns = standing.cleared_ns or at_ns
        keep_ns = max(self._rule.keep_firing_ns, self._damping.calm_ns if standing.is_flapping else 0)
        if at_ns - standing.cleared_ns < keep_ns or at_ns - standing.fired_ns < self._damping.hold_ns:
            return
        alert = self._alert(group, standing)
        del self._groups[group]
        over = Resolved(standing.since_ns, standing.fired_ns, at_ns)
        changes.alerts.append(msgspec.structs.replace(alert, state=over))

    def _flaps(self, group: Group, at_ns: int) -> bool:
        if not self._damping.fires:
            return False
        since_ns = at_ns - self._damping.within_ns
        for each in [each for each, times in self._fires.items() if times[-1] < since_ns]:
            del self._fires[each]
        times = [time for time in self._fires.get(group, []) if time >= since_ns]
        self._fires[group] = [*times, at_ns][-self._damping.fires :]
        return len(self._fires[group]) >= self._damping.fires

    def _names(self, group: Group, names: Unnaming) -> bool:
        labels = labels_of(self._rule, group)
        return names.labels(labels) != labels

    def _id(self, group: Group) -> str:
        return alert_id(group[0], self._rule.name, labels_of(self._rule, group))

    def _alert(self, group: Group, standing: _Standing) -> Alert:
        labels = labels_of(self._rule, group)
        if standing.is_flapping:
            labels["flapping"] = "true"
        event = standing.event or event_of(self._rule, group, standing.verdict, Look(), standing.held_ns)
        event = msgspec.structs.replace(event, value=standing.verdict.value, threshold=standing.verdict.threshold)
        state: Pending | Firing = Pending(standing.since_ns)
        if standing.fired_ns:
            state = Firing(standing.since_ns, standing.fired_ns, standing.held_ns)
            event = msgspec.structs.replace(event, timestamp=timestamp(standing.held_ns))
        return Alert(self._id(group), group[0], self._rule.name, labels, state, event)
