"""Every channel over the end of a process: what was committed arrives, and what arrived twice says so."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
from far_ends import FAR_ENDS, told
from receiver import Service
from service_mail import MailService

from watchpost.model.notice import Notice
from watchpost.store.engines.sql import SqlState
from watchpost.store.state import Cursor, StateBatch

STORY = (("t1", "trigger", "k1"), ("t2", "trigger", "k2"), ("r1", "resolve", "k1"))


def notices(channel: str) -> list[Notice]:
    """Two conversations, the first of which ends."""
    return [
        msgspec.structs.replace(told(action, f"{channel}-{name}", key), channel=channel)  # type: ignore[arg-type] # the names above are literals of that type
        for name, action, key in STORY
    ]


@contextlib.asynccontextmanager
async def delivering(url: str, sections: dict[str, dict[str, object]]) -> AsyncIterator[None]:
    """A process that delivers, killed at the end of the block."""
    program, channels = str(Path(__file__).with_name("deliver_channels.py")), msgspec.json.encode(sections).decode()
    process = await asyncio.create_subprocess_exec(sys.executable, program, url, channels)
    try:
        yield
        assert process.returncode is None
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds, at most a minute."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110  what another process does has no event
            await asyncio.sleep(0.02)


def test_every_notice_arrives_over_a_kill_between_the_far_end_and_the_receipt(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    state = SqlState.open(url, "0.1.0")
    state.commit(StateBatch(Cursor(), notices=[one for channel in FAR_ENDS for one in notices(channel)]))

    async def story() -> None:
        async with contextlib.AsyncExitStack() as stack:
            # both conversations begin at once, and each one's first try is taken and never answered
            services: dict[str, Service | MailService] = {}
            for name, far in FAR_ENDS.items():
                services[name] = far.start(["held", "held"])
                await stack.enter_async_context(services[name])
            sections = {name: FAR_ENDS[name].section(service.port) for name, service in services.items()}
            async with delivering(url, sections):
                await eventually(lambda: not any(service.faults for service in services.values()))
                before = {name: [key for key, _ in service.told] for name, service in services.items()}
                assert {state for _, state in state_of()} == {"waiting"}
            async with delivering(url, sections):
                await eventually(lambda: {state for _, state in state_of()} == {"delivered"})
            for name, service in services.items():
                assert service.refused == [], name
                assert set(before[name]) <= {key for key, _ in service.told} or not FAR_ENDS[name].drops_copies
                assert (len(service.told), len({key for key, _ in service.told})) == EXPECTED[name], name

    def state_of() -> list[tuple[str, str]]:
        return list(state.backlog())

    asyncio.run(story())
    state.close()


EXPECTED = {
    "pagerduty": (5, 2),  # triggers twice each and a resolve, about two alerts
    "slack": (5, 4),  # posted twice each, and the resolve in the thread of a message that is known
    "teams": (5, 2),  # cards, of which only the title tells what they are: two triggers alike, and a resolve
    "mail": (5, 3),  # two messages came twice, under the same Message-ID
    "webhook": (5, 3),  # two ids came twice
    "alertmanager": (10, 2),  # notices of two alerts, the same labels in both conversations
    "sentry": (4, 2),  # two events came twice; a resolve is nothing for Sentry
}
"""How much each service was told, and how much of that it can tell apart."""
