"""`watchpost serve`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from watchpost.cli.exits import CommandError, Exit
from watchpost.cli.options import Data
from watchpost.runtime.settings import read_settings
from watchpost.server import serving
from watchpost.server.safety import refuse_address


def serve(
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Pages, API and OTLP/HTTP; 0 takes a free port.")] = None,
    grpc_port: Annotated[int | None, typer.Option(help="OTLP/gRPC; 0 takes a free port.")] = None,
) -> None:
    """Receive telemetry, watch it, and serve pages and API, until stopped."""
    settings = read_settings(data=data, host=host, port=port, grpc_port=grpc_port)
    if (reason := refuse_address(settings.host)) is not None:
        raise CommandError(reason, Exit.USAGE)
    try:
        serving.serve(settings, lambda address: _say(address, str(settings.data)))
    except serving.AddressError as error:
        raise CommandError(str(error)) from error


def _say(address: str, data: str) -> None:
    sys.stdout.write(f"Watchpost listens at {address} and keeps its data in {data}\n")
    sys.stdout.flush()
