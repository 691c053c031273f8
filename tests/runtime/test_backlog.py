"""What is durable and not yet applied is handed over once, in order, and counted until it is applied."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from watchpost.log.record import BATCH_BOUNDARY, DELIVERY, Appended
from watchpost.model.telemetry import Delivery, Parcel
from watchpost.runtime.backlog import Backlog


def record(seq: int, size: int, kind: int = DELIVERY) -> Appended:
    return Appended(seq, kind, size, bytes(size))


def delivery(seq: int, received_ns: int) -> Appended:
    """A delivery with something in it, as the log hands it on."""
    payload = msgspec.msgpack.encode(Delivery(received_ns, (Parcel("p", {}, "scope", (), ()),)))
    return Appended(seq, DELIVERY, len(payload), payload)


def test_bytes_count_until_they_are_applied_and_not_only_until_they_are_taken() -> None:
    backlog = Backlog()
    backlog.put([record(1, 100), record(2, 50)])
    assert backlog.bytes == 150
    assert [seq for seq, _ in backlog.take(1000)] == [1, 2]
    assert backlog.bytes == 150
    backlog.applied(1)
    assert backlog.bytes == 50
    backlog.applied(2)
    assert backlog.bytes == 0


def test_boundaries_are_the_flows_own_and_count_for_nothing() -> None:
    backlog = Backlog()
    backlog.put([record(1, 100, BATCH_BOUNDARY)])
    assert (backlog.bytes, backlog.take(1000), backlog.oldest_received_ns) == (0, [], 0)


def test_a_delivery_larger_than_what_is_asked_for_is_handed_over_alone() -> None:
    backlog = Backlog()
    backlog.put([record(1, 100), record(2, 100)])
    assert [seq for seq, _ in backlog.take(1)] == [1]
    assert [seq for seq, _ in backlog.take(1)] == [2]
    assert backlog.take(1) == []


def test_the_oldest_that_waits_says_when_it_was_received() -> None:
    backlog = Backlog()
    assert backlog.oldest_received_ns == 0
    backlog.put([delivery(1, 1000), delivery(2, 2000)])
    assert backlog.oldest_received_ns == 1000
    assert [seq for seq, _ in backlog.take(1)] == [1]
    assert backlog.oldest_received_ns == 2000
    backlog.take(10**6)
    assert backlog.oldest_received_ns == 0


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 100), st.booleans()), max_size=40))
def test_whatever_is_put_taken_and_applied_nothing_is_lost_and_the_bytes_add_up(
    moves: Sequence[tuple[int, int, bool]],
) -> None:
    backlog = Backlog()
    sizes: dict[int, int] = {}
    taken: list[int] = []
    applied = 0
    for seq, (size, most, apply) in enumerate(moves, 1):
        backlog.put([record(seq, size)])
        sizes[seq] = size
        taken += [each for each, _ in backlog.take(most)]
        if apply and taken:
            applied = taken[-1]
            backlog.applied(applied)
        assert backlog.bytes == sum(held for each, held in sizes.items() if each > applied)
    taken += [each for each, _ in backlog.take(10**9)]
    assert taken == list(sizes)


def test_the_time_of_what_is_not_applied_is_known_also_while_it_is_being_applied() -> None:
    backlog = Backlog()
    for seq, received_ns in ((1, 50), (2, 60), (3, 70)):
        payload = msgspec.msgpack.encode(Delivery(received_ns, ()))
        backlog.put([Appended(seq, DELIVERY, len(payload), payload)])
    assert backlog.unapplied_since_ns == 50
    assert len(backlog.take(1)) == 1
    assert (backlog.unapplied_since_ns, backlog.oldest_received_ns) == (50, 60)
    backlog.take(1 << 20)
    backlog.applied(1)
    assert backlog.unapplied_since_ns == 60
    backlog.applied(3)
    assert backlog.unapplied_since_ns == 0
