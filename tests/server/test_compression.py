"""Answers are compressed for whom that is of use; events, small answers and parts of files come as they are."""

from __future__ import annotations

import asyncio
import gzip

import httpx
import pytest
from server_fakes import House, Shelf, served
from starlette.types import Message, Scope

from watchpost.runtime.react import Reaction
from watchpost.server.pages.rendering import STATIC_PATH
from watchpost.store.contracts import TelemetryBatch
from watchpost.store.state import Cursor, StateBatch

GZIP = {"accept-encoding": "gzip, deflate, br"}
PLAIN = {"accept-encoding": "identity"}
SCRIPT = f"{STATIC_PATH}/vendor/uplot.js"


@pytest.mark.parametrize("address", ["/sessions", "/api/measures", "/openapi.json"])
def test_a_large_answer_is_compressed_for_who_takes_it_and_says_that_it_depends(address: str) -> None:
    house = House()
    packed, plain = (house.ask("GET", address, headers=each) for each in (GZIP, PLAIN))
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert "accept-encoding" in packed.headers["vary"].lower()
    assert packed.headers["content-type"] == plain.headers["content-type"]


@pytest.mark.parametrize("address", ["/healthz", "/live/firing", "/api/sessions/nosuchkey"])
def test_a_small_answer_comes_as_it_is(address: str) -> None:
    assert "content-encoding" not in House().ask("GET", address, headers=GZIP).headers


def test_live_events_come_as_they_are_and_at_once() -> None:
    house = House()
    sent: asyncio.Queue[Message] = asyncio.Queue()

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def listened() -> list[Message]:
        house.live.hang(asyncio.get_running_loop())
        serving = asyncio.ensure_future(house.app(_asked("/live", b"about=sessions"), receive, sent.put))
        came = [await asyncio.wait_for(sent.get(), 10) for _ in range(2)]
        house.live.tell(Reaction(TelemetryBatch(1, sessions=[Shelf().add_session("a")]), StateBatch(Cursor())))
        came.append(await asyncio.wait_for(sent.get(), 10))
        assert not serving.done()
        house.live.close()
        await asyncio.wait_for(serving, 10)
        return came

    start, first, second = asyncio.run(listened())
    assert b"content-encoding" not in dict(start["headers"])
    assert (first["body"], second["body"]) == (b"retry: 2000\n\n", b"event: changed\ndata: sessions\n\n")


def _asked(path: str, query: bytes) -> Scope:
    """A GET as a server hands it on."""
    headers = [(b"host", b"localhost:8484"), (b"accept-encoding", b"gzip")]
    known = {"type": "http", "http_version": "1.1", "scheme": "http", "method": "GET", "root_path": ""}
    told = {"path": path, "raw_path": path.encode(), "query_string": query, "headers": headers}
    return {**known, **told, "server": ("localhost", 8484), "client": ("127.0.0.1", 1), "extensions": {}}


def test_a_script_was_compressed_beforehand_and_is_kept_for_good() -> None:
    house = House()
    packed, plain = (house.ask("GET", SCRIPT, headers=each) for each in (GZIP, PLAIN))
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    for answer in (packed, plain):
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["content-type"].startswith("text/javascript")
        assert answer.headers["vary"].lower() == "accept-encoding"
    assert packed.headers["etag"] == f"W/{plain.headers['etag']}"


def test_either_form_of_a_script_is_confirmed_by_a_304() -> None:
    house = House()
    for sent in (GZIP, PLAIN):
        first = house.ask("GET", SCRIPT, headers=sent)
        again = house.ask("GET", SCRIPT, headers={**sent, "if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


def test_asked_for_its_head_a_script_says_how_long_it_would_be() -> None:
    house = House()
    head, whole = (house.ask(method, SCRIPT, headers=GZIP) for method in ("HEAD", "GET"))
    assert head.content == b""
    assert head.headers == whole.headers


def test_a_range_of_a_script_is_one_of_the_file_itself() -> None:
    house = House()
    whole = house.ask("GET", SCRIPT, headers=PLAIN).content
    part = house.ask("GET", SCRIPT, headers={**GZIP, "range": "bytes=10-29"})
    assert (part.status_code, part.content) == (206, whole[10:30])
    assert "content-encoding" not in part.headers


def test_what_was_sent_compressed_unpacks_with_any_reader_of_gzip() -> None:
    house = House()
    with served(house) as address, httpx.Client(base_url=address) as client:
        for path in ("/sessions", SCRIPT):
            with client.stream("GET", path, headers=GZIP) as answer:
                raw = b"".join(answer.iter_raw())
            assert gzip.decompress(raw) == client.get(path, headers=PLAIN).content
