"""Agents run live and export to a real Watchpost: LangGraph, instrumented by OpenInference, and those of the demo."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest
from model_standin import MODEL, Answer, ModelStandIn
from watchpost_process import Session, WatchpostProcess, eventually

from watchpost.cli.demo.agents import run_agents
from watchpost.cli.demo.incidents import HEALTHY_LOANS
from watchpost.cli.demo.receiver import NoticeReceiver

sys.path.append(str(Path(__file__).parents[1] / "runtime"))
from told_at_once import told_at_once

AGENT = Path(__file__).with_name("agent.py")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "first-five-minutes.md"
QUIET_S = 1

BUDGET = """
[budget]
limits = [{workflow = "research*", tokens = 80000}]
"""


@dataclass(frozen=True)
class Played:
    """A Watchpost that has seen the demo's traffic, and what the demo said."""

    watchpost: WatchpostProcess
    said: list[str]

    def of(self, workflow: str) -> list[Session]:
        return [session for session in self.watchpost.sessions() if session.workflow == workflow]


@pytest.fixture(scope="module")
def receiver() -> Iterator[NoticeReceiver]:
    with NoticeReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def watchpost(tmp_path_factory: pytest.TempPathFactory, receiver: NoticeReceiver) -> Iterator[WatchpostProcess]:
    folder = tmp_path_factory.mktemp("watchpost")
    settings = told_at_once(folder, receiver)
    with WatchpostProcess(folder, settings, WATCHPOST_SESSION__QUIET_SECONDS=str(QUIET_S)) as process:
        yield process


@contextmanager
def running_agent(
    watchpost: WatchpostProcess, model: ModelStandIn, session_id: str, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The agent in a process of its own, told of Watchpost by nothing but the endpoint."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "OPENAI_BASE_URL": model.url,
        "OPENAI_API_KEY": "none is needed",
        "OTEL_EXPORTER_OTLP_ENDPOINT": watchpost.url,
    }
    command = [sys.executable, str(AGENT), session_id, "Where is my refund for order R-48213?"]
    with (folder / "said.txt").open("wb") as said:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def run_agent(watchpost: WatchpostProcess, session_id: str, folder: Path, *script: Answer) -> None:
    with ModelStandIn(*script) as model, running_agent(watchpost, model, session_id, folder) as agent:
        code = agent.wait(60)
        assert code == 0, (folder / "said.txt").read_text(encoding="utf-8")


def ended(watchpost: WatchpostProcess, session_id: str) -> Session:
    def session() -> Session | None:
        found = watchpost.session(session_id)
        return found if found is not None and found.state == "ended" else None

    return eventually(session)


def told_of(receiver: NoticeReceiver, session: Session) -> dict[str, object]:
    """The next notice about a session; those about others are passed over."""
    while (event := receiver.wait(15)) is not None:
        if event["sessions"] == [session.key]:
            return event
    pytest.fail(f"nobody was told of {session.session_id}")


def test_a_run_is_counted_as_it_was(watchpost: WatchpostProcess, tmp_path: Path) -> None:
    run_agent(
        watchpost,
        "live-refund",
        tmp_path,
        Answer(
            120, 30, calls=(("lookup_customer", {"email": "ada@example.com"}), ("get_order", {"order_id": "R-48213"}))
        ),
        Answer(180, 25, calls=(("issue_refund", {"order_id": "R-48213", "amount": 25.5}),)),
        Answer(240, 20, text="Your refund is on its way."),
    )

    session = ended(watchpost, "live-refund")
    totals, steps = session.totals, watchpost.steps(session)
    calls = [step for step in steps if step.kind == "llm"]

    assert session.outcome == "completed"
    assert session.flags == []
    assert (totals.steps, totals.llm_calls, totals.tool_calls, totals.tool_errors) == (6, 3, 3, 0)
    assert (totals.input_tokens, totals.output_tokens) == (540, 75)
    assert totals.cost_usd is not None
    assert Decimal(totals.cost_usd) > 0
    assert [step.number for step in steps] == [1, 2, 3, 4, 5, 6]
    assert [step.kind for step in steps] == ["llm", "tool", "tool", "llm", "tool", "llm"]
    assert {step.tool for step in steps[1:3]} == {"lookup_customer", "get_order"}
    assert steps[4].tool == "issue_refund"
    assert [(step.input_tokens, step.output_tokens) for step in calls] == [(120, 30), (180, 25), (240, 20)]
    assert {step.model for step in calls} == {MODEL}
    assert {step.status for step in steps} == {"ok"}


def test_a_looping_run_is_flagged_at_the_third_call_and_somebody_is_told(
    watchpost: WatchpostProcess, receiver: NoticeReceiver, tmp_path: Path
) -> None:
    same = Answer(200, 20, calls=(("get_order", {"order_id": "R-48213"}),))
    run_agent(
        watchpost, "live-loop", tmp_path, same, same, same, same, same, Answer(500, 20, text="It is being processed.")
    )

    session = ended(watchpost, "live-loop")
    event = told_of(receiver, session)
    third = [step for step in watchpost.steps(session) if step.kind == "tool"][2]
    (flag,) = session.flags

    assert session.outcome == "completed"
    assert (flag.kind, flag.step_id, flag.step) == ("LOOP_DETECTED", third.step_id, third.number)
    assert (flag.severity, flag.state) == ("high", "confirmed")
    assert (event["rule"], event["metric"], event["tool"]) == ("Anomaly", "LOOP_DETECTED", "get_order")
    assert (event["severity"], event["owner"]) == ("high", "team-agents")


def test_a_killed_run_keeps_what_was_exported_and_is_not_over(watchpost: WatchpostProcess, tmp_path: Path) -> None:
    def four_steps() -> Session | None:
        found = watchpost.session("live-killed")
        return found if found is not None and found.totals.steps == 4 else None

    script = (
        Answer(120, 30, calls=(("lookup_customer", {"email": "ada@example.com"}),)),
        Answer(180, 25, calls=(("get_order", {"order_id": "R-48213"}),)),
    )
    with ModelStandIn(*script) as model, running_agent(watchpost, model, "live-killed", tmp_path) as agent:
        assert model.hanging.wait(60), (tmp_path / "said.txt").read_text(encoding="utf-8")
        session = eventually(four_steps)
        agent.kill()
        agent.wait()

    assert [step.kind for step in watchpost.steps(session)] == ["llm", "tool", "llm", "tool"]
    assert (session.totals.input_tokens, session.totals.output_tokens) == (300, 55)
    deadline = time.monotonic() + 2 * QUIET_S
    while time.monotonic() < deadline:
        later = watchpost.session("live-killed")
        assert later is not None
        assert (later.state, later.outcome) == ("running", None)
        time.sleep(0.1)


def have_ended(sessions: list[Session]) -> bool:
    """Whether all that ever end are over; one of the recorded runs was killed, and its root never came."""
    return sum(session.state != "ended" for session in sessions) <= 1


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, receiver: NoticeReceiver) -> Iterator[Played]:
    """The demo's traffic, played to a Watchpost with the demo's settings."""
    folder = tmp_path_factory.mktemp("demo")
    settings = told_at_once(folder, receiver) + BUDGET
    with WatchpostProcess(folder, settings, WATCHPOST_SESSION__QUIET_SECONDS=str(QUIET_S)) as process:
        said: list[str] = []
        run_agents(process.url, said.append)
        eventually(lambda: process.sessions() if have_ended(process.sessions()) else None, 60)
        yield Played(process, said)


def test_each_of_the_demos_incidents_is_flagged_where_it_went_wrong(played: Played) -> None:
    found = {
        workflow: sorted((flag.kind, flag.step) for session in played.of(workflow) for flag in session.flags)
        for workflow in ("refund_agent", "research_agent")
    }
    assert found["refund_agent"] == [("LOOP_DETECTED", 6)]
    assert found["research_agent"] == [("BUDGET_WARNING", 9), ("BUDGET_WARNING", 13)]
    [invented] = [each for each in played.watchpost.sessions() if each.session_id.startswith("invented-order")]
    assert [(flag.kind, flag.step) for flag in invented.flags] == [("ENTITY_HALLUCINATION", 4)]
    assert invented.flags[0].evidence["entities"] == ["ORD-204817"]


def test_the_renamed_field_is_seen_at_step_3_of_the_first_session_and_of_every_one_after_it(played: Played) -> None:
    rejected = [each for each in played.watchpost.sessions() if each.session_id.startswith("loan-rejected")]
    approved = [each for each in played.watchpost.sessions() if each.session_id.startswith("loan-approved")]
    assert [[(flag.kind, flag.step) for flag in each.flags] for each in rejected] == [[("TOOL_SCHEMA_DRIFT", 3)]] * 3
    assert {flag.summary.count("annual_income") for each in rejected for flag in each.flags} == {1}
    assert len(approved) == HEALTHY_LOANS
    assert [flag.kind for each in approved for flag in each.flags] == []
    assert {each.outcome for each in (*rejected, *approved)} == {"completed"}


def test_the_loop_can_be_grouped_by_its_order(played: Played) -> None:
    [loop] = played.of("refund_agent")
    assert loop.flags[0].evidence["entities"] == ["R-48213"]


def test_the_example_of_the_first_five_minutes_is_the_agent_that_runs_here() -> None:
    (example,) = [
        block.partition("```")[0] for block in PAGE.read_text(encoding="utf-8").split("```python\n")[1:] if block
    ]
    shown = [line for line in example.splitlines() if line]
    source = AGENT.read_text(encoding="utf-8").splitlines()
    assert len(shown) > 5
    assert [line for line in shown if line not in source] == []
