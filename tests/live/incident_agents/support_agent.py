"""A support agent on the OpenAI Agents SDK, watched through OpenInference."""

import sys

from agents import Agent, Runner, function_tool
from openinference.instrumentation import using_attributes
from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from services import find_customer, read_order

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
OpenAIAgentsInstrumentor().instrument(tracer_provider=provider)

agent = Agent(
    name="support_agent",
    instructions="Help customers with their orders. Speak of nobody's order but the customer's own.",
    model="gpt-4o-mini",
    tools=[function_tool(find_customer), function_tool(read_order)],
)
with using_attributes(session_id=sys.argv[1], user_id="mia@example.com"):
    Runner.run_sync(agent, sys.argv[2])
provider.shutdown()
