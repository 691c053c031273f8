"""What every store of cohorts promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cohort_shelf import CohortShelf

from watchpost.query.cohorts import Cohort
from watchpost.store.cohorts import CohortsFullError, CohortStore, NameTakenError
from watchpost.store.engines.sql import SqlState

MOST = 3


@pytest.fixture(params=["sqlite", "shelf"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CohortStore]:
    if request.param == "shelf":
        yield CohortShelf()
        return
    state = SqlState.open(f"sqlite:///{tmp_path / 'state.db'}", "0.1.0")
    yield state.cohorts
    state.close()


def a_cohort(name: str, cohort_id: str = "", **asked: str) -> Cohort:
    return Cohort(cohort_id or f"id of {name}", name, asked or {"flagged": "true"}, 7)


def test_what_is_kept_is_there_by_name_whatever_its_letters(store: CohortStore) -> None:
    kept = [a_cohort("b", text="\0 ' \" <b> 🦊 \u202e"), a_cohort("A", error="true"), a_cohort("Ä", since="24h")]
    for each in kept:
        store.keep(each, MOST)
    assert store.cohorts() == [kept[1], kept[0], kept[2]]


def test_keeping_one_again_changes_it_in_its_place(store: CohortStore) -> None:
    for name in ("a", "b", "c"):
        store.keep(a_cohort(name), MOST)
    changed = a_cohort("z", "id of a", workflow="refunds")
    store.keep(changed, MOST)
    store.keep(changed, MOST)
    assert [each.name for each in store.cohorts()] == ["b", "c", "z"]
    assert store.cohorts()[2] == changed


def test_no_two_have_one_name(store: CohortStore) -> None:
    store.keep(a_cohort("a"), MOST)
    store.keep(a_cohort("b"), MOST)
    before = store.cohorts()
    for other in (a_cohort("a", "another id", error="true"), a_cohort("a", "id of b")):
        with pytest.raises(NameTakenError):
            store.keep(other, MOST)
    assert store.cohorts() == before


def test_no_more_are_kept_than_may_be(store: CohortStore) -> None:
    for name in ("a", "b", "c"):
        store.keep(a_cohort(name), MOST)
    with pytest.raises(CohortsFullError):
        store.keep(a_cohort("d"), MOST)
    assert [each.name for each in store.cohorts()] == ["a", "b", "c"]
    assert store.drop("id of b")
    store.keep(a_cohort("d"), MOST)
    assert [each.name for each in store.cohorts()] == ["a", "c", "d"]


def test_what_was_dropped_is_gone_once(store: CohortStore) -> None:
    store.keep(a_cohort("a"), MOST)
    assert store.drop("id of a")
    assert not store.drop("id of a")
    assert store.cohorts() == []
