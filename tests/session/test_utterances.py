"""The words of a model's answer, as every framework sends it."""

from __future__ import annotations

import pytest
from captured import Capture, captures, parcels

from watchpost.ingest.read import Reader
from watchpost_core.utterance import said

SCRIPTED = {
    "",
    "__REDACTED__",
    "Order A1001 was 6 days late, so I refunded 49.90 EUR to Ada Lovelace.",
    "Your refund of 49.90 EUR for order A1001 has been issued by the refund team.",
    "Order A1001 is still in transit.",
    "I could not read order A404 because the order service failed. Please try again later.",
}
"""All that the scripted model says in the recordings; nothing where it asks for a tool."""


@pytest.mark.parametrize("capture", captures(), ids=lambda capture: capture.capture)
def test_an_answer_is_what_the_model_said_and_nothing_else(capture: Capture) -> None:
    answers = [
        reading.output
        for parcel in parcels(capture)
        for reading, _ in Reader(parcel, 1, 1).readings()
        if reading.kind == "llm"
    ]
    assert {said(answer) for answer in answers} <= SCRIPTED
