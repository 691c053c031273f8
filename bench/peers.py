"""Two other programs that take OTLP spans of agents, driven with the same load as Watchpost. They are installed and run, never imported.

Each gets an environment of its own below `bench/.peers`, at the version pinned here, and runs as it does out of the box: its embedded
store in an empty folder, listening on loopback, its own telemetry off.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Self

import msgspec

from lab import Lab, Measured, account, bytes_on_disk
from load import Plan, Report
from process import NotReadyError, Program, free_port, offer
from spans import Template, expected_steps

_ENVIRONMENTS = Path(__file__).with_name(".peers")
_READY_S = 180.0
_DRAIN_S = 120.0
_QUIET_S = 10.0
_SPANS = 10_000
"""Offered to each before the kill, and to the peers in all: they take minutes over more."""
_END_S = 15.0
_RUN_BEFORE_KILL_S = 30.0


class Peer(msgspec.Struct, frozen=True):
    """One program: how it is installed, started, fed and counted. `{port}` and `{folder}` are filled in."""

    name: str
    requirement: str
    command: Sequence[str]
    environment: Sequence[str]
    ready: str
    database: str
    headers: dict[str, str] = {}

    @property
    def home(self) -> Path:
        """Its environment."""
        return _ENVIRONMENTS / self.name


PHOENIX = Peer(
    name="phoenix",
    requirement="arize-phoenix==20.26.1",
    command=("phoenix", "serve"),
    environment=(
        "PHOENIX_HOST=127.0.0.1",
        "PHOENIX_PORT={port}",
        "PHOENIX_GRPC_PORT={grpc}",
        "PHOENIX_WORKING_DIR={folder}",
        "PHOENIX_TELEMETRY_ENABLED=false",
    ),
    ready="/healthz",
    database="phoenix.db",
)

MLFLOW = Peer(
    name="mlflow",
    requirement="mlflow==3.17.2",
    command=("mlflow", "server", "--host", "127.0.0.1", "--port", "{port}"),
    environment=("MLFLOW_DISABLE_TELEMETRY=true", "DO_NOT_TRACK=true"),
    ready="/health",
    database="mlflow.db",
    headers={"x-mlflow-experiment-id": "0"},
)


class NotInstalledError(Exception):
    """A peer could not be installed; says why."""


def install(peer: Peer) -> None:
    """Make its environment unless that pinned version is already there."""
    mark = peer.home / "installed"
    if mark.is_file() and mark.read_text() == peer.requirement:
        return
    pip = str(peer.home / "bin" / "pip")
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(peer.home)],
        [pip, "install", "--quiet", peer.requirement],
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise NotInstalledError((errors or done.stderr.splitlines() or ["no reason given"])[-1][:200])
    mark.write_text(peer.requirement)


class Running:
    """A started peer. Use as a context manager: leaving it ends it."""

    def __init__(self, peer: Peer, folder: Path) -> None:
        """Start it on `folder` and wait until it is ready."""
        self.port = free_port()
        self._database = folder / "store" / peer.database
        self._database.parent.mkdir(exist_ok=True)
        filled = {"port": str(self.port), "grpc": str(free_port()), "folder": str(self._database.parent)}
        command, environment = (
            [part.format(**filled) for part in peer.command],
            [part.format(**filled) for part in peer.environment],
        )
        command[0] = str(peer.home / "bin" / command[0])
        path = f"PATH={peer.home / 'bin'}:/usr/bin:/bin"
        self.program = Program(command, [*environment, path], self._database.parent, folder / "server.log")
        self.ready_s = self.program.wait_ready(self.port, peer.ready, _READY_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.program.kill()

    def span_ids(self) -> set[str]:
        """The ids in its table of spans, read from its own database file."""
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=30.0)) as database:
            rows: list[tuple[str]] = database.execute("SELECT span_id FROM spans").fetchall()
            return {span_id for (span_id,) in rows}

    def settled(self, wanted: set[str], quiet_s: float) -> tuple[set[str], float]:
        """Wait until it holds `wanted`, has not grown for `quiet_s` or the time is over.

        Returns the ids it then holds and the monotonic time at which it was first seen to hold as many.
        """
        held, grew = self.span_ids(), time.perf_counter()
        end = grew + _DRAIN_S
        while not wanted <= held and (now := time.perf_counter()) < end and now - grew < quiet_s:
            time.sleep(0.5)
            seen = self.span_ids()
            if len(seen) != len(held):
                held, grew = seen, time.perf_counter()
        return held, grew

    def bytes_per_span(self) -> float:
        """What its store takes on disk, its write-ahead log folded in; only while it does not run."""
        with closing(sqlite3.connect(self._database)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return bytes_on_disk(self._database.parent) / max(1, len(self.span_ids()))


def measured(peer: Peer) -> Callable[[Lab], Measured]:
    """The measurement of one peer."""

    def measure(lab: Lab) -> Measured:
        try:
            install(peer)
        except NotInstalledError as error:
            return Measured(f"not measured: {peer.requirement} could not be installed", {}, [str(error)])
        try:
            return _measure(lab, peer)
        except NotReadyError as error:
            return Measured(f"not measured: {peer.requirement} did not start", {}, [str(error)[-300:]])

    return measure


def _measure(lab: Lab, peer: Peer) -> Measured:
    folder = lab.new_folder(peer.name)
    with Running(peer, folder) as first:
        first_start = first.ready_s
        plan = _plan(lab, first.port, lab.scale.peer_seconds, peer.headers)
        report = offer(plan)
        held, at = first.settled(_ids(plan, report), _DRAIN_S)
        resident = first.program.resident()
        first.program.stop(_END_S)
        bytes_per_span = first.bytes_per_span()
    with Running(peer, folder) as second:
        again = second.ready_s
        plan = _plan(lab, second.port, _RUN_BEFORE_KILL_S * 2, peer.headers)
        killed = offer(plan, meanwhile=_killer(second.program))
    with Running(peer, folder) as third:
        wanted = _ids(plan, killed)
        lost = len(wanted - third.settled(wanted, _QUIET_S)[0])
    lab.drop(folder)
    seconds = at - min((ack.sent for ack in report.acknowledged), default=at)
    numbers = _numbers(report, killed) | {
        "durable_per_s": len(held) / seconds if seconds else 0.0,
        "durable_spans": len(held),
        "lost_in_kill": lost,
        "bytes_per_span": bytes_per_span,
        "ready_first_s": first_start,
        "ready_again_s": again,
        "resident_mib": resident / (1 << 20),
    }
    return Measured(_line(numbers), numbers, [peer.requirement])


def ours(lab: Lab) -> Measured:
    """Watchpost, driven the same way for the same time."""
    folder = lab.new_folder("watchpost")
    with lab.serve(folder) as server:
        first_start = server.ready_s
        plan = _plan(lab, server.port, lab.scale.peer_seconds, {}, spans=1 << 40)
        report = offer(plan)
        seconds = server.wait_applied(lab.run()) - min(ack.sent for ack in report.acknowledged)
        resident = server.program.resident()
        expected = _steps(plan, report)
    size = bytes_on_disk(folder / "data")
    with lab.serve(folder) as server:
        again = server.ready_s
        plan = _plan(lab, server.port, _RUN_BEFORE_KILL_S * 2, {})
        killed = offer(plan, meanwhile=_killer(server.program))
        expected += _steps(plan, killed)
    with lab.serve(folder) as server:
        server.wait_applied(lab.run())
        seen = account(expected, expected, server.steps())
    lab.drop(folder)
    numbers = _numbers(report, killed) | {
        "durable_per_s": report.spans / seconds,
        "durable_spans": report.spans,
        "lost_in_kill": seen.lost,
        "bytes_per_span": size / report.spans,
        "ready_first_s": first_start,
        "ready_again_s": again,
        "resident_mib": resident / (1 << 20),
    }
    return Measured(
        _line(numbers),
        numbers,
        [
            "durable here means visible: folded, with flags; bytes are of the whole folder at that moment, log and unmerged parts included"
        ],
    )


def _plan(lab: Lab, port: int, seconds: float, headers: dict[str, str], spans: int = _SPANS) -> Plan:
    return Plan(port=port, run=lab.run(), spans=spans, seconds=seconds, headers=headers, timeout_s=120.0)


def _killer(program: Program) -> Callable[[Callable[[], bool]], None]:
    def wait(busy: Callable[[], bool]) -> None:
        end = time.perf_counter() + _RUN_BEFORE_KILL_S
        while busy() and time.perf_counter() < end:
            time.sleep(0.005)
        program.kill()

    return wait


def _ids(plan: Plan, report: Report) -> set[str]:
    template = Template(plan.shape, 0)
    return {span_id for ack in report.acknowledged for span_id in template.span_ids(plan.run, ack.body)}


def _steps(plan: Plan, report: Report) -> Counter[str]:
    return expected_steps([Template(plan.shape, 0)], plan.run, [ack.body for ack in report.acknowledged])


def _numbers(report: Report, killed: Report) -> dict[str, float]:
    return {
        "acknowledged_spans": report.spans,
        "acknowledged_per_s": report.spans / report.seconds if report.seconds else 0.0,
        "put_off": report.put_off,
        "acknowledged_before_kill": killed.spans,
    }


def _line(numbers: dict[str, float]) -> str:
    return (
        f"{numbers['durable_per_s']:,.0f} spans/s durable; {numbers['lost_in_kill']:,} of {numbers['acknowledged_before_kill']:,} acknowledged lost in a kill; "
        f"{numbers['bytes_per_span']:,.0f} B per span; ready in {numbers['ready_again_s']:.1f} s; {numbers['resident_mib']:,.0f} MiB"
    )
