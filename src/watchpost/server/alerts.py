"""Alerts, rules and silences as API, CLI and pages show them, and what people say about them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
from starlette.concurrency import run_in_threadpool

from watchpost.alerting.group import GroupState
from watchpost.alerting.labels import labels_of
from watchpost.alerting.route_file import Routing
from watchpost.alerting.silence import Silences, silence_faults
from watchpost.model.alert import Alert, Firing, Pending, Resolved
from watchpost.model.flag import Severity
from watchpost.model.silence import Acknowledgement, Silence
from watchpost.query.alerts import AlertFilter
from watchpost.query.measures import Unit
from watchpost.rules.event import unit_of
from watchpost.rules.rule import Rule
from watchpost.server.alert_hold import NO_ROUTING, Hold, Holds, InhibitedBy, MutedBy
from watchpost.server.answers import moment
from watchpost.server.archive import write_cursor
from watchpost.server.problem import NotFoundError, ParameterError
from watchpost.server.review import BY_LENGTH, NOTE_LENGTH, WAIT_S, Notebook
from watchpost.server.rule_answers import RulesAnswer, rule_answer
from watchpost.server.words import line, note
from watchpost.store.alerts import AlertMemory, AlertReader, StandingAlert

HISTORY = 200
"""Changes of one alert that are shown."""

LONGEST_S = 366 * 86_400
"""How long a silence lasts at most, and how far ahead it may be asked for: what is longer is a rule to be taken out."""

MATCHERS, MATCHER_LENGTH = 50, 4000
"""How many matchers a silence has at most, and their characters."""

StateName = Literal["pending", "firing", "resolved", "no_word"]
SilenceState = Literal["pending", "active", "expired"]


class AlertAnswer(msgspec.Struct, frozen=True):
    """One alert. `fired_at` and `resolved_at` are null where that has not come; `sessions` are keys of examples.

    `acknowledged_by` is empty where nobody said that they are on it, `silenced_by` are the ids of the silences that cover it now. Of an alert
    that is not over, `inhibited_by` are the first of the alerts that hold it back, and `muted_by` says which channels do not hear of it because of the hour.
    `unit` is that of value and threshold, null where no rule at work says it. `told` says that somebody was told of it, so that it can be acknowledged.
    """

    id: str
    project: str
    rule: str
    state: StateName
    severity: Severity
    labels: dict[str, str]
    since: str | None
    fired_at: str | None
    resolved_at: str | None
    changed_at: str | None
    service: str
    metric: str
    tool: str
    value: float
    threshold: float
    window: str
    owner: str
    runbook: str
    summary: str
    sessions: list[str]
    acknowledged_by: str
    silenced_by: list[str]
    inhibited_by: list[InhibitedBy]
    muted_by: list[MutedBy]
    unit: Unit | None
    told: bool


class AlertsAnswer(msgspec.Struct, frozen=True):
    """A page of alerts, the latest change first; `next` is the cursor of the following page, null at the end."""

    alerts: list[AlertAnswer]
    next: str | None


class AlertChange(msgspec.Struct, frozen=True):
    """How an alert stood from a time on."""

    at: str | None
    state: StateName
    value: float
    summary: str


class AlertDetail(msgspec.Struct, frozen=True):
    """One alert with its history, the latest change first."""

    alert: AlertAnswer
    history: list[AlertChange]


class AcknowledgementGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is on it."""

    by: str


class SilenceAnswer(msgspec.Struct, frozen=True):
    """One silence. An empty `project` is every project."""

    id: str
    project: str
    matchers: list[str]
    state: SilenceState
    starts_at: str | None
    ends_at: str | None
    by: str
    comment: str


class SilencesAnswer(msgspec.Struct, frozen=True):
    """Silences, those that end last first."""

    silences: list[SilenceAnswer]


class SilenceGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who asks for quiet, about what, why, and for how many seconds, from now on unless `starts_in` says later.

    `everything` says that matchers that match all alerts are meant so.
    """

    matchers: list[str]
    by: str
    comment: str
    seconds: float
    starts_in: float = 0
    project: str = ""
    everything: bool = False


class Alerts:
    """Answers how alerts stand. It reads the state store and blocks, but for what is asynchronous; call it from a worker thread."""

    def __init__(
        self,
        reader: AlertReader,
        memory: AlertMemory,
        notes: Notebook,
        now_ns: Callable[[], int],
        *,
        rules: Sequence[Rule] = (),
        routing: Routing = NO_ROUTING,
    ) -> None:
        self._rules = sorted(rules, key=lambda rule: rule.name)
        self._units = {rule.name: unit_of(rule.subject) for rule in rules}
        self._reader = reader
        self._memory = memory
        self._notes = notes
        self._now_ns = now_ns
        self._routing = routing

    def page(self, wanted: AlertFilter) -> AlertsAnswer:
        """At most `wanted.limit` alerts."""
        found = self._reader.alerts(msgspec.structs.replace(wanted, limit=wanted.limit + 1))
        shown = found[: wanted.limit]
        last = shown[-1] if len(found) > len(shown) else None
        return AlertsAnswer(self._answers(shown), write_cursor(last.changed_ns, last.alert.id) if last else None)

    def one(self, alert_id: str) -> AlertDetail:
        """One alert with its history; raises `NotFoundError`."""
        found = self._found(alert_id)
        history = [
            AlertChange(
                moment(each.changed_ns), state_name(each.alert), each.alert.event.value, each.alert.event.summary
            )
            for each in self._reader.alert_history(alert_id, HISTORY)
        ]
        return AlertDetail(self._answers([found])[0], history)

    def rules(self) -> RulesAnswer:
        """Every rule at work, by name, and how its groups stand."""
        standing: Counter[tuple[str, str]] = Counter(
            (alert.rule, state_name(alert)) for alert in self._memory.standing()
        )
        return RulesAnswer([rule_answer(rule, standing) for rule in self._rules])

    async def acknowledge(self, alert_id: str, given: AcknowledgementGiven) -> tuple[AlertDetail, bool]:
        """Note that somebody is on every group in which an alert was told: the alert, and whether that holds already.

        Raises `NotFoundError` for an alert never seen, `ParameterError` for one that nobody was told of or without a name, and as `Notebook.note` does.
        """
        facts = await run_in_threadpool(self._acknowledgements, alert_id, given)
        seq = await self._notes.note(facts)
        holds = await self._notes.settled(seq, WAIT_S)
        return await run_in_threadpool(self.one, alert_id), holds

    def silences(self, *, expired: bool) -> SilencesAnswer:
        """Those that hold or are to come, and where asked for those that are over."""
        now_ns = self._now_ns()
        found = self._memory.silences(0 if expired else now_ns)
        found.sort(key=lambda each: (-each.ends_ns, each.id))
        return SilencesAnswer([_silence(each, now_ns) for each in found])

    async def silence(self, given: SilenceGiven) -> tuple[SilenceAnswer, bool]:
        """Note a silence: it, and whether it holds already. Raises `ParameterError`, and as `Notebook.note` does."""
        _check_spans(given)
        _check_matchers(given.matchers)
        given = msgspec.structs.replace(
            given,
            by=line("by", given.by, BY_LENGTH),
            comment=note("comment", given.comment, NOTE_LENGTH),
            project=line("project", given.project, 1024),
        )
        now_ns = self._now_ns()
        starts_ns = now_ns + round(given.starts_in * 1e9)
        asked = Silence(
            hashlib.blake2b(msgspec.json.encode((now_ns, given)), digest_size=16).hexdigest(),
            given.project,
            tuple(given.matchers),
            starts_ns,
            starts_ns + round(given.seconds * 1e9),
            given.by,
            given.comment,
            now_ns,
            given.everything,
        )
        for field, reason in silence_faults(asked):
            raise ParameterError("seconds" if field == "ends_ns" else field, reason)
        return await self._silenced(asked)

    async def expire(self, silence_id: str, by: str) -> tuple[SilenceAnswer, bool]:
        """End a silence now; raises `NotFoundError`, and `ParameterError` for one that is over."""
        by = line("by", by, BY_LENGTH)
        now_ns = self._now_ns()
        held = {each.id: each for each in await run_in_threadpool(self._memory.silences, 0)}
        if silence_id not in held:
            raise NotFoundError(f"no silence {silence_id}")
        if held[silence_id].ends_ns <= now_ns:
            raise ParameterError("id", "this silence is over already")
        ended = msgspec.structs.replace(held[silence_id], ends_ns=now_ns, by=by or held[silence_id].by, at_ns=now_ns)
        return await self._silenced(ended)

    async def _silenced(self, asked: Silence) -> tuple[SilenceAnswer, bool]:
        seq = await self._notes.note((asked,))
        holds = await self._notes.settled(seq, WAIT_S)
        return _silence(asked, self._now_ns()), holds

    def _acknowledgements(self, alert_id: str, given: AcknowledgementGiven) -> Sequence[Acknowledgement]:
        alert = self._found(alert_id).alert
        by = line("by", given.by, BY_LENGTH)
        if not by:
            raise ParameterError("by", "say who is on it")
        keys = [key for key, state in groups_of(self._memory).items() if alert_id in state.known]
        if not keys:
            raise ParameterError("id", "nobody was told of this alert, or it is over")
        return [Acknowledgement(alert.project, key, by, self._now_ns()) for key in keys]

    def _found(self, alert_id: str) -> StandingAlert:
        if (found := self._reader.alert(alert_id)) is None:
            raise NotFoundError(f"no alert {alert_id}")
        return found

    def _answers(self, found: Sequence[StandingAlert]) -> list[AlertAnswer]:
        now_ns = self._now_ns()
        silences = Silences(self._memory.silences(now_ns))
        holds = Holds(self._routing, self._memory.standing() if self._routing.inhibitions else (), now_ns)
        groups = groups_of(self._memory).values()
        told = {alert_id for state in groups for alert_id in state.known}
        acknowledged = {
            alert_id: state.acknowledged.by
            for state in groups
            if state.acknowledged is not None
            for alert_id in state.acknowledged.alerts
        }
        return [
            _answer(
                each,
                acknowledged.get(each.alert.id, "") if isinstance(each.alert.state, Firing) else "",
                silences.silencing(labels_of(each.alert), now_ns),
                holds.on(each.alert),
                self._units.get(each.alert.rule),
                told=each.alert.id in told,
            )
            for each in found
        ]


def _check_spans(given: SilenceGiven) -> None:
    """No comparison holds of what is no number."""
    if not 0 < given.seconds <= LONGEST_S:
        raise ParameterError("seconds", f"is more than 0 and at most {LONGEST_S}")
    if not 0 <= given.starts_in <= LONGEST_S:
        raise ParameterError("starts_in", f"is at least 0 and at most {LONGEST_S}")


def _check_matchers(matchers: Sequence[str]) -> None:
    if len(matchers) > MATCHERS or any(len(text) > MATCHER_LENGTH for text in matchers):
        raise ParameterError("matchers", f"are at most {MATCHERS} of at most {MATCHER_LENGTH} characters")
    if any("\ud800" <= char <= "\udfff" for text in matchers for char in text):
        raise ParameterError("matchers", "are no Unicode")


def groups_of(memory: AlertMemory) -> Mapping[str, GroupState]:
    """The groups that somebody was told of, by their key."""
    return {
        group.key: msgspec.msgpack.decode(group.body, type=GroupState) for group in memory.alert_groups() if group.key
    }


def state_name(alert: Alert) -> StateName:
    """How an alert stands, in a word."""
    match alert.state:
        case Pending():
            return "pending"
        case Firing():
            return "firing"
        case Resolved(no_word=True):
            return "no_word"
        case Resolved():
            return "resolved"


def _answer(
    standing: StandingAlert, acknowledged_by: str, silenced_by: list[str], hold: Hold, unit: Unit | None, *, told: bool
) -> AlertAnswer:
    alert, event = standing.alert, standing.alert.event
    fired_ns = 0 if isinstance(alert.state, Pending) else alert.state.fired_ns
    resolved_ns = alert.state.resolved_ns if isinstance(alert.state, Resolved) else 0
    return AlertAnswer(
        alert.id,
        alert.project,
        alert.rule,
        state_name(alert),
        event.severity,
        alert.labels,
        moment(alert.state.since_ns),
        moment(fired_ns) if fired_ns else None,
        moment(resolved_ns) if resolved_ns else None,
        moment(standing.changed_ns),
        event.service,
        event.metric,
        event.tool,
        event.value,
        event.threshold,
        event.window,
        event.owner,
        event.runbook,
        event.summary,
        event.sessions,
        acknowledged_by,
        silenced_by,
        hold.inhibited_by,
        hold.muted_by,
        unit,
        told,
    )


def _silence(silence: Silence, now_ns: int) -> SilenceAnswer:
    state: SilenceState = "active"
    if silence.ends_ns <= now_ns:
        state = "expired"
    elif silence.starts_ns > now_ns:
        state = "pending"
    return SilenceAnswer(
        silence.id,
        silence.project,
        list(silence.matchers),
        state,
        moment(silence.starts_ns),
        moment(silence.ends_ns),
        silence.by,
        silence.comment,
    )
