"""The demo's traffic, in the order a new user sees it."""

from __future__ import annotations

import time
from collections.abc import Callable

from watchpost.cli.demo.captures import Capture, captures, relive, retell
from watchpost.cli.demo.chance import new_bytes
from watchpost.cli.demo.incidents import HEALTHY_LOANS, Incident, incidents, loan
from watchpost.cli.demo.sending import TraceSender
from watchpost.runtime.clock import now_ns

APART_NS = 30 * 10**9
"""Recorded runs end this far from each other, the last one now."""

HEALTHY = "loan-approved"


class Traffic:
    """Sends what the demo sends. `new_bytes(length)` is a source of random bytes, `pause(seconds)` lets time pass."""

    def __init__(
        self,
        sender: TraceSender,
        say: Callable[[str], None],
        *,
        now_ns: Callable[[], int] = now_ns,
        new_bytes: Callable[[int], bytes] = new_bytes,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sender = sender
        self._say = say
        self._now_ns = now_ns
        self._new_bytes = new_bytes
        self._pause = pause
        self._recorded = {capture.name: capture for capture in captures("incidents.zip")}

    def past(self) -> None:
        """What happened before: runs of many frameworks, and a loan agent at work."""
        recorded = captures()
        for place, capture in enumerate(recorded, 1):
            self._retell(capture, len(recorded) - place, {})
            self._say(f"replayed {capture.name}")
        for place in range(HEALTHY_LOANS):
            self._retell(self._recorded[HEALTHY], HEALTHY_LOANS - place, loan(place))
        self._say(f"replayed {HEALTHY}, {HEALTHY_LOANS} times: what its tools answer is learnt from that")

    def live(self, incident: Incident) -> None:
        """One incident, as long as it takes."""
        self._say(f"live: {incident.happens}")
        started_ns = self._now_ns()
        sent = relive(
            self._recorded[incident.recording],
            started_ns=started_ns,
            seconds=incident.seconds,
            new_bytes=self._new_bytes,
            texts=incident.texts,
        )
        for each in sent:
            self._pause(max(each.after_s - (self._now_ns() - started_ns) / 10**9, 0))
            self._sender.send(each.body)

    def _retell(self, capture: Capture, ago: int, texts: dict[str, str]) -> None:
        ended_ns = self._now_ns() - ago * APART_NS
        for body in retell(capture, ended_ns=ended_ns, new_bytes=self._new_bytes, texts=texts):
            self._sender.send(body)


def run_agents(
    endpoint: str,
    say: Callable[[str], None],
    *,
    now_ns: Callable[[], int] = now_ns,
    new_bytes: Callable[[int], bytes] = new_bytes,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Replay what happened before at once, then play the incidents; `say` gets one line per event.

    Each run of this gives new sessions. `endpoint` is the address of a Watchpost: it takes about thirteen seconds in all.
    Raises `NotAcceptedError` where spans are refused.
    """
    with TraceSender(endpoint) as sender:
        traffic = Traffic(sender, say, now_ns=now_ns, new_bytes=new_bytes, pause=pause)
        traffic.past()
        for incident in incidents():
            traffic.live(incident)
