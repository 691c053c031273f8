"""Buttons pressed in Slack: what is believed, and what it asks for."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.alerting.slack_request import Pressed, SlackRequestError, pressed, verify

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"  # noqa: S105  of Slack's own documentation
NOW = 1_531_420_618
DOCUMENTED = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)


def signed(body: bytes, at: int = NOW, secret: str = SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), f"v0:{at}:".encode() + body, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": str(at), "x-slack-signature": f"v0={digest}"}


def form(*actions: dict[str, object], kind: str = "block_actions") -> bytes:
    user = {"id": "U1", "username": "ana", "team_id": "T1"}
    payload = {"type": kind, "user": user, "actions": list(actions), "response_url": "https://hooks.slack.com/x"}
    return urlencode({"payload": msgspec.json.encode(payload).decode()}).encode()


ACKNOWLEDGE: dict[str, object] = {"action_id": "watchpost_acknowledge", "value": "0f", "type": "button"}


def test_the_example_of_the_documentation_is_verified() -> None:
    headers = {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    assert verify(SECRET, headers, DOCUMENTED, NOW)
    assert not verify(SECRET, headers, DOCUMENTED + b"&", NOW)


@pytest.mark.parametrize(("late", "good"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)])
def test_a_request_counts_for_five_minutes(late: int, good: bool) -> None:
    body = form(ACKNOWLEDGE)
    assert verify(SECRET, signed(body), body, NOW + late) is good


@pytest.mark.parametrize(
    "changed",
    [
        {"x-slack-request-timestamp": ""},
        {"x-slack-request-timestamp": "abc"},
        {"x-slack-request-timestamp": "-1"},
        {"x-slack-request-timestamp": "9" * 400},
        {"x-slack-request-timestamp": "١٢٣"},
        {"x-slack-signature": ""},
        {"x-slack-signature": "v0="},
        {"x-slack-signature": "v1=" + "0" * 64},
        {"x-slack-signature": "v0=" + "é" * 64},
    ],
)
def test_headers_that_slack_does_not_send_are_refused(changed: dict[str, str]) -> None:
    body = form(ACKNOWLEDGE)
    assert not verify(SECRET, {**signed(body), **changed}, body, NOW)
    assert not verify(SECRET, {}, body, NOW)


def test_another_secret_and_none_are_refused() -> None:
    body = form(ACKNOWLEDGE)
    assert not verify("other", signed(body), body, NOW)
    assert not verify("", signed(body, secret=""), body, NOW)


def test_what_was_pressed_is_told_with_its_conversation_and_who_it_was() -> None:
    silence: dict[str, object] = {"action_id": "watchpost_silence_1h", "value": "0f"}
    opens: dict[str, object] = {"action_id": "watchpost_open_0"}
    assert pressed(form(ACKNOWLEDGE, silence, opens)) == (
        Pressed("acknowledge", "0f", "ana"),
        Pressed("silence", "0f", "ana"),
    )
    assert pressed(form(opens)) == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload=",
        b"payload={}",
        b"other=1",
        b"payload=%FF",
        b"\xff",
        form(kind="view_submission"),
        b"a=1&" * 50,
        b"x" * (2 << 20),
    ],
)
def test_a_body_that_is_no_press_is_refused(body: bytes) -> None:
    with pytest.raises(SlackRequestError):
        pressed(body)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(SlackRequestError):
        assert pressed(body) == ()
