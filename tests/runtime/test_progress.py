"""Waiting until the flow has come somewhere."""

from __future__ import annotations

import asyncio
import threading

from watchpost.runtime.progress import Progress


def test_what_is_applied_already_is_not_waited_for() -> None:
    progress = Progress(7)
    assert asyncio.run(progress.passed(7, 0.0))


def test_who_waits_is_told_from_another_thread_as_soon_as_it_is_there() -> None:
    progress = Progress(0)

    async def wait() -> list[bool]:
        waiting = [asyncio.create_task(progress.passed(seq, 30)) for seq in (1, 2, 3)]
        await asyncio.sleep(0)
        for seq in (1, 2):
            thread = threading.Thread(target=progress.reach, args=(seq,))
            thread.start()
            thread.join()
        first = await asyncio.gather(*waiting[:2])
        assert not waiting[2].done()
        progress.reach(9)
        return [*first, await waiting[2]]

    assert asyncio.run(wait()) == [True, True, True]


def test_who_waits_too_long_is_told_so_and_a_later_arrival_does_no_harm() -> None:
    progress = Progress(0)
    assert not asyncio.run(progress.passed(1, 0.01))
    progress.reach(1)
    assert asyncio.run(progress.passed(1, 0.01))


def test_an_arrival_after_the_loop_of_who_waited_is_gone_does_no_harm() -> None:
    progress = Progress(0)

    async def give_up() -> None:
        task = asyncio.create_task(progress.passed(1, 30))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(give_up())
    progress.reach(1)
    assert asyncio.run(progress.passed(1, 0.0))
