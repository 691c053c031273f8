"""Settings: where they come from, and that what they default to is what the rooms default to."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchpost.detect.catalogue import CATALOGUE
from watchpost.ingest.items import Limits
from watchpost.ingest.redact import RedactionSettings
from watchpost.runtime.flow import Pace
from watchpost.runtime.settings import Settings, SettingsError, read_settings
from watchpost.server.app import ServerSettings
from watchpost.session.session import Quiet

MIB = 1 << 20


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that settings are read in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_nothing_given_is_a_server_on_loopback_with_its_data_beside_it(folder: Path) -> None:
    settings = read_settings()
    assert (settings.data, settings.host, settings.port, settings.grpc_port) == (
        Path("watchpost-data"),
        "127.0.0.1",
        8484,
        4317,
    )
    assert list(folder.iterdir()) == []


def test_the_command_line_beats_the_environment_and_that_beats_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "watchpost.toml").write_text(
        "port = 1\ngrpc_port = 1\nhost = '127.0.0.2'\n[flow]\nlag_mib = 1\nfold_mib = 1\n"
    )
    monkeypatch.setenv("WATCHPOST_PORT", "2")
    monkeypatch.setenv("WATCHPOST_GRPC_PORT", "2")
    monkeypatch.setenv("WATCHPOST_FLOW__LAG_MIB", "2")
    settings = read_settings(port=3, host=None)
    assert (settings.port, settings.grpc_port, settings.host) == (3, 2, "127.0.0.2")
    assert (settings.flow.lag_mib, settings.flow.fold_mib) == (2, 1)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("lag = 1", "lag: "),
        ("[flow]\nlag = 1", "flow.lag: "),
        ("port = -1\nhost = 1", "port: .*; |; port: "),
        ("[session]\nquiet_seconds = 0", "session.quiet_seconds: "),
        ("[webhooks.a]\nurl = 'https://x'", "webhooks.a.secrets: "),
        ("[[flow]]", "flow: "),
        ("=", "watchpost.toml: "),
    ],
)
def test_what_cannot_be_used_is_named(folder: Path, text: str, named: str) -> None:
    (folder / "watchpost.toml").write_text(text)
    with pytest.raises(SettingsError, match=named):
        read_settings()


def test_a_setting_of_the_environment_that_does_not_fit_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHPOST_PORT", "many")
    with pytest.raises(SettingsError, match="port: "):
        read_settings()
    assert list(folder.iterdir()) == []


def test_settings_do_not_change(folder: Path) -> None:
    settings = read_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1
    assert list(folder.iterdir()) == []


def test_every_detector_has_a_section_that_leaves_it_at_its_defaults() -> None:
    assert Settings().detectors == {row.section: {} for row in CATALOGUE}


def test_the_redaction_section_defaults_to_what_the_redactor_does() -> None:
    section, own = Settings().redaction, RedactionSettings()
    assert section.kinds is None
    assert (section.patterns, own.own_patterns) == ({}, ())
    assert (section.fields, section.id_formats, section.allowed_fields) == (
        own.own_fields,
        own.id_formats,
        own.allowed_fields,
    )


def test_the_ingest_section_defaults_to_what_the_door_and_the_decoder_do() -> None:
    section = Settings().ingest
    assert Limits() == Limits(section.body_mib * MIB, section.decompressed_mib * MIB, section.items, section.attributes)
    assert ServerSettings().max_body_bytes == section.body_mib * MIB


def test_the_flow_section_defaults_to_what_the_flow_does() -> None:
    section, own = Settings().flow, Pace()
    assert (section.batch_seconds, section.lag_mib * MIB, section.fold_mib * MIB) == (
        own.batch_s,
        own.lag_bytes,
        own.fold_bytes,
    )


def test_sessions_are_quiet_and_idle_after_what_was_decided() -> None:
    section = Settings().session
    assert Quiet(round(section.quiet_seconds * 10**9), round(section.idle_seconds * 10**9)) == Quiet(
        30 * 10**9, 600 * 10**9
    )


@pytest.mark.parametrize("in_file", [True, False])
def test_rules_of_the_older_form_are_refused_in_one_line_that_says_what_to_write(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, in_file: bool
) -> None:
    if in_file:
        (folder / "watchpost.toml").write_text("[[rules]]\nname = 'loops'\nchannels = ['ops']\n")
    else:
        monkeypatch.setenv("WATCHPOST_RULES", '[{"name": "loops"}]')
    with pytest.raises(SettingsError, match=r"^rules: .*alerting\.rules.*alerting\.routes.*docs/rules\.md") as refused:
        read_settings()
    assert "\n" not in str(refused.value)
