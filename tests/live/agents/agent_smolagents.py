"""A support agent on smolagents."""

import os

from shop import TOOLS
from smolagents import OpenAIModel, ToolCallingAgent, tool

model = OpenAIModel("gpt-4o-mini", api_base=os.environ["OPENAI_BASE_URL"], api_key=os.environ["OPENAI_API_KEY"])
agent = ToolCallingAgent(tools=[tool(each) for each in TOOLS], model=model, name="support_agent")
