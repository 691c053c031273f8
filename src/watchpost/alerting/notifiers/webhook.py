"""Signed webhooks by Standard Webhooks 1.0.0, to an address that a user chose and that may be hostile."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from watchpost.alerting.bounds import ALERTS, Bounded, bounded
from watchpost.alerting.egress import Outbound
from watchpost.alerting.http_call import HttpCall, judge
from watchpost.alerting.message import STATES
from watchpost.alerting.notifier import Answer, Failed
from watchpost.alerting.signature import SecretError, signature, signing_key
from watchpost.model.notice import Notice

MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]{1,256}")
"""What may stand in the `webhook-id` header; no full stop, for the signed content is joined by them."""

LARGEST = 512_000


class Webhook:
    """Posts each notice to one address; fulfils `watchpost.alerting.notifier.Notifier`.

    `secrets` sign, in order: one, or the new and the old while a secret is being replaced. `HttpAddressError` or
    `SecretError` where the settings cannot work.
    """

    def __init__(self, url: str, secrets: Sequence[str], outbound: Outbound) -> None:
        self._call = HttpCall(url, outbound)
        self._now_ns = outbound.now_ns
        self._keys = [signing_key(secret) for secret in secrets]
        if not self._keys:
            raise SecretError("a webhook needs a secret to sign with")

    async def send(self, notice: Notice, handle: str = "") -> Answer:
        """Try once. The webhook id is the notice's, so a receiver that has seen it may drop the copy."""
        del handle  # the body's `key` tells what belongs together
        if not MESSAGE_ID.fullmatch(notice.id):
            return Failed(permanent=True, detail="the notice's id cannot stand in a header")
        body, seconds = encode(notice), self._now_ns() // 1_000_000_000
        headers = {
            "webhook-id": notice.id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": signature(self._keys, notice.id, seconds, body),
        }
        reply = await self._call.post(headers, body)
        return reply if isinstance(reply, Failed) else judge(reply, self._now_ns())


def encode(notice: Notice) -> bytes:
    """The body of a notice, the same bytes at every try; it tells of fewer alerts of the group where they would make it larger than `LARGEST`."""
    for alerts in (ALERTS, ALERTS // 10, 0):
        encoded = _encoded(bounded(notice, alerts))
        if len(encoded) <= LARGEST:
            break
    return encoded


def _encoded(kept: Bounded) -> bytes:
    notice = kept.notice
    data = {
        **msgspec.structs.asdict(notice.event),
        "notice_id": notice.id,
        "key": notice.conversation,
        "by": notice.by,
        "alerts": notice.alerts,
        "more_alerts": kept.more,
    }
    return msgspec.json.encode(
        {"type": f"alert.{STATES[notice.action].replace(' ', '_')}", "timestamp": notice.event.timestamp, "data": data}
    )
