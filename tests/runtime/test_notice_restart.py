"""From a span to somebody who is told, over a signed webhook and over the end of a process."""

from __future__ import annotations

import sys
from pathlib import Path

from watchpost.cli.demo.receiver import NoticeReceiver

sys.path.append(str(Path(__file__).parents[1] / "bad_input"))
from served import Served, batch, eventually, tool_span, trace_of

LOOP = [
    tool_span(trace_of("loop"), number, "loop", **{"gen_ai.tool.call.arguments": '{"order": "A1"}'})
    for number in (1, 2, 3)
]


def settings(receiver: NoticeReceiver, *, url: str = "") -> str:
    """A rule that tells the receiver of every flag."""
    return f"""
[flow]
batch_seconds = 0.05

[[rules]]
name = "loops"
severity = "high"
channels = ["oncall"]
owner = "team-agents"
runbook = "https://runbooks.example/loops"

[webhooks.oncall]
url = "{url or receiver.url}"
secrets = ["{receiver.secret}"]
allow_private = true
"""


def waiting(server: Served) -> float:
    """How many notices wait, as the server says of itself."""
    lines = server.client.get("/metrics").text.splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith("watchpost_outbox_notices{") and "waiting" in line
    )


def test_a_loop_is_told_over_a_signed_webhook_once(tmp_path: Path) -> None:
    with NoticeReceiver() as receiver, Served(tmp_path, settings(receiver)) as server:
        for _ in range(3):
            assert server.post(batch(LOOP)).status_code == 200
        notice = receiver.wait(30)
        assert notice is not None
        assert (notice["metric"], notice["tool"], notice["severity"]) == ("LOOP_DETECTED", "get_order", "high")
        assert (notice["owner"], notice["runbook"]) == ("team-agents", "https://runbooks.example/loops")
        assert notice["sessions"] == [server.session("loop", 3).key]
        server.works()
        assert receiver.wait(0.2) is None


def test_a_notice_that_was_committed_and_not_delivered_is_delivered_by_the_next_process(tmp_path: Path) -> None:
    with NoticeReceiver() as receiver:
        # nobody listens at port 1, so the first process can only commit the notice and try
        with Served(tmp_path, settings(receiver, url="http://127.0.0.1:1/")) as server:
            assert server.post(batch(LOOP)).status_code == 200
            eventually(lambda: waiting(server) == 1 or None)
            server.process.kill()
            server.process.wait()
        with Served(tmp_path, settings(receiver)) as server:
            notice = receiver.wait(60)
            assert notice is not None
            assert notice["metric"] == "LOOP_DETECTED"
            eventually(lambda: waiting(server) == 0 or None)
        with Served(tmp_path, settings(receiver)) as server:
            server.works()
            assert receiver.wait(0.2) is None
