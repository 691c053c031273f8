"""Channels as settings hold them."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from far_ends import FAR_ENDS, now_ns, opened

from watchpost.alerting.channels import CHANNELS, ChannelSettingsError, Reach, Secret, open_channel
from watchpost.alerting.egress import SystemResolver

REACH = Reach(SystemResolver, now_ns, ssl.create_default_context())


@pytest.mark.parametrize("section", [{}, {"type": ""}, {"type": "pager"}, {"type": 1}, {"type": ["slack"]}])
def test_a_type_that_there_is_not_is_answered_with_those_there_are(section: dict[str, object]) -> None:
    with pytest.raises(ChannelSettingsError, match=f"type: is one of {', '.join(CHANNELS)}"):
        open_channel(section, REACH)


@pytest.mark.parametrize("kind", sorted(CHANNELS))
def test_a_setting_that_there_is_not_is_named(kind: str) -> None:
    with pytest.raises(ChannelSettingsError, match="colour"):
        opened(kind, 1, colour="red")


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ("pagerduty", "routing_key"),
        ("slack", "token"),
        ("slack", "channel"),
        ("teams", "url"),
        ("mail", "host"),
        ("mail", "sender"),
        ("mail", "to"),
        ("webhook", "url"),
        ("webhook", "secrets"),
        ("alertmanager", "url"),
        ("sentry", "dsn"),
    ],
)
def test_a_setting_that_is_missing_is_named(kind: str, needed: str) -> None:
    section = {name: value for name, value in FAR_ENDS[kind].section(1).items() if name != needed}
    with pytest.raises(ChannelSettingsError, match=needed):
        open_channel(section, REACH)


def test_a_secret_is_shown_to_nobody_who_does_not_ask() -> None:
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret!r} {secret} {[secret]}"
    assert secret.reveal() == "hunter2"


def test_a_secret_of_digits_alone_is_text() -> None:
    key = "1" * 32
    assert opened("pagerduty", 1, routing_key=int(key))


@pytest.mark.parametrize("kind", sorted(CHANNELS))
def test_settings_of_the_wrong_kind_are_refused_without_repeating_them(kind: str) -> None:
    for name in CHANNELS[kind].settings.__struct_fields__:
        with pytest.raises(ChannelSettingsError) as refused:
            opened(kind, 1, **{name: {"t0ken": "t0ken"}})
        assert "t0ken" not in str(refused.value)


def test_who_neither_mails_nor_reports_does_not_load_what_that_needs() -> None:
    program = (
        "import sys, watchpost.runtime.wiring; "
        "print([name for name in ('aiosmtplib', 'sentry_sdk') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("kind", sorted(CHANNELS))
def test_every_setting_of_a_channel_is_documented(kind: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "channels.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## `{kind}`\n")[2].partition("\n## ")[0]
    fields = set(CHANNELS[kind].settings.__struct_fields__) - {"allow_private"}
    assert {name for name in fields if f"`{name}`" not in section} == set()
