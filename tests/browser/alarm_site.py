"""A Watchpost with rules of its own, of which some fire, and a channel that somebody listens to."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

from watchpost_process import WatchpostProcess, eventually

from watchpost.cli.demo.receiver import NoticeReceiver

HIDDEN = "0123456789abcdef0123456789abcdef"
"""A key of a channel, which no page may show."""

RULES = """
rules:
  - name: ShopLoops
    flag: [LOOP_DETECTED]
    by: [tool]
    window: 1h
    at_least: 1
    severity: critical
    owner: shop
    runbook: loops.md
    summary: "{value} loops of {tool}: {latest}"
  - name: ShopLoopsAtAll
    flag: [LOOP_DETECTED]
    window: 1h
    at_least: 1
    severity: warning
    owner: shop
    runbook: https://runbooks.example/loops
    summary: "{value} loops"
  - name: ShopLoopsForLong
    flag: [LOOP_DETECTED]
    window: 1h
    at_least: 1
    for: 1h
    severity: high
    owner: shop
    runbook: https://runbooks.example/loops
slos:
  - name: ShopCompletes
    good: completion_rate
    objective: 99 %
    window: 7d
    at_least_count: 10
    owner: shop
    runbook: https://runbooks.example/loops
"""

ROUTES = """
route:
  channels: [ops]
  group_wait: 0s
  routes:
    - {match: 'severity="critical"', channels: [ops], page: [oncall]}
"""

SETTINGS = """
[session]
quiet_seconds = 1
[alerting]
rules = ["rules.yaml"]
routes = "routes.yaml"
shipped_rules = false
[latency]
times = 2.5
[channels.ops]
type = "webhook"
url = "{url}"
secrets = ["{secret}"]
allow_private = true
[channels.oncall]
type = "pagerduty"
url = "http://127.0.0.1:9/nowhere"
allow_private = true
"""


@contextmanager
def alarmed_running(folder: Path) -> Iterator[WatchpostProcess]:
    """Serves once `ShopLoops` fires of one tool."""
    (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
    (folder / "routes.yaml").write_text(ROUTES, encoding="utf-8")
    (folder / "loops.md").write_text(
        "# Loops\n\n## Look first\n\n1. Read `the answers` of the tool.\n", encoding="utf-8"
    )
    with (
        NoticeReceiver() as receiver,
        WatchpostProcess(
            folder,
            SETTINGS.format(url=receiver.url, secret=receiver.secret),
            WATCHPOST_CHANNELS__ONCALL__ROUTING_KEY=HIDDEN,
        ) as site,
    ):
        loop(site, "get_order")
        eventually(lambda: alerts(site, "ShopLoops") or None)
        yield site


def loop(site: WatchpostProcess, tool: str) -> None:
    """Send a session in which a tool is called again and again."""
    trace, session, now = secrets.token_hex(16), f"loops-of-{tool}", time.time_ns()
    called = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": tool,
        "gen_ai.tool.call.arguments": '{"id": "ORD-1"}',
        "gen_ai.tool.call.result": "pending",
        "session.id": session,
    }
    spans = [
        {
            "traceId": trace,
            "spanId": f"{number:016x}",
            "name": f"execute_tool {tool}",
            "startTimeUnixNano": str(now + number * 10**6),
            "endTimeUnixNano": str(now + number * 10**6 + 1000),
            "attributes": [{"key": name, "value": {"stringValue": value}} for name, value in called.items()],
        }
        for number in range(1, 7)
    ]
    service = [{"key": "service.name", "value": {"stringValue": "shop"}}]
    body = {"resourceSpans": [{"resource": {"attributes": service}, "scopeSpans": [{"spans": spans}]}]}
    request = Request(f"{site.url}/v1/traces", json.dumps(body).encode(), {"content-type": "application/json"})  # noqa: S310  our own process
    with urlopen(request, timeout=30) as answer:  # noqa: S310  our own process
        assert answer.status == 200


def alerts(site: WatchpostProcess, rule: str) -> list[dict[str, object]]:
    """The alerts of a rule that fire, as the API answers them."""
    found: list[dict[str, object]] = ask(site, f"/api/alerts?state=firing&rule={rule}")["alerts"]  # type: ignore[assignment] # it is a list
    return found


def ask(site: WatchpostProcess, path: str) -> dict[str, object]:
    """What the API answers."""
    with urlopen(site.url + path, timeout=30) as answer:  # noqa: S310  our own process
        decoded: dict[str, object] = json.load(answer)
        return decoded
