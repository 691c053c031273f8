"""A rule on loops, routes that wait ten seconds, and the loops that the rule is about."""

from __future__ import annotations

from watchpost.model.flag import Flag, flag_id

RULES = """
rules:
  - name: Loops
    flag: [LOOP_DETECTED]
    window: 10m
    at_least: 2
    severity: high
    owner: team-agents
    runbook: https://runbooks.example/loops
"""
ROUTES = """
route:
  channels: [ops]
  group_by: [alertname]
  group_wait: 10s
  group_interval: 1m
  repeat_interval: 1h
"""


def loop(number: int, at_ns: int) -> Flag:
    """The loop of one session of project `p`, at a time."""
    span = number.to_bytes(8, "big")
    identity = flag_id("p", "LOOP_DETECTED", "get", b"t" * 16, span)
    summary = "get was called again and again"
    return Flag(identity, "p", f"session {number}", "LOOP_DETECTED", "get", b"t" * 16, span, "high", "confirmed", summary, {}, at_ns)  # fmt: skip
