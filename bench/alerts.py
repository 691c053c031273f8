"""Telling people: how soon a flag has become a notice, how many notices go out, and what two hundred rules cost a server that holds much.

Run as `python alerts.py --data DIR --channels N --notices N`, with no server on the folder, it fills an outbox with notices that wait.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import hmac
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Self

import msgspec

from lab import Lab, Measured, median, milliseconds
from load import LOOPBACK, Plan, send
from process import offer
from product import NeverAppliedError
from rules import measured as measured_in_process
from rules import two_hundred, two_hundred_text
from spans import Shape, Template, session_name
from stored import KEEPS_ALL, Filled
from visible import EVERY_S, LOOP
from watchpost.model.notice import AlertEvent, Notice
from watchpost.model.session import session_key
from watchpost.store.engines.sql import SqlState
from watchpost.store.folder import DataFolder
from watchpost.store.state import StateBatch

_KEY = b"a key of the benchmark's receiver"
_SECRET = "whsec_" + base64.b64encode(_KEY).decode()
_BACKGROUNDS = (1_000, 5_000)
_WAIT_S = 30.0
"""What `group_wait` is where nobody set it."""
_PATIENCE_S = 30.0
_TICK_S = 15.0
_DEAD = "c-0"
_RATE = 115
_PROBE_S = 0.25
_PROBES = 50
_SETTLE_S = 15.0
"""What a start leaves to be done, such as merging what was written last, is over by then."""
_WORKFLOW = "order-desk"
"""What sessions of the load are of."""

_RULES = """rules:
  - {name: BenchLoop, flag: [LOOP_DETECTED], by: [session], window: 10m, above: 0, severity: error, owner: bench, runbook: "https://runbooks.example/loop"}
"""
_ROUTES = """route:
  channels: []
  group_by: [alertname, session]
  routes:
    - {match: alertname="BenchLoop", channels: [now], group_wait: 0s, continue: true}
    - {match: alertname="BenchLoop", channels: [usual]}
"""


class Arrival(msgspec.Struct, frozen=True):
    """One webhook as it came in, at a time of the monotonic clock; `signed` as its headers say."""

    channel: str
    at: float
    id: str
    signed: str
    timestamp: str
    body: bytes


class _Data(msgspec.Struct, frozen=True):
    sessions: list[str]


class _Told(msgspec.Struct, frozen=True):
    timestamp: datetime
    data: _Data


class Receiver:
    """Takes webhooks on loopback, each channel on a path of its own, notes when each came, and answers at once; those of `dead` it never answers."""

    def __init__(self, dead: str = "") -> None:
        """Nothing is listened to before it is entered."""
        self.arrivals: list[Arrival] = []
        self.port = 0
        self._dead = dead
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()

    def __enter__(self) -> Self:
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, LOOPBACK, 0))
        self.port = server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(asyncio.sleep(0.1))
        self._loop.close()

    def section(self, channel: str) -> str:
        """What the settings say of a channel."""
        url = f"http://{LOOPBACK}:{self.port}/{channel}"
        return f'[webhooks.{channel}]\nurl = "{url}"\nsecrets = ["{_SECRET}"]\nallow_private = true\n'

    def wait(self, count: int, timeout_s: float) -> None:
        """Return when so many have come, or none came for so long."""
        seen, since = 0, time.perf_counter()
        while len(self.arrivals) < count and time.perf_counter() - since < timeout_s:
            if len(self.arrivals) > seen:
                seen, since = len(self.arrivals), time.perf_counter()
            time.sleep(0.02)

    def unsigned(self) -> int:
        """How many came without a signature that is right."""
        return sum(not _is_signed(each) for each in self.arrivals)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        channel = request.split()[1].strip("/")
        if channel == self._dead:
            await self._over.wait()
            raise ConnectionAbortedError
        signed = headers.get("webhook-signature", "")
        self.arrivals.append(
            Arrival(channel, time.perf_counter(), headers["webhook-id"], signed, headers["webhook-timestamp"], body)
        )
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()


def _is_signed(arrival: Arrival) -> bool:
    content = f"{arrival.id}.{arrival.timestamp}.".encode() + arrival.body
    digest = base64.b64encode(hmac.digest(_KEY, content, hashlib.sha256)).decode()
    return hmac.compare_digest(arrival.signed, f"v1,{digest}")


class _Looping:
    """Sends sessions that loop; when the span that completes each was sent, and when it was acknowledged."""

    def __init__(self, port: int, run: int) -> None:
        self._port = port
        self._run = run
        self._template = Template(LOOP, 0)
        self.sent: dict[str, tuple[float, float]] = {}

    def work(self, busy: Callable[[], bool]) -> None:
        """One now and then while `busy`, a little more than a batch of the server apart, so that they fall anywhere in one."""
        due = time.perf_counter()
        number = 0
        while busy():
            self._send(number)
            number += 1
            due += EVERY_S * (0.5 + (number * 0.618) % 1)
            time.sleep(max(0.0, due - time.perf_counter()))

    def _send(self, number: int) -> None:
        plan = Plan(
            port=self._port, run=self._run, spans=LOOP.spans, seconds=30.0, connections=1, shape=LOOP, first=2 * number
        )
        report = send(plan, [self._template])
        if len(report.acknowledged) == 2:
            last = report.acknowledged[1]
            self.sent[session_key("default", session_name(self._run, number, 0))] = last.sent, last.done


def notice(lab: Lab) -> Measured:
    """From sending the span that completes a loop until a signed webhook tells of it, beside steady loads, with the rules that come with Watchpost."""
    numbers: dict[str, float] = {}
    lines, waited = [], []
    for background in _BACKGROUNDS:
        found = _notices(lab, background)
        numbers |= {f"at_{background}_{name}": number for name, number in found.items()}
        waited.append(f"{found['judged_p99_ms']:.0f}")
        lines.append(
            f"p50 {found['delivered_p50_ms']:.0f} ms, p99 {found['delivered_p99_ms']:.0f} ms beside {found['background_per_s']:,.0f} spans/s"
        )
    never = sum(number for name, number in numbers.items() if name.endswith("_never"))
    waits = [numbers[f"at_{background}_beyond_wait_p99_ms"] for background in _BACKGROUNDS]
    notes = [
        "group_wait 0s; every session an alert, a group and a notice of its own",
        f"until the batch that raises the alert is taken up: p99 {', '.join(waited)} ms",
        f"with the group_wait of 30 s that holds where nothing is set, p99 beyond those 30 s: {', '.join(f'{each:.0f} ms' for each in waits)}",
        *([f"{never:.0f} were never told"] if never else []),
    ]
    return Measured("; ".join(lines), numbers, notes)


def _notices(lab: Lab, background: int) -> dict[str, float]:
    folder = lab.new_folder("notice")
    (folder / "rules.yaml").write_text(_RULES)
    (folder / "routes.yaml").write_text(_ROUTES)
    with Receiver() as receiver:
        sections = receiver.section("now") + receiver.section("usual")
        alerting = '[alerting]\nrules = ["rules.yaml"]\nroutes = "routes.yaml"\n'
        (folder / "watchpost.toml").write_text(alerting + sections)
        with lab.serve(folder) as server:
            offer(Plan(port=server.port, run=lab.run(), spans=Shape().spans, seconds=60.0))
            server.wait_applied(lab.run())
            looping = _Looping(server.port, lab.run())
            seconds = lab.scale.seconds / 2
            plan = Plan(port=server.port, run=lab.run(), spans=1 << 40, seconds=seconds, rate=background, connections=4)
            cpu = server.program.cpu_s()
            report = offer(plan, meanwhile=looping.work)
            cpu = server.program.cpu_s() - cpu
            receiver.wait(2 * len(looping.sent), _WAIT_S + _PATIENCE_S)
        told, judged = _heard(receiver.arrivals)
        unsigned = receiver.unsigned()
    lab.drop(folder)
    now = [told["now", key] - sent for key, (sent, _) in looping.sent.items() if ("now", key) in told]
    since = [told["now", key] - done for key, (_, done) in looping.sent.items() if ("now", key) in told]
    later = [told["usual", key] - sent for key, (sent, _) in looping.sent.items() if ("usual", key) in told]
    until = [judged["now", key] - sent for key, (sent, _) in looping.sent.items() if ("now", key) in told]
    return {
        **milliseconds(now, "delivered"),
        **milliseconds(until, "judged"),
        **milliseconds(since, "from_acknowledged"),
        **milliseconds([each - _WAIT_S for each in later], "beyond_wait"),
        "never": 2 * len(looping.sent) - len(now) - len(later),
        "unsigned": unsigned,
        "background_per_s": report.spans / report.seconds,
        "server_cpu_share": cpu / seconds,
    }


def _heard(arrivals: Sequence[Arrival]) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], float]]:
    """When a channel was first told of a session, and when the batch that raised it was taken up, by the monotonic clock."""
    told, judged = {}, {}
    zero = time.time() - time.perf_counter()
    for arrival in reversed(arrivals):
        event = msgspec.json.decode(arrival.body, type=_Told)
        for session in event.data.sessions:
            told[arrival.channel, session] = arrival.at
            judged[arrival.channel, session] = event.timestamp.timestamp() - zero
    return told, judged


def outbox(lab: Lab) -> Measured:
    """Notices that wait when a server starts: how many go out each second, of one channel, of ten, and of nine beside one that never answers."""
    each = max(100, round(lab.scale.seconds * 10))
    one = _emptied(lab, 1, each)
    ten = _emptied(lab, 10, each)
    nine = _emptied(lab, 10, each, dead=_DEAD)
    numbers = {
        "one_per_s": one.rate,
        "ten_per_s": ten.rate,
        "nine_beside_a_dead_one_per_s": nine.rate,
        "channel_of_ten_s": median(ten.seconds),
        "channel_beside_a_dead_one_s": median(nine.seconds),
        "slowest_of_ten_s": max(ten.seconds),
        "slowest_beside_a_dead_one_s": max(nine.seconds),
        "one_cpu_us": one.cpu_us,
        "ten_cpu_us": ten.cpu_us,
        "twice": one.twice + ten.twice + nine.twice,
        "unsigned": one.unsigned + ten.unsigned + nine.unsigned,
    }
    ratio = numbers["channel_beside_a_dead_one_s"] / numbers["channel_of_ten_s"]
    value = f"{one.rate:,.0f} notices/s on one channel, {ten.rate:,.0f} on ten; beside one that never answers the others take {ratio:.2f} times as long"
    notes = [
        f"{each} notices a channel, each a conversation of its own, durable before and after; {ten.cpu_us:,.0f} us of CPU per notice on ten channels"
    ]
    return Measured(value, numbers | {"dead_channel_ratio": ratio}, notes)


class _Emptied(msgspec.Struct, frozen=True):
    """`rate` in notices per second from the first to the last, `seconds` of each live channel from the first of all to its last, CPU of the server per notice."""

    rate: float
    seconds: list[float]
    cpu_us: float
    twice: int
    unsigned: int


def _emptied(lab: Lab, channels: int, each: int, dead: str = "") -> _Emptied:
    folder = lab.new_folder("outbox")
    names = [f"c-{number}" for number in range(channels)]
    with Receiver(dead) as receiver:
        (folder / "watchpost.toml").write_text("".join(receiver.section(name) for name in names))
        with lab.serve(folder) as server:
            server.program.stop()
        command = [sys.executable, __file__, "--data", str(folder / "data"), "--channels", str(channels)]
        subprocess.run([*command, "--notices", str(each)], check=True, capture_output=True)
        live = [name for name in names if name != dead]
        with lab.serve(folder) as server:
            used, had = server.program.cpu_s(), len(receiver.arrivals)
            receiver.wait(each * len(live), _PATIENCE_S)
            used = server.program.cpu_s() - used
        arrivals = receiver.arrivals
        unsigned = receiver.unsigned()
    lab.drop(folder)
    if len(arrivals) < each * len(live):
        raise NeverAppliedError(f"{len(arrivals)} of {each * len(live)} notices were delivered")
    begun = min(arrival.at for arrival in arrivals)
    ends = {name: max(arrival.at for arrival in arrivals if arrival.channel == name) - begun for name in live}
    return _Emptied(
        len(arrivals) / max(ends.values()),
        list(ends.values()),
        1e6 * used / max(1, len(arrivals) - had),
        len(arrivals) - len({(arrival.channel, arrival.id) for arrival in arrivals}),
        unsigned,
    )


def ticks(lab: Lab, filled: Filled) -> Measured:
    """What 200 rules cost every fifteen seconds on a server that holds very many spans, beside the rules that come with Watchpost; and a tick alone, in process."""
    folder = filled.folder()
    none = _judging(lab, folder, "[alerting]\nshipped_rules = false\n", "")
    shipped = _judging(lab, folder, "", "")
    many = _judging(lab, folder, '[alerting]\nrules = ["rules.yaml"]\n', two_hundred_text(_WORKFLOW))
    alone = measured_in_process(two_hundred(), _RATE, 20)
    numbers = {f"none_{name}": number for name, number in none.items()}
    numbers |= {f"shipped_{name}": number for name, number in shipped.items()}
    numbers |= {f"two_hundred_{name}": number for name, number in many.items()}
    numbers |= {f"in_process_{name}": number for name, number in alone.items()}
    value = (
        f"{alone['tick_ms_median']:.0f} ms of CPU a tick (most {alone['tick_ms_worst']:.0f}) in process; "
        f"on a server of {filled.spans:,} spans {many['cpu_ms_per_tick']:,.0f} ms against {shipped['cpu_ms_per_tick']:,.0f} with the shipped rules "
        f"and {none['cpu_ms_per_tick']:,.0f} without any, {many['resident_mib'] - none['resident_mib']:+,.0f} MiB"
    )
    notes = [
        f"in process: {_RATE} steps/s, as many a day as the server holds",
        "server: CPU of all its threads per 15 s that nobody asks or sends anything, from a start on, with what rules ask of the store until memory reaches as far back as their windows",
        f"a session that is sent then shows after p50 {many['visible_p50_ms']:.0f} ms, p99 {many['visible_p99_ms']:.0f} ms; with the shipped rules {shipped['visible_p50_ms']:.0f} and {shipped['visible_p99_ms']:.0f}",
    ]
    return Measured(value, numbers, notes)


def _judging(lab: Lab, folder: Path, settings: str, rules: str) -> dict[str, float]:
    """CPU per tick of a server that is left alone, then how soon sessions show in it, while rules are judged."""
    config = folder / "watchpost.toml"
    (folder / "rules.yaml").write_text(rules)
    config.write_text(KEEPS_ALL + settings)
    waits: list[float] = []
    with lab.serve(folder) as server:
        offer(Plan(port=server.port, run=lab.run(), spans=Shape().spans, seconds=60.0))
        server.wait_applied(lab.run())
        time.sleep(_SETTLE_S)
        begun, used = time.perf_counter(), server.program.cpu_s()
        time.sleep(lab.scale.seconds)
        used = server.program.cpu_s() - used
        lasted = time.perf_counter() - begun
        for _ in range(_PROBES):
            sent = time.perf_counter()
            waits.append(server.wait_applied(lab.run()) - sent)
            time.sleep(_PROBE_S)
        resident = server.program.resident() / (1 << 20)
        server.program.stop()
    config.write_text(KEEPS_ALL)
    cost = {"cpu_ms_per_tick": 1e3 * used * _TICK_S / lasted, "resident_mib": resident}
    return cost | milliseconds(waits, "visible")


def _fill(data: Path, channels: int, notices: int) -> None:
    """Put notices into the outbox of a folder, as a batch does that raises them."""
    folder = DataFolder.open(data)
    state = SqlState.open(f"sqlite:///{folder.state}", version("watchpost"))
    event = AlertEvent(
        "2026-01-01T00:00:00.000Z", "order-desk", "LOOP_DETECTED", "quote_refund", 3, 0, "10m", "error", "bench",
        "https://runbooks.example/loop", [], "quote_refund was called three times alike", "BenchLoop",
    )  # fmt: skip
    waiting = [
        Notice(f"n-{channel}-{number}", f"c-{channel}", event, key=f"k-{number}")
        for number in range(notices)
        for channel in range(channels)
    ]
    state.commit(StateBatch(state.cursor(), notices=waiting))
    state.close()
    folder.close()


def main() -> None:
    """Fill the outbox of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--channels", type=int, required=True)
    parser.add_argument("--notices", type=int, required=True)
    asked = parser.parse_args()
    _fill(asked.data, asked.channels, asked.notices)


if __name__ == "__main__":
    main()
