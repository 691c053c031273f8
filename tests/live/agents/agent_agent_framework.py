"""A support agent on Microsoft Agent Framework."""

from agent_framework import Agent
from agent_framework.openai import OpenAIChatCompletionClient
from shop import TOOLS

client = OpenAIChatCompletionClient(model="gpt-4o-mini")
agent = Agent(client=client, name="support_agent", instructions="Help customers.", tools=TOOLS)
