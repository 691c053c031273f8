"""What a source says of its own steps, kept as said beside what Watchpost makes of them."""

from __future__ import annotations

from collections.abc import Mapping

from watchpost.ingest import content
from watchpost.ingest.facts import Facts
from watchpost.model.telemetry import Attributes

REPORTED: Mapping[str, tuple[str, ...]] = {
    "step": ("agent.step",),
    "anomaly": ("agent.anomaly",),
    "summary": ("step_summary",),
    "status": ("tool.status",),
    "outcome": ("agent.outcome", "session.outcome"),
    "rationale": ("agent.decision_rationale",),
    "latency_ms": ("tool.latency_ms",),
    "output_fields": ("tool.output_fields",),
    "unexpected_fields": ("tool.unexpected_fields",),
    "cost_usd": ("operation.cost", "gen_ai.usage.cost", "llm.cost.total"),
}
"""The name of each thing a source may say, and the attributes that say it; the first one present holds."""


FIRST_TOKEN = (
    "gen_ai.response.time_to_first_chunk",
    "gen_ai.client.operation.time_to_first_chunk",
    "gen_ai.server.time_to_first_token",
    "ai.response.msToFirstChunk",
    "ttft_ms",
    "langfuse.observation.completion_start_time",
    "First Token Stream Event",
)
"""The attributes, and the event, that say when the first token of an answer came."""

FLAT_PROMPT = r'"(llm\.input_messages\.\d+\.message\.content|gen_ai\.prompt\.\d+\.content)[^"]*":"[^_"]'
FLAT_COMPLETION = r'"(llm\.output_messages\.\d+\.message\.(content|tool_calls)|gen_ai\.completion\.\d+\.(content|tool_calls))[^"]*":"[^_"]'
"""What of a raw span shows that messages stand in it attribute by attribute: their keys, and a value that is no placeholder."""

LOGGED_PROMPT = r'(?s)gen_ai\.(user|system)\.message.*"content":|"content":.*gen_ai\.(user|system)\.message|"gen_ai\.input\.messages":'
LOGGED_COMPLETION = (
    r'(?s)gen_ai\.choice.*"(content|arguments)":|"(content|arguments)":.*gen_ai\.choice|"gen_ai\.output\.messages":'
)
"""What of the name, body and attributes of a log line, one after the other as JSON, shows that it holds messages."""


def reported(attributes: Attributes) -> dict[str, object]:
    """What the attributes of a span say of the step, by the names of `REPORTED`; what none of them says is left out."""
    found = {name: next((attributes[k] for k in keys if k in attributes), None) for name, keys in REPORTED.items()}
    return {name: value for name, value in found.items() if value is not None}


def forms(attributes: Attributes, kind: str) -> tuple[content.Form, content.Form]:
    """How the input and the output stood in the attributes of a span of a kind."""
    facts = Facts(attributes, ())
    asks, answers = facts.texts(kind)
    return content.form(facts.text(asks)), content.form(facts.text(answers))
