"""A user with many sessions is erased in as few steps as one with a single one; feedback that waits, and words of log lines, go too."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
import pytest

from watchpost.model.ledger import LedgerRow, LedgerStep
from watchpost.model.session import Summary, Totals, session_key
from watchpost.model.step import FEEDBACK_SCOPE, Reading
from watchpost.model.telemetry import LogLine
from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import Question
from watchpost.query.sessions import SessionFilter
from watchpost.store.contracts import Member, StoredLog, TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost.store.erasure import Erasure, Traced

NOW = 1_795_000_000 * 10**9
MANY = 1100
NONCE = "5f" * 16


def trace_of(project: str, name: str) -> bytes:
    return hashlib.blake2b(f"{project} {name}".encode(), digest_size=16).digest()


def reading(project: str, session: str, user: str = "", **changed: object) -> Reading:
    trace = trace_of(project, session)
    made = Reading(project, trace, trace[:8], b"", 1 << 63, NOW, NOW, NOW + 1, "tool", "get", "ok", session)
    return msgspec.structs.replace(made, user_id=user, **changed)


def stored(store: ClickHouse, number: int, project: str, readings: Sequence[Reading]) -> None:
    """Sessions of one step each; those that feedback waits for are in no index."""
    came = [each for each in readings if each.scope != FEEDBACK_SCOPE]
    store.write(
        TelemetryBatch(
            number,
            readings,
            [Member(project, each.own_session, each.trace_id, number, live=True) for each in readings],
            [ledger_row(each, number) for each in came],
            [summary(each, number) for each in came],
        )
    )


def ledger_row(each: Reading, number: int) -> LedgerRow:
    at = (each.trace_id, each.span_id, b"", NOW, 1)
    step = LedgerStep(*at, "tool", "get", "", "", "get", "ok", "", None, None, None)
    return LedgerRow(
        each.project,
        NOW // 10**9 // 600 * 600,
        each.own_session,
        number,
        gone=False,
        workflow="",
        user_id=each.user_id,
        outcome="completed",
        steps=(step,),
    )


def summary(each: Reading, number: int) -> Summary:
    key = session_key(each.project, each.own_session)
    at = (NOW, NOW + 1, NOW, 0)
    return Summary(
        key, each.project, each.own_session, "", each.user_id, "ended", "completed", number, *at, Totals(steps=1)
    )


def erasure(project: str, found: Traced, user: str) -> Erasure:
    return Erasure(f"e-{project}-{user}", 1, project, "", user, "dpo", "asked", 1, NONCE, found)


def ask(store: ClickHouse, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in store._handles.rows(sql)]  # noqa: SLF001 - what no seam shows is looked for


def mutations(store: ClickHouse) -> int:
    ((count,),) = ask(store, "SELECT count() FROM system.mutations WHERE database = currentDatabase()")
    assert isinstance(count, int)
    return count


def calls(store: ClickHouse, project: str) -> int:
    question = Question(MEASURES["tool_calls"], 0, 2**62, filters=(("project", (project,)),))
    return sum(cell.over for cell in store.measured(question).cells)


@pytest.fixture
def store(embedded_clickhouse: ClickHouse) -> ClickHouse:
    return embedded_clickhouse


def test_many_sessions_of_a_user_go_in_as_few_mutations_as_one(store: ClickHouse, project: str, number: int) -> None:
    mine = [reading(project, f"{project}-mine-{n}", "customer-4711") for n in range(MANY)]
    others = [reading(project, f"{project}-other-{n}", "customer-4712") for n in range(20)]
    single = [reading(project, f"{project}-single", "customer-4713")]
    stored(store, number, project, [*mine, *others, *single])
    took: list[int] = []
    for user, many in (("customer-4713", 1), ("customer-4711", MANY)):
        found = store.eraser.find(project, "", user)
        assert (len(found.sessions), len(found.traces)) == (many, many)
        before = mutations(store)
        counts = store.eraser.copy(erasure(project, found, user))
        store.eraser.conceal(erasure(project, found, user))
        assert (counts["spans"], counts["sessions"], counts["ledger"]) == (many, many, many)
        assert store.eraser.find(project, "", user) == Traced()
        took.append(mutations(store) - before)
    assert took[0] == took[1]
    assert calls(store, project) == MANY + 21
    left = store.sessions(SessionFilter(project=project, user_id="customer-4712", limit=100))
    assert len(left) == 20
    ((spans, erased),) = ask(
        store,
        f"""SELECT (SELECT count() FROM spans WHERE project = '{project}'),
          (SELECT count() FROM sessions FINAL WHERE project = '{project}' AND startsWith(session_id, 'erased-'))""",  # noqa: S608 - a test's own names
    )
    assert (spans, erased) == (20, MANY + 1)


def feedback(project: str, session: str, by: str) -> Reading:
    rest = msgspec.json.encode({"attributes": {"watchpost.feedback.by": by}, "scope": FEEDBACK_SCOPE}).decode()
    return reading(project, session, kind="evaluation", scope=FEEDBACK_SCOPE, rest=rest)


def test_feedback_of_a_user_that_waits_is_found_and_that_about_others_is_not(
    store: ClickHouse, project: str, number: int
) -> None:
    waits, about = feedback(project, f"{project}-waits", "marvin"), reading(project, f"{project}-came", "ford")
    said = msgspec.structs.replace(feedback(project, f"{project}-came", "marvin"), span_id=b"feedback")
    stored(store, number, project, [waits, about, said, feedback(project, f"{project}-of-ford", "ford")])
    found = store.eraser.find("", "", "marvin")
    assert found == Traced(((project, f"{project}-waits"),), ((project, waits.trace_id),))
    store.eraser.copy(erasure(project, found, "marvin"))
    store.eraser.conceal(erasure(project, found, "marvin"))
    assert store.eraser.find("", "", "marvin") == Traced()


def test_feedback_that_waits_for_a_session_is_found_by_its_id_in_any_project(
    store: ClickHouse, project: str, number: int
) -> None:
    waits = feedback(project, f"{project}-waits", "marvin")
    stored(store, number, project, [waits])
    expected = Traced(((project, f"{project}-waits"),), ((project, waits.trace_id),))
    assert store.eraser.find("", f"{project}-waits", "") == expected
    assert store.eraser.find(project, f"{project}-waits", "") == expected
    assert store.eraser.find("", f"{project}-nobody", "") == Traced()


LINES = {
    "request of customer-4711 took 5 ms": True,
    "user=customer-4711, slow": True,
    "It was customer-4711.": True,
    "Käufer: customer-4711; ok": True,
    "customer-47110 is another": False,
    "customer-4711-b is another": False,
    "customer-4711.example is another": False,
    "old-customer-4711 is another": False,
    "écustomer-4711 is another": False,
    "first line\ncustomer-4711\nlast": True,
    "customer-4711": True,
    "nobody": False,
}


def log_lines(project: str, number: int) -> list[StoredLog]:
    lines = [LogLine(NOW, 9, b"", b"", "", body, {}) for body in LINES]
    lines.append(LogLine(NOW, 9, b"", b"", "", "failed", {"exception.message": "no cart of customer-4711"}))
    return [StoredLog(project, number, place, NOW, line) for place, line in enumerate(lines)]


def test_log_lines_in_which_a_users_id_stands_as_a_word_go_and_no_others(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    elsewhere = f"{project}-elsewhere"
    telemetry.write(TelemetryBatch(number, logs=[*log_lines(project, number), *log_lines(elsewhere, number)]))
    asked = erasure(project, Traced(), "customer-4711")
    assert telemetry.eraser.copy(asked)["logs"] == sum(LINES.values()) + 1
    telemetry.eraser.conceal(asked)
    left = ask(telemetry, f"SELECT body FROM logs WHERE project = '{project}'")  # noqa: S608 - a test's own names
    kept = {body for body, goes in LINES.items() if not goes}
    assert {msgspec.json.decode(str(body)) for (body,) in left} == kept
    ((others,),) = ask(telemetry, f"SELECT count() FROM logs WHERE project = '{elsewhere}'")  # noqa: S608 - a test's own names
    assert others == len(LINES) + 1
    assert not [row for row in ask(telemetry, "SELECT command FROM system.mutations") if "4711" in str(row)]


def test_a_short_id_is_not_looked_for_in_the_words_of_log_lines(store: ClickHouse, project: str, number: int) -> None:
    line = LogLine(NOW, 9, b"", b"", "", "took 42 ms", {})
    named = LogLine(NOW, 9, b"", b"", "", "came", {"user.id": "42"})
    store.write(
        TelemetryBatch(number, logs=[StoredLog(project, number, n, NOW, each) for n, each in enumerate((line, named))])
    )
    store.eraser.copy(erasure(project, Traced(), "42"))
    store.eraser.conceal(erasure(project, Traced(), "42"))
    assert ask(store, f"SELECT body FROM logs WHERE project = '{project}'") == [('"took 42 ms"',)]  # noqa: S608 - a test's own names
