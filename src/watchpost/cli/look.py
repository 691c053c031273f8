"""`watchpost sessions` and `watchpost show`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, get_args

import typer
from rich.console import Console
from rich.markup import escape

from watchpost.cli.library import Library, answering, every_page, open_library
from watchpost.cli.options import Data, Json, Server
from watchpost.cli.printable import printable
from watchpost.cli.tables import add_row, check_choice, console, print_json, say, table
from watchpost.model.session import Outcome, State
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import read_settings
from watchpost.server.answers import SessionAnswer, StepAnswer
from watchpost.server.search import session_filter


def sessions(  # noqa: PLR0917 - typer passes options by name
    anything: Annotated[
        str,
        typer.Argument(help="What is in hand: a session, trace or user id, an order number, or words that were said."),
    ] = "",
    data: Data = None,
    server: Server = "",
    project: Annotated[str, typer.Option(help="Only of this project.")] = "",
    session_id: Annotated[str, typer.Option(help="Only with this session id.")] = "",
    state: Annotated[str, typer.Option(help="Only running, ended or reopened ones.")] = "",
    outcome: Annotated[str, typer.Option(help="Only with this outcome, such as completed or tool_error.")] = "",
    workflow: Annotated[str, typer.Option(help="Only of this workflow.")] = "",
    user_id: Annotated[str, typer.Option(help="Only of this user.")] = "",
    service: Annotated[str, typer.Option(help="Only from this service.")] = "",
    org_id: Annotated[str, typer.Option(help="Only of this organization.")] = "",
    feature: Annotated[str, typer.Option(help="Only of this feature.")] = "",
    release: Annotated[str, typer.Option(help="Only of this release.")] = "",
    trace: Annotated[str, typer.Option(help="Only the one with this trace.")] = "",
    entity: Annotated[str, typer.Option(help="Only where a text names this, such as ORD-4711 or 4711.")] = "",
    text: Annotated[str, typer.Option(help="Only where a text holds this.")] = "",
    text_since: Annotated[str, typer.Option(help="Search texts received since then, as ISO 8601.")] = "",
    flag: Annotated[str, typer.Option(help="Only with a flag of this kind, such as LOOP_DETECTED.")] = "",
    flagged: Annotated[bool, typer.Option("--flagged", help="Only with a flag of any kind.")] = False,
    error: Annotated[bool, typer.Option("--error", help="Only with a step that failed.")] = False,
    since: Annotated[
        str, typer.Option(help="Only with steps since then, as ISO 8601, or so long ago, such as 24h.")
    ] = "",
    until: Annotated[str, typer.Option(help="Only with steps before then.")] = "",
    as_json: Json = False,
) -> None:
    """List sessions, latest activity first."""
    check_choice("--state", state, get_args(State))
    check_choice("--outcome", outcome, get_args(Outcome))
    asked = {
        "project": project,
        "session_id": session_id,
        "state": state,
        "outcome": outcome,
        "workflow": workflow,
        "user_id": user_id,
        "service": service,
        "org_id": org_id,
        "feature": feature,
        "release": release,
        "trace": trace,
        "entity": entity,
        "text": text,
        "text_since": text_since,
        "flag": flag,
        "flagged": "true" if flagged else "",
        "error": "true" if error else "",
        "since": since,
        "until": until,
    }
    with answering():
        wanted = session_filter(asked, now_ns())
    with open_library(read_settings(data=data), server) as library:
        pages = list(every_page(library, wanted, anything))
    found = [session for page in pages for session in page.sessions]
    if searched := next((page.searched_since for page in pages if page.searched_since), None):
        words = max((page.words_since or "" for page in pages), default="")
        beyond = (
            f", and for its words whole those since {words}" if words else ", and for its words whole all that are kept"
        )
        say(f"texts received since {searched} were searched{beyond}; --text-since goes further back")
    if as_json:
        print_json(found)
        return
    shown = table("session", "state", "flags", "steps", "USD", key="key")
    for one in found:
        flags = ", ".join(f"{flag.kind} at {flag.step}" for flag in one.flags if flag.state != "withdrawn")
        state = one.outcome or one.state
        add_row(
            shown, [one.key, one.session_id, state, flags or "-", str(one.totals.steps), one.totals.cost_usd or "-"]
        )
    console().print(shown)


def show(
    key: Annotated[str, typer.Argument(help="The key of a session, from `watchpost sessions`.")],
    data: Data = None,
    server: Server = "",
    as_json: Json = False,
) -> None:
    """Show one session: its flags with their evidence, and its steps."""
    with open_library(read_settings(data=data), server) as library:
        session = library.session(key)
        steps = list(_every_step(library, session.key))
    if as_json:
        print_json({"session": session, "steps": steps})
        return
    out = console()
    _print_head(out, session)
    shown = table("kind", "agent", "model or tool", "status", "ms", "tokens in/out", "USD", "flags", key="step")
    for step in steps:
        what = step.tool or step.model or step.name
        status = f"{step.status} {step.error_type}".strip()
        tokens = f"{_or_dash(step.input_tokens)} / {_or_dash(step.output_tokens)}"
        flags = ", ".join(flag.kind for flag in step.flags)
        took = _or_dash(step.duration_ms)
        cost = step.cost_usd or "-"
        add_row(shown, [str(step.number), step.kind, step.agent, what, status, took, tokens, cost, flags])
    out.print(shown)


def _every_step(library: Library, key: str) -> Iterator[StepAnswer]:
    after: int | None = 0
    while after is not None:
        page = library.steps(key, after)
        yield from page.steps
        after = page.next


def _print_head(out: Console, session: SessionAnswer) -> None:
    outcome = f", {session.outcome}" if session.outcome else ""
    out.print(escape(printable(f"{session.session_id}  {session.workflow}  {session.state}{outcome}")))
    for flag in session.flags:
        out.print(
            escape(printable(f"  {flag.severity}  {flag.kind} at step {flag.step}, {flag.state}: {flag.summary}"))
        )


def _or_dash(value: float | None) -> str:
    return "-" if value is None else str(value)
