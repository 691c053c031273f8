"""How commands list things: tables for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import msgspec
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from watchpost.cli.exits import CommandError, Exit
from watchpost.cli.printable import printable

WIDEST = 1000
"""Columns of a line that goes to a program and not to a terminal: a row stays on one line, so that it can be searched."""


def console() -> Console:
    """Where commands print: as wide as the terminal, if it is one."""
    made = Console()
    return made if made.is_terminal else Console(width=WIDEST)


def table(*columns: str, key: str) -> Table:
    """A table whose first column, by which its rows are named, is never cut."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    made.add_column(key, no_wrap=True, overflow="ignore")
    for name in columns:
        made.add_column(name, overflow="fold")
    return made


def add_row(to: Table, cells: Sequence[str]) -> None:
    """Add a row of text from traces."""
    to.add_row(*(escape(printable(cell)) for cell in cells))


def print_json(value: object) -> None:
    """Write an answer as indented JSON."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value)).decode() + "\n")


def say(remark: str) -> None:
    """Write what belongs beside an answer to standard error, where no program reads it as part of one."""
    sys.stderr.write(f"{printable(remark)}\n")


def check_choice(option: str, value: str, among: tuple[str, ...]) -> None:
    """Raise `CommandError` for a value that is none of those an option takes; empty text is no choice."""
    if value and value not in among:
        raise CommandError(f"{option} {value}: it is one of {', '.join(among)}", Exit.USAGE)
