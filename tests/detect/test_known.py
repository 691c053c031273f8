"""How knowledge grows: only by what is sound, in numbered versions, never behind the back of a session that is pinned."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Iterable

import msgspec
import pytest

from watchpost.detect.known import KnowledgeBase
from watchpost.detect.learner import Ended, Learner
from watchpost.model.knowledge import NOTHING_KNOWN, Content, Contract, Draft, IdFormat, Lesson
from watchpost.model.step import Step, Tokens


class FirstLetters:
    """Learns which letter the calls of a tool begin with, and publishes once it has seen two sound sessions with that tool."""

    def __init__(self) -> None:
        self._seen: dict[str, list[str]] = {}

    def learn(self, session: Ended) -> Iterable[str]:
        names = {step.tool for step in session.steps} if session.sound else set[str]()
        for step in session.steps:
            if step.tool in names:
                self._seen.setdefault(step.tool, []).append(step.arguments[:1])
        return sorted(names)

    def load(self, name: str, body: bytes) -> None:
        self._seen[name] = msgspec.json.decode(body, type=list[str])

    def draft(self, name: str) -> bytes:
        return msgspec.json.encode(self._seen[name])

    def content(self, name: str, held: Content | None) -> Content | None:
        seen = self._seen[name]
        return IdFormat("|".join(sorted(set(seen)))) if len(seen) > 1 else held


def factory() -> Learner:
    return FirstLetters()


def ended(*arguments: str, tool: str = "get", sound: bool = True) -> Ended:
    steps = [
        Step(bytes(16), bytes(8), b"", place, place, "tool", tool, "", "", tool, "ok", "", Tokens(), None, each)
        for place, each in enumerate(arguments)
    ]
    return Ended("w", steps, sound)


def letters(base: KnowledgeBase, version: int | None = None) -> str | None:
    known = base.at("p", base.version("p") if version is None else version)
    return known.formats["get"].pattern if "get" in known.formats else None


def test_what_was_learnt_is_published_under_the_next_number() -> None:
    base = KnowledgeBase({"letters": factory})
    base.learn("p", ended("a"), 1)
    assert base.version("p") == 0
    assert base.at("p", 0) is NOTHING_KNOWN
    base.learn("p", ended("b"), 2)
    assert (base.version("p"), letters(base)) == (1, "a|b")
    base.learn("p", ended("c"), 3)
    assert (base.version("p"), letters(base)) == (2, "a|b|c")
    assert letters(base, 1) == "a|b"


def test_nothing_is_published_where_nothing_changed() -> None:
    base = KnowledgeBase({"letters": factory})
    for _ in range(5):
        base.learn("p", ended("a", "b"), 1)
    assert base.version("p") == 1


def test_a_session_that_is_not_sound_changes_nothing() -> None:
    base = KnowledgeBase({"letters": factory})
    base.learn("p", ended("a", "b"), 1)
    base.learn("p", ended("x", "y", sound=False), 2)
    assert letters(base) == "a|b"


def test_projects_learn_for_themselves() -> None:
    base = KnowledgeBase({"letters": factory})
    base.learn("p", ended("a", "b"), 1)
    assert base.version("q") == 0
    assert not base.at("q", base.version("q")).formats


def test_learning_does_not_overrule_what_a_person_pinned() -> None:
    base = KnowledgeBase({"letters": factory})
    base.publish(Lesson("p", "letters", "get", 0, "pinned", IdFormat("z"), 1))
    base.learn("p", ended("a", "b"), 2)
    assert letters(base) == "z"
    base.publish(Lesson("p", "letters", "get", 0, "learnt", None, 3))
    base.learn("p", ended("c"), 4)
    assert letters(base) == "a|b|c"


def test_news_are_told_once_and_are_all_it_takes_to_go_on_elsewhere() -> None:
    base = KnowledgeBase({"letters": factory})
    base.learn("p", ended("a", "b"), 1)
    base.learn("p", ended("c", tool="put"), 2)
    lessons, drafts = base.news()
    assert [lesson.version for lesson in lessons] == [1]
    assert {draft.name for draft in drafts} == {"get", "put"}
    assert base.news() == ([], [])
    again = KnowledgeBase({"letters": factory}, lessons, drafts)
    for each in (base, again):
        each.learn("p", ended("d"), 3)
        each.learn("p", ended("e", tool="put"), 4)
    assert again.news() == base.news()
    assert letters(again) == "a|b|d"


def test_a_view_that_was_let_go_comes_back_the_same() -> None:
    base = KnowledgeBase({"letters": factory})
    for letter in "abcd":
        base.learn("p", ended(letter, letter), 1)
    view = base.at("p", 2)
    before, let_go = view.formats, weakref.ref(view)
    del view
    gc.collect()
    assert let_go() is None
    assert base.at("p", 2).formats == before


def test_a_draft_of_a_kind_that_nobody_learns_any_more_is_left_alone() -> None:
    assert KnowledgeBase({}, (), [Draft("p", "letters", "get", b"[]")]).news() == ([], [])


def taught(tools: int) -> int:
    """Bytes held once so many tools have each been learnt, with a session that is pinned to each version."""
    tracemalloc.start()
    try:
        base = KnowledgeBase({"letters": factory})
        views = []
        for number in range(tools):
            base.learn("p", ended("a", "b", tool=f"tool {number}"), 1)
            views.append(base.at("p", base.version("p")))
        base.news()
        held, _ = tracemalloc.get_traced_memory()
        assert len(views) == tools
    finally:
        tracemalloc.stop()
    return held


def test_what_is_held_grows_with_what_was_published_and_not_with_how_often_somebody_looks_at_it() -> None:
    assert taught(1600) < 8 * taught(400)


@pytest.mark.parametrize("again", [False, True])
def test_a_view_does_not_see_what_is_published_after_it(*, again: bool) -> None:
    base = KnowledgeBase({})
    for version, content in enumerate((Contract({}), None, Contract({}, responses=3)), 1):
        base.publish(Lesson("p", "contract", "get", 0, "learnt", content, version))
        if not again:
            base.at("p", version)
    base.publish(Lesson("p", "contract", "put", 0, "learnt", Contract({}), 9))
    views = [base.at("p", version) for version in range(5)]
    assert [view.contract("get") for view in views] == [None, Contract({}), None, *[Contract({}, responses=3)] * 2]
    assert [sorted(view.tools) for view in views] == [[], ["get"], [], ["get"], ["get", "put"]]
    assert [view.contract("put") is not None for view in views] == [False, False, False, False, True]
