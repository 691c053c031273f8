"""Slack, by a bot's token: a message for each conversation that always shows its latest state, and a thread with all that happened.

Text from traces is escaped and `verbatim`: it notifies nobody, names no channel and makes no link. Limits: docs.slack.dev, Block Kit;
all of a message together stays below 12,000 characters.
"""

from __future__ import annotations

import msgspec

from watchpost.alerting.egress import Outbound
from watchpost.alerting.http_call import HttpCall, Reply, judge
from watchpost.alerting.message import Link, Message, MessageState, message
from watchpost.alerting.notifier import Answer, Failed, Sent, Throttled
from watchpost.alerting.plain_text import one_line
from watchpost.alerting.retry_after import retry_after_s
from watchpost.alerting.slack_request import ACKNOWLEDGE, SILENCE
from watchpost.model.notice import Notice

API_URL = "https://slack.com/api"

HEADER = 150
SUMMARY = 2900
FIELD = 300
FIELDS = 10
ALERTS = 2500
BUTTON_VALUE = 2000

ANSWER_READ = 1 << 20
"""Bytes of an answer that are read: Slack repeats the whole message in it."""

BUSY_S = 30.0
"""How long to stay away where Slack says that it is too busy and not for how long."""

BUSY = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
OF_THE_MOMENT = frozenset(
    {
        "fatal_error",
        "internal_error",
        "request_timeout",
        "service_unavailable",
        "team_added_to_org",
        "org_login_required",
    }
)
"""Errors that say nothing about the notice or the settings; any other one is permanent."""

GONE = frozenset({"message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed"})
"""Errors after which the conversation goes on in a message of its own."""

MARK: dict[MessageState, str] = {
    "firing": ":red_circle:",
    "acknowledged": ":large_yellow_circle:",
    "resolved": ":large_green_circle:",
    "no word": ":white_circle:",
}


class SlackTokenError(ValueError):
    """A token that Slack cannot have given. The message never repeats it."""


class _Said(msgspec.Struct, frozen=True):
    """What Slack answers."""

    ok: bool
    error: str = ""
    channel: str = ""
    ts: str = ""


class Slack:
    """Posts to one channel of Slack; fulfils `watchpost.alerting.notifier.Notifier`. A handle is `<channel id>:<ts of the message>`.

    `channel` is an id, or a name with `#`. With `buttons` a firing message can be acknowledged and silenced, which needs a way in for
    Slack's requests. `SlackTokenError` or `HttpAddressError` where the settings cannot work.
    """

    def __init__(
        self,
        token: str,
        channel: str,
        outbound: Outbound,
        *,
        public_url: str = "",
        buttons: bool = False,
        url: str = API_URL,
    ) -> None:
        if not token.isascii() or not token.isprintable() or " " in token or not token.startswith("xox"):
            raise SlackTokenError("token: a bot's token starts with xoxb-")
        self._post = HttpCall(f"{url}/chat.postMessage", outbound)
        self._update = HttpCall(f"{url}/chat.update", outbound)
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json; charset=utf-8"}
        self._channel = channel
        self._public_url = public_url
        self._buttons = buttons
        self._now_ns = outbound.now_ns

    async def send(self, notice: Notice, handle: str = "") -> Answer:
        """Try once. Slack cannot tell that it has seen a message: one whose answer was lost is posted twice.

        The first message is changed before the thread is told, so that a try that ends in between can be repeated.
        """
        shown = message(notice, self._public_url)
        content = {"text": text(shown), "blocks": blocks(shown, notice.conversation if self._buttons else "")}
        channel, _, ts = handle.partition(":")
        if ts:
            changed = await self._say(self._update, {"channel": channel, "ts": ts, **content})
            if isinstance(changed, Sent):
                told = {
                    "channel": channel,
                    "thread_ts": ts,
                    "reply_broadcast": shown.state in {"firing", "no word"},
                    "text": text(shown),
                }
                return await self._say(self._post, told)
            if not isinstance(changed, Failed) or changed.detail not in GONE:
                return changed
        return await self._say(self._post, {"channel": self._channel, **content})

    async def _say(self, call: HttpCall, body: dict[str, object]) -> Answer:
        quiet = {"parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False}
        reply = await call.post(self._headers, msgspec.json.encode({**body, **quiet}), read=ANSWER_READ)
        return reply if isinstance(reply, Failed) else self._judge(reply)

    def _judge(self, reply: Reply) -> Answer:
        if reply.status != 200:
            return judge(reply, self._now_ns())
        try:
            said = msgspec.json.decode(reply.body, type=_Said)
        except msgspec.DecodeError:
            return Failed(permanent=False, detail="HTTP 200, but not as Slack answers")
        if said.ok:
            return Sent("ok", f"{said.channel}:{said.ts}")
        error = one_line(said.error, 200)
        if error in BUSY:
            asked_s = retry_after_s(reply.retry_after, self._now_ns())
            return Throttled(BUSY_S if asked_s is None else asked_s, error)
        return Failed(permanent=error not in OF_THE_MOMENT, detail=error)


def text(shown: Message) -> str:
    """What stands in notifications and in the thread."""
    by = f" (by {shown.by})" if shown.by else ""
    return escaped(f"{shown.title}: {shown.summary}{by}", SUMMARY)


def blocks(shown: Message, key: str) -> list[dict[str, object]]:
    """The message as blocks. The buttons that ask for something carry `key`; they are left out where it is empty or longer than Slack takes."""
    found: list[dict[str, object]] = [
        {"type": "header", "text": {"type": "plain_text", "text": shown.title[:HEADER], "emoji": False}},
        {"type": "section", "text": _mrkdwn(escaped(shown.summary, SUMMARY) or " ")},
    ]
    if shown.facts:
        fields = [_mrkdwn(f"*{name}*\n{escaped(value, FIELD)}") for name, value in shown.facts[:FIELDS]]
        found.append({"type": "section", "fields": fields})
    if shown.alerts:
        rest = f"\nand {shown.more} more" if shown.more else ""
        found.append({"type": "section", "text": _mrkdwn(escaped("\n".join(shown.alerts), ALERTS) + rest)})
    by = f" by {escaped(shown.by, FIELD)}" if shown.by else ""
    found.append({"type": "context", "elements": [_mrkdwn(f"{MARK[shown.state]} {shown.state}{by}")]})
    if buttons := _buttons(shown, key):
        found.append({"type": "actions", "block_id": "watchpost", "elements": buttons})
    return found


def escaped(said: str, limit: int) -> str:
    """Text in which nothing has a meaning to Slack, of at most `limit` characters as sent; what is cut is never half a character."""
    found: list[str] = []
    room = limit - 1
    for char in said:
        sent = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(char, char)
        room -= len(sent)
        if room < 0:
            return "".join(found) + "…"
        found.append(sent)
    return "".join(found)


def _mrkdwn(said: str) -> dict[str, object]:
    return {"type": "mrkdwn", "text": said, "verbatim": True}


def _buttons(shown: Message, key: str) -> list[dict[str, object]]:
    found = [_opens(place, link) for place, link in enumerate(shown.links)]
    if not key or len(key) > BUTTON_VALUE or shown.state in {"resolved", "no word"}:
        return found
    pressed = [_button("Silence 1h", SILENCE, value=key)]
    if shown.state == "firing":
        pressed.insert(0, _button("Acknowledge", ACKNOWLEDGE, value=key, style="primary"))
    return [*pressed, *found]


def _opens(place: int, link: Link) -> dict[str, object]:
    return _button(link.text, f"watchpost_open_{place}", url=link.url)


def _button(shown: str, action_id: str, **more: str) -> dict[str, object]:
    label = {"type": "plain_text", "text": shown, "emoji": False}
    return {"type": "button", "action_id": action_id, "text": label, **more}
