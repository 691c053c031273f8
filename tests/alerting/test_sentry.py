"""What Sentry is told of an error, and that nothing else leaves."""

from __future__ import annotations

import asyncio
import threading

import pytest
import sentry_sdk
from far_ends import URL, event, opened, told
from receiver import Request
from service_sentry import Event, SentryService

from watchpost.alerting.channels import ChannelSettingsError
from watchpost.alerting.notifier import Sent
from watchpost.model.flag import Severity
from watchpost.model.notice import ErrorContext, Notice


def reported(*notices: Notice, **more: object) -> list[Event]:
    async def story() -> list[Event]:
        async with SentryService() as service:
            channel = opened("sentry", service.port, **more)
            for one in notices:
                assert isinstance(await channel.send(one), Sent)
            assert service.refused == []
            return list(service.events.values())

    return asyncio.run(story())


def test_an_error_carries_tags_context_environment_release_and_stack_trace() -> None:
    [found] = reported(told())
    assert {name: found.tags[name] for name in ("error_type", "severity", "agent_name")} == {
        "error_type": "tool_timeout",
        "severity": "high",
        "agent_name": "refund-agent",
    }
    assert found.contexts["agent"] == {
        "conversation_id": "conv-7",
        "user_id": "user-9",
        "error_type": "tool_timeout",
        "model": "gpt-4o-2024-11-20",
        "tool_name": "get_order",
        "step": 4,
    }
    assert (found.environment, found.release, found.level) == ("production", "1.4.2", "error")
    assert found.exception is not None
    [thrown] = found.exception.values
    assert (thrown.type, thrown.value) == ("tool_timeout", "no answer from orders-db")
    assert thrown.stacktrace is not None
    assert [(frame.filename, frame.lineno, frame.function) for frame in thrown.stacktrace.frames] == [
        ("agent.py", 7, "main"),
        ("tools.py", 42, "get_order"),
    ]
    assert found.extra["watchpost"] == f"{URL}/sessions/mzxw6ytboi2dgnbv"


def test_what_is_not_known_is_left_out_and_the_agent_is_unknown() -> None:
    [found] = reported(told(error=ErrorContext("llm_refused_request", "no"), tool=""), environment="staging")
    assert found.tags["agent_name"] == "unknown"
    assert found.contexts["agent"] == {"error_type": "llm_refused_request"}
    assert (found.environment, found.release) == ("staging", "")


def test_a_stack_trace_of_another_language_is_kept_as_text() -> None:
    trace = "TypeError: x\n    at run (agent.js:3:1)"
    [found] = reported(told(error=ErrorContext("tool_execution_failed", "x", stack_trace=trace)))
    assert found.extra["stack_trace"] == trace
    assert found.exception is not None
    assert found.exception.values[0].stacktrace is None


def test_an_alert_that_is_about_no_error_is_a_message() -> None:
    [found] = reported(told(error=None, severity="warning"))
    assert (found.exception, found.level) == (None, "warning")
    assert found.logentry is not None
    assert found.logentry["formatted"] == "get_order timed out"
    assert found.tags["error_type"] == "tool_error_rate"


def test_errors_of_one_cause_are_grouped_whatever_their_session_and_message() -> None:
    one = told("trigger", "a", error=ErrorContext("tool_timeout", "first", tool_name="t"), sessions=["x"])
    same = told("trigger", "b", error=ErrorContext("tool_timeout", "other", tool_name="t"), sessions=["y"])
    other = told("trigger", "c", error=ErrorContext("tool_execution_failed", "first", tool_name="t"))
    first, second, third = (found.fingerprint for found in reported(one, same, other))
    assert first == second
    assert first != third


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("critical", "fatal"), ("high", "error"), ("error", "error"), ("warning", "warning"), ("info", "info")],
)
def test_each_severity_has_a_level(ours: Severity, theirs: str) -> None:
    assert [found.level for found in reported(told(severity=ours))] == [theirs]


def test_a_resolve_sends_nothing_and_says_so() -> None:
    assert reported(told("acknowledge"), told("resolve"), told("no_word")) == []


def test_the_environment_changes_nothing_and_the_sdk_of_the_process_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story() -> tuple[Event, list[Request]]:
        async with SentryService() as service, SentryService() as elsewhere:
            monkeypatch.setenv("SENTRY_SPOTLIGHT", f"http://127.0.0.1:{elsewhere.port}/stream")
            channel = opened("sentry", service.port)
            await asyncio.to_thread(asyncio.run, channel.send(Notice("n", "ops", event(error=None))))
            [found] = service.events.values()
            return found, elsewhere.requests

    for name in ("SENTRY_RELEASE", "SENTRY_ENVIRONMENT", "SENTRY_DEBUG"):
        monkeypatch.setenv(name, "1")
    before = set(threading.enumerate())
    found, strayed = asyncio.run(story())
    assert strayed == []
    assert not sentry_sdk.is_initialized()
    assert {thread for thread in set(threading.enumerate()) - before if "sentry" in thread.name} == set()
    assert (found.release, found.environment, found.server_name) == ("", "production", "")
    assert found.contexts.keys() <= {"agent", "trace"}
    assert found.sdk["integrations"] == []


@pytest.mark.parametrize(
    "dsn", ["", "k3y", "https://sentry.example/7", "https://k3y@sentry.example/", "ftp://k3y@s.example/7"]
)
def test_a_dsn_that_is_none_is_refused_and_not_repeated(dsn: str) -> None:
    with pytest.raises(ChannelSettingsError) as refused:
        opened("sentry", 1, dsn=dsn)
    assert "k3y" not in str(refused.value)
