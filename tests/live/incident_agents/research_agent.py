"""A research agent on AG2, which writes its own spans."""

import asyncio
import sys

from ag2 import Agent
from ag2.config import OpenAIConfig
from ag2.middleware import TelemetryMiddleware
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from services import search_papers

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)

config = OpenAIConfig(model="gpt-4o-mini")
agent = Agent("research_agent", "Answer with sources.", config=config, tools=[search_papers])
telemetry = TelemetryMiddleware(
    agent_name="research_agent",
    provider_name="openai",
    model_name="gpt-4o-mini",
    span_attributes={"session.id": sys.argv[1], "user.id": "lab-7"},
)
asyncio.run(agent.ask(sys.argv[2], middleware=[telemetry]))
provider.shutdown()
