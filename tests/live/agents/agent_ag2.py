"""A support agent on AG2."""

from ag2 import Agent
from ag2.config import OpenAIConfig
from shop import TOOLS

agent = Agent("support_agent", "Help customers.", config=OpenAIConfig(model="gpt-4o-mini"), tools=TOOLS)
