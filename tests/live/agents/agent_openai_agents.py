"""A support agent on the OpenAI Agents SDK."""

from agents import Agent, function_tool
from shop import TOOLS

agent = Agent(
    name="support_agent",
    instructions="Help customers.",
    model="gpt-4o-mini",
    tools=[function_tool(tool) for tool in TOOLS],
)
