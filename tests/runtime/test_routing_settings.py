"""Who is told where nobody wrote routes: channels of the settings by the names of the shipped routes, or all of them at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchpost.runtime.alerting import routing
from watchpost.runtime.settings import SettingsError, read_settings

HOOK = '[webhooks.{name}]\nurl = "https://hooks.example/"\nsecrets = ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"]\n'
SLACK = '[channels.{name}]\ntype = "slack"\nchannel = "#x"\ntoken = "xoxb-1"\n'


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that settings are read from."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "watchpost.toml"


def test_without_routes_every_channel_and_webhook_hears_of_every_alert_at_once(toml: Path) -> None:
    toml.write_text(HOOK.format(name="oncall") + SLACK.format(name="chat"))
    (route,) = routing(read_settings()).root.walk()
    assert (route.channels, route.group_wait_ns) == (("chat", "oncall"), 0)


def test_a_webhook_of_a_name_that_the_shipped_routes_know_is_told_by_these(toml: Path) -> None:
    toml.write_text(HOOK.format(name="incidents") + SLACK.format(name="chat"))
    root = routing(read_settings()).root
    assert root.routes
    assert {name for route in root.walk() for name in route.channels} == {"incidents"}


def test_routes_that_name_a_channel_which_is_not_there_are_refused_with_their_place(toml: Path) -> None:
    toml.write_text('[alerting]\nroutes = "routes.yaml"\n' + HOOK.format(name="oncall"))
    (toml.parent / "routes.yaml").write_text("route:\n  channels: [onkall]\n")
    with pytest.raises(SettingsError, match=r"^alerting\.routes: routes\.yaml: line 2: .*'onkall'.*oncall"):
        routing(read_settings())
