"""The channels of the settings, made."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import msgspec

from watchpost.alerting.channels import ChannelSettingsError, Reach, open_channel
from watchpost.alerting.egress import SystemResolver
from watchpost.alerting.message import is_web
from watchpost.alerting.notifier import Notifier
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import Settings, SettingsError


def channel_sections(settings: Settings) -> dict[str, Mapping[str, object]]:
    """What is set of every channel, by name; a webhook of `webhooks` is a channel like any other. Raises `SettingsError`."""
    webhooks = {name: {"type": "webhook", **hook.model_dump()} for name, hook in settings.webhooks.items()}
    if twice := settings.channels.keys() & webhooks.keys():
        raise SettingsError(f"channels.{min(twice)}: stands among the webhooks too; give it another name")
    return {**settings.channels, **webhooks}


def open_channels(settings: Settings) -> dict[str, Notifier]:
    """The notifier of every channel, by name. Raises `SettingsError`."""
    if settings.public_url and not is_web(settings.public_url):
        raise SettingsError("public_url: starts with https:// or http:// and holds nothing that must be escaped")
    reach = Reach(SystemResolver, now_ns, ssl.create_default_context(), settings.public_url)
    made = {}
    for name, section in channel_sections(settings).items():
        try:
            made[name] = open_channel(section, reach)
        except ChannelSettingsError as error:
            place = "webhooks" if name in settings.webhooks else "channels"
            raise SettingsError(f"{place}.{name}: {error}") from None
    return made


def error_channels(settings: Settings) -> list[str]:
    """The channels that ask for every failed step, by name; those that `open_channels` takes."""
    return sorted(
        name
        for name, section in settings.channels.items()
        if section.get("type") == "sentry" and msgspec.convert(section.get("errors", False), bool, strict=False)
    )


def change_channels(settings: Settings) -> list[str]:
    """The channels that ask for releases, by name; those that `open_channels` takes."""
    return sorted(
        name
        for name, section in settings.channels.items()
        if section.get("type") == "pagerduty" and msgspec.convert(section.get("changes", False), bool, strict=False)
    )


def slack_secrets(settings: Settings) -> tuple[str, ...]:
    """The signing secrets that buttons in Slack may be signed with: that of `inbound`, and those of the channels."""
    sections = (section for section in settings.channels.values() if section.get("type") == "slack")
    given = [settings.inbound.slack_signing_secret, *(str(section.get("signing_secret", "")) for section in sections)]
    return tuple(dict.fromkeys(filter(None, given)))
