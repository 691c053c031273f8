"""Tool calls sent to a running Watchpost, as an agent sends them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from urllib.request import Request, urlopen

from watchpost_process import Session, WatchpostProcess, eventually


def send_calls(site: WatchpostProcess, session_id: str, calls: Sequence[str], workflow: str = "night_shift") -> Session:
    """Send calls of the tool `look_up`, each with its argument, in one trace of a session; the session once it is known."""
    now = time.time_ns()
    trace = f"{now:032x}"
    more = {"session.id": session_id, "gen_ai.workflow.name": workflow}
    spans = [_span(trace, now - (len(calls) - number) * 10**8, call, more) for number, call in enumerate(calls, 1)]
    resource = {"attributes": _attributes({"service.name": workflow})}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}
    request = Request(f"{site.url}/v1/traces", json.dumps(body).encode(), {"content-type": "application/json"})  # noqa: S310  our own process
    with urlopen(request, timeout=30) as answer:  # noqa: S310  our own process
        assert answer.status == 200
    return eventually(lambda: site.session(session_id))


def _span(trace: str, start_ns: int, argument: str, more: dict[str, str]) -> dict[str, object]:
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "look_up",
        "gen_ai.tool.call.arguments": json.dumps({"order": argument}),
        "gen_ai.tool.call.result": json.dumps({"order": argument, "state": "open"}),
    }
    return {
        "attributes": _attributes(attributes | more),
        "traceId": trace,
        "spanId": f"{start_ns:016x}",
        "name": "look_up",
        "startTimeUnixNano": str(start_ns),
        "endTimeUnixNano": str(start_ns + 10**6),
    }


def _attributes(values: dict[str, str]) -> list[object]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]
