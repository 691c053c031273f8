"""The lines that docs/frameworks shows are run by real frameworks against a real Watchpost, over every transport."""

from __future__ import annotations

import ast
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from framework_pages import ARGUMENTS, OVER_GRPC, OVER_JSON, PAGES, Way, blocks, program
from model_standin import Answer, ModelStandIn
from shop import MISSING
from watchpost_process import Session, WatchpostProcess, eventually

HERE = Path(__file__).parent
TIME_S = 150

LANGSMITH = (("LANGSMITH_TRACING", "true"), ("LANGSMITH_TRACING_MODE", "otel"), ("LANGSMITH_API_KEY", "none"))

WAYS = {
    "ag2 over JSON": Way("ag2", (), (0,), exporter=OVER_JSON),
    "agent-framework": Way("agent-framework", (0,), (1,)),
    "anthropic-sdk": Way("anthropic-sdk", (0,), (1,)),
    "by-hand": Way("by-hand", (), (0,)),
    "langgraph": Way("langgraph", (0,), (1,), ends=True),
    "langsmith": Way("langsmith", (), (0,), exporter=None, agent="langgraph", ends=True, environment=LANGSMITH),
    "openai-agents": Way("openai-agents", (0,), (1,), exporter=None),
    "openai-agents under OpenInference": Way("openai-agents", (2,), (3,)),
    "openai-sdk": Way("openai-sdk", (0,), (1,)),
    "pydantic-ai over gRPC": Way("pydantic-ai", (0,), (1,), exporter=OVER_GRPC, ends=True),
    "smolagents": Way("smolagents", (0,), (1,), closing_tool="final_answer"),
}

NOT_RUN = {"ag2": {1: "the classic package shares its name with another and is not installed"}}
"""Blocks on the pages above that no way runs, each with the reason."""


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def watchpost(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WatchpostProcess]:
    with WatchpostProcess(
        tmp_path_factory.mktemp("watchpost"), "", grpc_port=free_port(), WATCHPOST_SESSION__QUIET_SECONDS="1"
    ) as process:
        yield process


@dataclass(frozen=True)
class Run:
    """One program of a page, run to its end, and the model that it talked to."""

    way: Way
    session_id: str
    process: subprocess.CompletedProcess[str]
    answered: list[Answer]

    def tools(self) -> list[str]:
        return sorted(tool for answer in self.answered for tool, _ in answer.calls if tool != self.way.closing_tool)

    def tokens(self) -> list[tuple[int | None, int | None]]:
        return [(answer.input_tokens, answer.output_tokens) for answer in self.answered]

    def ended(self, watchpost: WatchpostProcess) -> Session:
        """The session once it is over and has every model call and tool call that was made."""
        counts = len(self.answered), len(self.tools())
        seen: list[Session] = []

        def session() -> Session | None:
            found = watchpost.session(self.session_id)
            if found is None:
                return None
            seen[:] = [found]
            complete = found.state == "ended" and (found.totals.llm_calls, found.totals.tool_calls) == counts
            return found if complete else None

        try:
            return eventually(session)
        except AssertionError:
            pytest.fail(f"not {counts[0]} model calls and {counts[1]} tool calls of an ended session, but {seen}")


def run(way: Way, watchpost: WatchpostProcess, folder: Path, session_id: str, *script: Answer) -> Run:
    """The program of a page in a process of its own, told of Watchpost by what the page says."""
    grpc = f"http://127.0.0.1:{watchpost.grpc_port}"
    folder.mkdir()
    source = folder / "support.py"
    source.write_text(program(way, watchpost.url, grpc), encoding="utf-8")
    with ModelStandIn(*script) as model:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(HERE),
            "OPENAI_BASE_URL": model.url,
            "OPENAI_API_KEY": "none is needed",
            "ANTHROPIC_BASE_URL": model.url.removesuffix("/v1"),
            "ANTHROPIC_API_KEY": "none is needed",
            "OTEL_EXPORTER_OTLP_ENDPOINT": grpc if way.exporter == OVER_GRPC else watchpost.url,
            **dict(way.environment),
        }
        command = [sys.executable, str(source), session_id, "user-7", "Where is my refund for order R-48213?"]
        process = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIME_S, check=False
        )
        return Run(way, session_id, process, model.answered)


def closing(way: Way, input_tokens: int, output_tokens: int, text: str) -> Answer:
    """The model's last answer, as this framework wants it."""
    calls: tuple[tuple[str, dict[str, object]], ...] = (
        ((way.closing_tool, {"answer": text}),) if way.closing_tool else ()
    )
    return Answer(input_tokens, output_tokens, text, calls)


@pytest.fixture(scope="module", params=list(WAYS.items()), ids=list(WAYS))
def runs(
    request: pytest.FixtureRequest, watchpost: WatchpostProcess, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Run, Run]:
    """A run in which all goes well and one in which a tool fails, both at once."""
    name, way = request.param
    folder = tmp_path_factory.mktemp("agent")
    good = (
        Answer(
            120, 30, calls=(("lookup_customer", {"email": "ada@example.com"}), ("get_order", {"order_id": "R-48213"}))
        ),
        Answer(180, 25, calls=(("issue_refund", {"order_id": "R-48213", "amount": 25.5}),)),
        closing(way, 240, 20, "Your refund is on its way."),
    )
    failing = (
        Answer(110, 15, calls=(("get_order", {"order_id": MISSING}),)),
        closing(way, 150, 12, "I cannot see that order at the moment."),
    )
    with ThreadPoolExecutor() as pool:
        first = pool.submit(run, way, watchpost, folder / "good", f"good {name}", *good)
        second = pool.submit(run, way, watchpost, folder / "failing", f"failing {name}", *failing)
        return first.result(), second.result()


def test_a_run_by_the_lines_of_the_page_is_counted_as_the_model_counted_it(
    runs: tuple[Run, Run], watchpost: WatchpostProcess
) -> None:
    run = runs[0]
    assert run.process.returncode == 0, run.process.stderr
    assert len(run.answered) == 3

    session = run.ended(watchpost)
    totals, steps = session.totals, watchpost.steps(session)
    calls = [step for step in steps if step.kind == "llm"]
    assert session.outcome == "completed"
    assert session.flags == []
    assert (totals.llm_calls, totals.tool_calls, totals.tool_errors) == (3, 3, 0)
    assert (totals.input_tokens, totals.output_tokens) == (540, 75)
    assert [(step.input_tokens, step.output_tokens) for step in calls] == run.tokens()
    assert sorted(step.tool for step in steps if step.kind == "tool") == run.tools()
    assert {step.status for step in steps} == {"ok"}


def test_a_failing_tool_is_one_failed_step(runs: tuple[Run, Run], watchpost: WatchpostProcess) -> None:
    run = runs[1]
    ends = run.way.ends
    assert (run.process.returncode != 0) == ends, run.process.stderr
    assert len(run.answered) == (1 if ends else 2)

    session = run.ended(watchpost)
    steps = watchpost.steps(session)
    assert session.outcome == ("tool_error" if ends else "completed")
    assert session.totals.tool_errors == 1
    assert [step.tool for step in steps if step.kind == "tool" and step.status == "error"] == ["get_order"]
    assert [(step.input_tokens, step.output_tokens) for step in steps if step.kind == "llm"] == run.tokens()


def test_every_python_block_of_a_page_that_is_run_is_run() -> None:
    for page in {way.page for way in WAYS.values()}:
        run_here = {place for way in WAYS.values() if way.page == page for place in (*way.before, *way.after)}
        assert run_here | set(NOT_RUN.get(page, {})) == set(range(len(blocks(page)))), page


def test_the_index_says_of_every_page_whether_it_is_run() -> None:
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    for page in sorted(PAGES.glob("*.md")):
        if page.stem not in {"README", "what-each-tells"}:
            (row,) = [line for line in index.splitlines() if line.startswith("|") and f"]({page.name})" in line]
            assert row.endswith("| run in the tests |") == (page.stem in {way.page for way in WAYS.values()}), page.name


@pytest.mark.parametrize("page", sorted(path.stem for path in PAGES.glob("*.md")))
def test_every_python_block_of_a_page_is_python(page: str) -> None:
    for block in blocks(page):
        ast.parse(ARGUMENTS + block)
