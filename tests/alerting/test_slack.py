"""What stands in Slack: one message for each conversation, and its thread."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from far_ends import HOSTILE, SIGNING, URL, opened, told
from hypothesis import given
from hypothesis import strategies as st
from receiver import TAKEN, answer
from service_slack import TOKEN, Actions, Button, Header, Said, Section, SlackService

from watchpost.alerting.channels import ChannelSettingsError
from watchpost.alerting.notifier import Answer, Failed, Sent, Throttled
from watchpost.alerting.notifiers.slack import escaped
from watchpost.model.notice import Notice


def sent(
    *notices: Notice, faults: tuple[bytes, ...] = (), handle: str = "", **more: object
) -> tuple[list[Answer], SlackService]:
    """The answers to one conversation, whose handle is that of its first message."""

    async def story() -> tuple[list[Answer], SlackService]:
        async with SlackService(*faults) as service:
            channel, first, answers = opened("slack", service.port, **more), handle, []
            for notice in notices:
                one = await channel.send(notice, first)
                first = first or (one.handle if isinstance(one, Sent) else "")
                answers.append(one)
            return answers, service

    return asyncio.run(story())


def buttons(said: Said) -> list[Button]:
    return [button for block in said.blocks or () if isinstance(block, Actions) for button in block.elements]


def said_no(error: str, *headers: str) -> bytes:
    return answer("200 OK", *headers, body=msgspec.json.encode({"ok": False, "error": error}))


def test_the_message_says_what_where_and_how_bad_and_leads_on() -> None:
    answers, service = sent(told())
    [(ts, message)] = service.messages.items()
    assert answers == [Sent("ok", f"C1:{ts}")]
    header, summary = (message.blocks or [])[:2]
    assert isinstance(header, Header)
    assert isinstance(summary, Section)
    assert header.text.text == "[HIGH] refunds: tool_timeout"
    assert summary.text is not None
    assert summary.text.text == "Agent error: tool_timeout - no answer from orders-db"
    assert [(button.action_id, button.value, button.url) for button in buttons(message)] == [
        ("watchpost_acknowledge", "0f" * 16, None),
        ("watchpost_silence_1h", "0f" * 16, None),
        ("watchpost_open_0", None, "https://runbooks.example/tools?id=1"),
        ("watchpost_open_1", None, f"{URL}/sessions/mzxw6ytboi2dgnbv"),
    ]


def test_the_first_message_always_shows_the_latest_state_and_the_thread_tells_all() -> None:
    _, service = sent(told(), told("acknowledge"))
    [(ts, message)] = service.messages.items()
    assert message.text.startswith("Acknowledged: refunds: tool_timeout")
    assert [button.action_id for button in buttons(message)][:1] == ["watchpost_silence_1h"]
    _, service = sent(told(), told("trigger", "more"), told("acknowledge"), told("resolve"))
    [(ts, message)] = service.messages.items()
    assert message.text.startswith("Resolved: refunds: tool_timeout")
    assert {button.action_id for button in buttons(message)} == {"watchpost_open_0", "watchpost_open_1"}
    thread = service.threads[ts]
    assert [reply.text.partition(":")[0] for reply in thread] == ["[HIGH] refunds", "Acknowledged", "Resolved"]
    assert [reply.reply_broadcast for reply in thread] == [True, False, False]


def test_without_word_the_message_is_neither_red_nor_green_and_everybody_hears() -> None:
    _, service = sent(told(), told("no_word"))
    [(ts, message)] = service.messages.items()
    assert message.text.startswith("No word: refunds: tool_timeout")
    assert {button.action_id for button in buttons(message)} == {"watchpost_open_0", "watchpost_open_1"}
    assert [reply.reply_broadcast for reply in service.threads[ts]] == [True]
    assert ":white_circle: no word" in str(message.blocks)


def test_without_the_signing_secret_there_are_no_buttons_that_nobody_could_answer() -> None:
    _, service = sent(told(), signing_secret="")
    [message] = service.messages.values()
    assert [button.action_id for button in buttons(message)] == ["watchpost_open_0", "watchpost_open_1"]
    assert SIGNING not in repr(opened("slack", 1))


def test_a_first_message_that_somebody_deleted_is_followed_by_a_new_one() -> None:
    answers, service = sent(told("resolve"), handle="C1:1700.1")
    assert isinstance(answers[0], Sent)
    assert len(service.messages) == 1


def test_a_try_that_ended_between_update_and_thread_is_repeated_without_harm() -> None:
    async def story() -> SlackService:
        async with SlackService() as service:
            channel = opened("slack", service.port)
            first = await channel.send(told())
            assert isinstance(first, Sent)
            service.faults = [TAKEN + answer("200 OK", body=b'{"ok":true}'), answer("500 No")]
            assert isinstance(await channel.send(told("resolve"), first.handle), Failed)
            assert await channel.send(told("resolve"), first.handle) == Sent("ok", "C1:1700000005.000100")
            return service

    service = asyncio.run(story())
    [(ts, message)] = service.messages.items()
    assert message.text.startswith("Resolved")
    assert len(service.threads[ts]) == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("invalid_auth", Failed(permanent=True, detail="invalid_auth")),
        ("channel_not_found", Failed(permanent=True, detail="channel_not_found")),
        ("not_in_channel", Failed(permanent=True, detail="not_in_channel")),
        ("is_archived", Failed(permanent=True, detail="is_archived")),
        ("msg_too_long", Failed(permanent=True, detail="msg_too_long")),
        ("msg_blocks_too_long", Failed(permanent=True, detail="msg_blocks_too_long")),
        ("never\x1b[31m seen", Failed(permanent=True, detail="never [31m seen")),
        ("fatal_error", Failed(permanent=False, detail="fatal_error")),
        ("service_unavailable", Failed(permanent=False, detail="service_unavailable")),
        ("ratelimited", Throttled(30.0, "ratelimited")),
    ],
)
def test_ok_false_is_a_failure_of_one_kind_or_the_other(error: str, expected: Answer) -> None:
    assert sent(told(), faults=(said_no(error),))[0] == [expected]


def test_being_asked_to_slow_down_is_heard() -> None:
    assert sent(told(), faults=(said_no("ratelimited", "Retry-After: 3"),))[0] == [Throttled(3.0, "ratelimited")]
    assert sent(told(), faults=(answer("429 Too Many Requests", "Retry-After: 9"),))[0] == [Throttled(9.0, "HTTP 429")]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"ok": "yes"}'])
def test_an_answer_that_slack_does_not_give_is_not_believed(body: bytes) -> None:
    assert sent(told(), faults=(answer("200 OK", body=body),))[0] == [
        Failed(permanent=False, detail="HTTP 200, but not as Slack answers")
    ]


def test_a_wrong_token_or_channel_is_told_at_once() -> None:
    assert sent(told(), token=TOKEN + "x")[0] == [Failed(permanent=True, detail="invalid_auth")]
    assert sent(told(), channel="#nowhere")[0] == [Failed(permanent=True, detail="channel_not_found")]


@pytest.mark.parametrize("token", ["", "hooks", "xoxb-a b", "xoxb-ä", "xoxb-a\nb"])
def test_a_token_that_is_none_is_refused_and_not_repeated(token: str) -> None:
    with pytest.raises(ChannelSettingsError, match="token: ") as refused:
        opened("slack", 1, token=token)
    assert token == "" or token not in str(refused.value)


@given(st.text(alphabet=st.sampled_from("ab&<>!@#|é")), st.integers(2, 40))
def test_escaped_text_holds_no_markup_is_never_longer_and_says_the_same(text: str, limit: int) -> None:
    found = escaped(text, limit)
    assert len(found) <= limit
    plain = found.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
    assert not set(plain) & set("&<>")
    if not found.endswith("…"):
        assert found.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


def test_nobody_is_called_by_what_a_tool_wrote() -> None:
    _, service = sent(told(error=None, summary=HOSTILE))
    [message] = service.messages.values()
    assert "&lt;!channel&gt;" in message.text
    assert (message.parse, message.link_names, message.unfurl_links) == ("none", False, False)
