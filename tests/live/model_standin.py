"""A stand-in of a model's API on loopback: OpenAI's chat completions and responses, and Anthropic's messages, by a script."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

MODEL = "gpt-4o-mini-2024-07-18"
ANTHROPIC_MODEL = "claude-sonnet-4-5-20250929"


@dataclass(frozen=True)
class Answer:
    """What the model says once: `calls` are (tool, arguments), and the text follows when there are none."""

    input_tokens: int
    output_tokens: int
    text: str = ""
    calls: tuple[tuple[str, dict[str, object]], ...] = ()


class ModelStandIn:
    """A `with` block; the request after the last answer is held until the block ends, as by a model that hangs.

    `answered` is what it has said so far, which is what telemetry about it has to say too.
    """

    def __init__(self, *script: Answer) -> None:
        self._script = script
        self._asked = 0
        self.answered: list[Answer] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.hanging = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reply(self, path: str) -> bytes | None:
        """The next answer in the form that is asked for at `path`; None where the script is over and the block has ended."""
        with self._lock:
            place = self._asked
            self._asked += 1
        if place >= len(self._script):
            self.hanging.set()
            self._over.wait()
            return None
        answer = self._script[place]
        self.answered.append(answer)
        return json.dumps(FORMS[path](place, answer)).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        reply = self.reply

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                if (body := reply(self.path.partition("?")[0])) is not None:
                    self.send_response(200)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that http.server gives it
                pass

        return Handler


def _chat_completion(place: int, answer: Answer) -> dict[str, object]:
    message: dict[str, object] = {"role": "assistant", "content": answer.text or None}
    if answer.calls:
        message["tool_calls"] = [
            {
                "id": f"call_{place}_{number}",
                "type": "function",
                "function": {"name": tool, "arguments": json.dumps(arguments)},
            }
            for number, (tool, arguments) in enumerate(answer.calls)
        ]
    return {
        "id": f"chatcmpl-{place}",
        "object": "chat.completion",
        "created": 1700000000,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if answer.calls else "stop"}],
        "usage": {
            "prompt_tokens": answer.input_tokens,
            "completion_tokens": answer.output_tokens,
            "total_tokens": answer.input_tokens + answer.output_tokens,
        },
    }


def _response(place: int, answer: Answer) -> dict[str, object]:
    said: list[dict[str, object]] = [
        {
            "id": f"fc_{place}_{number}",
            "type": "function_call",
            "call_id": f"call_{place}_{number}",
            "name": tool,
            "arguments": json.dumps(arguments),
            "status": "completed",
        }
        for number, (tool, arguments) in enumerate(answer.calls)
    ]
    if not said:
        text = {"type": "output_text", "text": answer.text, "annotations": []}
        said = [
            {"id": f"msg_{place}", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
        ]
    return {
        "id": f"resp_{place}",
        "object": "response",
        "created_at": 1700000000,
        "status": "completed",
        "model": MODEL,
        "output": said,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": answer.input_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": answer.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": answer.input_tokens + answer.output_tokens,
        },
    }


def _message(place: int, answer: Answer) -> dict[str, object]:
    said: list[dict[str, object]] = [
        {"type": "tool_use", "id": f"toolu_{place}_{number}", "name": tool, "input": arguments}
        for number, (tool, arguments) in enumerate(answer.calls)
    ]
    return {
        "id": f"msg_{place}",
        "type": "message",
        "role": "assistant",
        "model": ANTHROPIC_MODEL,
        "content": said or [{"type": "text", "text": answer.text}],
        "stop_reason": "tool_use" if said else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens},
    }


FORMS = {"/v1/chat/completions": _chat_completion, "/v1/responses": _response, "/v1/messages": _message}
