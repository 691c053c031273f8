"""Releases recognised from what the ledger says, told and taken back: exact in any order, and the same after a crash."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from watchpost.detect.context_drift import ContextDriftSettings
from watchpost.detect.known import KnowledgeBase
from watchpost.ingest.price import Pricing
from watchpost.model.fact import ReleaseTold, Retraction
from watchpost.model.knowledge import Contract, Lesson
from watchpost.model.ledger import LedgerRow, LedgerStep
from watchpost.model.release import HOUR_NS, Release
from watchpost.model.telemetry import Delivery, Parcel, Span
from watchpost.rules.precision import PrecisionSettings
from watchpost.runtime import releases
from watchpost.runtime.appraisal import Appraisal
from watchpost.runtime.checkpoints import Checkpoints
from watchpost.runtime.judge import Judge
from watchpost.runtime.react import Reactor
from watchpost.runtime.release_notices import ReleaseNotices
from watchpost.runtime.releases import Releases
from watchpost.runtime.reviews import Reviews
from watchpost.session.session import Quiet
from watchpost.session.sessions import Sessions
from watchpost.store.state import Cursor, StateBatch

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("flow", "session")]
from captured import captures, parcels
from memory_store import CutShortError, MemoryStore

SECOND = 10**9
DAY = 24 * HOUR_NS
BASE = 1_790_000_000 // 3600 * HOUR_NS


def a_row(at_ns: int, model: str = "", prompt: str = "", release: str = "", **changed: object) -> LedgerRow:
    step = LedgerStep(
        b"t" * 16, b"s" * 8, b"", at_ns, 1, "llm", "chat", "clerk", model, "", "ok", "", None, None, None, prompt=prompt
    )
    row = LedgerRow(
        project="p",
        slot=at_ns // (600 * SECOND) * 600,
        session_id="s",
        seq=1,
        gone=False,
        workflow="refunds",
        user_id="",
        outcome="completed",
        steps=(step,),
        service="shop",
        release=release,
    )
    return msgspec.structs.replace(row, **changed)


class Book:
    """Releases and the store that they are written to."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.releases = Releases(self.store)

    def take(
        self,
        rows: Iterable[LedgerRow] = (),
        lessons: Sequence[Lesson] = (),
        said: Sequence[ReleaseTold | Retraction] = (),
    ) -> None:
        self.store.commit(StateBatch(Cursor(), released=self.releases.take(rows, lessons, said)))

    def restart(self) -> None:
        self.releases = Releases(self.store)

    def known(self, kind: str = "") -> list[tuple[str, str, float, bool]]:
        """Name, version, days since the beginning, and whether it began with that; those taken back left out."""
        return sorted(
            (
                (one.name, one.version, (one.at_ns - BASE) / DAY, one.began)
                for one in self.store.released.values()
                if kind in {"", one.kind} and one.retracted is None
            ),
            key=lambda each: each[2],
        )

    def one(self, version: str) -> Release:
        (found,) = (one for one in self.store.released.values() if one.version == version)
        return found


def test_the_first_model_of_a_workflow_began_it_and_another_is_a_release() -> None:
    book = Book()
    for day, model in ((0, "m-1"), (1, "m-1"), (2, "m-2"), (3, "m-2")):
        book.take([a_row(BASE + day * DAY, model)])
    assert book.known() == [("clerk", "m-1", 0, True), ("clerk", "m-2", 2, False)]


def test_each_workflow_and_each_agent_has_releases_of_its_own() -> None:
    book = Book()
    book.take([a_row(BASE, "m-1"), a_row(BASE, "m-2", workflow="loans"), a_row(BASE + DAY, "m-2", project="q")])
    assert {(one.project, one.workflow, one.began) for one in book.store.released.values()} == {
        ("p", "refunds", True),
        ("p", "loans", True),
        ("q", "refunds", True),
    }


def test_prompts_and_agents_are_released_too() -> None:
    book = Book()
    book.take([a_row(BASE, prompt="greet@1", model="m", release="1.0")])
    book.take([a_row(BASE + DAY, prompt="greet@2", model="m", release="1.1")])
    book.take([a_row(BASE + 2 * DAY, prompt="plain", model="m", release="1.1")])
    assert book.known("prompt") == [("greet", "1", 0, True), ("greet", "2", 1, False), ("clerk", "plain", 2, True)]
    assert book.known("agent") == [("shop", "1.0", 0, True), ("shop", "1.1", 1, False)]


def test_two_models_side_by_side_are_no_release_each_time_they_alternate() -> None:
    book = Book()
    book.take(a_row(BASE + hour * HOUR_NS, f"m-{hour % 2}") for hour in range(0, 24 * 30, 5))
    assert book.known() == [("clerk", "m-0", 0, True), ("clerk", "m-1", 5 / 24, False)]


def test_a_version_unused_for_a_week_is_released_again() -> None:
    book = Book()
    book.take(a_row(BASE + day * DAY, "m-1") for day in (0, 1, 8))
    assert len(book.known()) == 1
    book.take([a_row(BASE + 16 * DAY, "m-1")])
    assert book.known() == [("clerk", "m-1", 0, True), ("clerk", "m-1", 16, False)]


def test_a_use_that_comes_late_moves_a_release_back_and_keeps_its_id() -> None:
    book = Book()
    book.take([a_row(BASE, "m-1"), a_row(BASE + 5 * DAY, "m-2")])
    before = book.one("m-2")
    book.take([a_row(BASE + 4 * DAY, "m-2")])
    assert (book.one("m-2").id, book.one("m-2").at_ns) == (before.id, BASE + 4 * DAY)


def test_what_comes_late_between_two_periods_makes_them_one() -> None:
    book = Book()
    book.take([a_row(BASE, "m-1"), a_row(BASE + 10 * DAY, "m-1")])
    assert len(book.known()) == 2
    book.take([a_row(BASE + 5 * DAY, "m-1")])
    assert book.known() == [("clerk", "m-1", 0, True)]


def test_a_session_that_runs_and_a_call_that_failed_tell_nothing() -> None:
    book = Book()
    failed = a_row(BASE, "m-1")
    failed = msgspec.structs.replace(failed, steps=(msgspec.structs.replace(failed.steps[0], status="error"),))
    book.take([a_row(BASE, "m-1", outcome=""), failed])
    assert book.known() == []


def test_a_tool_is_released_with_its_second_contract() -> None:
    book = Book()
    lessons = [
        Lesson("p", "contract", "get_offer", version, "learnt", Contract({}), BASE + version * DAY)
        for version in (3, 7)
    ]
    book.take(lessons=[*lessons, Lesson("p", "norm", "x", 8, "learnt", None, BASE)])
    assert book.known("tool") == [("get_offer", "3", 3, True), ("get_offer", "7", 7, False)]


def test_what_is_told_twice_is_told_once_and_can_be_taken_back() -> None:
    book = Book()
    told = ReleaseTold("p", "refunds", "index", "faq", "2026-11", BASE + DAY, "ann", "new corpus")
    book.take(said=[told])
    book.take(said=[told])
    assert book.known() == [("faq", "2026-11", 1, False)]
    book.take(said=[Retraction(book.one("2026-11"), "ann", "staging", BASE + 2 * DAY)])
    assert book.known() == []
    assert book.one("2026-11").retracted is not None


def test_what_was_seen_and_taken_back_stays_so_while_it_is_used() -> None:
    book = Book()
    book.take([a_row(BASE, "m-1"), a_row(BASE + DAY, "m-2")])
    book.take(said=[Retraction(book.one("m-2"), "ann", "a canary", BASE + 2 * DAY)])
    book.restart()
    book.take([a_row(BASE + 2 * DAY, "m-2"), a_row(BASE + DAY - SECOND, "m-2")])
    assert book.known() == [("clerk", "m-1", 0, True)]
    book.take([a_row(BASE + 30 * DAY, "m-2")])
    assert book.known() == [("clerk", "m-1", 0, True), ("clerk", "m-2", 30, False)]


def test_more_versions_than_anything_has_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(releases, "MOST_VERSIONS", 3)
    book = Book()
    book.take(a_row(BASE + number * DAY, f"m-{number}") for number in range(9))
    assert [version for _, version, *_ in book.known()] == ["m-0", "m-1", "m-2"]
    book.take([a_row(BASE + 20 * DAY, "m-1")])
    assert len(book.known()) == 4


def test_what_is_known_already_is_not_written_again() -> None:
    book = Book()
    book.take([a_row(BASE, "m-1")])
    news = book.releases.take([a_row(BASE + 5 * SECOND, "m-1"), a_row(BASE + 1800 * SECOND, "m-1")], (), ())
    assert (news.releases, news.tracks, news.gone) == ([], [], [])


uses = st.lists(
    st.tuples(st.integers(0, 24 * 40), st.sampled_from(["m-1", "m-2", "m-3"])), min_size=1, max_size=25, unique=True
)


def by_hand(used: Iterable[tuple[int, str]]) -> list[tuple[str, str, float, bool]]:
    """The releases that follow from uses, hour and model, worked out in the order of time."""
    ordered = sorted(used)
    found: list[tuple[str, str, float, bool]] = []
    last: dict[str, int] = {}
    for hour, model in ordered:
        if model not in last or hour - last[model] > 168:
            found.append(("clerk", model, hour / 24, hour == ordered[0][0]))
        last[model] = hour
    return found


@settings(deadline=None)
@given(uses, st.data())
def test_any_order_and_any_restarts_give_what_is_worked_out_by_hand(
    used: list[tuple[int, str]], data: st.DataObject
) -> None:
    book = Book()
    for hour, model in data.draw(st.permutations(used)):
        book.take([a_row(BASE + hour * HOUR_NS, model)])
        if data.draw(st.booleans()):
            book.restart()
    assert sorted(book.known()) == sorted(by_hand(used))


class Machine:
    """React and apply over stores in memory, with a log that survives."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.log: list[tuple[int, Delivery]] = []
        self.now_ns = BASE + DAY
        self.number = 0
        self.restart()

    def restart(self) -> None:
        """As a new process would."""
        sessions = Sessions(Quiet(30 * SECOND, 600 * SECOND))
        cursor = self.store.cursor()
        for summary in self.store.open_sessions(cursor.batch):
            sessions.wake(summary)
        reviews = Reviews(PrecisionSettings(), self.store)
        self.reactor = Reactor(
            sessions,
            pricing=Pricing(),
            judge=Judge((), KnowledgeBase({}), self.store, reviews.are_dismissed),
            checkpoints=Checkpoints(ContextDriftSettings()),
            reviews=reviews,
            releases=Releases(self.store),
            changes=ReleaseNotices(["pd"]),
            appraisal=Appraisal(),
            source=self.store,
            seq=cursor.seq,
        )

    def batch(self, *deliveries: Delivery, die_after: int | None = None, seconds: int = 1) -> None:
        """One batch, applied; dies after so many writes of it, starts again and applies it again."""
        self.now_ns += seconds * SECOND
        self.number += 1
        self.log += [(len(self.log) + 1 + place, each) for place, each in enumerate(deliveries)]
        self.store.survive = die_after
        try:
            self._apply()
        except CutShortError:
            self.store.survive = None
            self.restart()
            self._apply()
        self.store.survive = None

    def _apply(self) -> None:
        reaction = self.reactor.react(self.number, self.log[self.store.cursor().seq :], self.now_ns)
        self.store.write(reaction.telemetry)
        self.store.commit(reaction.state)

    def session(self, name: int, model: str, version: str, at_ns: int, die_after: int | None = None) -> None:
        """A session of one call, that ends."""
        call = Span(
            name.to_bytes(16, "big"),
            name.to_bytes(8, "big"),
            b"",
            "chat",
            at_ns,
            at_ns + SECOND,
            1,
            0,
            "",
            {"gen_ai.operation.name": "chat", "gen_ai.request.model": model},
        )
        parcel = Parcel("p", {"service.name": "shop", "service.version": version}, "", spans=(call,))
        self.batch(Delivery(self.now_ns, (parcel,)), die_after=die_after)
        self.batch(die_after=die_after, seconds=3600)


@pytest.mark.parametrize("die_after", [None, 0, 1, 2, 3, 4])
def test_releases_are_the_same_though_the_process_died_while_they_were_written(die_after: int | None) -> None:
    machine = Machine()
    for name, (model, version) in enumerate([("m-1", "1.0"), ("m-1", "1.0"), ("m-2", "1.1")], 1):
        machine.session(name, model, version, BASE + name * 2 * HOUR_NS, die_after)
    told = ReleaseTold("p", "", "index", "faq", "2", BASE, "", "")
    machine.batch(Delivery(machine.now_ns, (), (told,)), die_after=die_after)
    found = {(one.kind, one.name, one.version, one.at_ns, one.began) for one in machine.store.released.values()}
    assert found == {
        ("model", "", "m-1", BASE + 2 * HOUR_NS, True),
        ("model", "", "m-2", BASE + 6 * HOUR_NS, False),
        ("agent", "shop", "1.0", BASE + 2 * HOUR_NS, True),
        ("agent", "shop", "1.1", BASE + 6 * HOUR_NS, False),
        ("index", "faq", "2", BASE, False),
    }
    news = [notice.event.summary for notice in machine.store.notices.values() if notice.change]
    assert sorted(news) == ["agent 1.1 of shop in chat", "model m-2 in chat"], "what was a day ago is history"


def recorded(at_ns: int, model: str, version: str) -> list[Parcel]:
    """A recorded run of LangGraph, as if it had been at a time, by traces of their own, with a model and a version of the service."""
    found = next(one for one in captures() if one.capture.startswith("langgraph__openinference/"))
    sent = parcels(found)
    shift = at_ns - min(span.start_ns for parcel in sent for span in parcel.spans)

    def moved(span: Span) -> Span:
        of_model = {key: model for key in span.attributes if key == "llm.model_name"}
        return msgspec.structs.replace(
            span,
            trace_id=bytes(a ^ b for a, b in zip(span.trace_id, at_ns.to_bytes(16, "big"), strict=True)),
            start_ns=span.start_ns + shift,
            end_ns=span.end_ns + shift,
            attributes=dict(span.attributes) | of_model | {"session.id": f"run of {at_ns}"},
        )

    return [
        msgspec.structs.replace(
            parcel,
            project="p",
            resource=dict(parcel.resource) | {"service.version": version},
            spans=tuple(moved(span) for span in parcel.spans),
            logs=(),
        )
        for parcel in sent
    ]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_a_recorded_run_with_another_model_and_version_is_a_release_in_whatever_order_runs_come(
    order: tuple[int, ...],
) -> None:
    runs = [
        recorded(BASE + 2 * HOUR_NS, "gpt-4o-2024-05-13", "1.0"),
        recorded(BASE + 5 * HOUR_NS, "gpt-4o-2024-08-06", "1.1"),
        recorded(BASE + 9 * HOUR_NS, "gpt-4o-2024-08-06", "1.1"),
    ]
    machine = Machine()
    for number in order:
        for parcel in runs[number]:
            machine.batch(Delivery(machine.now_ns, (parcel,)))
        machine.batch(seconds=3600)
    found = sorted((one.at_ns, one.kind, one.version, one.began) for one in machine.store.released.values())
    hours = {(kind, version): (at_ns - BASE) / HOUR_NS for at_ns, kind, version, _ in found}
    assert [each[1:] for each in found] == [
        ("agent", "1.0", True),
        ("model", "gpt-4o-2024-05-13", True),
        ("agent", "1.1", False),
        ("model", "gpt-4o-2024-08-06", False),
    ]
    assert 2 <= hours["agent", "1.0"] <= hours["model", "gpt-4o-2024-05-13"] < 2.1
    assert 5 <= hours["agent", "1.1"] <= hours["model", "gpt-4o-2024-08-06"] < 5.1
