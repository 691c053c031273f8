"""What is said of the readiness of services whose runs were recorded from real frameworks."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Protocol

import pytest
from react_recorded import HOUR_NS, RECEIVED_NS, store_recorded

from watchpost.server.readiness import ReadinessCheck, ServiceAnswer
from watchpost.store.engines.clickhouse import ClickHouse

sys.path.append(str(Path(__file__).parents[1] / "session"))
from captured import captures, parcels


class Judge(Protocol):
    """What is said of a source."""

    def __call__(self, source: str, *scenarios: str) -> ServiceAnswer: ...


@pytest.fixture
def judge(embedded_clickhouse: ClickHouse, project: str, number: int) -> Judge:
    """Stores the recorded scenarios of a source, all of them unless some are named, and answers for the service that sent most."""

    def judge(source: str, *scenarios: str) -> ServiceAnswer:
        chosen = [one for one in captures() if one.source == source and (not scenarios or one.scenario in scenarios)]
        sent = [parcel for one in chosen for parcel in parcels(one)]
        store_recorded(embedded_clickhouse, number, project, sent)
        return ReadinessCheck(embedded_clickhouse, lambda: RECEIVED_NS + HOUR_NS).answer(project).services[0]

    return judge


def missing(answer: ServiceAnswer) -> list[str]:
    return [f"{reason.of}.{reason.field}" for reason in answer.reasons]


def deciding(answer: ServiceAnswer) -> list[str]:
    return [f"{reason.of}.{reason.field}" for reason in answer.reasons if reason.decides]


def test_an_agent_that_tells_all_is_ready(judge: Judge) -> None:
    answer = judge("pydantic-ai__native", "happy", "multiturn", "loop")
    assert (answer.verdict, answer.ready, missing(answer)) == ("ready", True, [])
    assert answer.pages == ["docs/frameworks/pydantic-ai.md"]


def test_an_agent_whose_process_was_killed_lacks_the_end_of_that_run(judge: Judge) -> None:
    answer = judge("pydantic-ai__native")
    assert (answer.verdict, deciding(answer)) == ("not_ready", ["session.outcome"])
    (outcome,) = (field for field in answer.fields if field.field == "outcome")
    assert outcome.total - outcome.seen == 1
    assert outcome.example is not None


def test_a_client_without_content_and_tools_by_hand_without_payload_lack_what_decides(judge: Judge) -> None:
    answer = judge("anthropic-sdk__native")
    assert deciding(answer) == ["llm.session", "tool.session", "tool.arguments", "tool.response"]
    assert {"llm.prompt", "llm.completion", "tool.status"} <= set(missing(answer))
    assert answer.verdict == "too_little_seen"
    assert "claude-sonnet-4-5" in answer.hints[0]


def test_content_that_is_turned_on_is_not_missing(judge: Judge) -> None:
    assert not {"llm.prompt", "llm.completion"} & set(missing(judge("anthropic-sdk__native-content")))


def test_tools_without_payload_keep_an_agent_from_being_ready(judge: Judge) -> None:
    answer = judge("openai-sdk__openinference")
    assert answer.verdict == "not_ready"
    assert {"tool.arguments", "tool.response"} <= set(deciding(answer))


def test_an_agent_whose_model_calls_are_not_seen_is_not_ready(judge: Judge) -> None:
    answer = judge("openai-agents__otel-genai")
    assert (answer.verdict, answer.llm_calls, deciding(answer)[0]) == ("not_ready", 0, "llm.calls")


def test_streams_without_usage_lack_tokens(judge: Judge) -> None:
    answer = judge("langgraph__openinference", "happy", "stream")
    assert {"llm.input_tokens", "llm.output_tokens"} <= set(missing(answer))
    assert not {"llm.prompt", "llm.completion", "tool.arguments"} & set(missing(answer))


def test_what_the_span_of_the_framework_tells_is_not_missing_because_the_span_of_the_client_counts(
    judge: Judge,
) -> None:
    assert not {"llm.prompt", "llm.completion"} & set(missing(judge("pydantic-ai-anthropic__native")))


def test_hidden_content_is_missing(judge: Judge) -> None:
    found = set(missing(judge("openinference-hidden__langgraph")))
    assert {"tool.arguments", "tool.response", "llm.prompt", "llm.completion"} <= found


def test_a_tool_server_whose_calls_count_for_the_agent_is_no_agent(judge: Judge) -> None:
    assert judge("mcp-fastmcp__native").service == "support-agent"
