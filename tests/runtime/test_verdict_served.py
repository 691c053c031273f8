"""Verdicts of a real server: held when answered, durable before they hold, heeded by who is told, the same after a kill."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import httpx
import msgspec
from told_at_once import told_at_once

from watchpost.cli.demo.receiver import NoticeReceiver
from watchpost.runtime.clock import now_ns

sys.path.append(str(Path(__file__).parents[1] / "bad_input"))
from served import Served, as_of, batch, eventually, tool_span, trace_of

QUICK = "[flow]\nbatch_seconds = 0.05\n"
SLOW = "[flow]\nbatch_seconds = 600\n"


class Said(msgspec.Struct):
    verdict: str
    by: str
    note: str


class Entry(msgspec.Struct):
    id: str
    session_id: str
    verdict: Said | None
    muted: str | None


class Entries(msgspec.Struct):
    flags: list[Entry]


def loop(server: Served, name: str) -> Entry:
    """A session that loops; its flag."""
    arguments = {"gen_ai.tool.call.arguments": '{"order": "A1"}'}
    began_ns = now_ns() - 5 * 10**9
    spans = [as_of(began_ns, tool_span(trace_of(name), number, name, **arguments)) for number in (1, 2, 3)]
    assert server.post(batch(spans)).status_code == 200
    return eventually(lambda: next((each for each in flags(server) if each.session_id == name), None))


def flags(server: Served) -> list[Entry]:
    answer = server.client.get("/api/flags")
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Entries).flags


def say(server: Served, flag: Entry, verdict: str) -> httpx.Response:
    body = {"verdict": verdict, "by": "ann", "note": "why not"}
    return server.client.post(f"/api/flags/{flag.id}/verdict", json=body)


def test_a_verdict_that_was_answered_survives_a_kill_whether_it_held_or_not(tmp_path: Path) -> None:
    with Served(tmp_path, QUICK) as server:
        held, noted = loop(server, "held"), loop(server, "noted")
        answer = say(server, held, "confirm")
        assert (answer.status_code, answer.json()["verdict"]["verdict"]) == (200, "confirm")
        server.process.kill()
        server.process.wait()
    with Served(tmp_path, SLOW) as server:
        answer = say(server, noted, "dismiss")
        assert (answer.status_code, answer.json()["verdict"]) == (202, None)
        server.process.kill()
        server.process.wait()
    with Served(tmp_path, QUICK) as server:
        eventually(lambda: all(flag.verdict for flag in flags(server)) or None)
        by_id = {flag.id: flag.verdict for flag in flags(server)}
        assert by_id == {held.id: Said("confirm", "ann", "why not"), noted.id: Said("dismiss", "ann", "why not")}
        assert len(server.client.get(f"/api/flags/{noted.id}").json()["verdicts"]) == 1


def test_who_is_told_follows_what_people_say(tmp_path: Path) -> None:
    with NoticeReceiver() as receiver:
        settings = f"{QUICK}\n[precision]\nverdicts = 4\n{told_at_once(tmp_path, receiver)}"
        with Served(tmp_path, settings) as server:
            wrong = [loop(server, f"wrong {number}") for number in range(4)]
            assert all(receiver.wait(30) for _ in wrong)
            assert [say(server, flag, "dismiss").status_code for flag in wrong] == [200] * 4
            quiet = loop(server, "quiet")
            assert re.match(r"stopped paging: precision 0\.00 .* of 4 verdicts", quiet.muted or "")
            metrics = server.client.get("/metrics").text
            assert re.search(r'watchpost_detector_tool_muted\{.*tool="get_order"\} 1\.0', metrics)
        with Served(tmp_path, settings) as server:
            server.works()
            assert receiver.wait(0.5) is None
            for flag in wrong[:3]:
                assert say(server, flag, "confirm").status_code == 200
            loop(server, "loud")
            notice = receiver.wait(30)
            assert notice is not None
            assert notice["sessions"] == [server.session("loud", 3).key]
