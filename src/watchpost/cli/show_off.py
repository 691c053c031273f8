"""`watchpost demo`: a Watchpost that starts from nothing, with agents that keep it busy."""

from __future__ import annotations

import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Annotated

import typer

from watchpost.cli.demo.agents import run_agents
from watchpost.cli.demo.receiver import NoticeReceiver
from watchpost.runtime.settings import read_settings
from watchpost.server import serving

NOTICE_WAIT_S = 30.0

LOOPING_TOOL = "get_order"
"""What the refund agent calls again and again; a replayed recording loops too, and is told of as well."""


def demo(
    port: Annotated[int, typer.Option(help="Where to serve; a free port if this one is taken.")] = 8484,
) -> None:
    """Start on an empty data folder, replay recorded agents and run one that loops, show the notice it causes, stay up."""
    with tempfile.TemporaryDirectory(prefix="watchpost-demo-") as data, NoticeReceiver() as receiver:
        settings = read_settings(
            data=Path(data),
            port=port if _is_free(port) else 0,
            grpc_port=0,
            webhooks={"demo": {"url": receiver.url, "secrets": [receiver.secret], "allow_private": True}},
            rules=[
                {
                    "name": "agent-anomaly",
                    "severity": "high",
                    "channels": ["demo"],
                    "owner": "on-call engineer",
                    "runbook": "docs/detectors.md",
                }
            ],
        )
        serving.serve(settings, lambda address: _start(address, receiver))
    _say("stopped; the demo's data is gone")


def _start(address: str, receiver: NoticeReceiver) -> None:
    threading.Thread(target=_play, args=(address, receiver), daemon=True).start()


def _play(address: str, receiver: NoticeReceiver) -> None:
    _say(f"Watchpost listens at {address}")
    run_agents(address, _say)
    notice = receiver.wait(NOTICE_WAIT_S)
    while notice is not None and notice["tool"] != LOOPING_TOOL:
        notice = receiver.wait(NOTICE_WAIT_S)
    if notice is None:
        _say(f"no notice arrived within {NOTICE_WAIT_S:.0f} s")
    else:
        _say(f"notice received, signature verified: {notice['summary']}")
        _say(f"  severity {notice['severity']}, owner {notice['owner']}, runbook {notice['runbook']}")
    _say(f"\nopen {address} - Ctrl-C stops the demo")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
