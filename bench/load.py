"""The sender: one process that offers a load to an OTLP/HTTP receiver on loopback and reports every acknowledgement.

Run as `python load.py`: reads one `Plan` as JSON from standard input, prints `ready` when its requests can be made, begins at the next
line of input, and ends with one `Report` as JSON. Bounded by spans and by seconds, whichever comes first.
"""

from __future__ import annotations

import http.client
import sys
import threading
import time
from collections.abc import Sequence

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from spans import Group, Shape, Template

LOOPBACK = "127.0.0.1"
_LONGEST_WAIT_S = 5.0


class Plan(msgspec.Struct, frozen=True):
    """What to send. `rate` is spans per second, 0 as fast as the receiver accepts; `run` is at least 1 and makes all ids its own.

    `first` is the number of the first request (see `spans.expected_steps`); `only`, if not empty, names the requests to
    send, in order, instead of a row of them; it sends the same bytes again if `now_ns`, the time its spans end at, is
    given; without it that is the time of sending. `templates` is how many groups of distinct text there are.
    """

    port: int
    run: int
    spans: int
    seconds: float
    rate: float = 0.0
    connections: int = 4
    timeout_s: float = 60.0
    shape: Shape = Shape()
    templates: int = 1
    first: int = 0
    only: Sequence[int] = ()
    headers: dict[str, str] = {}
    now_ns: int = 0


class Acknowledged(msgspec.Struct, frozen=True):
    """One request that was answered with 200. Times are seconds of the machine's monotonic clock.

    `due` is when the rate asked for it (when it was taken up, if there is no rate), `sent` when its last try began.
    """

    body: int
    spans: int
    due: float
    sent: float
    done: float


class Report(msgspec.Struct, frozen=True):
    """What came of a plan. `unanswered` may or may not have been kept; `put_off` counts answers of 503 and 429, all tried again."""

    acknowledged: list[Acknowledged]
    unanswered: list[int]
    rejected_spans: int
    put_off: int
    cpu_s: float

    @property
    def spans(self) -> int:
        """Spans acknowledged."""
        return sum(ack.spans for ack in self.acknowledged)

    @property
    def seconds(self) -> float:
        """From the first send to the last acknowledgement; 0 if there was none."""
        acks = self.acknowledged
        return max(ack.done for ack in acks) - min(ack.sent for ack in acks) if acks else 0.0


class RefusedError(Exception):
    """The receiver answered with a status that says neither yes nor later."""


class _Requests:
    """Hands out requests in order to many threads, each with the time at which it is due."""

    def __init__(self, plan: Plan, templates: Sequence[Template]) -> None:
        self._plan = plan
        self._templates = templates
        self._lock = threading.Lock()
        self._groups: dict[int, Group] = {}
        self._taken = 0
        self._spans = 0
        self._begun = time.perf_counter()

    def take(self) -> tuple[int, int, float, bytes] | None:
        """The number, spans, due time and bytes of the next request; None when the plan is fulfilled or its time is over."""
        plan = self._plan
        with self._lock:
            now = time.perf_counter()
            if (
                self._spans >= plan.spans
                or now - self._begun > plan.seconds
                or (plan.only and self._taken >= len(plan.only))
            ):
                return None
            number = plan.only[self._taken] if plan.only else plan.first + self._taken
            group, index = divmod(number, self._templates[0].bodies)
            template = self._templates[group % len(self._templates)]
            if group not in self._groups:
                self._groups = {group: template.group(plan.run, group, plan.now_ns or time.time_ns())}
            due = self._begun + self._spans / plan.rate if plan.rate else now
            self._taken += 1
            self._spans += template.sizes[index]
            return number, template.sizes[index], due, template.body(index, self._groups[group])


class _Sender(threading.Thread):
    """One connection."""

    def __init__(self, plan: Plan, requests: _Requests) -> None:
        super().__init__()
        self._plan = plan
        self._requests = requests
        self._over = time.perf_counter() + plan.seconds
        self._connection = http.client.HTTPConnection(LOOPBACK, plan.port, timeout=plan.timeout_s)
        self.acknowledged: list[Acknowledged] = []
        self.unanswered: list[int] = []
        self.rejected = 0
        self.put_off = 0

    def run(self) -> None:
        while (request := self._requests.take()) is not None:
            number, spans, due, body = request
            time.sleep(max(0.0, due - time.perf_counter()))
            try:
                sent = self._send(body)
            except (OSError, http.client.HTTPException, RefusedError) as error:
                print(f"request {number}: {error!r}", file=sys.stderr)
                self.unanswered.append(number)
                return
            self.acknowledged.append(Acknowledged(number, spans, due, sent, time.perf_counter()))
        self._connection.close()

    def _send(self, body: bytes) -> float:
        """Send until it is acknowledged or the plan's time is over; returns when the try that was acknowledged began."""
        while True:
            sent = time.perf_counter()
            self._connection.request(
                "POST", "/v1/traces", body, {"Content-Type": "application/x-protobuf"} | self._plan.headers
            )
            response = self._connection.getresponse()
            answer = response.read()
            if response.status == 200:
                self.rejected += _rejected(answer)
                return sent
            if response.status not in {429, 503}:
                raise RefusedError(response.status, answer[:200])
            self.put_off += 1
            if time.perf_counter() > self._over:
                raise RefusedError(response.status, "still put off when the time was over")
            wait = response.headers.get("Retry-After", "1")
            time.sleep(min(float(wait) if wait.isdigit() else 1.0, _LONGEST_WAIT_S))


def _rejected(answer: bytes) -> int:
    if not answer or answer.startswith(b"{"):
        return 0
    rejected: int = ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans
    return rejected


def send(plan: Plan, templates: Sequence[Template]) -> Report:
    """Carry out a plan from this process, with one thread per connection."""
    cpu = time.process_time()
    requests = _Requests(plan, templates)
    senders = [_Sender(plan, requests) for _ in range(plan.connections)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    return Report(
        acknowledged=[ack for sender in senders for ack in sender.acknowledged],
        unanswered=[number for sender in senders for number in sender.unanswered],
        rejected_spans=sum(sender.rejected for sender in senders),
        put_off=sum(sender.put_off for sender in senders),
        cpu_s=time.process_time() - cpu,
    )


def main() -> None:
    """Read a plan, get ready, wait for the word, send, report."""
    plan = msgspec.json.decode(sys.stdin.readline(), type=Plan)
    templates = [Template(plan.shape, seed) for seed in range(plan.templates)]
    print("ready", flush=True)
    sys.stdin.readline()
    print(msgspec.json.encode(send(plan, templates)).decode(), flush=True)


if __name__ == "__main__":
    main()
