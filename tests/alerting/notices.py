"""A notice to deliver, and an outbox in memory that keeps the promise of the durable one."""

from __future__ import annotations

import threading

from watchpost.model.notice import AlertEvent, DeliveryState, Due, Notice, Receipt


def notice(
    notice_id: str = "a1b2c3", channel: str = "ops", summary: str = "get_order was called 3 times", key: str = ""
) -> Notice:
    event = AlertEvent(
        timestamp="2025-11-05T08:00:00.123Z",
        service="refunds",
        metric="LOOP_DETECTED",
        tool="get_order",
        value=3.0,
        threshold=2.0,
        window="session",
        severity="high",
        owner="team-agents",
        runbook="https://runbooks.example/loops",
        sessions=["abc"],
        summary=summary,
        rule="loops",
    )
    return Notice(notice_id, channel, event, key=key)


class MemoryOutbox:
    """Notices wait, oldest first and of each conversation one, until a receipt says delivered or failed; a known id is added only once."""

    def __init__(self, *notices: Notice) -> None:
        self._lock = threading.Lock()
        self._notices: dict[str, Notice] = {}
        self._last: dict[str, Receipt] = {}
        self._attempts: dict[str, int] = {}
        self.receipts: list[Receipt] = []
        for one in notices:
            self.add(one)

    def add(self, one: Notice) -> None:
        with self._lock:
            self._notices.setdefault(one.id, one)

    def rewrite(self, one: Notice) -> None:
        """Let a notice say something else, as when somebody is erased from it."""
        with self._lock:
            self._notices[one.id] = one

    def due(self, channel: str, now_ns: int, limit: int) -> list[Due]:
        with self._lock:
            oldest: dict[str, Notice] = {}
            for one in self._notices.values():
                if one.channel == channel and self._waits(one.id):
                    oldest.setdefault(one.conversation, one)
            found = [
                Due(one, self._attempts.get(one.id, 0), self._handle(one))
                for one in oldest.values()
                if one.id not in self._last or self._last[one.id].retry_at_ns <= now_ns
            ]
        return found[:limit]

    def settle(self, receipt: Receipt) -> None:
        with self._lock:
            self.receipts.append(receipt)
            self._last[receipt.notice_id] = receipt
            self._attempts[receipt.notice_id] = self._attempts.get(receipt.notice_id, 0) + 1

    def states(self) -> dict[str, DeliveryState]:
        with self._lock:
            return {key: self._last[key].state if key in self._last else "waiting" for key in self._notices}

    def _waits(self, notice_id: str) -> bool:
        last = self._last.get(notice_id)
        return last is None or last.state == "waiting"

    def _handle(self, about: Notice) -> str:
        """What the channel called the first notice that it took since the conversation's last resolve."""
        handle = ""
        for one in self._notices.values():
            if one.id == about.id:
                break
            if (one.channel, one.conversation) == (about.channel, about.conversation):
                last = self._last.get(one.id)
                given = last.handle if last else ""
                handle = "" if one.action == "resolve" else handle or given
        return handle
