"""`watchpost feedback`: say what somebody thinks of a session, or of one step of it."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import httpx
import typer

from watchpost.cli.exits import CommandError, Exit
from watchpost.cli.library import answering, open_watchpost
from watchpost.cli.options import Data, Json, Server
from watchpost.cli.printable import printable
from watchpost.cli.remote import post
from watchpost.cli.tables import print_json
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import read_settings
from watchpost.runtime.wiring import Watchpost
from watchpost.server.feedback import Feedback, FeedbackAnswer, FeedbackGiven, FeedbackKind, FeedbacksAnswer


def feedback(  # noqa: PLR0917 - typer passes options by name
    session: Annotated[
        str, typer.Argument(help="The key of a session, from `watchpost sessions`; or name a trace.")
    ] = "",
    thumbs_up: Annotated[bool, typer.Option("--thumbs-up", help="Somebody was content.")] = False,
    thumbs_down: Annotated[bool, typer.Option("--thumbs-down", help="Somebody was not.")] = False,
    correction: Annotated[bool, typer.Option("--correction", help="The agent was corrected.")] = False,
    escalation: Annotated[bool, typer.Option("--escalation", help="A person had to take over.")] = False,
    ticket: Annotated[bool, typer.Option("--ticket", help="Somebody opened a ticket.")] = False,
    score: Annotated[float | None, typer.Option(help="So many points.")] = None,
    label: Annotated[str, typer.Option(help="The name of a score.")] = "",
    comment: Annotated[str, typer.Option(help="In words.")] = "",
    by: Annotated[str, typer.Option(help="Who says so.")] = "",
    evaluator: Annotated[str, typer.Option(help="Who or what judges, where scores are by a scale of its own.")] = "",
    at: Annotated[str, typer.Option(help="When it was said, ISO 8601; now if not given.")] = "",
    id_: Annotated[str, typer.Option("--id", help="The same id again replaces what it said before.")] = "",
    project: Annotated[str, typer.Option(help="The project of a session id or trace.")] = "default",
    session_id: Annotated[str, typer.Option(help="Instead of a key: the id that the agent gave the session.")] = "",
    trace: Annotated[str, typer.Option(help="Instead of a key: a trace id.")] = "",
    step: Annotated[str, typer.Option(help="One step of that trace.")] = "",
    data: Data = None,
    server: Server = "",
    as_json: Json = False,
) -> None:
    """Say what somebody thinks of a session; it is counted among its evaluations."""
    marks: dict[FeedbackKind, bool] = {
        "thumbs_up": thumbs_up,
        "thumbs_down": thumbs_down,
        "correction": correction,
        "escalation": escalation,
        "ticket": ticket,
        "score": score is not None or bool(label),
    }
    said = [kind for kind, is_said in marks.items() if is_said] or (["comment"] if comment else [])
    if len(said) != 1:
        raise CommandError("say one thing: --thumbs-up, --thumbs-down, --score, ... or a --comment alone", Exit.USAGE)
    given = FeedbackGiven(
        said[0], session, project, session_id, trace, step, "", score, label, comment, by, evaluator, at, id_
    )
    with open_watchpost(read_settings(data=data), server) as found, answering():
        if isinstance(found, httpx.Client):
            answer = post(found, "/api/feedback", given, FeedbacksAnswer).feedback[0]
        else:
            answer = _give(found, given)
    if as_json:
        print_json(answer)
        return
    where = f"session {answer.session}" if answer.session else "nothing that has come yet: it is counted when it does"
    sys.stdout.write(f"{printable(f'step {answer.step_id} of {where}')}\n")


def _give(watchpost: Watchpost, given: FeedbackGiven) -> FeedbackAnswer:
    """Without a server: write it down, and count it before returning."""
    telemetry, flow = watchpost.stores.telemetry, watchpost.flow
    taking = Feedback(telemetry, flow, watchpost.redactor.delivery, now_ns)
    parcels = taking.parcels([given], now_ns())
    asyncio.run(taking.write(parcels))
    flow.catch_up(now_ns())
    return taking.answers(parcels)[0]
