"""A stand-in of OpenAI's chat completions on loopback: it answers with a script, tokens included."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

MODEL = "gpt-4o-mini-2024-07-18"


@dataclass(frozen=True)
class Answer:
    """What the model says once: `calls` are (tool, arguments), and the text follows when there are none."""

    input_tokens: int
    output_tokens: int
    text: str = ""
    calls: tuple[tuple[str, dict[str, object]], ...] = ()


class ModelStandIn:
    """A `with` block; the request after the last answer is held until the block ends, as by a model that hangs."""

    def __init__(self, *script: Answer) -> None:
        self._script = script
        self._asked = 0
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

    def reply(self) -> bytes | None:
        """The next completion, or None where the script is over and the block has ended."""
        with self._lock:
            place = self._asked
            self._asked += 1
        if place >= len(self._script):
            self.hanging.set()
            self._over.wait()
            return None
        return json.dumps(_completion(place, self._script[place])).encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        reply = self.reply

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                if (body := reply()) is not None:
                    self.send_response(200)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that http.server gives it
                pass

        return Handler


def _completion(place: int, answer: Answer) -> dict[str, object]:
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
