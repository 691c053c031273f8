"""Telemetry of agents that call one tool, sent as any exporter would send it."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from urllib.request import Request, urlopen

Attributes = dict[str, str]

SECOND_NS = 10**9


def send(url: str, session: str, tool: str, responses: Sequence[object], *, failed: int = 0) -> None:
    """One session that calls a tool, with these responses, and then so many times without any; the agent answers in the end."""
    trace = hashlib.blake2b(session.encode(), digest_size=16).hexdigest()
    start_ns = time.time_ns() - 60 * SECOND_NS
    root = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "billing", "session.id": session}
    spans = [_span(trace, 1, 0, "invoke_agent billing", start_ns, 50, root)]
    for number, response in enumerate(responses):
        said = {"gen_ai.tool.call.result": json.dumps(response), "gen_ai.tool.call.arguments": json.dumps({"n": f"{session} {number}"})}  # fmt: skip
        spans.append(
            _span(trace, 2 + number, 1, f"execute_tool {tool}", start_ns + number * SECOND_NS, 0.25, _call(tool, said))
        )
    for number in range(failed):
        said = {"error.type": "ConnectionError"}
        at_ns = start_ns + (20 + number) * SECOND_NS
        spans.append(_span(trace, 100 + number, 1, f"execute_tool {tool}", at_ns, 0.5, _call(tool, said), failed=True))
    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    request = Request(f"{url}/v1/traces", json.dumps(body).encode(), {"content-type": "application/json"})  # noqa: S310  our own process
    with urlopen(request, timeout=60) as answer:  # noqa: S310  our own process
        assert answer.status == 200


def _call(tool: str, more: Attributes) -> Attributes:
    return {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": tool, **more}


def _span(  # noqa: PLR0917 - what a span is made of
    trace: str,
    number: int,
    parent: int,
    name: str,
    start_ns: int,
    lasts_s: float,
    attributes: Attributes,
    *,
    failed: bool = False,
) -> dict[str, object]:
    return {
        "traceId": trace,
        "spanId": f"{number:016x}",
        "parentSpanId": f"{parent:016x}" if parent else "",
        "name": name,
        "startTimeUnixNano": str(start_ns),
        "endTimeUnixNano": str(start_ns + round(lasts_s * SECOND_NS)),
        "status": {"code": 2, "message": "no connection"} if failed else {},
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
    }
