"""A process that delivers from an outbox until it is killed: `deliver_channels.py STATE_URL CHANNELS_AS_JSON`."""

from __future__ import annotations

import asyncio
import ssl
import sys
import time

import msgspec

from watchpost.alerting.channels import Reach, open_channel
from watchpost.alerting.delivery import Deliverer
from watchpost.alerting.egress import SystemResolver
from watchpost.store.engines.sql import SqlState


async def deliver(url: str, sections: dict[str, dict[str, object]]) -> None:
    """Deliver to every channel at once."""
    state, stop = SqlState.open(url, "0.1.0"), asyncio.Event()
    reach = Reach(SystemResolver, time.time_ns, ssl.create_default_context())
    async with asyncio.TaskGroup() as group:
        for name, section in sections.items():
            one = Deliverer(
                name, open_channel(section, reach), state, now_ns=time.time_ns, jitter=lambda: 0.0, tick_s=0.05
            )
            group.create_task(one.run(stop))


if __name__ == "__main__":
    asyncio.run(deliver(sys.argv[1], msgspec.json.decode(sys.argv[2], type=dict[str, dict[str, object]])))
