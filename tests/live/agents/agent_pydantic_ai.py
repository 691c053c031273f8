"""A support agent on Pydantic AI."""

from pydantic_ai import Agent
from shop import TOOLS

agent = Agent("openai-chat:gpt-4o-mini", name="support_agent", instructions="Help customers.", tools=TOOLS)
