"""What open pages are told: subjects that changed, merged, to those that asked about them."""

from __future__ import annotations

import asyncio

from server_fakes import House, Shelf

from watchpost.runtime.react import Reaction
from watchpost.server.live import Live, changed_by
from watchpost.store.contracts import TelemetryBatch
from watchpost.store.state import Cursor, StateBatch


def a_batch(*session_ids: str) -> Reaction:
    shelf = Shelf()
    sessions = [shelf.add_session(session_id) for session_id in session_ids]
    return Reaction(TelemetryBatch(1, sessions=sessions), StateBatch(Cursor()))


def a_key(session_id: str) -> str:
    return Shelf().add_session(session_id).key


def test_a_batch_changes_the_sessions_it_writes_and_the_list_of_them() -> None:
    assert changed_by(a_batch("a", "b")) == {"sessions", f"session:{a_key('a')}", f"session:{a_key('b')}"}
    assert changed_by(a_batch()) == frozenset()


def test_a_listener_hears_of_its_own_subjects_only_and_of_those_between_two_events_at_once() -> None:
    async def heard() -> list[str]:
        live = Live(between_s=0.01)
        live.hang(asyncio.get_running_loop())
        stream = live.events([f"session:{a_key('a')}", f"session:{a_key('b')}"])
        said = [await anext(stream)]
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        live.tell(a_batch("other"))
        live.tell(a_batch("a"))
        said.append(await waiting)
        for session_id in ("b", "a", "other"):
            live.tell(a_batch(session_id))
        said.append(await anext(stream))
        live.close()
        said += [event async for event in stream]
        return said

    both = " ".join(sorted(f"session:{a_key(name)}" for name in "ab"))
    assert asyncio.run(heard()) == [
        "retry: 2000\n\n",
        f"event: changed\ndata: session:{a_key('a')}\n\n",
        f"event: changed\ndata: {both}\n\n",
    ]


def test_closing_ends_streams_that_nothing_happens_on() -> None:
    async def ended() -> list[str]:
        live = Live()
        stream = live.events(["alerts"])
        said = [await anext(stream)]
        waiting = asyncio.ensure_future(anext(stream, "ended"))
        await asyncio.sleep(0)
        live.close()
        return [*said, await waiting]

    assert asyncio.run(ended()) == ["retry: 2000\n\n", "ended"]


def test_a_page_must_say_what_it_is_about_and_the_badge_counts_what_fires() -> None:
    house = House()
    assert house.get("/live").status_code == 422
    assert house.get("/live/firing").text == "0"
