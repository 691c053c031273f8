"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path | None, typer.Option(help="The data folder; watchpost-data if nothing says otherwise.")]
Server = Annotated[str, typer.Option(help="The address of a running Watchpost, instead of a data folder.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
