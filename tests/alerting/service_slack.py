"""The two methods of Slack's Web API that post and change messages, with the limits of Block Kit."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta
from receiver import Request, Service, answer

TOKEN = "xoxb-1-2-Secr3t"  # noqa: S105  of a service that exists in tests alone
CHANNELS = {"#incidents": "C1", "C1": "C1"}
LONGEST_IN_ALL = 12_000

Url = Annotated[str, Meta(pattern="^https?://", max_length=3000)]


class Plain(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="plain_text"):
    text: Annotated[str, Meta(min_length=1, max_length=3000)]
    emoji: bool = True


class Mrkdwn(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="mrkdwn"):
    text: Annotated[str, Meta(min_length=1, max_length=3000)]
    verbatim: bool = False


class Button(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="button"):
    text: Plain
    action_id: Annotated[str, Meta(min_length=1, max_length=255)]
    value: Annotated[str, Meta(min_length=1, max_length=2000)] | None = None
    url: Url | None = None
    style: Literal["primary", "danger"] | None = None


class Header(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="header"):
    text: Plain


class Section(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="section"):
    text: Mrkdwn | None = None
    fields: Annotated[list[Mrkdwn], Meta(min_length=1, max_length=10)] | None = None


class Context(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="context"):
    elements: Annotated[list[Mrkdwn], Meta(min_length=1, max_length=10)]


class Actions(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", tag="actions"):
    elements: Annotated[list[Button], Meta(min_length=1, max_length=25)]
    block_id: Annotated[str, Meta(max_length=255)] = ""


Block = Header | Section | Context | Actions


class Said(msgspec.Struct, forbid_unknown_fields=True):
    channel: str
    text: Annotated[str, Meta(min_length=1, max_length=40_000)]
    blocks: Annotated[list[Block], Meta(min_length=1, max_length=50)] | None = None
    ts: str = ""
    thread_ts: str = ""
    reply_broadcast: bool = False
    parse: Literal["none"] = "none"
    link_names: bool = True
    unfurl_links: bool = True
    unfurl_media: bool = True


class SlackService(Service):
    """`messages` are those of the channel as they stand, by ts, and `threads` what was said below each."""

    def __init__(self, *faults: bytes) -> None:
        super().__init__(*faults)
        self.messages: dict[str, Said] = {}
        self.threads: dict[str, list[Said]] = {}

    def judge(self, request: Request) -> bytes:
        line, headers, body = request
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return self._no("invalid_auth")
        try:
            said = msgspec.json.decode(body, type=Said)
        except msgspec.DecodeError as error:
            return self._no(f"invalid_blocks: {error}")
        if fault := fault_of(said):
            return self._no(fault)
        match line.split()[1]:
            case "/api/chat.postMessage":
                return self._post(said)
            case "/api/chat.update":
                return self._update(said)
        return self._no("unknown_method")

    def _post(self, said: Said) -> bytes:
        channel = CHANNELS.get(said.channel)
        if channel is None:
            return self._no("channel_not_found")
        ts = f"17{len(self.requests):08}.000100"
        if said.thread_ts:
            if said.thread_ts not in self.messages:
                return self._no("thread_not_found")
            self.threads[said.thread_ts].append(said)
        else:
            self.messages[ts] = said
            self.threads[ts] = []
        self.told.append((said.thread_ts or ts, said.text))
        return answer("200 OK", body=msgspec.json.encode({"ok": True, "channel": channel, "ts": ts, "message": {}}))

    def _update(self, said: Said) -> bytes:
        if said.channel not in CHANNELS.values():
            return self._no("channel_not_found")
        if said.ts not in self.messages:
            return self._no("message_not_found")
        self.messages[said.ts] = said
        return answer("200 OK", body=msgspec.json.encode({"ok": True, "channel": said.channel, "ts": said.ts}))

    def _no(self, error: str) -> bytes:
        self.refused.append(error)
        return answer("200 OK", body=msgspec.json.encode({"ok": False, "error": error}))


def fault_of(said: Said) -> str:
    """What is wrong with a message beyond its form: markup that was not escaped, or too much of it."""
    encoded = msgspec.json.encode(said.blocks).decode() if said.blocks else ""
    for text in [said.text, *re.findall(r'"type":"mrkdwn","text":"((?:[^"\\]|\\.)*)"', encoded)]:
        if re.search(r"[<>]|&(?!amp;|lt;|gt;)", text):
            return f"unescaped: {text[:80]}"
    if '"mrkdwn"' in encoded and encoded.count('"verbatim":true') != encoded.count('"mrkdwn"'):
        return "not verbatim"
    header = next((block for block in said.blocks or () if isinstance(block, Header)), None)
    if header and len(header.text.text) > 150:
        return "invalid_blocks: header"
    return "msg_blocks_too_long" if len(encoded) > LONGEST_IN_ALL + 3000 else ""
