"""Releases in the state store: written with their tracks, listed, and there after opening again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from watchpost.model.release import Period, Release, Retracted, Track
from watchpost.query.releases import ReleaseFilter
from watchpost.store.engines.sql import SqlState
from watchpost.store.state import Cursor, ReleaseNews, StateBatch


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state.db'}"


@pytest.fixture
def state(url: str) -> Iterator[SqlState]:
    store = SqlState.open(url, "0.1.0")
    yield store
    store.close()


def a_release(name: str, at_ns: int, **changed: object) -> Release:
    release = Release(name, "p", "refunds", "model", "clerk", "m\0-1", at_ns, "seen")
    return msgspec.structs.replace(release, **changed)


def commit(state: SqlState, *released: Release, gone: tuple[str, ...] = (), tracks: tuple[Track, ...] = ()) -> None:
    state.commit(StateBatch(Cursor(1, 1), released=ReleaseNews(released, gone, tracks)))


def ids(state: SqlState, **asked: object) -> list[str]:
    return [one.id for one in state.releases(msgspec.structs.replace(ReleaseFilter(), **asked))]


def test_what_was_written_is_there_after_opening_again(state: SqlState, url: str) -> None:
    taken_back = a_release("b", 6, retracted=Retracted(6, "ann", "none", 7))
    track = Track("p", "refunds", "model", "clerk", "m\0-1", (Period(5, 0),), (Retracted(5, "", "", 9),))
    commit(state, a_release("a", 5), taken_back, tracks=(track,))
    state.close()
    again = SqlState.open(url, "0.1.0")
    assert again.releases(ReleaseFilter()) == [a_release("a", 5)]
    assert again.release("b") == taken_back
    assert again.release("c") is None
    assert again.release_tracks() == [track]
    again.close()


def test_a_release_and_a_track_written_again_replace_those_before(state: SqlState) -> None:
    track = Track("p", "", "tool", "get", "3", (Period(5, 0),))
    commit(state, a_release("a", 5), tracks=(track,))
    later = msgspec.structs.replace(track, periods=(Period(5, 4),))
    commit(state, a_release("a", 4), tracks=(later,))
    assert [one.at_ns for one in state.releases(ReleaseFilter())] == [4]
    assert state.release_tracks() == [later]


def test_what_turned_out_to_be_none_is_gone(state: SqlState) -> None:
    commit(state, a_release("a", 5), a_release("b", 6))
    commit(state, gone=("a", "unknown"))
    assert ids(state) == ["b"]


def test_releases_are_listed_by_what_they_are_the_latest_first(state: SqlState) -> None:
    commit(
        state,
        a_release("a", 1),
        a_release("b", 2, workflow=""),
        a_release("c", 3, workflow="loans"),
        a_release("d", 3, project="q", kind="index"),
        a_release("e", 4, retracted=Retracted(4, "", "", 5)),
    )
    assert ids(state) == ["d", "c", "b", "a"]
    assert ids(state, retracted=True) == ["e", "d", "c", "b", "a"]
    assert ids(state, workflows=("refunds",)) == ["d", "b", "a"]
    assert ids(state, projects=("q", "r")) == ["d"]
    assert ids(state, kind="model", since_ns=2, until_ns=3) == ["b"]
    assert ids(state, limit=2) == ["d", "c"]
    assert ids(state, before=(3, "d")) == ["c", "b", "a"]
