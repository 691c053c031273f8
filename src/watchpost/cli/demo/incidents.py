"""Four agents that fail while every request they make succeeds, as real frameworks recorded them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

HEALTHY_LOANS = 24
"""How often the loan agent is seen at work before a service behind it changes: what its tools answer is learnt from these runs."""

APPLICATION, INCOME = "A-10231", "54000"
"""What stands in the recordings, and is another in each run."""


class Incident(msgspec.Struct, frozen=True):
    """One recording played as if it went on now, and what happens in it; `flag` is what Watchpost is to say of it, and of whose `service`."""

    recording: str
    seconds: float
    happens: str
    flag: str
    service: str
    texts: dict[str, str] = {}


def loan(place: int) -> dict[str, str]:
    """What is another in the run at a place: the application, and the income."""
    return {APPLICATION: f"A-1{place:04d}", INCOME: str(41_500 + 850 * place)}


def incidents() -> Iterator[Incident]:
    """In the order in which they are played."""
    yield Incident(
        "refund-loop",
        5,
        "refund_agent asks for one order again and again; every answer is HTTP 200, pending",
        "LOOP_DETECTED",
        "refund-agent",
    )
    for place in range(3):
        yield Incident(
            "loan-rejected",
            1,
            "loan_agent rejects a good applicant: the income service renamed annual_income to income_annual",
            "TOOL_SCHEMA_DRIFT",
            "loan-agent",
            loan(HEALTHY_LOANS + place),
        )
    yield Incident(
        "invented-order",
        2,
        "support_agent reads an order that nobody named, and tells a customer where a stranger lives",
        "ENTITY_HALLUCINATION",
        "support-agent",
    )
    yield Incident(
        "research-budget",
        3,
        "research_agent searches on and on; its budget is 80,000 tokens",
        "BUDGET_WARNING",
        "research-agent",
    )
