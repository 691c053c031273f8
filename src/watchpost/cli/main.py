"""`watchpost`: the commands, and what they answer when something is wrong."""

from __future__ import annotations

import sys

import typer

from watchpost.cli import (
    alerts,
    bring_in,
    contracts,
    erase,
    examine,
    feedback,
    hold,
    logs,
    look,
    measures,
    notify,
    release,
    rules,
    serving,
    show_off,
    silences,
    spending,
    verdict,
    versions,
)
from watchpost.cli.exits import KNOWN, exit_code
from watchpost.cli.printable import printable

app = typer.Typer(
    name="watchpost",
    help="See when an LLM agent misbehaves, which step went wrong, and tell who must know.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serving.serve)
app.command()(show_off.demo)
app.command()(examine.doctor)
app.command(name="import")(bring_in.import_recordings)
app.command()(look.sessions)
app.command()(look.show)
app.command()(logs.logs)
app.command()(measures.measures)
app.command()(spending.spending)
app.command()(release.release)
app.command()(release.releases)
app.command()(versions.versions)
app.command()(verdict.flags)
app.command()(verdict.verdict)
app.command()(verdict.precision)
app.command()(alerts.alerts)
app.command()(alerts.alert)
app.command()(alerts.ack)
app.command()(silences.silence)
app.command()(silences.silences)
app.command()(silences.unsilence)
app.command()(hold.hold)
app.command()(feedback.feedback)
app.command()(erase.erase)
app.add_typer(contracts.app, name="contracts")
app.add_typer(notify.app, name="notify")
app.add_typer(rules.app, name="rules")


def main() -> None:
    """Run a command; what is known to go wrong is one line on standard error and an exit code, never a traceback."""
    try:
        app()
    except KNOWN as error:
        first, *_ = str(error).splitlines() or [type(error).__name__]
        sys.stderr.write(f"watchpost: {printable(first)}\n")
        sys.exit(exit_code(error))
