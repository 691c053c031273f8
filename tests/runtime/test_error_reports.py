"""Failed steps as error reports: each once, in any order and however often it is seen, and of very many alike only some."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.model.ledger import LedgerRow
from watchpost.model.notice import Notice
from watchpost.model.session import session_key
from watchpost.model.step import Reading, Step, Tokens
from watchpost.runtime.channels import error_channels
from watchpost.runtime.error_reports import KINDS, KNOWN, STACK_LENGTH, TOLD, ErrorReports, Failed, failures
from watchpost.runtime.ledger import ledger_rows, slots_of, title_of
from watchpost.runtime.settings import Settings
from watchpost.session.session import Session

SECOND = 10**9
HOUR = 3600 * SECOND
NOW = 1_795_000_000 * SECOND
ROW = LedgerRow(
    "p",
    0,
    "s 1",
    1,
    gone=False,
    workflow="refunds",
    user_id="u-1",
    outcome="",
    steps=(),
    service="shop",
    release="1.2.3",
)
STEP = Step(b"t" * 16, b"\0" * 8, b"", NOW - 2 * SECOND, NOW - SECOND, "tool", "get", "clerk", "", "get", "error", "tool_timeout", Tokens(), None, error="TimeoutError: 5 s")  # fmt: skip
TRACE = """Traceback (most recent call last):
  File "/app/shop.py", line 7, in get
TimeoutError: 5 s
"""


def failed(number: int, **step: object) -> Failed:
    return Failed(ROW, msgspec.structs.replace(STEP, span_id=number.to_bytes(8, "big"), **step), "clerk", number)


def reading(step: Step, rest: object) -> Reading:
    return Reading("p", step.trace_id, step.span_id, b"", 1, NOW, step.start_ns, step.end_ns, "tool", "get", "error", rest=msgspec.json.encode(rest).decode())  # fmt: skip


def ids(notices: Sequence[Notice]) -> set[str]:
    return {notice.id for notice in notices}


def test_a_report_says_what_failed_where_and_for_whom() -> None:
    rest = {
        "resource": {"deployment.environment.name": "staging"},
        "events": [[1, "exception", {"exception.stacktrace": "an earlier one"}], [2, "exception", {"exception.stacktrace": TRACE}], [3, "log", {}]],
    }  # fmt: skip
    given_ = msgspec.structs.replace(failed(3), reading=reading(STEP, rest))
    (notice,) = ErrorReports(["sentry"]).take([given_], NOW)
    event, error = notice.event, notice.event.error
    assert (notice.channel, notice.action, notice.key) == ("sentry", "trigger", "")
    assert (event.timestamp, event.service, event.metric, event.tool) == ("2026-11-18T11:06:39.000Z", "shop", "tool_timeout", "get")  # fmt: skip
    assert (event.severity, event.value, event.sessions) == ("error", 1.0, [session_key("p", "s 1")])
    assert event.summary == "tool_timeout: TimeoutError: 5 s"
    assert error is not None
    assert msgspec.structs.astuple(error) == (
        "tool_timeout", "TimeoutError: 5 s", "clerk", "s 1", "u-1", "", "get", 3, "staging", "1.2.3", TRACE,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "severity"),
    [("llm_api_unreachable", "critical"), ("guardrail_triggered", "info"), ("", "error"), ("of our own", "error")],
)
def test_severity_is_that_of_the_taxonomy(changed: str, severity: str) -> None:
    (notice,) = ErrorReports(["sentry"]).take([failed(1, error_type=changed)], NOW)
    assert notice.event.severity == severity


def test_every_channel_is_told_by_an_id_of_its_own_and_without_one_nothing_is_made() -> None:
    notices = ErrorReports(["b", "a"]).take([failed(1)], NOW)
    assert [notice.channel for notice in notices] == ["a", "b"]
    assert len(ids(notices)) == 2
    assert ErrorReports([]).take([failed(1)], NOW) == []


def test_what_still_runs_or_ended_long_ago_is_not_reported() -> None:
    old = failed(1, start_ns=NOW - 30 * HOUR, end_ns=NOW - 25 * HOUR)
    assert ErrorReports(["a"]).take([old], NOW) == []


def test_hostile_texts_and_spans_are_bounded() -> None:
    for rest in ({"events": "x", "resource": []}, {"events": [1, [2, "exception", None], [3, "exception", {"exception.stacktrace": 5}]]}):  # fmt: skip
        given_ = msgspec.structs.replace(failed(1), reading=reading(STEP, rest))
        (notice,) = ErrorReports(["a"]).take([given_], NOW)
        assert notice.event.error is not None
        assert notice.event.error.stack_trace == ""
    long = {"events": [[1, "exception", {"exception.stacktrace": "x" * 10**6}]]}
    given_ = msgspec.structs.replace(failed(2, error="a\nb\x1b[2J" * 500), reading=reading(STEP, long))
    (notice,) = ErrorReports(["a"]).take([given_], NOW)
    assert notice.event.error is not None
    assert len(notice.event.error.stack_trace) == STACK_LENGTH
    assert len(notice.event.summary) <= 1000
    assert notice.event.summary.isprintable()


def test_of_very_many_alike_so_many_are_told_and_the_next_hour_says_how_many_were_not() -> None:
    reports = ErrorReports(["a"])
    told = reports.take([failed(number) for number in range(100)], NOW)
    assert len(told) == TOLD
    assert reports.take([failed(999, tool="put")], NOW) != []
    assert reports.take([failed(number) for number in range(100, 110)], NOW + HOUR - 1) == []
    first, second = reports.take([failed(200), failed(201)], NOW + HOUR)
    assert (first.event.value, second.event.value) == (100 - TOLD + 10 + 1, 1)
    assert first.event.summary.endswith("(and 80 more like it that were not told one by one)")


def test_repetition_uses_up_nothing_of_what_may_be_told() -> None:
    reports = ErrorReports(["a"])
    told = [notice for _ in range(100) for notice in reports.take([failed(1), failed(2)], NOW)]
    assert len(told) == 2
    assert len(reports.take([failed(number) for number in range(3, 3 + TOLD)], NOW)) == TOLD - 2


def test_names_without_end_do_not_lift_the_bound() -> None:
    reports = ErrorReports(["a"])
    many = [failed(number, tool=f"tool {number}") for number in range(10 * KINDS)]
    assert len(reports.take(many, NOW)) == KINDS + TOLD
    later = [failed(10**6 + number, tool=f"other {number}") for number in range(KINDS)]
    assert len(reports.take(later, NOW + HOUR)) >= KINDS - 1


def test_a_clock_set_back_neither_fails_nor_lifts_the_bound() -> None:
    reports = ErrorReports(["a"])
    reports.take([failed(number) for number in range(TOLD)], NOW)
    assert reports.take([failed(100)], NOW - HOUR) == []


@given(
    st.lists(st.lists(st.integers(0, TOLD - 1), max_size=12), max_size=12),
    st.sets(st.integers(0, 12)),
)
def test_in_any_order_with_repetition_and_restarts_each_failed_step_is_told_by_one_id(
    batches: list[list[int]], restarts: set[int]
) -> None:
    outbox: dict[str, Notice] = {}
    reports = ErrorReports(["a"])
    for place, batch in enumerate(batches):
        if place in restarts:
            reports = ErrorReports(["a"])
        for notice in reports.take([failed(number) for number in batch], NOW):
            outbox.setdefault(notice.id, notice)
    expected = ErrorReports(["a"]).take([failed(number) for number in {n for batch in batches for n in batch}], NOW)
    assert outbox.keys() == ids(expected)


@given(st.lists(st.integers(0, 500), max_size=200), st.lists(st.integers(0, 3600), max_size=200))
def test_what_was_told_and_what_was_not_add_up_to_what_failed(numbers: list[int], seconds: list[int]) -> None:
    reports = ErrorReports(["a"])
    notices: list[Notice] = []
    for number, second in zip(numbers, sorted(seconds), strict=False):
        notices += reports.take([failed(number)], NOW + second * SECOND)
    notices += reports.take([failed(10**6)], NOW + 2 * HOUR)
    seen = len(set(numbers[: len(seconds)]))
    assert sum(notice.event.value for notice in notices) == seen + 1


def test_failed_steps_are_found_in_their_sessions_with_their_numbers_and_the_spans_that_came() -> None:
    session = Session("p", "s")
    steps = [
        msgspec.structs.replace(STEP, span_id=bytes([number] * 8), start_ns=NOW + number * 700 * SECOND, end_ns=end, status=status)
        for number, (status, end) in enumerate([("ok", NOW), ("error", NOW), ("error", 0), ("error", NOW)])
    ]  # fmt: skip
    for step in reversed(steps):
        session.place(step)
    rows = ledger_rows(session, title_of(session), sorted(slots_of(session)), {}, 1)
    came = reading(steps[3], {})
    found = list(failures(rows, [session], [came]))
    assert [(each.number, each.step, each.reading) for each in found] == [(2, steps[1], None), (4, steps[3], came)]
    assert list(failures(rows, [], [came])) == []


def test_what_is_remembered_is_bounded_and_what_was_forgotten_has_the_same_id() -> None:
    reports = ErrorReports(["a"])
    (first,) = reports.take([failed(0)], NOW)
    reports.take((failed(number) for number in range(1, KNOWN + 1)), NOW)
    (again,) = reports.take([failed(0)], NOW + HOUR)
    assert again.id == first.id


def test_channels_ask_for_errors_in_their_section() -> None:
    sections: dict[str, dict[str, object]] = {
        "b": {"type": "sentry", "errors": True},
        "a": {"type": "sentry", "errors": "true"},
        "c": {"type": "sentry"},
        "d": {"type": "slack", "errors": True},
    }
    assert error_channels(Settings(channels=sections)) == ["a", "b"]
