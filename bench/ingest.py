"""Taking spans in: how fast, at what cost beside the floor, how soon acknowledged, and what a kill loses."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from floor import Floor
from lab import Lab, Measured, account, median, milliseconds
from load import Plan, Report
from process import Client, offer
from product import Watchpost
from spans import Shape, Template, expected_steps, session_name

_FLOOR = Path(__file__).with_name("floor.py")
_ENDLESS = 1 << 40
_OFFERED = 20_000
_TRIES = 3
_READS_PER_S = 10


def throughput(lab: Lab) -> Measured:
    """As fast as it accepts; then every acknowledged step must be found."""
    folder = lab.new_folder("throughput")
    with lab.serve(folder) as server:
        plan = Plan(port=server.port, run=lab.run(), spans=_ENDLESS, seconds=lab.scale.seconds, connections=4)
        cpu = server.program.cpu_s()
        report = offer(plan)
        applied = server.wait_applied(lab.run())
        cpu = server.program.cpu_s() - cpu
        seen = account(_acknowledged(plan, report), _sent(plan, report), server.steps())
        begun = min(ack.sent for ack in report.acknowledged)
        numbers = {
            "spans": report.spans,
            "accepted_per_s": report.spans / report.seconds,
            "applied_per_s": report.spans / (applied - begun),
            "behind_at_the_end_s": applied - begun - report.seconds,
            "put_off": report.put_off,
            "unanswered_requests": len(report.unanswered),
            "rejected_spans": report.rejected_spans,
            "server_cpu_us_per_span": 1e6 * cpu / report.spans,
            "sender_cpu_us_per_span": 1e6 * report.cpu_s / report.spans,
        } | msgspec.to_builtins(seen)
    lab.drop(folder)
    value = f"{numbers['applied_per_s']:,.0f} spans/s accepted and applied, {seen.lost} of {seen.acknowledged:,} acknowledged steps lost"
    return Measured(
        value,
        numbers,
        [
            f"accepted {numbers['accepted_per_s']:,.0f} spans/s, last one visible {numbers['behind_at_the_end_s']:.1f} s later"
        ],
    )


def kill(lab: Lab) -> Measured:
    """`kill -9` under full load, restart, count; then send what was not answered again, as exporters do, and count again."""
    folder = lab.new_folder("kill")
    acknowledged: Counter[str] = Counter()
    sent: Counter[str] = Counter()
    lost, recoveries, unanswered = 0, [], 0
    for _ in range(lab.scale.kills):
        with lab.serve(folder) as server:
            plan = Plan(
                port=server.port, run=lab.run(), spans=_ENDLESS, seconds=60.0, connections=4, now_ns=time.time_ns()
            )
            report = offer(plan, meanwhile=_killer(server, 5.0))
        acknowledged += _acknowledged(plan, report)
        sent += _sent(plan, report)
        unanswered += len(report.unanswered)
        with lab.serve(folder) as server:
            server.wait_applied(lab.run())
            recoveries.append(server.ready_s)
            lost = max(lost, account(acknowledged, sent, server.steps()).lost)
            if report.unanswered:
                again = offer(msgspec.structs.replace(plan, port=server.port, only=report.unanswered))
                server.wait_applied(lab.run())
                acknowledged += _acknowledged(plan, again)
            seen = account(acknowledged, sent, server.steps())
    lab.drop(folder)
    numbers = msgspec.to_builtins(seen) | {
        "kills": lab.scale.kills,
        "lost_before_sending_again": lost,
        "unanswered_requests": unanswered,
        "ready_after_kill_s": median(recoveries),
    }
    value = f"{lost} of {seen.acknowledged:,} acknowledged steps lost in {lab.scale.kills} kills; {seen.lost} lost, {seen.surplus} counted twice after sending again"
    return Measured(value, numbers)


def _killer(server: Watchpost, after_s: float) -> Callable[[Callable[[], bool]], None]:
    def wait(_: Callable[[], bool]) -> None:
        time.sleep(after_s)
        server.program.kill()

    return wait


def cost(lab: Lab) -> Measured:
    """CPU per span of the server from the first send until all is applied, and of the floor, by turns."""
    product, floors, small = [], [], []
    for _ in range(lab.scale.rounds):
        floors.append(_floor(lab, 10_000))
        product.append(_server_cost(lab))
    small.append(_floor(lab, 500))
    ratios = [mine / floor.cpu_us_per_span for mine, floor in zip(product, floors, strict=True)]
    numbers = {
        "product_us_per_span": median(product),
        "floor_us_per_span": median([floor.cpu_us_per_span for floor in floors]),
        "floor_500_rows_us_per_span": small[0].cpu_us_per_span,
        "floor_bytes_per_span": floors[0].bytes_per_span,
        "ratio": median(ratios),
        "ratio_least": min(ratios),
        "ratio_most": max(ratios),
        "rounds": len(ratios),
    }
    value = f"{numbers['ratio']:.2f} times ({numbers['product_us_per_span']:.0f} us against {numbers['floor_us_per_span']:.0f} us per span)"
    notes = [
        f"floor with inserts of 10,000 rows; of 500 rows it costs {small[0].cpu_us_per_span:.0f} us",
        f"{len(ratios)} rounds: {min(ratios):.2f} to {max(ratios):.2f}",
    ]
    return Measured(value, numbers, notes)


def _floor(lab: Lab, rows: int) -> Floor:
    folder = lab.new_folder("floor")
    command = [
        sys.executable,
        str(_FLOOR),
        "--folder",
        str(folder / "db"),
        "--spans",
        str(lab.scale.round_spans),
        "--rows",
        str(rows),
    ]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lab.drop(folder)
    return msgspec.json.decode(printed, type=Floor)


def _server_cost(lab: Lab) -> float:
    folder = lab.new_folder("cost")
    with lab.serve(folder) as server:
        offer(Plan(port=server.port, run=lab.run(), spans=Shape().spans, seconds=60.0))
        server.wait_applied(lab.run())
        before = []
        plan = Plan(port=server.port, run=lab.run(), spans=lab.scale.round_spans, seconds=120.0)
        report = offer(plan, begun=lambda: before.append(server.program.cpu_s()))
        server.wait_applied(lab.run())
        used = server.program.cpu_s() - before[0]
    lab.drop(folder)
    return 1e6 * used / report.spans


def acknowledgement(lab: Lab) -> Measured:
    """How soon a request is acknowledged at a fixed rate while pages are read; at a lower rate if that one is not sustained."""
    rate = float(_OFFERED)
    first, sustained = _at_rate(lab, rate)
    numbers = first
    for _ in range(_TRIES):
        if sustained:
            break
        rate = float(int(0.9 * numbers["applied_per_s"]))
        numbers, sustained = _at_rate(lab, rate)
    value = f"p50 {numbers['acknowledged_p50_ms']:.1f} ms, p99 {numbers['acknowledged_p99_ms']:.1f} ms at {rate:,.0f} spans/s"
    notes = [
        f"counted from when a request was due: p99 {numbers['from_due_p99_ms']:.1f} ms; {_READS_PER_S} pages a second read meanwhile, p95 {numbers['page_p95_ms']:.0f} ms"
    ]
    if rate < _OFFERED:
        notes.append(
            f"{_OFFERED:,} spans/s were not sustained on this machine, which the sender shares: {first['accepted_per_s']:,.0f} accepted, "
            f"{first['applied_per_s']:,.0f} applied, p99 {first['acknowledged_p99_ms']:.1f} ms"
        )
    if not sustained:
        notes.append("the rate shown was not sustained either")
    return Measured(value, numbers | {f"at_{_OFFERED}_{name}": number for name, number in first.items()}, notes)


def _at_rate(lab: Lab, rate: float) -> tuple[dict[str, float], bool]:
    folder = lab.new_folder("acknowledgement")
    with lab.serve(folder) as server:
        warm = lab.run()
        offer(Plan(port=server.port, run=warm, spans=Shape().spans, seconds=60.0))
        server.wait_applied(lab.run())
        pages: list[float] = []
        plan = Plan(
            port=server.port, run=lab.run(), spans=_ENDLESS, seconds=lab.scale.seconds, rate=rate, connections=8
        )
        report = offer(plan, meanwhile=lambda busy: read_pages(server, session_name(warm, 0, 0), busy, pages))
        last = max(ack.done for ack in report.acknowledged)
        behind = server.wait_applied(lab.run()) - last
    lab.drop(folder)
    late = last - max(ack.due for ack in report.acknowledged)
    numbers = {
        "offered_per_s": rate,
        "accepted_per_s": report.spans / report.seconds,
        "applied_per_s": report.spans / (report.seconds + behind),
        "put_off": report.put_off,
        "applied_behind_s": behind,
        "late_at_the_end_s": late,
    }
    numbers |= milliseconds([ack.done - ack.sent for ack in report.acknowledged], "acknowledged")
    numbers |= milliseconds([ack.done - ack.due for ack in report.acknowledged], "from_due")
    numbers |= milliseconds(pages, "page")
    return numbers, report.put_off == 0 and late < 1.0 and behind < 5.0


def read_pages(server: Watchpost, session_id: str, busy: Callable[[], bool], seconds: list[float]) -> None:
    """Read pages and API in turn, ten a second, while `busy`; adds the seconds each took."""
    session = server.session(session_id)
    key = session.key if session else ""
    paths = ("/", f"/sessions/{key}", "/api/sessions", f"/api/sessions/{key}/steps")
    client = Client(server.port)
    turn = 0
    while busy():
        answer = client.get(paths[turn % len(paths)])
        if answer.status == 200:
            seconds.append(answer.seconds)
        turn += 1
        time.sleep(max(0.0, 1 / _READS_PER_S - answer.seconds))
    client.close()


def _acknowledged(plan: Plan, report: Report) -> Counter[str]:
    return expected_steps([Template(plan.shape, 0)], plan.run, [ack.body for ack in report.acknowledged])


def _sent(plan: Plan, report: Report) -> Counter[str]:
    return expected_steps(
        [Template(plan.shape, 0)], plan.run, [*(ack.body for ack in report.acknowledged), *report.unanswered]
    )
