"""The demo's traffic, in the order a new user sees it."""

from __future__ import annotations

import time
from collections.abc import Callable

from watchpost.cli.demo.captures import captures, retell
from watchpost.cli.demo.chance import new_bytes
from watchpost.cli.demo.refund_agent import AGENT, CALLS, ORDER, RefundAgent
from watchpost.cli.demo.sending import TraceSender
from watchpost.runtime.clock import now_ns

APART_NS = 30 * 10**9
"""Recorded runs end this far from each other, the last one now."""


def run_agents(
    endpoint: str,
    say: Callable[[str], None],
    *,
    now_ns: Callable[[], int] = now_ns,
    new_bytes: Callable[[int], bytes] = new_bytes,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Replay the recorded runs at once, then let the refund agent loop live; `say` gets one line per event.

    Each run of this gives new sessions. `endpoint` is the address of a Watchpost, `new_bytes(length)` a source of random
    bytes, `pause(seconds)` lets time pass: about five seconds in all. Raises `NotAcceptedError` where spans are refused.
    """
    with TraceSender(endpoint) as sender:
        _replay(sender, say, now_ns, new_bytes)
        _loop(sender, say, RefundAgent(now_ns, new_bytes), pause)


def _replay(
    sender: TraceSender, say: Callable[[str], None], now_ns: Callable[[], int], new_bytes: Callable[[int], bytes]
) -> None:
    recorded = captures()
    for place, capture in enumerate(recorded, 1):
        ended_ns = now_ns() - (len(recorded) - place) * APART_NS
        for body in retell(capture, ended_ns=ended_ns, new_bytes=new_bytes):
            sender.send(body)
        say(f"replayed {capture.name}")


def _loop(sender: TraceSender, say: Callable[[str], None], agent: RefundAgent, pause: Callable[[float], None]) -> None:
    say(f"{AGENT} is running live, session {agent.session_id}")
    for sent in agent.run(pause):
        sender.send(sent.body)
        if sent.call:
            say(f"{AGENT}: get_order {ORDER} -> HTTP 200, refund pending (call {sent.call} of {CALLS})")
    say(f"{AGENT} gave up: {CALLS} calls, no error anywhere")
