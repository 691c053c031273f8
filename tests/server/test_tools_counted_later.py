"""The page of all tools while their calls are still being counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

import httpx
from fastapi import FastAPI
from server_fakes import START_NS, House

from watchpost.model.knowledge import Contract, Field, Lesson
from watchpost.query.measures import Cell, Measured
from watchpost.server.contracts import Contracts
from watchpost.server.measures import Measures
from watchpost.server.pages import tools
from watchpost.server.tools import Tools

P = ParamSpec("P")
T = TypeVar("T")


class Later(Executor):
    """Does nothing until it is told to."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        done: Future[T] = Future()
        self.work.append(lambda: done.set_result(fn(*args, **kwargs)))
        return done


def test_contracts_stand_there_at_once_and_calls_come_when_they_are_counted() -> None:
    house, later = House(), Later()
    told = Contract({"": Field(("object",), required=True)})
    house.base.published.append(Lesson("default", "contract", "get_order", 3, "learnt", told, START_NS))
    failed, took = ([Cell(("default", "get_order"), None, 1, 4, 0, over, 4)] for over in (1, 250_000))
    house.gauge.answers = [Measured(1, failed), Measured(1, took)]
    app = FastAPI()
    contracts = Contracts(house.base, house.slate, lambda: START_NS, {})
    measures = Measures(house.gauge, house.calendar, lambda: START_NS)
    kit = Tools(contracts, measures, house.shelf, lambda: START_NS)
    app.include_router(tools.router(kit, contracts, measures, None, later, lambda: START_NS))  # type: ignore[arg-type] # no flag is looked at

    def page() -> str:
        async def got() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://here") as client:
                return await client.get("/tools")

        return asyncio.run(got()).text

    first = page()
    assert "get_order" in first
    assert "learnt, version 3" in first
    assert "are being worked out" in first
    assert 'data-every="2"' in first
    assert "No tool was called" not in first
    later.work.pop()()
    second = page()
    assert "are being worked out" not in second
    assert ">25 %<" in second
    assert 'data-every="60"' in second
    assert later.work == []
