"""Waiting for something that happens on other threads and tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(holds: Callable[[], bool]) -> None:
    """Return once it holds; TimeoutError where it has not come to hold after ten seconds."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  a condition over an outbox that threads write has no event
            await asyncio.sleep(0.002)
