"""Contents that stand in log lines beside their span."""

from __future__ import annotations

import json

from watchpost.ingest.log_content import contents
from watchpost.model.telemetry import Attributes, LogLine


def line(name: str, body: object = None, attributes: Attributes | None = None, *, named: bool = True) -> LogLine:
    also = {} if named else {"event.name": name}
    return LogLine(1, 9, b"t" * 16, b"s" * 8, name if named else "", body, {**also, **(attributes or {})})


def test_messages_of_their_own_are_put_together_in_order_with_their_roles() -> None:
    asked, answered = contents(
        [
            line("gen_ai.system.message", {"content": "Be brief."}),
            line("gen_ai.user.message", {"content": "Where is it?"}, named=False),
            line("gen_ai.choice", {"index": 0, "message": {"role": "assistant"}}),
        ]
    )
    assert [(each["role"], each["content"]) for each in json.loads(asked)] == [
        ("system", "Be brief."),
        ("user", "Where is it?"),
    ]
    assert json.loads(answered) == [{"index": 0, "message": {"role": "assistant"}}]


def test_the_details_of_an_inference_hold_both() -> None:
    attributes: Attributes = {"gen_ai.input.messages": [{"role": "user"}], "gen_ai.output.messages": "[]"}
    asked, answered = contents([line("gen_ai.client.inference.operation.details", None, attributes)])
    assert (json.loads(asked), json.loads(answered)) == ([{"role": "user"}], ["[]"])


def test_withheld_contents_and_other_lines_are_none() -> None:
    assert contents([line("gen_ai.user.message"), line("gen_ai.choice"), line("paid", {"amount": 3})]) == ("", "")
