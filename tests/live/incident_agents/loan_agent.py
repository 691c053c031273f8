"""A loan agent on LangGraph, watched through OpenInference."""

import sys

from langchain.agents import create_agent
from langchain.tools import tool
from langchain_openai import ChatOpenAI
from openinference.instrumentation import using_session
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from services import decide, get_applicant, get_income

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
LangChainInstrumentor().instrument(tracer_provider=provider)

tools = [tool(each) for each in (get_applicant, get_income, decide)]
rules = "Approve a loan if the confirmed income is at least twice the amount; else reject it. Write nothing but the decision."
agent = create_agent(ChatOpenAI(model="gpt-4o-mini"), tools, name="loan_agent", system_prompt=rules)

with using_session(sys.argv[1]):
    agent.invoke({"messages": [{"role": "user", "content": sys.argv[2]}]}, config={"max_concurrency": 1})
provider.shutdown()
