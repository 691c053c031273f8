"""Cohorts in the state store: they outlive the program, and an erasure takes those that name somebody."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchpost.query.cohorts import Cohort
from watchpost.store.engines.sql import SqlState
from watchpost.store.erasure import Erasure, Traced
from watchpost.store.state import Cursor, StateBatch

TRACE = b"\x0a" * 16


def opened(tmp_path: Path) -> SqlState:
    return SqlState.open(f"sqlite:///{tmp_path / 'state.db'}", "0.1.0")


def test_cohorts_are_there_after_opening_again(tmp_path: Path) -> None:
    kept = Cohort("1", "refunds", {"workflow": "refunds", "since": "24h"}, 2**62)
    state = opened(tmp_path)
    state.cohorts.keep(kept, 9)
    state.close()
    again = opened(tmp_path)
    assert again.cohorts.cohorts() == [kept]
    again.close()


@pytest.mark.parametrize(
    ("name", "asked", "goes"),
    [
        ("of hers", {"user_id": "olivia"}, True),
        ("what olivia saw", {"error": "true"}, True),
        ("searched", {"q": "olivia"}, True),
        ("said", {"text": "dear olivia, your refund"}, True),
        ("one session", {"session_id": "conv-olivia"}, True),
        ("one trace", {"trace": TRACE.hex()}, True),
        ("another", {"user_id": "oliviander"}, False),
        ("a workflow of that name", {"workflow": "olivia"}, False),
        ("many", {"flagged": "true", "since": "24h"}, False),
    ],
)
def test_an_erasure_takes_cohorts_that_name_whom_it_erases(
    tmp_path: Path, name: str, asked: dict[str, str], goes: bool
) -> None:
    state = opened(tmp_path)
    state.cohorts.keep(Cohort("1", name, asked, 1), 9)
    found = Traced((("default", "conv-olivia"),), (("default", TRACE),))
    erasure = Erasure("e", 5, "default", "", "olivia", "dpo", "asked for", 10, "5f" * 16, found, "d" * 32)
    state.commit(StateBatch(Cursor(1, 5), erasures=[erasure]))
    state.eraser.hide(erasure, [], 11)
    assert [each.name for each in state.cohorts.cohorts()] == ([] if goes else [name])
    (record,) = state.eraser.erasures(9)
    assert record.rows.get("cohorts", 0) == int(goes)
    state.close()
