"""What `/metrics` says of agents: labels, limits, settling, and numbers that never fall."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain
from server_fakes import START_NS, House, Pulse
from work_book import WorkBook

from watchpost.model.flag import Flag, FlagState
from watchpost.model.session import Summary, Totals, session_key
from watchpost.runtime.flag_tally import FlagTally
from watchpost.server.agent_metrics import AgentMetrics
from watchpost.server.metrics import Metrics
from watchpost.store.work import TraceSpan, WorkRow, WorkStep

SECOND = 10**9
NOW = START_NS // SECOND
SLOT = NOW // 600 * 600
TRACE = bytes(15) + b"\x07"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def call(**changed: object) -> WorkStep:
    base = WorkStep(TRACE, SLOT * SECOND, 250_000, "llm", "gpt-4o", "", "ok", 100, 10, 2_000_000_000)
    return msgspec.structs.replace(base, **changed)


def lookup(**changed: object) -> WorkStep:
    base = call(kind="tool", model="", tool="get_order", in_tok=None, out_tok=None, cost_nano=None)
    return msgspec.structs.replace(base, **changed)


def row(*steps: WorkStep, seq: int = 1, **changed: object) -> WorkRow:
    base = WorkRow("shop", SLOT, "s1", seq, gone=False, workflow="refunds", outcome="completed", steps=steps)
    return msgspec.structs.replace(base, **changed)


def read(house: House) -> dict[str, float]:
    """The agent samples, as they stand on their lines."""
    lines = [line for line in house.get("/metrics").text.splitlines() if line.startswith("agent_")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_a_call_counts_in_every_family_that_is_of_it() -> None:
    house = House()
    house.work.rows.append(
        row(call(dur_us=500_000), call(status="error", dur_us=31_000_000), lookup(), lookup(status="error"))
    )
    house.work.lasted["shop", TRACE] = TraceSpan(SLOT * SECOND, SLOT * SECOND + 45 * SECOND)
    found = read(house)
    of = 'model="gpt-4o",workflow="refunds"'
    assert found[f"agent_llm_calls_total{{{of}}}"] == 2
    assert found[f"agent_llm_errors_total{{{of}}}"] == 1
    assert found[f'agent_llm_call_duration_seconds_bucket{{le="0.1",{of}}}'] == 0
    assert found[f'agent_llm_call_duration_seconds_bucket{{le="0.5",{of}}}'] == 1
    assert found[f'agent_llm_call_duration_seconds_bucket{{le="30.0",{of}}}'] == 1
    assert found[f'agent_llm_call_duration_seconds_bucket{{le="+Inf",{of}}}'] == 2
    assert found[f"agent_llm_call_duration_seconds_sum{{{of}}}"] == 31.5
    assert found['agent_tokens_total{direction="input",model="gpt-4o",workflow="refunds"}'] == 200
    assert found['agent_tokens_total{direction="output",model="gpt-4o",workflow="refunds"}'] == 20
    assert found['agent_cost_dollars_total{cost_type="total",model="gpt-4o",workflow="refunds"}'] == 4
    assert found['agent_token_cost_total{workflow="refunds"}'] == 4
    assert found['agent_tool_calls_total{tool="get_order",workflow="refunds"}'] == 2
    assert found['agent_tool_duration_seconds_count{tool="get_order",workflow="refunds"}'] == 2
    assert found['agent_tool_errors_total{tool="get_order",workflow="refunds"}'] == 1
    assert found['agent_tool_error_rate{tool="get_order",workflow="refunds"}'] == 0.5
    assert found['agent_workflow_completions_total{workflow="refunds"}'] == 1
    assert found['agent_workflow_duration_seconds_bucket{le="30.0",workflow="refunds"}'] == 0
    assert found['agent_workflow_duration_seconds_bucket{le="60.0",workflow="refunds"}'] == 1
    assert found['agent_task_completion_rate{workflow="refunds"}'] == 1
    assert found['agent_active_workflows{workflow="refunds"}'] == 0


def test_steps_that_failed_count_by_the_type_of_their_error_and_evaluations_by_who_said_what() -> None:
    house = House()
    rated = call(kind="evaluation", evaluator="policy", label="no", dur_us=None, cost_nano=None)
    timeout = {"status": "error", "error_type": "tool_timeout"}
    house.work.rows.append(
        row(
            lookup(**timeout),
            lookup(**timeout),
            call(status="error"),
            call(kind="agent", **timeout),
            call(),
            rated,
            rated,
        )
    )
    found = read(house)
    assert {name: count for name, count in found.items() if name.startswith(("agent_step", "agent_eval"))} == {
        'agent_step_errors_total{error_type="tool_timeout",kind="tool",workflow="refunds"}': 2,
        'agent_step_errors_total{error_type="tool_timeout",kind="agent",workflow="refunds"}': 1,
        'agent_step_errors_total{error_type="unknown",kind="llm",workflow="refunds"}': 1,
        'agent_evaluations_total{evaluator="policy",label="no",workflow="refunds"}': 2,
    }
    house.work.rows.append(row(lookup(**timeout), seq=2))
    house.work.rows.append(row(lookup(**timeout), lookup(**timeout), lookup(**timeout), seq=3))
    assert read(house)['agent_step_errors_total{error_type="tool_timeout",kind="tool",workflow="refunds"}'] == 3


def test_labels_of_evaluations_beyond_the_limit_stand_under_other() -> None:
    house = House()
    house.work.rows.append(row(*(call(kind="evaluation", evaluator="judge", label=f"said {n}") for n in range(2000))))
    found = {name: count for name, count in read(house).items() if name.startswith("agent_evaluations_total")}
    assert len(found) == 501
    assert sum(found.values()) == 2000
    assert 'watchpost_agent_label_sets_folded{of="evaluations"} 1500.0' in house.get("/metrics").text


def test_a_label_that_nothing_was_reported_for_is_unknown() -> None:
    house = House()
    house.work.rows.append(row(call(model=""), lookup(tool=""), workflow=""))
    assert {name for name in read(house) if "_calls_total" in name} == {
        'agent_llm_calls_total{model="unknown",workflow="unknown"}',
        'agent_tool_calls_total{tool="unknown",workflow="unknown"}',
    }


def test_what_stood_in_the_ledger_at_the_start_is_not_counted_but_its_change_is() -> None:
    book = WorkBook()
    book.rows.append(row(call(), call()))
    metrics = AgentMetrics(book, list, lambda: START_NS)
    assert value(metrics, "agent_llm_calls_total") == 0
    book.rows.append(row(call(), call(), call(), seq=2))
    assert value(metrics, "agent_llm_calls_total") == 1
    book.rows.append(row(call(), seq=3))
    assert value(metrics, "agent_llm_calls_total") == 1


def value(metrics: AgentMetrics, name: str) -> float:
    """All samples of a name together."""
    return sum(s.value for family in metrics.collect() for s in family.samples if s.name == name)


def test_a_step_of_a_running_session_counts_once_it_has_ended_and_settled() -> None:
    clock, book = [SLOT * SECOND], WorkBook()
    metrics = AgentMetrics(book, list, lambda: clock[0])
    book.rows.append(row(call(), call(status="running", dur_us=None), outcome=""))
    seen = []
    for after in (1, 59, 61):
        clock[0] = SLOT * SECOND + after * SECOND
        seen.append((value(metrics, "agent_llm_calls_total"), value(metrics, "agent_workflow_completions_total")))
    assert seen == [(0, 0), (0, 0), (1, 0)]
    book.rows.append(row(call(), call(), seq=2))
    assert (value(metrics, "agent_llm_calls_total"), value(metrics, "agent_workflow_completions_total")) == (2, 1)


def test_a_run_of_a_conversation_has_ended_once_the_next_one_began() -> None:
    book = WorkBook()
    metrics = AgentMetrics(book, list, lambda: START_NS)
    later = call(trace_id=bytes(16), start_ns=(SLOT + 30) * SECOND)
    book.rows.append(row(call(), later, outcome=""))
    assert value(metrics, "agent_workflow_completions_total") == 1
    book.rows.append(row(call(), later, seq=2))
    assert value(metrics, "agent_workflow_completions_total") == 2


def test_a_session_that_moves_is_counted_once() -> None:
    book = WorkBook()
    metrics = AgentMetrics(book, list, lambda: START_NS)
    book.rows.append(row(call(), call()))
    assert value(metrics, "agent_llm_calls_total") == 2
    book.rows += [row(seq=2, gone=True), row(call(), call(), seq=2, session_id="s2")]
    assert value(metrics, "agent_llm_calls_total") == 2
    assert value(metrics, "agent_workflow_completions_total") == 1


def test_a_row_from_before_what_is_held_is_not_counted() -> None:
    book = WorkBook()
    metrics = AgentMetrics(book, list, lambda: START_NS)
    book.rows.append(row(call(start_ns=(SLOT - 7800) * SECOND), slot=SLOT - 7800))
    assert value(metrics, "agent_llm_calls_total") == 0


STEPS = st.lists(
    st.builds(
        call,
        kind=st.sampled_from(["llm", "tool", "evaluation"]),
        error_type=st.sampled_from(["", "tool_timeout"]),
        label=st.sampled_from(["", "no"]),
        model=st.sampled_from(["", "a", "b"]),
        tool=st.sampled_from(["", "t"]),
        status=st.sampled_from(["ok", "error", "running", "unknown"]),
        dur_us=st.none() | st.integers(0, 200_000_000),
        trace_id=st.sampled_from([bytes(16), TRACE]),
    ),
    max_size=4,
)
WRITTEN = st.lists(
    st.tuples(st.sampled_from(["s1", "s2"]), st.sampled_from([SLOT, SLOT - 600]), st.sampled_from(["", "w"]),
              st.sampled_from(["", "completed", "timeout"]), st.booleans(), STEPS),
    max_size=8,
)  # fmt: skip


@given(WRITTEN)
@settings(deadline=None, max_examples=60)
def test_counters_never_fall_and_buckets_add_up_whatever_is_written(
    written: list[tuple[str, int, str, str, bool, list[WorkStep]]],
) -> None:
    book = WorkBook()
    metrics = AgentMetrics(book, list, lambda: START_NS)
    before: dict[tuple[str, str], float] = {}
    for seq, (session, slot, workflow, outcome, gone, steps) in enumerate(written, 1):
        book.rows.append(WorkRow("p", slot, session, seq, gone, workflow, outcome, tuple(steps)))
        after: dict[tuple[str, str], float] = {}
        for family in metrics.collect():
            met: dict[str, float] = {}
            for sample in family.samples:
                if family.type == "gauge":
                    assert sample.value >= 0
                    continue
                after[sample.name, str(sorted(sample.labels.items()))] = sample.value
                if sample.name.endswith("_bucket"):
                    of = str(sorted(set(sample.labels.items()) - {("le", sample.labels["le"])}))
                    assert sample.value >= met.get(of, 0)
                    met[of] = sample.value
        assert all(after[name] >= count for name, count in before.items())
        before = after


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
@settings(deadline=None, max_examples=60)
def test_any_name_is_written_so_that_a_parser_reads_it_back(names: list[str]) -> None:
    book = WorkBook()
    steps = [call(model=name) for name in names]
    book.rows.append(row(*steps, workflow=names[0]))
    metrics = Metrics(Pulse(), AgentMetrics(book, list, lambda: START_NS))
    shown = {name.encode("utf-8", "replace").decode() or "unknown" for name in names}
    for parse, accept in ((plain, ""), (openmetrics, OPENMETRICS)):
        text = metrics.text(accept)[0].decode()
        families = {family.name: family for family in parse(text)}
        samples = next(
            f for name, f in families.items() if name in {"agent_llm_calls", "agent_llm_calls_total"}
        ).samples
        assert {s.labels["model"] for s in samples} == shown


def test_exemplars_lead_to_the_trace_and_the_session_in_openmetrics_alone() -> None:
    house = House()
    house.work.rows.append(row(call(), lookup(status="error")))
    assert " # {" not in house.get("/metrics").text
    found = {
        (sample.name, sample.labels.get("le", "")): sample.exemplar
        for family in openmetrics(house.get("/metrics", accept=OPENMETRICS).text)  # type: ignore[no-untyped-call] # the parser has no types
        for sample in family.samples
        if sample.exemplar
    }
    assert found.keys() == {
        ("agent_llm_call_duration_seconds_bucket", "0.5"),
        ("agent_tool_duration_seconds_bucket", "0.5"),
        ("agent_tool_errors_total", ""),
        ("agent_step_errors_total", ""),
        ("agent_workflow_duration_seconds_bucket", "0.5"),
    }
    exemplar = found["agent_llm_call_duration_seconds_bucket", "0.5"]
    assert exemplar.labels == {"trace_id": TRACE.hex(), "session": session_key("shop", "s1")}
    assert exemplar.value == 0.25
    assert float(exemplar.timestamp) == pytest.approx(SLOT + 0.25, abs=1e-6, rel=0)


def test_label_sets_beyond_the_limit_stand_under_other_and_their_number_is_told() -> None:
    house = House()
    house.work.rows += [row(call(), session_id=f"s{n}", workflow=f"w{n}") for n in range(10_000)]
    found = read(house)
    calls = {name: count for name, count in found.items() if name.startswith("agent_llm_calls_total")}
    assert len(calls) == 501
    assert calls['agent_llm_calls_total{model="other",workflow="other"}'] == 9_500
    assert sum(calls.values()) == 10_000
    assert 'watchpost_agent_label_sets_folded{of="llm"} 9500.0' in house.get("/metrics").text


def test_a_scrape_reads_what_was_written_since_the_last_and_shows_a_bounded_number_of_samples() -> None:
    house = House()
    house.work.rows += [row(call(), session_id=f"s{n}", workflow=f"w{n}", seq=n) for n in range(10_000)]
    first = read(house)
    assert house.work.read == 10_000
    house.work.rows.append(row(call(), session_id="new", seq=10_000))
    second = read(house)
    assert house.work.read == 10_002  # the last row seen is read again, for its batch may not have been whole
    assert len(second) == len(first) < 20_000


def test_of_too_many_sessions_the_oldest_are_let_go_and_what_is_recent_stays_exact() -> None:
    book = WorkBook()
    metrics = AgentMetrics(book, list, lambda: START_NS)
    old = row(call(), slot=SLOT - 3600)
    book.rows += [msgspec.structs.replace(old, session_id=f"s{n}") for n in range(20_000)]
    book.rows.append(row(call(), session_id="recent"))
    assert value(metrics, "agent_llm_calls_total") == 20_001
    book.rows.append(msgspec.structs.replace(old, session_id="s1", steps=(call(), call()), seq=2))
    book.rows.append(row(call(), call(), call(), session_id="recent", seq=2))
    assert value(metrics, "agent_llm_calls_total") == 20_003


def test_overlong_names_are_cut() -> None:
    house = House()
    house.work.rows.append(row(call(model="m" * 1000)))
    (name,) = (name for name in read(house) if name.startswith("agent_llm_calls_total"))
    assert f'model="{"m" * 199}…"' in name


def a_flag(name: str, state: FlagState, **changed: object) -> Flag:
    flag = Flag(name, "shop", "s1", "LOOP_DETECTED", "", TRACE, bytes(8), "high", state, "", {}, START_NS)
    return msgspec.structs.replace(flag, **changed)


def test_a_flag_counts_once_when_it_is_confirmed() -> None:
    house = House()
    summary = Summary(
        session_key("shop", "s1"), "shop", "s1", "refunds", "", "ended", None, 1, START_NS, START_NS, START_NS, 0, Totals()
    )  # fmt: skip
    for state in ("provisional", "confirmed", "withdrawn", "confirmed"):
        house.confirmed.count([a_flag("one", state), a_flag("two", "provisional")], [summary])
    elsewhere = a_flag("three", "confirmed", session_id="elsewhere", severity="error", evidence={"tool": "get"})
    house.confirmed.count([elsewhere], [summary])
    assert {name: count for name, count in read(house).items() if "agent_flags" in name} == {
        'agent_flags_total{kind="LOOP_DETECTED",severity="high",tool="unknown",workflow="refunds"}': 1,
        'agent_flags_total{kind="LOOP_DETECTED",severity="error",tool="get",workflow="unknown"}': 1,
    }


def test_flags_of_tools_whose_names_are_alike_once_cut_are_counted_together() -> None:
    house = House()
    long = [a_flag(end, "confirmed", evidence={"tool": "t" * 300 + end}) for end in ("a", "b")]
    house.confirmed.count(long, [])
    (count,) = (count for name, count in read(house).items() if name.startswith("agent_flags_total"))
    assert count == 2


def test_flags_of_too_many_tools_or_workflows_stand_under_other() -> None:
    tally = FlagTally()
    for number in range(1500):
        summary = Summary(
            str(number), "shop", str(number), f"w{number}", "", "ended", None, 1, START_NS, START_NS, START_NS, 0, Totals()
        )  # fmt: skip
        evidence = {"tool": f"t{number}"}
        tally.count([a_flag(str(number), "confirmed", session_id=str(number), evidence=evidence)], [summary])
    counts = tally.counts()
    assert len(counts) == 1001
    assert {(count.tool, count.workflow): count.count for count in counts}["other", "other"] == 500


def test_a_workflow_that_is_active_no_more_stays_at_zero() -> None:
    house = House()
    house.work.running = {"refunds": 2, "": 1}
    assert read(house)['agent_active_workflows{workflow="refunds"}'] == 2
    house.work.running = {}
    assert read(house)['agent_active_workflows{workflow="refunds"}'] == 0
    assert read(house)['agent_active_workflows{workflow="unknown"}'] == 0


def test_a_name_that_utf8_cannot_hold_does_not_keep_the_rest_from_being_shown() -> None:
    house = House()
    house.work.rows.append(row(call(model="gpt\ud800"), call()))
    assert read(house)['agent_llm_calls_total{model="gpt?",workflow="refunds"}'] == 1
