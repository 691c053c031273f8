"""What Slack sends when somebody presses a button: whether it comes from Slack, and what was pressed.

Source: docs.slack.dev, "Verifying requests from Slack" and "block_actions payload".
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Literal
from urllib.parse import parse_qs

import msgspec

from watchpost.alerting.plain_text import one_line

ACKNOWLEDGE = "watchpost_acknowledge"
SILENCE = "watchpost_silence_1h"

Press = Literal["acknowledge", "silence"]
PRESSES: dict[str, Press] = {ACKNOWLEDGE: "acknowledge", SILENCE: "silence"}
"""What each button asks for."""

TOLERANCE_S = 300
LARGEST_BODY = 1 << 20
SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")


class Pressed(msgspec.Struct, frozen=True):
    """Somebody pressed a button on the message of a conversation. `by` is their name in Slack, else their id."""

    press: Press
    key: str
    by: str


class SlackRequestError(ValueError):
    """A request that is not what Slack sends for a button. The message may be shown to whoever sent it."""


class _User(msgspec.Struct, frozen=True):
    id: str
    username: str = ""
    name: str = ""


class _Action(msgspec.Struct, frozen=True):
    action_id: str
    value: str = ""


class _Payload(msgspec.Struct, frozen=True):
    type: str
    user: _User
    actions: list[_Action] = []


def verify(secret: str, headers: Mapping[str, str], body: bytes, now_s: float) -> bool:
    """Whether the holder of the signing secret sent exactly this body within five minutes of `now_s`; `headers` have lower-case names."""
    sent, given = headers.get("x-slack-request-timestamp", ""), headers.get("x-slack-signature", "")
    if not secret or not re.fullmatch(r"[0-9]{1,12}", sent) or not SIGNATURE.fullmatch(given):
        return False
    if abs(now_s - int(sent)) > TOLERANCE_S:
        return False
    expected = hmac.new(secret.encode(), f"v0:{sent}:".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"v0={expected}", given)


def pressed(body: bytes) -> tuple[Pressed, ...]:
    """What a verified form asks for, in order; none for a button that only opens a page. `SlackRequestError` for anything else."""
    if len(body) > LARGEST_BODY:
        raise SlackRequestError("the body is larger than Slack sends")
    try:
        form = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=10, errors="strict")
        payload = msgspec.json.decode(form["payload"][0], type=_Payload)
    except (ValueError, KeyError, msgspec.DecodeError):
        raise SlackRequestError("the body is no form with a `payload` of a button") from None
    if payload.type != "block_actions":
        raise SlackRequestError("the payload is not of type block_actions")
    by = one_line(payload.user.username or payload.user.name or payload.user.id, 200)
    return tuple(
        Pressed(PRESSES[action.action_id], action.value, by)
        for action in payload.actions
        if action.action_id in PRESSES and action.value
    )
