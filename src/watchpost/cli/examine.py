"""`watchpost doctor`: whether this installation, its settings and its data folder can work."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec

from watchpost.cli.exits import KNOWN, CommandError
from watchpost.cli.options import Data, Json
from watchpost.cli.printable import printable
from watchpost.ingest.published_prices import price_table
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import Settings, read_settings
from watchpost.runtime.wiring import Watchpost, assemble, open_stores
from watchpost.server.answers import moment
from watchpost.server.readiness import ReadinessAnswer, ReadinessCheck, ServiceAnswer
from watchpost.server.safety import refuse_address
from watchpost.server.serving import AddressError, listening
from watchpost.server.unpriced import UnpricedAnswer, UnpricedCalls
from watchpost.store.folder import FolderHeldError

_GIB = 1 << 30
LITTLE_ROOM = 2 * _GIB
"""Free space below which a data folder is reported: about a day of 100 spans a second."""

UNPRICED_SHOWN = 20
"""Models without a price that are named, those with the most calls."""

SERVICES_SHOWN = 20
"""Services of which it is said whether they are ready, those with the most calls."""

_VERDICTS = {"ready": "ready", "not_ready": "not ready", "too_little_seen": "too little seen to tell"}

CHECKED: tuple[type[Exception], ...] = (*KNOWN, AddressError)


class Check(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing looked at. `readiness` is all that is known of the services that send."""

    name: str
    ok: bool
    detail: str
    readiness: ReadinessAnswer | None = None


def doctor(data: Data = None, as_json: Json = False) -> None:
    """Check settings, data folder, stores and ports; exit 1 if anything would keep Watchpost from working."""
    checks = list(_examine(data))
    if as_json:
        sys.stdout.write(msgspec.json.encode(checks).decode() + "\n")
    else:
        for check in checks:
            sys.stdout.write(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.detail}\n")
    if failed := [check.name for check in checks if not check.ok]:
        raise CommandError(f"not in order: {', '.join(failed)}")


def _examine(data: Path | None) -> list[Check]:
    checks: list[Check] = []

    def look(name: str, at: Callable[[], str | ReadinessAnswer]) -> None:
        try:
            found = at()
            if isinstance(found, ReadinessAnswer):
                checks.append(Check(name, ok=True, detail=_services(found), readiness=found))
            else:
                checks.append(Check(name, ok=True, detail=found))
        except CHECKED as error:
            checks.append(Check(name, ok=False, detail=str(error)))

    try:
        settings = read_settings(data=data)
    except ValueError as error:
        return [Check("settings", ok=False, detail=str(error))]
    look("address", lambda: _address(settings))
    look("room", lambda: _room(settings.data))
    try:
        with open_stores(settings) as stores:
            look("settings", lambda: _close(assemble(settings, stores, patient=False)))
            sizes = stores.telemetry.sizes()
            rows = ", ".join(f"{size.rows} {size.table}" for size in sizes)
            checks.append(Check("data folder", ok=True, detail=f"{settings.data}: {rows or 'empty'}"))
            unpriced = UnpricedCalls(stores.telemetry, lambda: price_table(now_ns()))
            look("prices", lambda: _prices(unpriced.answer("", _week_ago(), UNPRICED_SHOWN)))
            readiness = ReadinessCheck(stores.telemetry, now_ns)
            look("services", lambda: readiness.answer(limit=SERVICES_SHOWN))
        look("ports", lambda: _ports(settings))
    except FolderHeldError as held:
        holder = held
        look("server", lambda: _server(holder))
        if address := holder.holder.address:
            look("prices", lambda: _prices(_ask_unpriced(address)))
            look("services", lambda: _ask_readiness(address))
    except KNOWN as error:
        checks.append(Check("data folder", ok=False, detail=str(error)))
    return checks


def _week_ago() -> str:
    return str(moment(now_ns() - 7 * 86_400 * 10**9))


def _ask_unpriced(address: str) -> UnpricedAnswer:
    query = {"since": _week_ago(), "limit": str(UNPRICED_SHOWN)}
    try:
        answer = httpx.get(f"{address}/api/unpriced-models", params=query, timeout=30, trust_env=False)
        return msgspec.json.decode(answer.raise_for_status().content, type=UnpricedAnswer)
    except (httpx.HTTPError, msgspec.DecodeError) as failure:
        raise CommandError(f"{address} does not say which models have no price: {failure}") from failure


def _ask_readiness(address: str) -> ReadinessAnswer:
    try:
        answer = httpx.get(
            f"{address}/api/readiness", params={"limit": str(SERVICES_SHOWN)}, timeout=60, trust_env=False
        )
        return msgspec.json.decode(answer.raise_for_status().content, type=ReadinessAnswer)
    except (httpx.HTTPError, msgspec.DecodeError) as failure:
        raise CommandError(f"{address} does not say which services are ready: {failure}") from failure


def _services(answer: ReadinessAnswer) -> str:
    """By service, whether what it sent in the last week is enough for production, and what is missing."""
    lines = ["what they sent in the last 7 days" if answer.services else "nothing sent in the last 7 days"]
    for service in answer.services:
        name = printable(service.service or "no service name")
        missing = _missing(service)
        lines.append(f"  {name}: {_VERDICTS[service.verdict]}{f': {missing}' if missing else ''}")
    if answer.more:
        lines.append("  and others, see /api/readiness")
    return "\n      ".join(lines)


def _missing(service: ServiceAnswer) -> str:
    """What keeps a service from being ready, or where nothing does, what else it does not send."""
    deciding = [reason.text for reason in service.reasons if reason.decides]
    return "; ".join(deciding or [reason.text for reason in service.reasons])


def _prices(answer: UnpricedAnswer) -> str:
    """The prices in use and, by model, the calls of the last week that have none."""
    table = answer.prices
    lines = [f"{table.name} {table.version}, newest price of {table.newest or 'an unknown day'}"]
    if answer.models:
        lines.append("calls of the last 7 days without a price, which no cost includes:")
    for model in answer.models:
        where = ", ".join(part for part in (model.provider, model.service) if part)
        name = printable(f"{model.model or 'no model'}{f' ({where})' if where else ''}")
        lines.append(f"  {model.calls} of {name}: {model.reason}, last {model.last_seen or 'at an unknown time'}")
    if answer.more:
        lines.append("  and others, see /api/unpriced-models")
    return "\n      ".join(lines)


def _address(settings: Settings) -> str:
    if (reason := refuse_address(settings.host)) is not None:
        raise CommandError(reason)
    return settings.host


def _room(data: Path) -> str:
    place = next(folder for folder in (data, *data.absolute().parents) if folder.exists())
    free = shutil.disk_usage(place).free
    if free < LITTLE_ROOM:
        raise CommandError(f"{free / _GIB:.1f} GiB free at {place}; telemetry that does not fit is refused")
    return f"{free / _GIB:.0f} GiB free"


def _close(watchpost: Watchpost) -> str:
    watchpost.flow.close()
    channels = len(watchpost.deliverers)
    return f"{channels} notification channel{'' if channels == 1 else 's'}"


def _ports(settings: Settings) -> str:
    for port in (settings.port, settings.grpc_port):
        with listening(settings.host, port):
            pass
    return f"{settings.port} and {settings.grpc_port} are free"


def _server(error: FolderHeldError) -> str:
    address = error.holder.address
    if not address:
        raise error
    try:
        answer = httpx.get(f"{address}/readyz", timeout=10, trust_env=False)
    except httpx.HTTPError as failure:
        raise CommandError(f"process {error.holder.pid} at {address} does not answer: {failure}") from failure
    if answer.status_code != httpx.codes.OK:
        raise CommandError(f"{address} is not ready: {answer.text.strip()}")
    return f"process {error.holder.pid} serves this folder at {address}"
