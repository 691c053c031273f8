"""A real Alertmanager takes what the channel of that type sends, and tells of it and of its end."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from alertmanager_process import AlertmanagerProcess, WebhookReceiver
from foreign_server import may_be_missing
from watchpost_process import eventually

from watchpost.alerting.notifiers.alertmanager import encode
from watchpost.model.notice import Notice

sys.path.append(str(Path(__file__).parents[1] / "alerting"))
from far_ends import hostile, told

pytestmark = pytest.mark.skipif(
    may_be_missing("alertmanager"), reason="there is no alertmanager here, and no apt-get to bring one"
)

CONFIG = """
route: {{receiver: x, group_by: [alertname], group_wait: 0s, group_interval: 1s}}
receivers: [{{name: x, webhook_configs: [{{url: "{url}", send_resolved: true}}]}}]
"""


def body(notice: Notice) -> msgspec.Raw:
    """What the channel posts."""
    return msgspec.Raw(encode(notice, "https://watch.example", datetime.now(UTC), 3600))


def over(notice: Notice) -> Notice:
    """The same alerts, ended a second ago."""
    ended = (datetime.now(UTC) - timedelta(seconds=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    group = [msgspec.structs.replace(one, status="resolved", ended_at=ended) for one in notice.alerts]
    return msgspec.structs.replace(notice, action="resolve", alerts=group)


def test_alerts_fire_in_alertmanager_until_they_are_resolved(tmp_path: Path) -> None:
    with WebhookReceiver() as receiver:
        configuration = tmp_path / "alertmanager.yml"
        configuration.write_text(CONFIG.format(url=receiver.url("ops")))
        with AlertmanagerProcess(tmp_path, configuration) as alertmanager:
            alertmanager.post("alerts", body(told()))
            eventually(lambda: receiver.arrivals or None)
            first = receiver.arrivals[0].message
            assert (first.status, sorted(one.labels["tool"] for one in first.alerts)) == (
                "firing",
                ["get_order0", "get_order1"],
            )
            alertmanager.post("alerts", body(over(told())))
            eventually(lambda: receiver.arrivals[-1].message.status == "resolved" or None)
            assert len(receiver.arrivals[-1].message.alerts) == 2


@pytest.mark.parametrize("ended", [True, False])
def test_hostile_text_and_a_group_of_a_thousand_are_taken(tmp_path: Path, ended: bool) -> None:
    configuration = tmp_path / "alertmanager.yml"
    configuration.write_text("route: {receiver: x}\nreceivers: [{name: x}]\n")
    with AlertmanagerProcess(tmp_path, configuration) as alertmanager:
        assert alertmanager.post("alerts", body(over(hostile()) if ended else hostile())) == b""
