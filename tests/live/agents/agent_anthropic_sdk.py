"""A support agent that is a loop around the Anthropic SDK."""

from collections.abc import Callable

from anthropic import Anthropic
from anthropic.types import MessageParam, ToolParam, ToolResultBlockParam
from shop import TOOLS, Tool

Call = Callable[[Tool, dict[str, object]], str]

client = Anthropic()
tools = {tool.__name__: tool for tool in TOOLS}
described: list[ToolParam] = [{"name": name, "input_schema": {"type": "object"}} for name in tools]


def run_agent(client: Anthropic, question: str, call: Call) -> str:
    messages: list[MessageParam] = [{"role": "user", "content": question}]
    while True:
        said = client.messages.create(model="claude-sonnet-4-5", max_tokens=500, messages=messages, tools=described)
        messages.append({"role": "assistant", "content": said.content})
        results: list[ToolResultBlockParam] = []
        for block in said.content:
            if block.type == "tool_use":
                try:
                    result = call(tools[block.name], dict(block.input))
                except RuntimeError as error:
                    result = f"error: {error}"
                results.append({"type": "tool_result", "tool_use_id": block.id, "content": result})
        if not results:
            return "".join(block.text for block in said.content if block.type == "text")
        messages.append({"role": "user", "content": results})
