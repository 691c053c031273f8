"""From a span to somebody who is told, over a signed webhook and over the end of a process."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from pathlib import Path

from told_at_once import told_at_once

from watchpost.cli.demo.receiver import NoticeReceiver
from watchpost.runtime.clock import now_ns

sys.path.append(str(Path(__file__).parents[1] / "bad_input"))
from served import Served, as_of, batch, eventually, tool_span, trace_of

KILLS = 4


def loop(name: str) -> bytes:
    """Three calls alike in a session of this name, just now."""
    began_ns = now_ns() - 5 * 10**9
    alike = {"gen_ai.tool.call.arguments": '{"order": "A1"}'}
    return batch([as_of(began_ns, tool_span(trace_of(name), number, name, **alike)) for number in (1, 2, 3)])


def settings(folder: Path, receiver: NoticeReceiver, *, url: str = "") -> str:
    """Rules and routes that tell the receiver of every flag."""
    return "[flow]\nbatch_seconds = 0.05\n" + told_at_once(folder, receiver, url)


def waiting(server: Served) -> float:
    """How many notices wait, as the server says of itself."""
    lines = server.client.get("/metrics").text.splitlines()
    return sum(
        float(line.split()[-1]) for line in lines if line.startswith("watchpost_outbox_notices{") and "waiting" in line
    )


def test_a_loop_is_told_over_a_signed_webhook_once(tmp_path: Path) -> None:
    with NoticeReceiver() as receiver, Served(tmp_path, settings(tmp_path, receiver)) as server:
        sent = loop("loop")
        for _ in range(3):
            assert server.post(sent).status_code == 200
        notice = receiver.wait(30)
        assert notice is not None
        assert (notice["metric"], notice["tool"], notice["severity"]) == ("LOOP_DETECTED", "get_order", "high")
        assert (notice["owner"], notice["runbook"]) == ("team-agents", "https://runbooks.example/anomalies")
        assert notice["sessions"] == [server.session("loop", 3).key]
        server.works()
        assert receiver.wait(0.2) is None


def test_a_notice_that_was_committed_and_not_delivered_is_delivered_by_the_next_process(tmp_path: Path) -> None:
    with NoticeReceiver() as receiver:
        # nobody listens at port 1, so the first process can only commit the notice and try
        with Served(tmp_path, settings(tmp_path, receiver, url="http://127.0.0.1:1/")) as server:
            assert server.post(loop("loop")).status_code == 200
            eventually(lambda: waiting(server) == 1 or None)
            server.process.kill()
            server.process.wait()
        with Served(tmp_path, settings(tmp_path, receiver)) as server:
            notice = receiver.wait(60)
            assert notice is not None
            assert notice["metric"] == "LOOP_DETECTED"
            eventually(lambda: waiting(server) == 0 or None)
        with Served(tmp_path, settings(tmp_path, receiver)) as server:
            server.works()
            assert receiver.wait(0.2) is None


def test_each_of_many_loops_is_told_once_though_the_process_is_killed_after_each(tmp_path: Path) -> None:
    moments = random.Random(7)
    with NoticeReceiver() as receiver:
        given = settings(tmp_path, receiver)
        for number in range(KILLS):
            with Served(tmp_path, given) as server:
                assert server.post(loop(f"loop {number}")).status_code == 200
                time.sleep(moments.uniform(0, 0.25))
                server.process.kill()
                server.process.wait()
        with Served(tmp_path, given) as server:
            keys = {server.session(f"loop {number}", 3).key for number in range(KILLS)}
            told = Counter(told_of(receiver) for _ in range(KILLS))
            assert told == Counter(dict.fromkeys(keys, 1))
            eventually(lambda: waiting(server) == 0 or None)
            assert receiver.wait(0.5) is None


def told_of(receiver: NoticeReceiver) -> str:
    """The key of the session that the next notice is about."""
    notice = receiver.wait(60)
    assert notice is not None
    assert isinstance(notice["sessions"], list)
    (key,) = notice["sessions"]
    return str(key)
