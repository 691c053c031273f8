"""The exported configuration of Alertmanager: what it reaches, that it holds no secret, and that amtool takes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from watchpost.alerting.alertmanager_export import SECRETS, alertmanager_export
from watchpost.alerting.route_file import SHIPPED_CHANNELS, Routing, read_routing, shipped_routing

sys.path.append(str(Path(__file__).parents[1] / "live"))
from foreign_server import may_be_missing, program

SECRET = "s3cr3t"  # noqa: S105  it is looked for in what is written
CHANNELS: dict[str, dict[str, object]] = {
    "pagerduty": {"type": "pagerduty", "routing_key": SECRET},
    "incidents": {"type": "slack", "channel": "#incidents", "token": SECRET, "signing_secret": SECRET},
    "mail": {
        "type": "mail", "host": "mail.example", "sender": "w@example.com", "to": '["a@example.com", "b@example.com"]',
        "username": "w", "password": SECRET,
    },
    "hook": {"type": "webhook", "url": f"https://example.com/{SECRET}", "secrets": [SECRET]},
    "teams": {"type": "teams", "url": f"https://example.com/{SECRET}"},
}  # fmt: skip
ALL = "route: {channels: [incidents, mail, hook, teams], page: [pagerduty], group_by: [alertname]}"


def everything() -> Routing:
    return read_routing(ALL, CHANNELS)


def configuration(text: str) -> dict[str, list[dict[str, list[dict[str, object]]]]]:
    """The YAML, read."""
    read: dict[str, list[dict[str, list[dict[str, object]]]]] = yaml.safe_load(text)
    return read


def test_no_secret_is_written_and_each_is_named_by_its_file() -> None:
    exported = alertmanager_export(everything(), CHANNELS)
    assert SECRET not in exported.text
    assert exported.to_fill_in == (
        f"{SECRETS}/incidents: the token of the bot",
        f"{SECRETS}/mail: the password of w",
        f"{SECRETS}/pagerduty: the routing key of the integration",
    )
    for line in exported.to_fill_in:
        assert f"# To be written: {line}\n" in exported.text


def test_channels_become_receivers_of_their_kind() -> None:
    receivers = configuration(alertmanager_export(everything(), CHANNELS).text)["receivers"]
    (page,) = (each for each in receivers if "pagerduty_configs" in each)
    assert page["pagerduty_configs"] == [{"routing_key_file": f"{SECRETS}/pagerduty", "send_resolved": True}]
    assert page["slack_configs"] == [
        {
            "api_url": "https://slack.com/api/chat.postMessage",
            "channel": "#incidents",
            "http_config": {"authorization": {"type": "Bearer", "credentials_file": f"{SECRETS}/incidents"}},
            "send_resolved": True,
        }
    ]
    assert page["email_configs"] == [
        {
            "to": "a@example.com, b@example.com",
            "from": "w@example.com",
            "smarthost": "mail.example:587",
            "require_tls": True,
            "auth_username": "w",
            "auth_password_file": f"{SECRETS}/mail",
            "send_resolved": True,
        }
    ]


def test_channels_without_an_equivalent_are_named_with_the_reason() -> None:
    exported = alertmanager_export(everything(), CHANNELS)
    assert [line.partition(":")[0] for line in exported.left_out] == ["channel hook", "channel teams"]
    assert "webhook_configs" not in configuration(exported.text)["receivers"][0]
    unset = alertmanager_export(shipped_routing(SHIPPED_CHANNELS), {})
    assert unset.left_out[0] == "channel agent-alerts: is not among the settings"


@pytest.mark.skipif(may_be_missing("alertmanager"), reason="there is no amtool here, and no apt-get to bring one")
@pytest.mark.parametrize("routing", [everything(), shipped_routing(SHIPPED_CHANNELS)], ids=["all channels", "shipped"])
def test_amtool_takes_the_configuration(tmp_path: Path, routing: Routing) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(alertmanager_export(routing, CHANNELS).text, encoding="utf-8")
    done = subprocess.run(
        [program("amtool") or "amtool", "check-config", path], capture_output=True, text=True, check=False, timeout=30
    )
    assert "SUCCESS" in done.stdout, done.stdout + done.stderr
