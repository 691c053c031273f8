"""A refund agent on Pydantic AI, which writes its own spans."""

import sys

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from pydantic_ai import Agent, UsageLimits
from services import get_order

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
Agent.instrument_all()

agent = Agent(
    "openai-chat:gpt-4o-mini",
    name="refund_agent",
    instructions="Tell customers how their refund stands.",
    tools=[get_order],
)
agent.run_sync(sys.argv[2], conversation_id=sys.argv[1], usage_limits=UsageLimits(request_limit=100))
provider.shutdown()
