"""`watchpost hold`: keep the trace of a session as evidence, or release it."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated
from urllib.parse import quote

import httpx
import typer

from watchpost.cli.library import answering, archive, kept_traces, open_watchpost
from watchpost.cli.options import Data, Json, Server
from watchpost.cli.printable import printable
from watchpost.cli.remote import post
from watchpost.cli.tables import print_json
from watchpost.model.fact import Hold
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import read_settings
from watchpost.runtime.wiring import Watchpost
from watchpost.server.kept_traces import HoldAnswer, HoldGiven


def hold(  # noqa: PLR0917 - typer passes options by name
    session: Annotated[str, typer.Argument(help="The key of a session, from `watchpost sessions`.")],
    release: Annotated[bool, typer.Option("--release", help="Let the ordinary terms hold again.")] = False,
    by: Annotated[str, typer.Option(help="Who says so.")] = "",
    note: Annotated[str, typer.Option(help="Why.")] = "",
    data: Data = None,
    server: Server = "",
    as_json: Json = False,
) -> None:
    """Hold the trace of a session as evidence, whatever retention says, or release it."""
    given = HoldGiven(by, note)
    with open_watchpost(read_settings(data=data), server) as found, answering():
        if isinstance(found, httpx.Client):
            action = "release" if release else "hold"
            answer = post(found, f"/api/sessions/{quote(session, safe='')}/{action}", given, HoldAnswer)
        else:
            answer = _give(found, session, given, released=release)
    if as_json:
        print_json(answer)
        return
    said = f"{answer.session_id} is {'held' if answer.trace.held else 'released'}"
    if answer.trace.state in {"sampled_out", "expired"}:
        said += ", but what was received before is no longer there"
    sys.stdout.write(f"{printable(said)}\n")


def _give(watchpost: Watchpost, session: str, given: HoldGiven, *, released: bool) -> HoldAnswer:
    traces = kept_traces(watchpost)
    said = Hold(*archive(watchpost).session_ref(session), given.by, given.note, now_ns(), released)
    asyncio.run(watchpost.flow.note((said,)))
    watchpost.flow.catch_up(now_ns())
    return traces.answer(said)
