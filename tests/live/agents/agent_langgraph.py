"""A support agent on LangGraph."""

from langchain.agents import create_agent
from langchain.tools import tool
from langchain_openai import ChatOpenAI
from shop import TOOLS

agent = create_agent(ChatOpenAI(model="gpt-4o-mini"), [tool(each) for each in TOOLS], name="support_agent")
