"""Channels in `watchpost.toml` and in the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchpost.runtime.channels import open_channels
from watchpost.runtime.settings import SettingsError, read_settings

SLACK = '[channels.incidents]\ntype = "slack"\nchannel = "#incidents"\n'
HOOK = '[webhooks.ops]\nurl = "https://hooks.example/t0ken"\nsecrets = ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]\n'


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that settings are read from."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "watchpost.toml"


def test_what_is_set_in_the_file_takes_its_secret_from_the_environment(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text(SLACK)
    with pytest.raises(SettingsError, match=r"^channels\.incidents: .*token"):
        open_channels(read_settings())
    monkeypatch.setenv("WATCHPOST_CHANNELS__INCIDENTS__TOKEN", "xoxb-s3cret")
    settings = read_settings()
    assert list(open_channels(settings)) == ["incidents"]
    assert "s3cret" not in repr(settings)


def test_a_whole_channel_can_stand_in_the_environment(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not toml.exists()
    for name, value in (
        ("TYPE", "mail"),
        ("HOST", "mail.example"),
        ("SENDER", "a@b.example"),
        ("TO", '["c@d.example"]'),
    ):
        monkeypatch.setenv(f"WATCHPOST_CHANNELS__MAIL__{name}", value)
    monkeypatch.setenv("WATCHPOST_CHANNELS__MAIL__PORT", "2525")
    assert list(open_channels(read_settings())) == ["mail"]


def test_a_webhook_of_the_older_form_is_a_channel_like_any_other(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml.write_text(SLACK + HOOK)
    monkeypatch.setenv("WATCHPOST_CHANNELS__INCIDENTS__TOKEN", "xoxb-s3cret")
    settings = read_settings()
    assert sorted(open_channels(settings)) == ["incidents", "ops"]
    assert "t0ken" not in repr(settings)
    assert "whsec" not in repr(settings)


def test_a_name_that_stands_twice_is_refused(toml: Path) -> None:
    toml.write_text(SLACK.replace("incidents]", "ops]") + HOOK)
    with pytest.raises(SettingsError, match=r"channels\.ops: stands among the webhooks too"):
        open_channels(read_settings())


@pytest.mark.parametrize("url", ["watch.example", "ftp://watch.example", "https://watch.example/<b>", "https://a b"])
def test_a_public_url_that_cannot_stand_in_a_link_is_refused(toml: Path, url: str) -> None:
    toml.write_text(f'public_url = "{url}"\n')
    with pytest.raises(SettingsError, match="public_url: "):
        open_channels(read_settings())
