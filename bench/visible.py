"""How soon an anomaly is seen: from sending the span that completes a loop until the API shows its flag."""

from __future__ import annotations

import time
from collections.abc import Callable

from lab import Lab, Measured, milliseconds
from load import Plan, send
from process import offer
from product import Watchpost
from spans import Shape, Template, session_name

_BACKGROUND = 5_000
LOOP = Shape(sessions=1, steps=6, rooted=False, loop=True, body_spans=5)
"""Three equal tool calls; the last of them is alone in the second request."""
EVERY_S = 0.25
_POLL_S = 0.01
_PATIENCE_S = 15.0


class _Watch:
    """Sends looping sessions and polls for the flags of the oldest that has none yet: what is applied in log order shows in that order."""

    def __init__(self, server: Watchpost, run: int) -> None:
        self._server = server
        self._run = run
        self._template = Template(LOOP, 0)
        self._waiting: list[tuple[str, float]] = []
        self._sent = 0
        self.seconds: list[float] = []
        self.never = 0

    def work(self, busy: Callable[[], bool]) -> None:
        """Go on while `busy`, then wait for the last."""
        due = time.perf_counter()
        while busy() or self._waiting:
            now = time.perf_counter()
            if busy() and now >= due:
                self._send()
                due += EVERY_S * (0.5 + (self._sent * 0.618) % 1)
            if not self._waiting or not self._poll():
                time.sleep(_POLL_S)

    def _send(self) -> None:
        number = self._sent
        self._sent += 1
        plan = Plan(
            port=self._server.port,
            run=self._run,
            spans=LOOP.spans,
            seconds=30.0,
            connections=1,
            shape=LOOP,
            first=2 * number,
        )
        report = send(plan, [self._template])
        if len(report.acknowledged) == 2:
            self._waiting.append((session_name(self._run, number, 0), report.acknowledged[1].sent))

    def _poll(self) -> bool:
        """Whether the oldest was settled, so that the next can be looked at."""
        name, sent = self._waiting[0]
        session = self._server.session(name)
        waited = time.perf_counter() - sent
        if session is not None and session.flags:
            self.seconds.append(waited)
        elif waited > _PATIENCE_S:
            self.never += 1
        else:
            return False
        self._waiting.pop(0)
        return True


def flag(lab: Lab) -> Measured:
    """Looping sessions, four a second, beside a steady load."""
    folder = lab.new_folder("flag")
    with lab.serve(folder) as server:
        offer(Plan(port=server.port, run=lab.run(), spans=Shape().spans, seconds=60.0))
        server.wait_applied(lab.run())
        watch = _Watch(server, lab.run())
        plan = Plan(
            port=server.port, run=lab.run(), spans=1 << 40, seconds=lab.scale.seconds, rate=_BACKGROUND, connections=4
        )
        report = offer(plan, meanwhile=watch.work)
    lab.drop(folder)
    numbers = milliseconds(watch.seconds, "visible") | {
        "never_seen": watch.never,
        "background_per_s": report.spans / report.seconds,
    }
    value = f"p50 {numbers['visible_p50_ms']:.0f} ms, p99 {numbers['visible_p99_ms']:.0f} ms beside {numbers['background_per_s']:,.0f} spans/s"
    notes = [
        f"{len(watch.seconds)} loops, polled every {_POLL_S * 1e3:.0f} ms",
        *([f"{watch.never} never showed"] if watch.never else []),
    ]
    return Measured(value, numbers, notes)
