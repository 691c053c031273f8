"""Microsoft Teams, by a workflow that posts to a channel what its webhook is sent: an Adaptive Card for each notice.

A workflow neither threads nor changes what it posted, so each notice is a card of its own. Text from traces stands in text runs, which
have no markup. Limit: 28 KB a message.
"""

from __future__ import annotations

import msgspec

from watchpost.alerting.egress import Outbound
from watchpost.alerting.http_call import HttpCall, judge
from watchpost.alerting.message import Message, MessageState, message
from watchpost.alerting.notifier import Answer, Failed
from watchpost.model.notice import Notice

LARGEST = 28_000

COLOUR: dict[MessageState, str] = {
    "firing": "attention",
    "acknowledged": "warning",
    "resolved": "good",
    "no word": "warning",
}


class Teams:
    """Posts a card for each notice; fulfils `watchpost.alerting.notifier.Notifier`. `HttpAddressError` for an address that cannot work."""

    def __init__(self, url: str, outbound: Outbound, *, public_url: str = "") -> None:
        self._call = HttpCall(url, outbound)
        self._public_url = public_url
        self._now_ns = outbound.now_ns

    async def send(self, notice: Notice, handle: str = "") -> Answer:
        """Try once. A workflow cannot tell that it has seen a notice: one that is sent twice is shown twice."""
        del handle  # what was posted cannot be named
        reply = await self._call.post({}, encode(message(notice, self._public_url)))
        return reply if isinstance(reply, Failed) else judge(reply, self._now_ns())


def encode(shown: Message) -> bytes:
    """The body, at most `LARGEST` bytes: where it would be more, the alerts of the group and then the facts are left out."""
    facts = [_run((name, value)) for name, value in shown.facts]
    alerts = [_run(("", line)) for line in shown.alerts]
    if shown.more:
        alerts.append(_run(("", f"and {shown.more} more")))
    for rest in ([*facts, *alerts], facts, []):
        encoded = msgspec.json.encode(_card(shown, rest))
        if len(encoded) <= LARGEST:
            break
    return encoded


def _card(shown: Message, rest: list[dict[str, object]]) -> dict[str, object]:
    said = [_block(shown.title, size="large", weight="bolder", color=COLOUR[shown.state]), _block(shown.summary)]
    if shown.by:
        said.append(_block(f"by {shown.by}", isSubtle=True))
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [*said, *rest],
        "actions": [{"type": "Action.OpenUrl", "title": link.text, "url": link.url} for link in shown.links],
    }
    card = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    return {"type": "message", "attachments": [card]}


def _block(text: str, **how: object) -> dict[str, object]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text or " ", **how}]}


def _run(fact: tuple[str, str]) -> dict[str, object]:
    name, value = fact
    named: list[dict[str, object]] = [{"type": "TextRun", "text": f"{name}: ", "weight": "bolder"}] if name else []
    return {"type": "RichTextBlock", "spacing": "none", "inlines": [*named, {"type": "TextRun", "text": value}]}
