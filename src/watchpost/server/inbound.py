"""What Slack, PagerDuty and other Alertmanagers send of their own accord: whether it comes from them, and what it says."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec
from starlette.concurrency import run_in_threadpool

from watchpost.alerting.group import GroupState
from watchpost.alerting.instant import instant
from watchpost.alerting.matcher import Matcher
from watchpost.alerting.plain_text import one_line
from watchpost.alerting.slack_request import Pressed, SlackRequestError, pressed, verify
from watchpost.model.fact import Fact
from watchpost.model.notice import AlertStatus
from watchpost.model.outside_alert import OutsideAlert
from watchpost.model.silence import Acknowledgement, Silence
from watchpost.server.alerts import groups_of
from watchpost.server.json_body import decoded
from watchpost.server.problem import ParameterError
from watchpost.server.review import BY_LENGTH, Notebook
from watchpost.store.alerts import AlertMemory

SILENCE_NS = 3600 * 10**9
"""How long the button in Slack silences."""

ALERTS = 1000
"""Alerts that one webhook of an Alertmanager may hold."""

LABELS, TEXT = 64, 2000
"""Labels, and annotations, that are kept of one alert, and characters of each."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SIGNATURE = re.compile(r"v1=([0-9a-f]{64})")
_SIGNATURES = 10
_SPECIAL = re.compile(r"([!-/:-@\[-`{-~])")


class InboundSecrets(msgspec.Struct, frozen=True):
    """What senders prove themselves with. A sender without one is not listened to."""

    slack: tuple[str, ...] = ()
    pagerduty: tuple[str, ...] = ()
    alertmanager: str = ""

    def __repr__(self) -> str:
        return "InboundSecrets(…)"


class _Agent(msgspec.Struct, frozen=True):
    summary: str = ""
    id: str = ""


class _Incident(msgspec.Struct, frozen=True):
    incident_key: str | None = None


class _Event(msgspec.Struct, frozen=True):
    event_type: str
    agent: _Agent | None = None
    data: _Incident = _Incident()


class _PagerDutyMessage(msgspec.Struct, frozen=True):
    event: _Event


class _OneAlert(msgspec.Struct, frozen=True, rename="camel"):
    status: AlertStatus
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    starts_at: str = ""
    ends_at: str = ""
    fingerprint: str = ""
    generator_url: str = msgspec.field(default="", name="generatorURL")


class _AlertmanagerMessage(msgspec.Struct, frozen=True):
    alerts: list[_OneAlert]


class TakenAnswer(msgspec.Struct, frozen=True):
    """How many alerts were taken."""

    alerts: int


class Inbound:
    """Takes in what was verified, and notes what follows from it. What concerns no alert of ours is taken and comes to nothing."""

    def __init__(
        self, secrets: InboundSecrets, memory: AlertMemory, notes: Notebook, now_ns: Callable[[], int]
    ) -> None:
        self.secrets = secrets
        self._memory = memory
        self._notes = notes
        self._now_ns = now_ns

    def is_slack(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether Slack sent this within five minutes of now; `headers` have lower-case names."""
        return any(verify(secret, headers, body, self._now_ns() / 1e9) for secret in self.secrets.slack)

    def is_pagerduty(self, signatures: str, body: bytes) -> bool:
        """Whether one of the signatures, with commas between them, is that of a subscription's secret."""
        given = [
            found[1] for each in signatures.split(",")[:_SIGNATURES] if (found := _SIGNATURE.fullmatch(each.strip()))
        ]
        expected = [hmac.new(secret.encode(), body, hashlib.sha256).hexdigest() for secret in self.secrets.pagerduty]
        return any(hmac.compare_digest(one, other) for one in expected for other in given)

    def is_alertmanager(self, authorization: str) -> bool:
        """Whether the header holds the token."""
        given = authorization.encode("utf-8", "replace")
        return hmac.compare_digest(f"Bearer {self.secrets.alertmanager}".encode(), given)

    async def slack(self, body: bytes) -> None:
        """Note what buttons ask for. Raises `ParameterError` for a body that Slack does not send, and as `Notebook.note` does."""
        try:
            presses = pressed(body)
        except SlackRequestError as error:
            raise ParameterError("payload", str(error)) from error
        groups = await run_in_threadpool(groups_of, self._memory)
        await self._note(
            self._asked(press, groups[press.key], place) for place, press in enumerate(presses) if press.key in groups
        )

    async def pagerduty(self, body: bytes) -> None:
        """Note who acknowledged an incident; raises as `slack` does."""
        event = decoded(body, _PagerDutyMessage).event
        key = event.data.incident_key
        if event.event_type != "incident.acknowledged" or not key:
            return
        groups = await run_in_threadpool(groups_of, self._memory)
        if key in groups:
            agent = event.agent or _Agent()
            by = one_line(agent.summary or agent.id, BY_LENGTH) or "PagerDuty"
            await self._note([Acknowledgement(groups[key].project, key, by, self._now_ns(), "pagerduty")])

    async def alertmanager(self, body: bytes, project: str) -> int:
        """Note how alerts of another Alertmanager stand, and say how many; raises as `slack` does."""
        sent = decoded(body, _AlertmanagerMessage).alerts
        if len(sent) > ALERTS:
            raise ParameterError("alerts", f"holds {len(sent)}: at most {ALERTS} are taken at once; set max_alerts")
        now_ns = self._now_ns()
        await self._note(_outside(each, project, now_ns) for each in sent)
        return len(sent)

    async def _note(self, facts: Iterable[Fact]) -> None:
        if said := list(facts):
            await self._notes.note(said)

    def _asked(self, press: Pressed, group: GroupState, place: int) -> Fact:
        now_ns = self._now_ns()
        by = press.by or "somebody in Slack"
        if press.press == "acknowledge":
            return Acknowledgement(group.project, press.key, by, now_ns, "slack")
        identity = hashlib.blake2b(msgspec.json.encode((now_ns, place, press)), digest_size=16).hexdigest()
        matchers = self._matchers(group)
        return Silence(
            identity, group.project, matchers, now_ns, now_ns + SILENCE_NS, by, "a button pressed in Slack", now_ns
        )

    def _matchers(self, group: GroupState) -> tuple[str, ...]:
        """Those of the labels that its alerts share by being one group, and of the names of their rules."""
        shared = [str(Matcher(name, "=", value)) for name, value in sorted(group.labels.items()) if value]
        if group.labels.get("alertname"):
            return tuple(shared)
        rules = {alert.rule for alert in self._memory.dispatched() if alert.id in group.known}
        either = "|".join(_SPECIAL.sub(r"\\\1", rule) for rule in sorted(rules))
        return (*shared, str(Matcher("alertname", "=~", either)))


def _outside(sent: _OneAlert, project: str, now_ns: int) -> OutsideAlert:
    return OutsideAlert(
        project,
        sent.fingerprint[:TEXT],
        sent.status,
        _bounded(sent.labels),
        _bounded(sent.annotations),
        _moment_ns(sent.starts_at),
        _moment_ns(sent.ends_at),
        now_ns,
        sent.generator_url[:TEXT],
    )


def _bounded(texts: Mapping[str, str]) -> dict[str, str]:
    return {name[:TEXT]: texts[name][:TEXT] for name in sorted(texts)[:LABELS]}


def _moment_ns(text: str) -> int:
    """0 for what is no time since 1970, which is how Alertmanager writes that it knows none."""
    found = instant(text)
    if found is None:
        return 0
    since = found - _EPOCH
    return max(0, since // timedelta(microseconds=1)) * 1000 if since.days < 100_000 else 0
