"""Feedback to a real server: before the run, beside it and long after it, through a kill, without a phantom and without waking what ended."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import msgspec

sys.path.append(str(Path(__file__).parents[1] / "bad_input"))
from served import Served, batch, eventually, tool_span, trace_of

QUICK = "[flow]\nbatch_seconds = 0.05\n[session]\nquiet_seconds = 0.2\nidle_seconds = 0.4\n"
LIKED = f'{QUICK}[success."*"]\noutcomes = ["completed", "timeout"]\nfeedback = "not_negative"\n'


class Session(msgspec.Struct):
    key: str
    session_id: str
    state: str
    success: bool | None


class Sessions(msgspec.Struct):
    sessions: list[Session]


def say(server: Served, **body: object) -> httpx.Response:
    return server.client.post("/api/feedback", json={"kind": "thumbs_down", **body})


def sessions(server: Served) -> list[Session]:
    answer = server.client.get("/api/sessions")
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=Sessions).sessions


def ended(server: Served, session_id: str) -> Session:
    """The session of this id once it has ended."""
    return eventually(
        lambda: next((s for s in sessions(server) if (s.session_id, s.state) == (session_id, "ended")), None)
    )


def kinds(server: Served, key: str) -> list[str]:
    answer = server.client.get(f"/api/sessions/{key}/steps")
    return [step["kind"] for step in answer.json()["steps"]]


def asked(server: Served, measure: str) -> float | None:
    """What a measure comes to over all time."""
    answer = server.client.get(f"/api/measures/{measure}", params={"since": "2020-01-01", "until": "2100-01-01"})
    assert answer.status_code == 200, answer.text
    (everything,) = answer.json()["series"]
    value: float | None = everything["total"]["value"]
    return value


def run(server: Served, name: str, session_id: str) -> None:
    assert server.post(batch([tool_span(trace_of(name), number, session_id) for number in (1, 2)])).status_code == 200


def test_feedback_that_comes_first_waits_through_a_kill_and_makes_no_session(tmp_path: Path) -> None:
    with Served(tmp_path, QUICK) as server:
        by_trace = say(server, trace_id=trace_of("one").hex(), id="1")
        by_session = say(server, session_id="chat two", id="2")
        assert (by_trace.status_code, by_session.status_code) == (202, 202)
        assert by_trace.json()["feedback"][0]["session"] is None
        run(server, "other", "chat other")
        ended(server, "chat other")
        server.process.kill()
        server.process.wait()
    with Served(tmp_path, QUICK) as server:
        assert [session.session_id for session in sessions(server)] == ["chat other"]
        assert asked(server, "evaluations") == 0
        run(server, "one", "chat one")
        run(server, "two", "chat two")
        for session_id in ("chat one", "chat two"):
            session = ended(server, session_id)
            assert sorted(kinds(server, session.key)) == ["evaluation", "tool", "tool"]
        assert {session.session_id for session in sessions(server)} == {"chat one", "chat two", "chat other"}
        assert (asked(server, "evaluations"), asked(server, "feedback_positive_share")) == (2, 0)


def test_feedback_about_what_ended_is_counted_wakes_nothing_and_changes_what_success_is(tmp_path: Path) -> None:
    with Served(tmp_path, LIKED) as server:
        run(server, "one", "chat one")
        before = ended(server, "chat one")
        assert before.success is True
        for body in ({"session": before.key}, {"trace_id": trace_of("one").hex()}, {"session_id": "chat one"}):
            answer = say(server, **body, id="the one")
            assert (answer.status_code, answer.json()["feedback"][0]["session"]) == (200, before.key)
        after = next(session for session in sessions(server) if session.key == before.key)
        assert (after.state, after.success) == ("ended", False)
        assert (asked(server, "success_rate"), asked(server, "evaluations")) == (0, 2)
        again = say(server, session=before.key, id="the one", kind="thumbs_up")
        assert (again.status_code, asked(server, "success_rate")) == (200, 1)
