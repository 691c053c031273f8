"""A support agent that is a loop around the OpenAI SDK."""

import json
from collections.abc import Callable

from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam
from shop import TOOLS, Tool

Call = Callable[[Tool, dict[str, object]], str]

client = OpenAI()
tools = {tool.__name__: tool for tool in TOOLS}
described: list[ChatCompletionToolUnionParam] = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in tools
]


def run_agent(question: str, call: Call) -> str:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": question}]
    while True:
        completion = client.chat.completions.create(model="gpt-4o-mini", messages=messages, tools=described)
        said = completion.choices[0].message
        if not said.tool_calls:
            return said.content or ""
        messages.append(said.to_dict())  # type: ignore[arg-type]  # an answer is a message to send back, says the SDK's guide
        for each in said.tool_calls:
            assert each.type == "function"
            try:
                result = call(tools[each.function.name], json.loads(each.function.arguments))
            except RuntimeError as error:
                result = f"error: {error}"
            messages.append({"role": "tool", "tool_call_id": each.id, "content": result})
