"""What every kind of channel promises, each against a service that enforces what the real one does."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from collections.abc import Sequence
from typing import get_args

import msgspec
import pytest
from far_ends import FAR_ENDS, URL, hostile, opened, told
from receiver import Service
from service_mail import MailService

from watchpost.alerting.channels import CHANNELS
from watchpost.alerting.egress import Resolve
from watchpost.alerting.notifier import Answer, Failed, Sent, Throttled
from watchpost.model.notice import Notice, NoticeAction

KINDS = sorted(FAR_ENDS)
HTTP = [kind for kind in KINDS if FAR_ENDS[kind].is_http]


def test_every_kind_of_channel_goes_through_this_battery() -> None:
    assert FAR_ENDS.keys() == CHANNELS.keys()


def send(
    kind: str, *notices: Notice, faults: Sequence[str] = (), **more: object
) -> tuple[list[Answer], Service | MailService]:
    """The answers to notices of one conversation, one after the other, and the service as it is then."""

    async def story() -> tuple[list[Answer], Service | MailService]:
        async with FAR_ENDS[kind].start(faults) as service:
            channel, handle, answers = opened(kind, service.port, **more), "", []
            for notice in notices:
                given = await channel.send(notice, handle)
                handle = handle or (given.handle if isinstance(given, Sent) else "")
                answers.append(given)
            return answers, service

    return asyncio.run(story())


@pytest.mark.parametrize("kind", KINDS)
def test_a_conversation_from_trigger_to_resolve_is_taken(kind: str) -> None:
    answers, service = send(kind, told("trigger"), told("trigger", "again"), told("acknowledge"), told("resolve"))
    assert all(isinstance(given, Sent) for given in answers), answers
    assert service.refused == []
    assert service.told


@pytest.mark.parametrize("kind", KINDS)
def test_a_notice_of_one_flag_with_neither_key_nor_group_is_taken(kind: str) -> None:
    bare = told(key="", name="a1b2", alerts=0, error=None, tool="", sessions=[], runbook="docs/x.md")
    answers, service = send(kind, bare)
    assert (isinstance(answers[0], Sent), service.refused, len(service.told)) == (True, [], 1), answers


@pytest.mark.parametrize("action", get_args(NoticeAction))
@pytest.mark.parametrize("kind", KINDS)
def test_hostile_text_of_any_size_is_taken_and_breaks_nothing(kind: str, action: NoticeAction) -> None:
    answers, service = send(kind, told(), hostile(action))
    assert all(isinstance(given, Sent) for given in answers), answers
    assert service.refused == []


@pytest.mark.parametrize("fault", ["later", "reset", "lost"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_of_the_moment_is_no_permanent_one_and_the_next_try_arrives(kind: str, fault: str) -> None:
    answers, service = send(kind, told(), told(), faults=[fault])
    assert isinstance(answers[0], Failed), answers
    assert not answers[0].permanent
    assert isinstance(answers[1], Sent), answers
    assert service.told


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_of_what_was_taken_and_not_answered_carries_the_same_id(kind: str) -> None:
    _, service = send(kind, told(), told(), faults=["lost"])
    ids = {key for key, _ in service.told}
    each = 2 if kind == "alertmanager" else 1
    assert (len(service.told), len(ids)) == (2 * each, each if FAR_ENDS[kind].drops_copies or kind == "teams" else 2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_is_permanent_and_says_why(kind: str) -> None:
    answers, _ = send(kind, told(), faults=["no"])
    assert isinstance(answers[0], Failed)
    assert answers[0].permanent
    assert re.search(r"(400|550).*never", answers[0].detail)
    assert answers[0].detail.isprintable()


@pytest.mark.parametrize("kind", HTTP)
def test_a_service_that_says_when_to_come_back_is_heard(kind: str) -> None:
    answers, _ = send(kind, told(), faults=["busy"])
    assert answers == [Throttled(7.0, "HTTP 429")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_service_that_says_nothing_is_left(kind: str) -> None:

    async def story() -> Answer:
        async with FAR_ENDS[kind].start(["hang"]) as service:
            channel = opened(kind, service.port)
            hasten(channel)
            async with asyncio.timeout(5):
                return await channel.send(told())

    given = asyncio.run(story())
    assert given == Failed(permanent=False, detail="no answer within 0.2 s")


def hasten(channel: object) -> None:
    """Give every part of a channel that reaches out a fifth of a second."""
    for part in [channel, *vars(channel).values()]:
        outbound = getattr(part, "_outbound", None)
        if outbound is not None:
            part._outbound = msgspec.structs.replace(outbound, timeout_s=0.2)  # noqa: SLF001  the limit is no setting, and a test must not take so long


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_listening_is_a_failure_of_the_moment(kind: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        given = asyncio.run(opened(kind, unused.getsockname()[1]).send(told()))
    assert isinstance(given, Failed)
    assert not given.permanent
    assert given.detail.startswith("not connected")


@pytest.mark.parametrize("kind", KINDS)
def test_a_private_address_is_reached_only_where_that_is_allowed(kind: str) -> None:
    answers, service = send(kind, told(), allow_private=False)
    assert isinstance(answers[0], Failed)
    assert answers[0].permanent
    assert "loopback address" in answers[0].detail
    assert service.told == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_is_asked_for_once_a_try_and_what_was_checked_is_connected(kind: str) -> None:
    asked: list[str] = []

    def resolver() -> Resolve:
        async def resolve(host: str, _port: int) -> list[str]:
            asked.append(host)
            return ["127.0.0.1"] if len(asked) == 1 else ["192.0.2.1"]

        return resolve

    async def story() -> Answer:
        far = FAR_ENDS[kind]
        async with far.start([]) as service:
            moved = {
                key: value.replace("127.0.0.1", "far.example") if isinstance(value, str) else value
                for key, value in far.section(service.port).items()
            }
            return await opened(kind, service.port, resolver, **moved).send(told())

    assert isinstance(asyncio.run(story()), Sent)
    assert asked == ["far.example"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_is_logged_or_told(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answers, service = send(kind, told(), told(), told(), faults=["later", "no"])
    everything = caplog.text + repr(answers) + repr(opened(kind, service.port))
    assert [secret for secret in FAR_ENDS[kind].secrets if secret in everything] == []


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"webhook", "alertmanager"}))
def test_what_arrives_leads_to_the_session_and_the_runbook(kind: str) -> None:
    seen = str(vars(send(kind, told())[1]))
    mails = getattr(send(kind, told())[1], "mails", [])
    seen += "".join(part.get_content() for mail in mails for part in mail.iter_parts())
    assert f"{URL}/sessions/mzxw6ytboi2dgnbv" in seen
    assert "https://runbooks.example/tools?id=1" in seen
