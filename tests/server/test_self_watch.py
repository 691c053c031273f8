"""Watchpost's own numbers are sampled now and then, and a sample for which there is no room is let go."""

from __future__ import annotations

import asyncio

from server_fakes import START_NS, Pulse

from watchpost.ingest.request import OverloadedError
from watchpost.model.telemetry import Parcel
from watchpost.server.self_watch import SelfWatch


def test_samples_go_on_after_one_that_found_no_room_until_told_to_stop() -> None:
    sent: list[Parcel] = []
    tried = 0

    async def watch() -> None:
        stop = asyncio.Event()

        async def send(parcel: Parcel) -> None:
            nonlocal tried
            tried += 1
            if tried == 1:
                raise OverloadedError("no room", 1)
            sent.append(parcel)
            if len(sent) == 2:
                stop.set()

        await SelfWatch(Pulse(), lambda: START_NS, pause_s=0.001).run(send, stop)

    asyncio.run(watch())
    assert tried == 3
    assert {point.time_ns for parcel in sent for point in parcel.metrics} == {START_NS}
    assert {parcel.project for parcel in sent} == {"watchpost"}
