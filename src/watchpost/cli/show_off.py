"""`watchpost demo`: a Watchpost that starts from nothing, with agents that keep it busy."""

from __future__ import annotations

import socket
import sys
import tempfile
import threading
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

import typer

from watchpost.cli.demo.agents import run_agents
from watchpost.cli.demo.incidents import incidents
from watchpost.cli.demo.receiver import NoticeReceiver
from watchpost.runtime.settings import read_settings
from watchpost.server import serving

_HERE = files("watchpost.cli.demo")

NOTICE_WAIT_S = 30.0

QUIET_S = 1.0
"""A recorded session counts as over after this, so that what it teaches is known when it is needed."""

BUDGETS = [{"workflow": "research*", "tokens": 80_000}]


def demo(
    port: Annotated[int, typer.Option(help="Where to serve; a free port if this one is taken.")] = 8484,
) -> None:
    """Start on an empty data folder, replay recorded agents and four that go wrong, show who is told what, stay up."""
    with (
        tempfile.TemporaryDirectory(prefix="watchpost-demo-") as data,
        NoticeReceiver() as receiver,
        as_file(_HERE / "rules.yaml") as rules,
        as_file(_HERE / "routes.yaml") as routes,
    ):
        settings = read_settings(
            data=Path(data),
            port=port if _is_free(port) else 0,
            grpc_port=0,
            session={"quiet_seconds": QUIET_S},
            budget={"limits": BUDGETS},
            webhooks={"demo": {"url": receiver.url, "secrets": [receiver.secret], "allow_private": True}},
            alerting={"rules": [str(rules)], "routes": str(routes)},
        )
        serving.serve(settings, lambda address: _start(address, receiver))
    _say("stopped; the demo's data is gone")


def _start(address: str, receiver: NoticeReceiver) -> None:
    threading.Thread(target=_play, args=(address, receiver), daemon=True).start()


def _play(address: str, receiver: NoticeReceiver) -> None:
    _say(f"Watchpost listens at {address}")
    run_agents(address, _say)
    missing = {(incident.flag, incident.service) for incident in incidents()}
    while missing and (notice := receiver.wait(NOTICE_WAIT_S)) is not None:
        told = str(notice["metric"]), str(notice["service"])
        if told in missing:
            missing.discard(told)
            _say(f"notice received, signature verified: {notice['metric']}: {notice['summary']}")
            _say(f"  severity {notice['severity']}, owner {notice['owner']}, runbook {notice['runbook']}")
    for flag, service in sorted(missing):
        _say(f"no notice of {flag} at {service} arrived within {NOTICE_WAIT_S:.0f} s")
    _say(f"\nopen {address} - Ctrl-C stops the demo")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
