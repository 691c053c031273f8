"""Every kind of channel: what can be set of it, and how it is made from that."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Literal, TypeVar, get_origin

import msgspec

from watchpost.alerting.egress import Outbound, Resolve
from watchpost.alerting.notifier import Notifier
from watchpost.alerting.notifiers.alertmanager import HOLD_S, Alertmanager
from watchpost.alerting.notifiers.pagerduty import EVENTS_URL, PagerDuty, check_changes
from watchpost.alerting.notifiers.slack import API_URL, Slack
from watchpost.alerting.notifiers.teams import Teams
from watchpost.alerting.notifiers.webhook import Webhook

MAIL_TIMEOUT_S = 10.0


class ChannelSettingsError(ValueError):
    """Settings of a channel that cannot be used. The message says what is wrong, and repeats no secret."""


class Secret:
    """Text that is shown to nobody but who asks for it by name."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret(…)"

    def reveal(self) -> str:
        """The text."""
        return self._text


NO_SECRET = Secret("")


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What can be set of any channel: whether it may lead into a private network or to this machine."""

    allow_private: bool = False


class WebhookSettings(_Settings, frozen=True):
    """A signed webhook: the secrets that sign, the current one and in a rotation the one before."""

    url: Secret
    secrets: tuple[Secret, ...]


class PagerDutySettings(_Settings, frozen=True):
    """An integration of Events API v2; `url` is that of the service region, and `changes` says whether releases are told as change events."""

    routing_key: Secret
    url: str = EVENTS_URL
    changes: bool = False


class SlackSettings(_Settings, frozen=True):
    """A channel of Slack and the token of a bot in it. With the app's signing secret its messages have buttons."""

    token: Secret
    channel: str
    signing_secret: Secret = NO_SECRET
    url: str = API_URL


class TeamsSettings(_Settings, frozen=True):
    """The address of a workflow's webhook, which is itself the secret."""

    url: Secret


class MailSettings(_Settings, frozen=True):
    """A mail server, and from whom to whom; `port` 0 is the usual one, `security` is starttls, tls or none."""

    host: str
    sender: str
    to: tuple[str, ...]
    security: Literal["starttls", "tls", "none"] = "starttls"
    port: int = 0
    username: str = ""
    password: Secret = NO_SECRET


class AlertmanagerSettings(_Settings, frozen=True):
    """Where Alertmanager is, what stands in its authorization header, and how long a firing alert holds unless it is repeated."""

    url: str
    authorization: Secret = NO_SECRET
    hold_seconds: float = HOLD_S


class SentrySettings(_Settings, frozen=True):
    """A project's DSN, the environment of errors that name none, and whether each failed step is reported beside the alerts."""

    dsn: Secret
    environment: str = "production"
    errors: bool = False


class Reach(msgspec.Struct, frozen=True):
    """What a channel is given beside its settings. `resolver` makes one of its own for each; `public_url` is where people reach the pages."""

    resolver: Callable[[], Resolve]
    now_ns: Callable[[], int]
    tls: ssl.SSLContext
    public_url: str = ""


S = TypeVar("S", bound=_Settings)


class Kind(msgspec.Struct, frozen=True):
    """One kind of channel: the struct that its settings are, and what makes a notifier of them; raises `ChannelSettingsError`."""

    settings: type[_Settings]
    make: Callable[[Mapping[str, object], Reach], Notifier]


def _kind(settings: type[S], make: Callable[[S, Outbound, str], Notifier], timeout_s: float = 15.0) -> Kind:
    def made(section: Mapping[str, object], reach: Reach) -> Notifier:
        try:
            chosen = msgspec.convert(_listed(section, settings), settings, strict=False, dec_hook=_read)
            outbound = Outbound(reach.resolver(), reach.now_ns, reach.tls, chosen.allow_private, timeout_s)
            return make(chosen, outbound, reach.public_url)
        except ValueError as error:
            raise ChannelSettingsError(str(error)) from None

    return Kind(settings, made)


def _read(kind: type, given: object) -> object:
    """A secret from text; digits alone are a number where the environment says them."""
    if kind is not Secret or not isinstance(given, str | int):
        raise ValueError("must be text")
    return Secret(str(given))


def _listed(section: Mapping[str, object], settings: type[_Settings]) -> dict[str, object]:
    """The section with those lists read that the environment gives as JSON."""
    lists = {field.name for field in msgspec.structs.fields(settings) if get_origin(field.type) is tuple}
    return {
        name: msgspec.json.decode(given) if name in lists and isinstance(given, str) else given
        for name, given in section.items()
    }


def _webhook(chosen: WebhookSettings, outbound: Outbound, public_url: str) -> Notifier:
    del public_url
    return Webhook(chosen.url.reveal(), [secret.reveal() for secret in chosen.secrets], outbound)


def _pagerduty(chosen: PagerDutySettings, outbound: Outbound, public_url: str) -> Notifier:
    key = chosen.routing_key.reveal()
    if chosen.changes:
        check_changes(key, chosen.url)
    return PagerDuty(key, outbound, public_url=public_url, url=chosen.url)


def _slack(chosen: SlackSettings, outbound: Outbound, public_url: str) -> Notifier:
    buttons = bool(chosen.signing_secret.reveal())
    return Slack(
        chosen.token.reveal(), chosen.channel, outbound, public_url=public_url, buttons=buttons, url=chosen.url
    )


def _teams(chosen: TeamsSettings, outbound: Outbound, public_url: str) -> Notifier:
    return Teams(chosen.url.reveal(), outbound, public_url=public_url)


def _mail(chosen: MailSettings, outbound: Outbound, public_url: str) -> Notifier:
    from watchpost.alerting.notifiers.mail import Mail  # noqa: PLC0415  only who mails pays for loading the client

    return Mail(
        chosen.host,
        chosen.sender,
        chosen.to,
        outbound,
        public_url=public_url,
        security=chosen.security,
        port=chosen.port,
        username=chosen.username,
        password=chosen.password.reveal(),
    )


def _alertmanager(chosen: AlertmanagerSettings, outbound: Outbound, public_url: str) -> Notifier:
    authorization = chosen.authorization.reveal()
    return Alertmanager(
        chosen.url, outbound, public_url=public_url, authorization=authorization, hold_s=chosen.hold_seconds
    )


def _sentry(chosen: SentrySettings, outbound: Outbound, public_url: str) -> Notifier:
    from watchpost.alerting.notifiers.sentry import Sentry  # noqa: PLC0415  only who reports pays for loading the SDK

    return Sentry(chosen.dsn.reveal(), outbound, public_url=public_url, environment=chosen.environment)


CHANNELS: dict[str, Kind] = {
    "pagerduty": _kind(PagerDutySettings, _pagerduty),
    "slack": _kind(SlackSettings, _slack),
    "teams": _kind(TeamsSettings, _teams),
    "mail": _kind(MailSettings, _mail, MAIL_TIMEOUT_S),
    "webhook": _kind(WebhookSettings, _webhook),
    "alertmanager": _kind(AlertmanagerSettings, _alertmanager),
    "sentry": _kind(SentrySettings, _sentry),
}
"""By the `type` in a channel's settings."""


def open_channel(section: Mapping[str, object], reach: Reach) -> Notifier:
    """The notifier of a channel as settings hold it: its `type` and what can be set of that. Raises `ChannelSettingsError`."""
    rest = dict(section)
    kind = rest.pop("type", None)
    if not isinstance(kind, str) or kind not in CHANNELS:
        raise ChannelSettingsError(f"type: is one of {', '.join(CHANNELS)}")
    return CHANNELS[kind].make(rest, reach)
