"""Who prepares requests for the log: a seam, because it is work for a processor of its own where there is one to be had."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from watchpost.ingest.request import OtlpRequest
from watchpost.runtime.prepare import Prepared, Preparer


class Decoder(Protocol):
    """Prepares requests, any number at once."""

    async def prepare(self, request: OtlpRequest, received_ns: int) -> Prepared:
        """What is to be kept of a request received at a time.

        Raises `RefusedError` naming what is wrong with all of it, or `OverloadedError` where the same may succeed later.
        """
        ...

    def close(self) -> None:
        """Let go of threads and processes. Nothing is asked any more."""
        ...


class InProcessDecoder:
    """A `Decoder` on a thread of this process."""

    def __init__(self, preparer: Preparer) -> None:
        self._preparer = preparer
        self._thread = ThreadPoolExecutor(1, "decode")  # a preparer serves one thread

    async def prepare(self, request: OtlpRequest, received_ns: int) -> Prepared:
        """As promised."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._preparer.prepare, request, received_ns)

    def close(self) -> None:
        """As promised."""
        self._thread.shutdown()
