"""A support agent on LangGraph, watched as docs/first-five-minutes.md says: `agent.py SESSION QUESTION`."""

from __future__ import annotations

import sys

from langchain.agents import create_agent
from langchain.tools import tool
from langchain_openai import ChatOpenAI
from openinference.instrumentation import using_session
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=200))
LangChainInstrumentor().instrument(tracer_provider=provider)


@tool
def lookup_customer(email: str) -> str:
    """Find a customer by email."""
    return f'{{"customer_id": "C-42", "email": "{email}"}}'


@tool
def get_order(order_id: str) -> str:
    """Find an order."""
    return f'{{"order_id": "{order_id}", "refund": "pending"}}'


@tool
def issue_refund(order_id: str, amount: float) -> str:
    """Pay an order back."""
    return f'{{"order_id": "{order_id}", "refunded": {amount}}}'


agent = create_agent(ChatOpenAI(model="gpt-4o-mini"), [lookup_customer, get_order, issue_refund], name="support_agent")

with using_session(sys.argv[1]):
    answer = agent.invoke({"messages": [{"role": "user", "content": sys.argv[2]}]})

sys.stdout.write(f"{answer['messages'][-1].content}\n")
provider.shutdown()
