"""The settings in force, as people may see them."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchpost.runtime.settings import read_settings
from watchpost.runtime.settings_shown import SettingsShown, settings_shown

HIDDEN = "hunter2hunter2"
FILE = f"""
port = 9000
telemetry = "clickhouse://watch:{HIDDEN}@db.example:8443/spans?password={HIDDEN}"
[loop]
calls = 7
[context_drift]
method = "embeddings"
url = "https://user:{HIDDEN}@models.example/v1?api_key={HIDDEN}"
model = "m"
key = "{HIDDEN}"
[success.refunds]
tools = ["refund"]
[inbound]
slack_signing_secret = "{HIDDEN}"
pagerduty_secrets = ["{HIDDEN}"]
[webhooks.hook]
url = "https://hooks.example/{HIDDEN}"
secrets = ["whsec_{HIDDEN}"]
[channels.oncall]
type = "pagerduty"
[channels.mail]
type = "mail"
host = "mail.example"
sender = "watchpost@example.com"
to = ["ops@example.com"]
password = "{HIDDEN}"
"""


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SettingsShown:
    (tmp_path / "watchpost.toml").write_text(FILE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WATCHPOST_RETENTION__TRACE_DAYS", "9")
    monkeypatch.setenv("WATCHPOST_CHANNELS__ONCALL__ROUTING_KEY", HIDDEN)
    monkeypatch.setenv("WATCHPOST_GRPC_PORT", "4000")
    return settings_shown(read_settings(grpc_port=4001, host="::1"))


def test_each_setting_says_what_holds_and_where_it_was_set(shown: SettingsShown) -> None:
    found = {each.name: (each.value, each.origin) for each in shown.settings}
    assert found["port"] == ("9000", "file")
    assert found["host"] == ("::1", "command line")
    assert found["grpc_port"] == ("4001", "command line")
    assert found["data"] == ("watchpost-data", "default")
    assert found["retention.trace_days"] == ("9", "environment")
    assert found["retention.share"] == ("0.1", "default")
    assert found["success.refunds.tools"] == ("refund", "file")
    assert found["latency.times"] == ("3", "default")
    assert found["budget.limits"][0].startswith('[{"')
    assert (shown.file, shown.is_there) == ("watchpost.toml", True)


def test_no_secret_is_among_them_and_each_says_whether_it_is_set(shown: SettingsShown) -> None:
    assert HIDDEN not in repr(shown)
    secrets = {each.name: each.value for each in shown.settings if each.secret}
    assert secrets == {
        "context_drift.key": "set",
        "inbound.slack_signing_secret": "set",
        "inbound.pagerduty_secrets": "set",
        "inbound.alertmanager_token": "not set",
    }
    found = {each.name: each.value for each in shown.settings}
    assert found["telemetry"] == "clickhouse://db.example:8443/spans"
    assert found["context_drift.url"] == "https://models.example/v1"


def test_a_channel_shows_what_is_set_of_it_and_where(shown: SettingsShown) -> None:
    found = {
        channel.name: {each.name.rpartition(".")[2]: (each.value, each.origin) for each in channel.settings}
        for channel in shown.channels
    }
    assert list(found) == ["hook", "mail", "oncall"]
    assert found["hook"]["url"] == ("set", "file")
    assert found["mail"]["to"] == ("ops@example.com", "file")
    assert found["mail"]["password"] == ("set", "file")
    assert found["mail"]["port"] == ("0", "default")
    assert found["oncall"]["routing_key"] == ("set", "environment")
