"""`watchpost contracts`: what is known of the responses of tools, how it changed, and which of it is to hold."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Protocol
from urllib.parse import quote

import httpx
import typer
from rich.markup import escape

from watchpost.cli.exits import CommandError, Exit
from watchpost.cli.library import answering, open_watchpost
from watchpost.cli.options import Data, Json, Server
from watchpost.cli.printable import printable
from watchpost.cli.remote import get, post
from watchpost.cli.tables import add_row, console, print_json, table
from watchpost.detect.catalogue import declared
from watchpost.detect.contract_diff import Difference, differences
from watchpost.model.knowledge import Contract, Field
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import Settings, read_settings
from watchpost.runtime.wiring import Watchpost
from watchpost.server.contracts import ContractAnswer, Contracts, ContractsAnswer, PinGiven

app = typer.Typer(help="See and pin what is known of the responses of tools.", no_args_is_help=True)

Tool = Annotated[str, typer.Argument(help="The name of a tool, from `watchpost contracts list`.")]
Project = Annotated[str, typer.Option(help="The project of the tool, where several have it.")]
By = Annotated[str, typer.Option(help="Who says so.")]
Note = Annotated[str, typer.Option(help="Why.")]


class _Desk(Protocol):
    """Answers as the API gives them."""

    def every(self, project: str) -> ContractsAnswer:
        """All tools of which something is known."""
        ...

    def one(self, tool: str, project: str, version: int) -> ContractAnswer:
        """One tool."""
        ...

    def give(self, tool: str, project: str, given: PinGiven) -> ContractAnswer:
        """Say which contract is to hold."""
        ...


@app.command(name="list")
def list_contracts(
    data: Data = None,
    server: Server = "",
    project: Annotated[str, typer.Option(help="Only of this project.")] = "",
    as_json: Json = False,
) -> None:
    """List the tools whose responses are known."""
    with _open_desk(read_settings(data=data), server) as desk:
        found = desk.every(project)
    if as_json:
        print_json(found.contracts)
        return
    shown = table("project", "contract", "version", "fields", "responses", "sessions", "candidates", key="tool")
    for one in found.contracts:
        numbers = (one.version, one.fields, one.responses, one.sessions, one.candidates)
        add_row(shown, [one.tool, one.project or "all", one.source or "-", *(str(number or "-") for number in numbers)])
    console().print(shown)


@app.command()
def show(  # noqa: PLR0917 - typer passes options by name
    tool: Tool,
    version: Annotated[int, typer.Option(help="An earlier version instead of what holds now.", min=0)] = 0,
    project: Project = "",
    data: Data = None,
    server: Server = "",
    as_json: Json = False,
) -> None:
    """Show the contract of a tool, its versions, and the candidates that a person can pin."""
    with _open_desk(read_settings(data=data), server) as desk:
        found = desk.one(tool, project, version)
    if as_json:
        print_json(found)
        return
    _print(found)


@app.command()
def diff(  # noqa: PLR0917 - typer passes options by name
    tool: Tool,
    earlier: Annotated[int, typer.Argument(help="A version of its contract.", min=1)],
    later: Annotated[int, typer.Argument(help="Another version.", min=1)],
    project: Project = "",
    data: Data = None,
    server: Server = "",
    as_json: Json = False,
) -> None:
    """Tell how two versions of a contract differ."""
    with _open_desk(read_settings(data=data), server) as desk:
        before, after = (desk.one(tool, project, version).contract for version in (earlier, later))
    found = differences(before or Contract({}), after or Contract({}))
    if as_json:
        print_json(found)
        return
    lines = [_line(each) for each in found] or ["no difference"]
    sys.stdout.writelines(f"{printable(line)}\n" for line in lines)


@app.command()
def pin(  # noqa: PLR0917 - typer passes options by name
    tool: Tool,
    version: Annotated[int, typer.Option(help="Let this version hold.", min=0)] = 0,
    schema: Annotated[
        Path | None,
        typer.Option(help="Let the JSON Schema in this file hold, or a contract as `show --json` prints it."),
    ] = None,
    candidate: Annotated[str, typer.Option(help="Let the shape of this digest hold too, from `show`.")] = "",
    by: By = "",
    note: Note = "",
    project: Project = "",
    data: Data = None,
    server: Server = "",
    as_json: Json = False,
) -> None:
    """Say which contract of a tool holds, whatever is learnt."""
    if not version and schema is None and not candidate:
        # what holds now is what is meant
        with _open_desk(read_settings(data=data), server) as desk:
            version = desk.one(tool, project, 0).version
        if not version:
            raise CommandError(f"{tool} has no contract yet: give --schema or --candidate", Exit.USAGE)
    given = PinGiven(version, candidate, None if schema is None else _read(schema), by=by, note=note)
    _give(read_settings(data=data), server, tool, project, given, as_json=as_json)


@app.command()
def unpin(  # noqa: PLR0917 - typer passes options by name
    tool: Tool,
    by: By = "",
    note: Note = "",
    project: Project = "",
    data: Data = None,
    server: Server = "",
    as_json: Json = False,
) -> None:
    """Let what is learnt of a tool hold again."""
    _give(read_settings(data=data), server, tool, project, PinGiven(unpin=True, by=by, note=note), as_json=as_json)


def _give(settings: Settings, server: str, tool: str, project: str, given: PinGiven, *, as_json: bool) -> None:
    with _open_desk(settings, server) as desk:
        found = desk.give(tool, project, given)
    if as_json:
        print_json(found)
    else:
        holds = f"version {found.version} holds, {found.source}" if found.version else "no contract holds"
        sys.stdout.write(f"{printable(f'{found.tool}: {holds}')}\n")


def _read(file: Path) -> dict[str, object]:
    try:
        value: object = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}", Exit.USAGE) from error
    except ValueError as error:
        raise CommandError(f"{file} holds no JSON: {error}", Exit.USAGE) from error
    except RecursionError as error:
        raise CommandError(f"{file} nests too deep", Exit.USAGE) from error
    if isinstance(value, dict) and "candidates" in value and isinstance(value.get("contract"), dict):
        value = value["contract"]
    if not isinstance(value, dict):
        raise CommandError(f"{file} holds no JSON object", Exit.USAGE)
    return value


def _print(found: ContractAnswer) -> None:
    out = console()
    source = f"{found.source}, version {found.version}" if found.version else found.source or "no contract"
    seen = (
        f", from {found.contract.responses} responses of {found.contract.sessions} sessions"
        if found.contract and found.contract.responses
        else ""
    )
    out.print(escape(printable(f"{found.tool}  {found.project}  {source}{seen}")))
    variants = (found.contract.fields, *found.contract.variants) if found.contract else ()
    for number, fields in enumerate(variants):
        shown = table("types", "always there", "seen", key="field" if len(variants) == 1 else f"variant {number}")
        for path, field in sorted(fields.items()):
            add_row(
                shown, [path or "(response)", _types(field), "yes" if field.required else "-", str(field.seen or "-")]
            )
        out.print(shown)
    if found.versions:
        shown = table("source", "from", "changes", "by", "why", key="version")
        for each in found.versions:
            add_row(
                shown,
                [
                    str(each.version),
                    each.source if each.holds else f"{each.source}, no contract",
                    (each.at or "-")[:19],
                    str(len(each.differences) or "-"),
                    each.by or "-",
                    each.note or "-",
                ],
            )
        out.print(shown)
    if found.candidates:
        shown = table("sessions", "first trace and step", "last trace and step", "shape", key="candidate")
        for one in found.candidates:
            first, last = f"{one.first_trace_id} {one.first_step_id}", f"{one.last_trace_id} {one.last_step_id}"
            add_row(shown, [one.digest, str(one.sessions), first, last, one.shape])
        out.print(shown)


def _types(field: Field | None) -> str:
    if field is None:
        return "-"
    return " or ".join(field.types) or "any"


def _line(each: Difference) -> str:
    path = f"{each.path or '(response)'}" + (f" (variant {each.variant})" if each.variant else "")
    before, after = (_said(field) for field in (each.before, each.after))
    match each.what:
        case "added":
            return f"+ {path}: {after}"
        case "removed":
            return f"- {path}: {before}"
        case "changed":
            return f"~ {path}: {before} -> {after}"


def _said(field: Field | None) -> str:
    if field is None:
        return "-"
    notes = [
        note
        for note, said in (
            ("always there", field.required),
            ("not yet judged", not field.settled),
            ("never null", field.never_null),
        )
        if said
    ]
    return ", ".join([_types(field), *notes])


@contextmanager
def _open_desk(settings: Settings, server: str) -> Iterator[_Desk]:
    with open_watchpost(settings, server) as found, answering():
        yield _Remote(found) if isinstance(found, httpx.Client) else _Local(found, settings)


class _Local:
    def __init__(self, watchpost: Watchpost, settings: Settings) -> None:
        self._flow = watchpost.flow
        self._contracts = Contracts(watchpost.stores.state, watchpost.flow, now_ns, declared(settings.detectors))

    def every(self, project: str) -> ContractsAnswer:
        return self._contracts.every(project)

    def one(self, tool: str, project: str, version: int) -> ContractAnswer:
        return self._contracts.one(tool, project, version)

    def give(self, tool: str, project: str, given: PinGiven) -> ContractAnswer:
        noted = self._contracts.pin(tool, project, given)
        asyncio.run(self._flow.note((noted,)))
        self._flow.catch_up(now_ns())
        return self._contracts.one(tool, noted.project)


class _Remote:
    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def every(self, project: str) -> ContractsAnswer:
        return get(self._client, "/api/contracts", {"project": project}, ContractsAnswer)

    def one(self, tool: str, project: str, version: int) -> ContractAnswer:
        query = {"project": project, "version": str(version)}
        return get(self._client, f"/api/contracts/{quote(tool, safe='')}", query, ContractAnswer)

    def give(self, tool: str, project: str, given: PinGiven) -> ContractAnswer:
        query = f"?project={quote(project, safe='')}" if project else ""
        return post(self._client, f"/api/contracts/{quote(tool, safe='')}/pin{query}", given, ContractAnswer)
