"""An erasure on its way from the log to the stores, with a process that dies at any write of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import msgspec
import pytest

from watchpost.ingest.request import OtlpRequest
from watchpost.model.alert import Firing, Resolved
from watchpost.model.fact import Erase
from watchpost.model.outside_alert import OutsideAlert
from watchpost.model.session import Summary
from watchpost.query.sessions import SessionFilter
from watchpost.runtime.settings import read_settings
from watchpost.runtime.wiring import Watchpost, assemble, open_stores
from watchpost.server.feedback import Feedback, FeedbackGiven
from watchpost.store.engines.clickhouse_erasure import ClickHouseEraser
from watchpost.store.engines.sql_erasure import SqlErasures

sys.path.append(str(Path(__file__).parents[1] / "ingest"))
sys.path.append(str(Path(__file__).parents[1] / "flow"))
from span_export import export_of
from world import SECOND, Spec, span_of

NOW = 1_790_000_100 * SECOND
ERASE = Erase("default", "s-secret", "", "dpo", "asked", NOW, "7a" * 16)


OTHERS = FeedbackGiven("thumbs_up", session_id="s-others", by="ford")


class DiedError(Exception):
    """The process died here."""


@contextmanager
def running(folder: Path) -> Iterator[Watchpost]:
    settings = read_settings(data=folder)
    with open_stores(settings) as stores:
        watchpost = assemble(settings, stores, patient=False)
        try:
            watchpost.flow.catch_up(NOW)
            yield watchpost
        finally:
            watchpost.flow.close()


def send(watchpost: Watchpost, session: str, trace: int, spans: range = range(3)) -> None:
    specs = [Spec(trace, n, None, "llm", n, session, "", n, 5) for n in spans]
    sent = export_of([span_of(spec, ended=True) for spec in specs], as_json=False, compressed=False)
    asyncio.run(watchpost.flow.accept(OtlpRequest("traces", sent.body)))


def sessions(watchpost: Watchpost) -> list[Summary]:
    return sorted(watchpost.stores.telemetry.sessions(SessionFilter(limit=50)), key=lambda one: one.started_ns)


def steps(watchpost: Watchpost) -> int:
    return sum(len(watchpost.stores.telemetry.steps(one, 0, 100)) for one in sessions(watchpost))


def names(watchpost: Watchpost) -> set[str]:
    found = watchpost.stores.telemetry.eraser
    members = {ref for ref in ("s-secret", "s-other") if found.find("default", ref, "").traces}
    return {one.session_id for one in sessions(watchpost)} | members


def note(watchpost: Watchpost) -> None:
    asyncio.run(watchpost.flow.note((ERASE,)))


def log_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in (folder / "log").iterdir())


def test_a_running_session_ends_with_its_erasure_and_counts_on(tmp_path: Path) -> None:
    with running(tmp_path / "d") as watchpost:
        send(watchpost, "s-secret", 1)
        send(watchpost, "s-other", 2)
        watchpost.flow.catch_up(NOW)
        note(watchpost)
        assert b"s-secret" in log_bytes(tmp_path / "d")
        watchpost.flow.catch_up(NOW)
        assert b"s-secret" not in log_bytes(tmp_path / "d")
        assert names(watchpost) >= {"s-other"}
        assert "s-secret" not in names(watchpost)
        erased, other = sorted(sessions(watchpost), key=lambda one: not one.session_id.startswith("erased-"))
        assert (erased.state, other.state) == ("ended", "running")
        assert erased.totals == other.totals
        assert steps(watchpost) == 6


def test_spans_of_the_same_batch_go_too_and_later_ones_begin_anew(tmp_path: Path) -> None:
    with running(tmp_path / "d") as watchpost:
        send(watchpost, "s-secret", 1, range(2))
        note(watchpost)
        watchpost.flow.catch_up(NOW)
        assert "s-secret" not in names(watchpost)
        send(watchpost, "s-secret", 1, range(2, 3))
        watchpost.flow.catch_up(NOW)
        assert "s-secret" in names(watchpost)
        assert sorted(len(watchpost.stores.telemetry.steps(one, 0, 9)) for one in sessions(watchpost)) == [1, 2]


def test_a_session_that_left_memory_is_erased_as_well(tmp_path: Path) -> None:
    with running(tmp_path / "d") as watchpost:
        send(watchpost, "s-secret", 1)
        watchpost.flow.catch_up(NOW)
    with running(tmp_path / "d") as watchpost:
        note(watchpost)
        watchpost.flow.catch_up(NOW)
        assert "s-secret" not in names(watchpost)
        assert [one.state for one in sessions(watchpost)] == ["ended"]
        assert steps(watchpost) == 3


@pytest.mark.parametrize("dies", [False, True])
def test_alerts_about_a_user_are_over_with_the_erasure_and_name_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    labels = {"alertname": "Queue", "user": "marvin"}
    outside = OutsideAlert("default", "f", "firing", labels, {"summary": "marvin waits"}, NOW, 0, NOW)

    def dying(*_: object) -> None:
        raise DiedError

    with running(tmp_path / "d") as watchpost:
        asyncio.run(watchpost.flow.note((outside,)))
        watchpost.flow.catch_up(NOW)
        (alert,) = watchpost.stores.state.standing()
        assert alert.labels["user"] == "marvin"
        asyncio.run(watchpost.flow.note((msgspec.structs.replace(ERASE, session_id="", user_id="marvin"),)))
        with monkeypatch.context() as patched:
            if dies:
                patched.setattr(SqlErasures, "hide", dying)
            with pytest.raises(DiedError) if dies else nullcontext():
                watchpost.flow.catch_up(NOW)
    with running(tmp_path / "d") as watchpost:
        assert watchpost.stores.state.standing() == watchpost.stores.state.dispatched() == []
        history = watchpost.stores.state.alert_history(alert.id, 9)
        assert {type(each.alert.state) for each in history} == {Resolved, Firing}
        assert {(each.alert.labels["user"], each.alert.event.summary) for each in history} == {("[erased]", "[erased]")}


@pytest.mark.parametrize("same_batch", [True, False])
@pytest.mark.parametrize("of_user", [True, False])
def test_feedback_that_waits_for_what_never_came_is_erased_and_that_of_others_is_not(
    tmp_path: Path, same_batch: bool, of_user: bool
) -> None:
    erase = Erase("default", "" if of_user else "s-never", "marvin" if of_user else "", "dpo", "asked", NOW, "7a" * 16)
    with running(tmp_path / "d") as watchpost:
        for said in (FeedbackGiven("thumbs_down", session_id="s-never", by="marvin"), OTHERS):
            feedback = Feedback(watchpost.stores.telemetry, watchpost.flow, lambda delivery: delivery, lambda: NOW)
            asyncio.run(feedback.write(feedback.parcels([said], NOW)))
        if not same_batch:
            watchpost.flow.catch_up(NOW)
        asyncio.run(watchpost.flow.note((erase,)))
        watchpost.flow.catch_up(NOW)
        find = watchpost.stores.telemetry.eraser.find
        assert find("default", "s-never", "").traces == ()
        assert len(find("default", "s-others", "").traces) == 1
        assert b"marvin" not in log_bytes(tmp_path / "d")


@pytest.mark.parametrize(
    ("owner", "method", "after"),
    [
        (ClickHouseEraser, "copy", False),
        (ClickHouseEraser, "copy", True),
        (SqlErasures, "copied", True),
        (ClickHouseEraser, "conceal", True),
        (SqlErasures, "hide", False),
        (SqlErasures, "hide", True),
    ],
)
def test_wherever_the_process_dies_the_next_one_finishes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: type, method: str, after: bool
) -> None:
    whole = getattr(owner, method)

    def dying(*args: object) -> None:
        if after:
            whole(*args)
        raise DiedError

    with running(tmp_path / "d") as watchpost:
        send(watchpost, "s-secret", 1)
        send(watchpost, "s-other", 2)
        watchpost.flow.catch_up(NOW)
        note(watchpost)
        with monkeypatch.context() as patched:
            patched.setattr(owner, method, dying)
            with pytest.raises(DiedError):
                watchpost.flow.catch_up(NOW)
    with running(tmp_path / "d") as watchpost:
        assert "s-secret" not in names(watchpost)
        assert len(sessions(watchpost)) == 2
        assert steps(watchpost) == 6
        assert b"s-secret" not in log_bytes(tmp_path / "d")
        (record,) = watchpost.stores.state.eraser.erasures(9)
        assert (record.state, record.sessions) == ("hidden", 1)
        assert record.rows["spans"] == 3
