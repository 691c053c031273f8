"""`watchpost sessions` and `watchpost show`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Annotated, get_args

import msgspec
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from watchpost.cli.exits import CommandError, Exit
from watchpost.cli.library import Library, every_session, open_library
from watchpost.cli.options import Data, Json, Server
from watchpost.cli.printable import printable
from watchpost.model.session import Outcome, State
from watchpost.query.sessions import SessionFilter
from watchpost.runtime.settings import read_settings
from watchpost.server.answers import SessionAnswer, StepAnswer


def sessions(  # noqa: PLR0917 - typer passes options by name
    data: Data = None,
    server: Server = "",
    project: Annotated[str, typer.Option(help="Only of this project.")] = "",
    session_id: Annotated[str, typer.Option(help="Only with this session id.")] = "",
    state: Annotated[str, typer.Option(help="Only running, ended or reopened ones.")] = "",
    outcome: Annotated[str, typer.Option(help="Only with this outcome, such as completed or tool_error.")] = "",
    workflow: Annotated[str, typer.Option(help="Only of this workflow.")] = "",
    user_id: Annotated[str, typer.Option(help="Only of this user.")] = "",
    as_json: Json = False,
) -> None:
    """List sessions, latest activity first."""
    _check("--state", state, get_args(State))
    _check("--outcome", outcome, get_args(Outcome))
    wanted = SessionFilter(project, session_id, state, outcome, workflow, user_id)
    with open_library(read_settings(data=data), server) as library:
        found = list(every_session(library, wanted))
    if as_json:
        _print_json(found)
        return
    table = _table("session", "state", "flags", "steps", "USD", key="key")
    for one in found:
        flags = ", ".join(f"{flag.kind} at {flag.step}" for flag in one.flags if flag.state != "withdrawn")
        state = one.outcome or one.state
        _row(table, [one.key, one.session_id, state, flags or "-", str(one.totals.steps), one.totals.cost_usd or "-"])
    Console().print(table)


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
        _print_json({"session": session, "steps": steps})
        return
    console = Console()
    _print_head(console, session)
    table = _table("kind", "agent", "model or tool", "status", "ms", "tokens in/out", "USD", "flags", key="step")
    for step in steps:
        what = step.tool or step.model or step.name
        status = f"{step.status} {step.error_type}".strip()
        tokens = f"{_or_dash(step.input_tokens)} / {_or_dash(step.output_tokens)}"
        flags = ", ".join(flag.kind for flag in step.flags)
        took = _or_dash(step.duration_ms)
        cost = step.cost_usd or "-"
        _row(table, [str(step.number), step.kind, step.agent, what, status, took, tokens, cost, flags])
    console.print(table)


def _check(option: str, value: str, among: tuple[str, ...]) -> None:
    if value and value not in among:
        raise CommandError(f"{option} {value}: it is one of {', '.join(among)}", Exit.USAGE)


def _every_step(library: Library, key: str) -> Iterator[StepAnswer]:
    after: int | None = 0
    while after is not None:
        page = library.steps(key, after)
        yield from page.steps
        after = page.next


def _print_head(console: Console, session: SessionAnswer) -> None:
    outcome = f", {session.outcome}" if session.outcome else ""
    console.print(escape(printable(f"{session.session_id}  {session.workflow}  {session.state}{outcome}")))
    for flag in session.flags:
        console.print(
            escape(printable(f"  {flag.severity}  {flag.kind} at step {flag.step}, {flag.state}: {flag.summary}"))
        )


def _table(*columns: str, key: str) -> Table:
    """A table whose first column, by which its rows are named, is never cut."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(key, no_wrap=True, overflow="ignore")
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _row(table: Table, cells: list[str]) -> None:
    table.add_row(*(escape(printable(cell)) for cell in cells))


def _or_dash(value: float | None) -> str:
    return "-" if value is None else str(value)


def _print_json(value: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")
