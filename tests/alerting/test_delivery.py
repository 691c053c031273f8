"""What becomes of a notice after a try, and how the notices of a channel move."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notices import MemoryOutbox, notice
from waiting import until

from watchpost.alerting.delivery import TRIES_AT_ONCE, Deliverer, schedule
from watchpost.alerting.notifier import Answer, Failed, Sent, Throttled
from watchpost.model.notice import Due, Notice, Receipt

S = 1_000_000_000
HOUR = 3600
NOW_NS = 1_762_329_600 * S
TRANSIENT = Failed(permanent=False, detail="HTTP 503")


@pytest.mark.parametrize(
    ("attempts", "pause_s"),
    list(enumerate([5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR])),
)
def test_a_failed_try_is_repeated_on_the_schedule_of_standard_webhooks(attempts: int, pause_s: int) -> None:
    receipt = schedule(Due(notice(), attempts), TRANSIENT, NOW_NS, 0.0)
    assert receipt == Receipt("a1b2c3", "waiting", "HTTP 503", NOW_NS, NOW_NS + pause_s * S)
    latest = schedule(Due(notice(), attempts), TRANSIENT, NOW_NS, 1.0)
    assert latest.retry_at_ns == NOW_NS + round(pause_s * 1.1 * S)


@pytest.mark.parametrize(
    ("attempts", "answer", "state", "pause_s"),
    [
        (0, Sent("HTTP 200", "C1:1"), "delivered", None),
        (9, Sent("HTTP 200"), "delivered", None),
        (0, Failed(permanent=True, detail="HTTP 410"), "failed", None),
        (3, Failed(permanent=True, detail="HTTP 410"), "failed", None),
        (9, TRANSIENT, "failed", None),
        (9, Throttled(3.0, "HTTP 429"), "failed", None),
        (0, Throttled(3.0, "HTTP 429"), "waiting", 5),
        (0, Throttled(90.0, "HTTP 429"), "waiting", 90),
        (2, Throttled(90.0, "HTTP 429"), "waiting", 1800),
        (2, Throttled(7200.0, "HTTP 429"), "waiting", 7200),
    ],
)
def test_each_answer_leads_to_one_state(attempts: int, answer: Answer, state: str, pause_s: int | None) -> None:
    receipt = schedule(Due(notice(), attempts), answer, NOW_NS, 0.0)
    assert (receipt.state, receipt.tried_ns) == (state, NOW_NS)
    assert receipt.retry_at_ns == (0 if pause_s is None else NOW_NS + pause_s * S)
    assert receipt.detail.startswith(answer.detail)
    assert receipt.handle == (answer.handle if isinstance(answer, Sent) else "")


def test_the_last_receipt_says_how_often_it_was_tried() -> None:
    assert schedule(Due(notice(), 9), TRANSIENT, NOW_NS, 0.5).detail == "HTTP 503; given up after 10 tries"


@given(st.integers(0, 8), st.floats(0, 86400), st.floats(0, 1))
def test_a_throttled_notice_never_returns_before_it_was_asked_to(attempts: int, asked_s: float, jitter: float) -> None:
    receipt = schedule(Due(notice(), attempts), Throttled(asked_s, ""), NOW_NS, jitter)
    assert receipt.retry_at_ns >= NOW_NS + round(asked_s * S)


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now_ns = NOW_NS

    def __call__(self) -> int:
        return self.now_ns


class Channel:
    """A notifier that gives the answers it is told to give, the last one for ever, and remembers what it was sent."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers) or [Sent("ok")]
        self.sent: list[str] = []
        self.handles: list[str] = []

    async def send(self, notice: Notice, handle: str = "") -> Answer:
        self.sent.append(notice.id)
        self.handles.append(handle)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


class GatedChannel:
    """A notifier that answers only once its gate is open, and counts how many wait at it.

    The notices in `fails_first` fail at their first try without waiting.
    """

    def __init__(self, *fails_first: str) -> None:
        self._fails_first = set(fails_first)
        self.gate = asyncio.Event()
        self.waiting = 0
        self.most = 0
        self.sent: list[str] = []

    async def send(self, notice: Notice, handle: str = "") -> Answer:
        del handle
        if notice.id in self._fails_first:
            self._fails_first.remove(notice.id)
            return TRANSIENT
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        await self.gate.wait()
        self.waiting -= 1
        self.sent.append(notice.id)
        return Sent("ok")


def deliverer(
    channel: Channel | GatedChannel, outbox: MemoryOutbox, clock: Clock, name: str = "ops", tick_s: float = 0.002
) -> Deliverer:
    return Deliverer(name, channel, outbox, now_ns=clock, jitter=lambda: 0.0, tick_s=tick_s)


def run(*deliverers: Deliverer, while_running: Callable[[], Awaitable[None]]) -> None:
    """Run deliverers until `while_running` returns, then stop them in order."""

    async def both() -> None:
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for one in deliverers:
                group.create_task(one.run(stop))
            await while_running()
            stop.set()

    asyncio.run(both())


def test_a_notice_is_tried_when_it_is_due_and_not_before_until_it_is_delivered() -> None:
    clock, outbox = Clock(), MemoryOutbox(notice())
    channel = Channel(TRANSIENT, Throttled(400.0, "HTTP 429"), Sent("HTTP 200"))

    async def story() -> None:
        await until(lambda: len(outbox.receipts) == 1)
        clock.now_ns += 4 * S
        await asyncio.sleep(0.02)
        assert len(channel.sent) == 1
        clock.now_ns += 1 * S
        await until(lambda: len(outbox.receipts) == 2)
        clock.now_ns += 399 * S
        await asyncio.sleep(0.02)
        assert len(channel.sent) == 2
        clock.now_ns += 1 * S
        await until(lambda: outbox.states() == {"a1b2c3": "delivered"})
        clock.now_ns += 100 * HOUR * S
        await asyncio.sleep(0.02)

    run(deliverer(channel, outbox, clock), while_running=story)
    assert channel.sent == ["a1b2c3"] * 3
    assert [receipt.state for receipt in outbox.receipts] == ["waiting", "waiting", "delivered"]


def test_a_channel_that_never_recovers_is_given_up_after_ten_tries() -> None:
    clock, outbox, channel = Clock(), MemoryOutbox(notice()), Channel(TRANSIENT)

    async def story() -> None:
        for tries in range(1, 11):
            await until(lambda: len(outbox.receipts) == tries)  # noqa: B023  awaited before the loop goes on
            clock.now_ns += 24 * HOUR * S

    run(deliverer(channel, outbox, clock), while_running=story)
    assert outbox.states() == {"a1b2c3": "failed"}
    assert len(channel.sent) == 10


def test_a_permanent_failure_is_recorded_and_not_tried_again() -> None:
    clock, outbox = Clock(), MemoryOutbox(notice())
    channel = Channel(Failed(permanent=True, detail="HTTP 410: gone"))

    async def story() -> None:
        await until(lambda: outbox.states() == {"a1b2c3": "failed"})
        clock.now_ns += 100 * HOUR * S
        await asyncio.sleep(0.02)

    run(deliverer(channel, outbox, clock), while_running=story)
    assert channel.sent == ["a1b2c3"]
    assert outbox.receipts[0].detail == "HTTP 410: gone"


def test_a_nudge_delivers_a_new_notice_without_waiting_for_the_tick() -> None:
    clock, outbox, channel = Clock(), MemoryOutbox(notice("first")), Channel()

    async def story() -> None:
        await until(lambda: outbox.states() == {"first": "delivered"})
        await asyncio.sleep(0.02)
        outbox.add(notice("second"))
        one.nudge()
        await until(lambda: outbox.states()["second"] == "delivered")

    one = deliverer(channel, outbox, clock, tick_s=3600)
    run(one, while_running=story)


def test_at_most_four_notices_of_a_channel_are_under_way_and_each_is_sent_once() -> None:
    ids = [f"n{place:02}" for place in range(20)]
    clock, outbox, channel = Clock(), MemoryOutbox(*map(notice, ids)), GatedChannel()

    async def story() -> None:
        await until(lambda: channel.waiting == TRIES_AT_ONCE)
        await asyncio.sleep(0.02)
        channel.gate.set()
        await until(lambda: set(outbox.states().values()) == {"delivered"})

    run(deliverer(channel, outbox, clock), while_running=story)
    assert channel.most == TRIES_AT_ONCE
    assert sorted(channel.sent) == ids


class CountedOutbox(MemoryOutbox):
    """Counts how often it is asked what is due."""

    asked = 0

    def due(self, channel: str, now_ns: int, limit: int) -> list[Due]:
        self.asked += 1
        return super().due(channel, now_ns, limit)


def test_of_a_backlog_many_notices_are_read_at_a_time() -> None:
    clock, outbox, channel = Clock(), CountedOutbox(*(notice(f"n{place}") for place in range(48))), Channel(Sent("ok"))

    async def story() -> None:
        await until(lambda: set(outbox.states().values()) == {"delivered"})

    run(deliverer(channel, outbox, clock, tick_s=60), while_running=story)
    assert len(channel.sent) == 48
    assert outbox.asked <= 12


@pytest.mark.parametrize(("passed_s", "told"), [(0.5, "old"), (2, "new")])
def test_what_is_tried_was_read_no_longer_than_a_tick_before(passed_s: float, told: str) -> None:
    ids = [f"n{place}" for place in range(TRIES_AT_ONCE + 1)]
    clock, outbox = Clock(), MemoryOutbox(*(notice(each, summary="old") for each in ids))
    summaries: dict[str, str] = {}

    class Told(GatedChannel):
        async def send(self, notice: Notice, handle: str = "") -> Answer:
            summaries[notice.id] = notice.event.summary
            return await super().send(notice, handle)

    channel = Told()

    async def story() -> None:
        await until(lambda: channel.waiting == TRIES_AT_ONCE)
        outbox.rewrite(notice(ids[-1], summary="new"))
        clock.now_ns += round(passed_s * S)
        channel.gate.set()
        await until(lambda: set(outbox.states().values()) == {"delivered"})

    run(deliverer(channel, outbox, clock, tick_s=1.0), while_running=story)
    assert summaries[ids[-1]] == told


def test_an_old_notice_that_falls_due_again_waits_for_its_place() -> None:
    clock, outbox, channel = Clock(), MemoryOutbox(notice("old")), GatedChannel("old")

    async def story() -> None:
        await until(lambda: len(outbox.receipts) == 1)
        for place in range(TRIES_AT_ONCE):
            outbox.add(notice(f"new{place}"))
        await until(lambda: channel.waiting == TRIES_AT_ONCE)
        clock.now_ns += 5 * S
        await asyncio.sleep(0.02)
        channel.gate.set()
        await until(lambda: set(outbox.states().values()) == {"delivered"})

    run(deliverer(channel, outbox, clock), while_running=story)
    assert channel.most == TRIES_AT_ONCE


def test_notices_of_one_conversation_go_out_one_after_the_other_and_none_overtakes() -> None:
    clock = Clock()
    steps = [notice(f"k{n}", key="k") for n in range(3)]
    outbox, channel = MemoryOutbox(*steps, notice("other")), Channel(TRANSIENT, Sent("ok", "C1:1"))

    async def story() -> None:
        await until(lambda: outbox.states()["other"] == "delivered")
        await asyncio.sleep(0.02)
        assert channel.sent == ["k0", "other"]
        clock.now_ns += 5 * S
        await until(lambda: set(outbox.states().values()) == {"delivered"})

    run(deliverer(channel, outbox, clock), while_running=story)
    assert channel.sent == ["k0", "other", "k0", "k1", "k2"]
    assert channel.handles == ["", "", "", "C1:1", "C1:1"]


def test_a_later_notice_takes_its_turn_when_an_earlier_one_is_given_up() -> None:
    clock, outbox = Clock(), MemoryOutbox(notice("k0", key="k"), notice("k1", key="k"))
    channel = Channel(Failed(permanent=True, detail="HTTP 400"), Sent("ok"))

    async def story() -> None:
        await until(lambda: outbox.states() == {"k0": "failed", "k1": "delivered"})

    run(deliverer(channel, outbox, clock), while_running=story)


def test_a_channel_that_asks_to_be_left_alone_is_sent_nothing_until_then() -> None:
    clock, outbox = Clock(), MemoryOutbox(notice("first"))
    channel = Channel(Throttled(60.0, "HTTP 429"), Sent("ok"))

    async def story() -> None:
        await until(lambda: len(outbox.receipts) == 1)
        outbox.add(notice("second"))
        clock.now_ns += 59 * S
        await asyncio.sleep(0.02)
        assert channel.sent == ["first"]
        clock.now_ns += 1 * S
        await until(lambda: set(outbox.states().values()) == {"delivered"})

    run(deliverer(channel, outbox, clock), while_running=story)
    assert channel.sent == ["first", "first", "second"]


def test_a_channel_that_hangs_delays_no_other() -> None:
    clock = Clock()
    outbox = MemoryOutbox(*(notice(f"s{place}", "slow") for place in range(50)), notice("quick", "quick"))
    slow, quick = GatedChannel(), Channel()

    async def story() -> None:
        await until(lambda: slow.waiting == TRIES_AT_ONCE)
        outbox.add(notice("quick2", "quick"))
        await until(lambda: [outbox.states()[key] for key in ("quick", "quick2")] == ["delivered"] * 2)
        assert slow.sent == []
        slow.gate.set()

    run(
        deliverer(slow, outbox, clock, "slow"),
        deliverer(quick, outbox, clock, "quick"),
        while_running=story,
    )


def test_stopping_lets_the_try_under_way_end_and_records_it() -> None:
    clock, outbox = Clock(), MemoryOutbox(*(notice(f"n{place}") for place in range(9)))

    async def story() -> None:
        channel, stop = GatedChannel(), asyncio.Event()
        task = asyncio.create_task(deliverer(channel, outbox, clock).run(stop))
        await until(lambda: channel.waiting == TRIES_AT_ONCE)
        stop.set()
        await asyncio.sleep(0.02)
        assert not task.done()
        channel.gate.set()
        await task

    asyncio.run(story())
    assert list(outbox.states().values()).count("delivered") == TRIES_AT_ONCE


class BrokenOnceOutbox(MemoryOutbox):
    """An outbox whose first receipt is lost with the process that wrote it."""

    broken = False

    def settle(self, receipt: Receipt) -> None:
        if not self.broken:
            self.broken = True
            raise ConnectionResetError("the process died here")
        super().settle(receipt)


def test_a_crash_between_try_and_receipt_sends_the_same_id_again() -> None:
    clock, outbox, channel = Clock(), BrokenOnceOutbox(notice()), Channel()
    first = deliverer(channel, outbox, clock)
    with pytest.raises(ExceptionGroup):
        asyncio.run(first.run(asyncio.Event()))
    assert outbox.states() == {"a1b2c3": "waiting"}

    async def story() -> None:
        await until(lambda: outbox.states() == {"a1b2c3": "delivered"})

    run(first, while_running=story)
    assert channel.sent == ["a1b2c3", "a1b2c3"]
