"""Whatever spans lose their contents, and whenever: what is counted, and where, is what it is without."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_store import MemoryStore
from test_react_any_order import Arrival, Machine, arrivals
from world import Spec

from watchpost.model.step import STEP_KINDS, WITHHELD, Reading


class SweptStore(MemoryStore):
    """One that gives spans of some traces as outlines, with the contents of no step but for whether there were any."""

    def __init__(self) -> None:
        super().__init__()
        self.gone: dict[tuple[str, bytes], int] = {}

    def sweep(self, trace: int) -> None:
        """Let go of the contents of all that is there of a trace."""
        for project, trace_id, _, ver in self.spans:
            if int.from_bytes(trace_id, "big") == trace + 1:
                self.gone[project, trace_id] = max(self.gone.get((project, trace_id), 0), ver & ((1 << 63) - 1))

    def readings(self, traces: Sequence[tuple[str, bytes]], upto: int) -> list[Reading]:
        """As promised."""
        return [self._left(reading) for reading in super().readings(traces, upto)]

    def _left(self, reading: Reading) -> Reading:
        if reading.ver & ((1 << 63) - 1) > self.gone.get((reading.project, reading.trace_id), 0):
            return reading
        texts = {
            name: WITHHELD if getattr(reading, name) and reading.kind in STEP_KINDS else ""
            for name in ("input", "output")
        }
        return msgspec.structs.replace(reading, rest="{}", refs="", mentioned=b"", outline=True, **texts)


def swept_machine() -> tuple[Machine, SweptStore]:
    machine, store = Machine(), SweptStore()
    machine.store = store
    machine.reactor = machine._start()  # noqa: SLF001 - on the store that forgets
    return machine, store


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(arrivals(), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 2)), max_size=5))
def test_spans_that_lose_their_contents_change_nothing_that_is_counted(
    arriving: list[Arrival], sweeps: list[tuple[int, int]]
) -> None:
    tried, store = swept_machine()
    calm = Machine()
    for number, arrival in enumerate(arriving):
        tried.take(arrival)
        calm.take(dataclasses.replace(arrival, forget=None, die_after=None))
        for at, trace in sweeps:
            if at == number:
                store.sweep(trace)
                tried.reactor.evict(0, store.cursor().batch)
    for machine in (tried, calm):
        machine.now_ns += 3600 * 10**9
        machine.cut(arriving[0].die_after if machine is tried else None)
    assert counted(tried) == counted(calm)


def counted(machine: Machine) -> tuple[object, ...]:
    """What is counted, but for flags: those that a sealed session would have had."""
    store = machine.store
    ledger = {
        key: msgspec.structs.replace(
            row, seq=0, outcome="", steps=tuple(msgspec.structs.replace(step, flags=()) for step in row.steps)
        )
        for key, row in store.ledger.items()
        if not row.gone
    }
    members = {key for key, member in store.members.items() if member.live}
    summaries = {
        key: msgspec.structs.replace(one, revision=0, received_ns=0, due_ns=0, state="running", outcome=None)
        for key, one in store.summaries.items()
    }
    return ledger, members, summaries


@pytest.mark.parametrize(("arguments", "flags"), [((1, 1, 1), {"confirmed"}), ((1, 2, 1), set())])
def test_the_flags_of_a_session_stay_as_they_are_once_the_contents_they_rest_on_are_gone(
    arguments: tuple[int, ...], flags: set[str]
) -> None:
    """What was withheld looks alike, and may be anything."""
    machine, store = swept_machine()
    for span, argument in enumerate(arguments):
        machine.take(call(span, argument))
    machine.now_ns += 3600 * 10**9
    machine.cut(None)
    before = dict(store.flags)
    assert {flag.state for flag in before.values()} == flags
    store.sweep(0)
    machine.reactor.evict(0, store.cursor().batch)
    for span in (7, 8):
        machine.take(call(span, 1))
        machine.now_ns += 3600 * 10**9
        machine.cut(None)
    assert store.flags == before
    (row,) = (row for row in store.ledger.values() if not row.gone)
    assert [len(step.flags) for step in row.steps] == [0, 0, len(flags), 0, 0]


def call(span: int, argument: int) -> Arrival:
    """A call of a tool, by itself."""
    spec = Spec(0, span, None, "tool", span, tool="get", argument=argument)
    return Arrival(spec, ended=True, cut=True, forget=None, die_after=None)
