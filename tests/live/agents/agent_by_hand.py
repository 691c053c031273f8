"""A support agent that is a loop around a model's API, with no library at all."""

import json
import os
from collections.abc import Callable
from urllib.request import Request, urlopen

from shop import TOOLS, Tool

Message = dict[str, object]
Ask = Callable[[list[Message]], Message]
Call = Callable[[Tool, str, dict[str, object]], str]

tools = {tool.__name__: tool for tool in TOOLS}


def model(messages: list[Message]) -> Message:
    body = json.dumps({"model": "gpt-4o-mini", "messages": messages}).encode()
    with urlopen(Request(os.environ["OPENAI_BASE_URL"] + "/chat/completions", body), timeout=30) as answer:  # noqa: S310  the stand-in
        completion: Message = json.load(answer)
        return completion


def run_agent(question: str, ask: Ask, call: Call) -> str:
    messages: list[Message] = [{"role": "user", "content": question}]
    while True:
        said = ask(messages)
        messages.append(said)
        calls = said.get("tool_calls")
        if not isinstance(calls, list):
            return str(said["content"])
        for each in calls:
            function = each["function"]
            try:
                result = call(tools[function["name"]], each["id"], json.loads(function["arguments"]))
            except RuntimeError as error:
                result = f"error: {error}"
            messages.append({"role": "tool", "tool_call_id": each["id"], "content": result})
