"""The routing and the channels of the settings as a configuration of Alertmanager that holds no secret: those are read from files that are named in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import yaml

from watchpost.alerting.alertmanager_config import alertmanager_config
from watchpost.alerting.notifiers.slack import API_URL
from watchpost.alerting.route_file import Routing

CONFIG_FILE = "alertmanager.yml"
SECRETS = "/etc/alertmanager/secrets"
"""Where the files with the secrets are expected."""

_SUBMISSION_PORTS = {"tls": 465, "starttls": 587, "none": 25}


class Exported(msgspec.Struct, frozen=True):
    """The configuration as YAML, what somebody has to fill in, and what of the routing and the channels is not in it."""

    text: str
    to_fill_in: tuple[str, ...]
    left_out: tuple[str, ...]


class _Receiver(msgspec.Struct, frozen=True):
    """How Alertmanager reaches one channel: the kind of receiver, its fields, and what each file of it is to hold."""

    kind: str
    fields: dict[str, object]
    files: dict[str, str]


class _NoReceiverError(ValueError):
    """A channel that Alertmanager has no equivalent of. The message is the reason."""


def alertmanager_export(routing: Routing, channels: Mapping[str, Mapping[str, object]]) -> Exported:
    """The configuration of a routing, whose channels are as settings hold them: their `type` and what is set of it."""
    integrations: dict[str, Mapping[str, object]] = {}
    to_fill_in: list[str] = []
    left_out: list[str] = []
    for name in sorted(routing.channels):
        try:
            receiver = _receiver(name, channels.get(name, {}))
        except _NoReceiverError as reason:
            left_out.append(f"channel {name}: {reason}")
            continue
        integrations[name] = {receiver.kind: [{**receiver.fields, "send_resolved": True}]}
        to_fill_in += [f"{path}: {what}" for path, what in receiver.files.items()]
    made = alertmanager_config(routing, integrations)
    left_out += made.left_out
    lines = ["Routes of Watchpost for Alertmanager. Its alerts come from Prometheus with the rules of Watchpost."]
    lines += [f"To be written: {each}" for each in to_fill_in]
    lines += [f"Not here: {each}" for each in left_out]
    head = "".join(f"# {' '.join(line.split())}\n" for line in lines)
    # A copy in which nothing is there twice: PyYAML would refer from one place to the other.
    config = msgspec.json.decode(msgspec.json.encode(made.config))
    text = head + yaml.safe_dump(config, sort_keys=False, width=1000)
    return Exported(text, tuple(to_fill_in), tuple(left_out))


def _receiver(name: str, section: Mapping[str, object]) -> _Receiver:
    rest = dict(section)
    kind = str(rest.pop("type", ""))
    if kind in _MISSING:
        raise _NoReceiverError(_MISSING[kind])
    if kind not in _RECEIVERS:
        raise _NoReceiverError("is not among the settings")
    return _RECEIVERS[kind](f"{SECRETS}/{name}", rest)


def _pagerduty(path: str, section: Mapping[str, object]) -> _Receiver:
    fields: dict[str, object] = {"routing_key_file": path}
    if "url" in section:
        fields["url"] = section["url"]
    return _Receiver("pagerduty_configs", fields, {path: "the routing key of the integration"})


def _slack(path: str, section: Mapping[str, object]) -> _Receiver:
    base = str(section.get("url") or API_URL).rstrip("/")
    fields: dict[str, object] = {
        "api_url": f"{base}/chat.postMessage",
        "channel": str(section.get("channel", "")),
        "http_config": {"authorization": {"type": "Bearer", "credentials_file": path}},
    }
    return _Receiver("slack_configs", fields, {path: "the token of the bot"})


def _mail(path: str, section: Mapping[str, object]) -> _Receiver:
    to = section.get("to", ())
    if isinstance(to, str):  # as the environment gives a list
        to = msgspec.json.decode(to)
    security = str(section.get("security", "starttls"))
    port = section.get("port") or _SUBMISSION_PORTS.get(security, 587)
    fields: dict[str, object] = {
        "to": ", ".join(map(str, to)) if isinstance(to, list | tuple) else "",
        "from": str(section.get("sender", "")),
        "smarthost": f"{section.get('host', '')}:{port}",
        "require_tls": security == "starttls",
    }
    username = str(section.get("username", ""))
    if not username:
        return _Receiver("email_configs", fields, {})
    fields |= {"auth_username": username, "auth_password_file": path}
    return _Receiver("email_configs", fields, {path: f"the password of {username}"})


_RECEIVERS: Mapping[str, Callable[[str, Mapping[str, object]], _Receiver]] = {
    "pagerduty": _pagerduty,
    "slack": _slack,
    "mail": _mail,
}
_MISSING: Mapping[str, str] = {
    "webhook": "Alertmanager signs nothing and sends another document, which a receiver of Watchpost's would refuse; add webhook_configs by hand",
    "teams": "only Alertmanager from 0.28 on has an equivalent; add msteamsv2_configs by hand",
    "alertmanager": "is Alertmanager itself",
    "sentry": "Alertmanager does not report to Sentry",
}
