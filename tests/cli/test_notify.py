"""`watchpost notify test`: what it sends, and what it says of the answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from commands import Shell

from watchpost.cli.demo.receiver import NoticeReceiver


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture
def receiver() -> Iterator[NoticeReceiver]:
    with NoticeReceiver() as one:
        yield one


def hook(name: str, receiver: NoticeReceiver, secret: str = "") -> str:
    given = secret or receiver.secret
    return f'[channels.{name}]\ntype = "webhook"\nurl = "{receiver.url}"\nsecrets = ["{given}"]\nallow_private = true\n'


WRONG = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def test_a_channel_that_works_is_told_of_a_test_and_of_its_end(shell: Shell, receiver: NoticeReceiver) -> None:
    shell.configure(hook("ops", receiver))
    ended = shell("notify", "test", "ops")
    assert (ended.code, ended.out) == (0, "ops: trigger: taken: HTTP 204\nops: resolve: taken: HTTP 204\n")
    first, second = receiver.wait(5), receiver.wait(5)
    assert first is not None
    assert second is not None
    assert first["summary"] == "This is a test of the channel ops; nothing is wrong."
    assert first["key"] == second["key"]
    assert first["notice_id"] != second["notice_id"]


def test_a_channel_that_refuses_ends_the_command_with_1_and_its_answer(shell: Shell, receiver: NoticeReceiver) -> None:
    shell.configure(hook("ops", receiver, WRONG) + hook("good", receiver))
    ended = shell("notify", "test", "--all")
    assert ended.code == 1
    assert "ops: trigger: refused: HTTP 401\n" in ended.out
    assert "good: resolve: taken: HTTP 204\n" in ended.out
    assert ended.err == "watchpost: not delivered to: ops\n"
    assert WRONG not in ended.out + ended.err


def test_what_happened_can_be_had_as_json(shell: Shell, receiver: NoticeReceiver) -> None:
    shell.configure(hook("ops", receiver, WRONG))
    ended = shell("notify", "test", "ops", "--json")
    assert ended.code == 1
    assert msgspec.json.decode(ended.out) == [
        {"channel": "ops", "action": "trigger", "answer": "refused", "detail": "HTTP 401"}
    ]


def test_a_name_that_there_is_not_is_answered_with_those_there_are(shell: Shell, receiver: NoticeReceiver) -> None:
    shell.configure(hook("ops", receiver) + hook("agents", receiver))
    ended = shell("notify", "test", "pos")
    assert (ended.code, ended.fault) == (5, "there is no channel pos; there are: agents, ops")
    ended = shell("notify", "test")
    assert (ended.code, ended.fault) == (2, "name a channel, or give --all; there are: agents, ops")


def test_without_channels_it_is_said_where_to_read_how(shell: Shell) -> None:
    ended = shell("notify", "test", "--all")
    assert (ended.code, ended.fault) == (2, "no channels are set; docs/channels.md says how")
    shell.configure('[channels.x]\ntype = "fax"\n')
    ended = shell("notify", "test", "x")
    assert (ended.code, ended.fault.partition(" is one of")[0]) == (2, "channels.x: type:")
