"""Which counted calls have no price: as sessions count them, named as their spans name them, with the reason that pricing gives."""

from __future__ import annotations

import itertools

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from watchpost.ingest.price import Pricing
from watchpost.model.cost import UNPRICED_REASONS
from watchpost.model.step import Reading, Tokens
from watchpost.store.contracts import LedgerRow, LedgerStep, TelemetryBatch
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost.store.readers import UnpricedModel

ENDED = 1 << 63
SLOT = 1_790_000_400
START = SLOT * 10**9
SECOND = 10**9
NUMBERS = itertools.count(1)
EXAMPLES = itertools.count(10**13)
"""Ids and batch numbers that no two examples share."""


def a_span(project: str, **changed: object) -> Reading:
    values: dict[str, object] = {
        "ver": ENDED | 7,
        "received_ns": START,
        "start_ns": START,
        "end_ns": START + 1,
        "kind": "llm",
        "name": "chat",
        "status": "ok",
        "provider": "our-cloud",
        "service": "shop",
        "model": "our-model",
        "tokens": Tokens(10, 5),
        **changed,
    }
    span_id = next(NUMBERS).to_bytes(8, "big")
    return Reading(project, span_id * 2, span_id, b"", **values)  # type: ignore[arg-type] # names are checked at run time


def counted(span: Reading) -> LedgerStep:
    """The step of a span."""
    return LedgerStep(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_id=b"",
        start_ns=span.start_ns,
        dur_us=1,
        kind=span.kind,
        name=span.name,
        agent="",
        model=span.model,
        tool="",
        status=span.status,
        error_type="",
        in_tok=span.tokens.input,
        out_tok=span.tokens.output,
        cost_nano=span.cost_nano,
    )


def a_row(spans: list[Reading], seq: int = 1, slot: int = SLOT, *, gone: bool = False) -> LedgerRow:
    steps = tuple(counted(span) for span in spans)
    return LedgerRow(spans[0].project, slot, "s", seq, gone, "refunds", "u", "completed", steps)


def group(project: str, **changed: object) -> UnpricedModel:
    base = UnpricedModel(project, "our-cloud", "our-model", "shop", "no_price", 1, 0, 10, 5, START, START)
    return msgspec.structs.replace(base, **changed)


def test_calls_are_grouped_by_model_provider_service_and_reason(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    spans = [
        a_span(project),
        a_span(project, start_ns=START + SECOND, tokens=Tokens(1, 2)),
        a_span(project, start_ns=START + 2 * SECOND, status="error", tokens=Tokens(3, 4)),
        a_span(project, tokens=Tokens(), status="error"),
        a_span(project, service="desk"),
        a_span(project, provider=""),
        a_span(project, cost_nano=0),
    ]
    telemetry.write(TelemetryBatch(number, readings=spans, ledger=[a_row(spans)]))
    assert telemetry.unpriced(project, 0, 100) == [
        group(project, calls=3, failed=1, input_tokens=14, output_tokens=11, last_ns=START + 2 * SECOND),
        group(project, provider=""),
        group(project, service="desk"),
        group(project, reason="no_tokens", failed=1, input_tokens=None, output_tokens=None),
    ]


def test_the_groups_with_the_most_calls_come_first_and_a_limit_cuts_the_rest(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    spans = [a_span(project, model=model) for model in "abbccc"]
    telemetry.write(TelemetryBatch(number, readings=spans, ledger=[a_row(spans)]))
    assert [(m.model, m.calls) for m in telemetry.unpriced(project, 0, 2)] == [("c", 3), ("b", 2)]


def test_only_ended_calls_that_use_tokens_are_listed(telemetry: ClickHouse, project: str, number: int) -> None:
    spans = [
        a_span(project, status="running"),
        a_span(project, kind="tool"),
        a_span(project, kind="retrieval", tokens=Tokens()),
        a_span(project, kind="retrieval", model="our-embedding", tokens=Tokens(10)),
    ]
    telemetry.write(TelemetryBatch(number, readings=spans, ledger=[a_row(spans)]))
    assert telemetry.unpriced(project, 0, 100) == [group(project, model="our-embedding", output_tokens=None)]


def test_a_call_that_got_its_price_later_or_left_the_session_is_not_listed(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    started, moved, stays = a_span(project, ver=1), a_span(project), a_span(project)
    ended = msgspec.structs.replace(started, ver=ENDED | 2, cost_nano=5)
    later = SLOT + 600
    first = [a_row([started]), a_row([moved], slot=later), a_row([stays], slot=later + 600)]
    telemetry.write(TelemetryBatch(number, readings=[started, moved, stays], ledger=first))
    assert telemetry.unpriced(project, 0, 100) == [group(project, calls=3, input_tokens=30, output_tokens=15)]
    second = [a_row([ended], seq=2), a_row([moved], seq=2, slot=later, gone=True)]
    for again in (1, 2):
        telemetry.write(TelemetryBatch(number + again, readings=[ended], ledger=second))
    assert telemetry.unpriced(project, 0, 100) == [group(project)]


def test_a_span_that_is_no_step_is_not_counted(telemetry: ClickHouse, project: str, number: int) -> None:
    wrapper, call = a_span(project, tokens=Tokens()), a_span(project)
    telemetry.write(TelemetryBatch(number, readings=[wrapper, call], ledger=[a_row([call])]))
    assert telemetry.unpriced(project, 0, 100) == [group(project)]


def test_a_call_whose_span_is_no_longer_kept_is_still_listed(telemetry: ClickHouse, project: str, number: int) -> None:
    telemetry.write(TelemetryBatch(number, ledger=[a_row([a_span(project)])]))
    assert telemetry.unpriced(project, 0, 100) == [group(project, provider="", service="")]


def test_calls_from_before_a_time_are_left_out_to_the_nanosecond(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    spans = [a_span(project, start_ns=START + 599 * SECOND), a_span(project, start_ns=START + 600 * SECOND, model="b")]
    rows = [a_row(spans[:1]), a_row(spans[1:], slot=SLOT + 600)]
    telemetry.write(TelemetryBatch(number, readings=spans, ledger=rows))
    since = [spans[0].start_ns, spans[0].start_ns + 1, spans[1].start_ns, spans[1].start_ns + 1]
    assert [[m.model for m in telemetry.unpriced(project, at, 100)] for at in since] == [
        ["b", "our-model"],
        ["b"],
        ["b"],
        [],
    ]


def test_projects_are_told_apart_and_together_when_none_is_named(
    telemetry: ClickHouse, project: str, number: int
) -> None:
    names = (project, f"{project}-other")
    spans = [a_span(name) for name in names]
    spans[1] = msgspec.structs.replace(spans[1], trace_id=spans[0].trace_id, span_id=spans[0].span_id, service="desk")
    rows = [a_row([span]) for span in spans]
    telemetry.write(TelemetryBatch(number, readings=spans, ledger=rows))
    assert telemetry.unpriced(project, 0, 100) == [group(project)]
    found = {m.project: m for m in telemetry.unpriced("", 0, 1000) if m.project in names}
    assert found == {names[0]: group(names[0]), names[1]: group(names[1], service="desk")}


COUNT = st.none() | st.integers(0, 3)


@given(
    calls=st.lists(
        st.tuples(
            st.sampled_from(["llm", "retrieval"]),
            st.sampled_from(["", "our-model", "gpt-4o"]),
            st.builds(Tokens, COUNT, COUNT, COUNT, COUNT, COUNT),
        ),
        min_size=1,
        max_size=20,
    )
)
@example(calls=[("retrieval", "our-model", Tokens(1, None, None, None, 1)), ("llm", "our-model", Tokens(3, 1, 2, 2))])
@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_reasons_are_those_of_pricing(telemetry: ClickHouse, calls: list[tuple[str, str, Tokens]]) -> None:
    example = next(EXAMPLES)
    pricing = Pricing()
    spans = [
        pricing.price(a_span(f"reasons-{example}", kind=kind, model=model, tokens=tokens), {})
        for kind, model, tokens in calls
    ]
    telemetry.write(TelemetryBatch(example, readings=spans, ledger=[a_row(spans)]))
    listed = dict.fromkeys(UNPRICED_REASONS, 0)
    for found in telemetry.unpriced(f"reasons-{example}", 0, 100):
        listed[found.reason] += found.calls
    assert listed == pricing.unpriced
