"""`watchpost rules backtest` and `review`: what rules would have told, and which of them tell too much."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.markup import escape

from watchpost.cli.exits import CommandError, Exit
from watchpost.cli.library import answering, open_watchpost
from watchpost.cli.options import Data, Json, Server
from watchpost.cli.printable import printable
from watchpost.cli.remote import get, post
from watchpost.cli.tables import add_row, console, print_json, table
from watchpost.rules.quantity import amount_text
from watchpost.runtime.clock import now_ns
from watchpost.runtime.settings import read_settings
from watchpost.server.backtest_answers import (
    BacktestAnswer,
    BacktestGiven,
    ProposalAnswer,
    ReviewAnswer,
    RuleBacktest,
)
from watchpost.server.days import Days
from watchpost.server.rule_review import RuleReviews
from watchpost.server.serving import backtests

TIMEOUT_S = 1800.0
"""How long a server may take: a month of a busy one is replayed in minutes."""

_SHOWN = 50
"""Alerts that are printed one by one."""


def backtest(  # noqa: PLR0917 - typer passes options by name
    files: Annotated[list[Path] | None, typer.Argument(help="Rule files; the rules at work without any.")] = None,
    data: Data = None,
    server: Server = "",
    since: Annotated[str, typer.Option(help="From when on: ISO 8601, today, yesterday, or how long: 7d.")] = "7d",
    until: Annotated[str, typer.Option(help="Until when; now.")] = "",
    incidents: Annotated[
        Path | None, typer.Option(help="A YAML or JSON file of what went wrong, and when.", dir_okay=False)
    ] = None,
    rule: Annotated[str, typer.Option(help="One rule alone.")] = "",
    propose: Annotated[bool, typer.Option("--propose", help="Try other thresholds, and propose one.")] = False,
    alerts_a_week: Annotated[
        float, typer.Option(help="How many alerts a week are few enough where no incidents are labelled.", min=0)
    ] = 1.0,
    as_json: Json = False,
) -> None:
    """Replay stored history through rules: when each would have told, how right that is, and what other thresholds would do."""
    given = BacktestGiven(
        {str(path): _text(path) for path in files or ()},
        "" if incidents is None else _text(incidents) or " ",
        since,
        until,
        rule,
        propose,
        alerts_a_week,
    )
    settings = read_settings(data=data)
    with open_watchpost(settings, server) as opened, answering():
        if isinstance(opened, httpx.Client):
            opened.timeout = httpx.Timeout(TIMEOUT_S)
            found = post(opened, "/api/rules/backtest", given, BacktestAnswer)
        else:
            found = backtests(settings, opened).answer(given)
    if as_json:
        print_json(found)
    else:
        _print(found, one=bool(rule))


def review(
    data: Data = None,
    server: Server = "",
    since: Annotated[str, typer.Option(help="From when on: ISO 8601, today, yesterday, or how long: 7d.")] = "7d",
    until: Annotated[str, typer.Option(help="Until when; now.")] = "",
    as_json: Json = False,
) -> None:
    """Tell which rules tell what nobody needs to know, and what would make them quieter."""
    settings = read_settings(data=data)
    with open_watchpost(settings, server) as opened, answering():
        if isinstance(opened, httpx.Client):
            found = get(opened, "/api/rules/review", {"since": since, "until": until}, ReviewAnswer)
        else:
            state, days = opened.stores.state, Days(settings.spending.zone)
            found = RuleReviews(state, state, opened.rules.rules, now_ns, days).answer(since, until)
    if as_json:
        print_json(found)
    else:
        _print_review(found)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror}", Exit.USAGE) from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: is no UTF-8", Exit.USAGE) from error


def _print(found: BacktestAnswer, *, one: bool) -> None:
    out = console()
    span = f"{_short(found.since)} to {_short(found.until)}: {found.steps} steps, {found.sessions} sessions"
    out.print(escape(printable(f"{span}, replayed in {found.seconds:.1f} s")))
    shown = table(
        "alerts", "a day", "firing", "lapsed", "right", "wrong", "unknown", "precision", "found", "after", key="rule"
    )
    for each in sorted(found.rules, key=lambda rule: (-rule.alerts, rule.rule)):
        add_row(shown, [each.rule, *_cells(each)])
    out.print(shown)
    for incident in found.incidents:
        by = ", ".join(incident.found_by) or "nobody"
        out.print(escape(printable(f"{incident.name} ({_short(incident.since)}): found by {by}")))
    for each in found.rules:
        if each.episodes and one:
            _print_episodes(out, each)
        if each.proposal is not None:
            _print_curve(out, each, each.proposal)


def _cells(rule: RuleBacktest) -> list[str]:
    labelled = len(rule.caught) + len(rule.missed)
    return [
        str(rule.alerts),
        f"{rule.alerts_a_day:.2f}",
        f"{rule.firing_seconds / 60:.0f} min, {rule.share_of_time * 100:.1f} %",
        str(rule.lapsed),
        str(rule.right) if rule.precision is not None else "-",
        str(rule.wrong) if rule.precision is not None else "-",
        str(rule.unknown),
        "-"
        if rule.precision is None
        else f"{rule.precision:.2f} [{rule.precision_low:.2f}, {rule.precision_high:.2f}]",
        f"{len(rule.caught)} of {labelled}" if labelled else "-",
        "-" if rule.median_delay_seconds is None else f"{rule.median_delay_seconds:.0f} s",
    ]


def _print_episodes(out: Console, rule: RuleBacktest) -> None:
    shown = table("fired", "resolved", "value", "threshold", "group", "sessions", key="pending")
    hidden = {"alertname", "owner", "severity"}
    for each in rule.episodes[:_SHOWN]:
        labels = ", ".join(f"{name}={value}" for name, value in each.labels.items() if name not in hidden)
        numbers = [amount_text(each.value, rule.unit), amount_text(each.threshold, rule.unit)]
        times = [_short(each.pending_at), _short(each.fired_at), _short(each.resolved_at)]
        add_row(shown, [*times, *numbers, labels, " ".join(each.sessions)])
    out.print(shown)
    if (more := rule.alerts - _SHOWN) > 0:
        out.print(f"and {more} more")


def _print_curve(out: Console, rule: RuleBacktest, proposal: ProposalAnswer) -> None:
    shown = table("alerts a week", "firing", "incidents found", "other alerts", "", key=rule.rule)
    for point in proposal.curve:
        marks = ["now"] if point.threshold == proposal.current else []
        marks += ["proposed"] if point.threshold == proposal.proposed else []
        found = f"{point.caught} of {proposal.incidents}" if proposal.incidents else "-"
        name = amount_text(point.threshold, rule.unit)
        firing = f"{point.share_of_time * 100:.1f} %"
        add_row(shown, [name, f"{point.alerts_a_week:.2f}", firing, found, str(point.others), ", ".join(marks)])
    out.print(shown)
    proposed = "nothing" if proposal.proposed is None else amount_text(proposal.proposed, rule.unit)
    out.print(escape(printable(f"{rule.rule}: proposed: {proposed}: {proposal.reason}")))


def _print_review(found: ReviewAnswer) -> None:
    out = console()
    out.print(escape(printable(f"{_short(found.since)} to {_short(found.until)}")))
    shown = table("fired", "a week", "acknowledged", "ignored", "short", "silenced", "flapped", "lasted", key="rule")
    for each in found.rules:
        lasted = "-" if each.median_seconds is None else f"{each.median_seconds:.0f} s"
        numbers: Sequence[object] = (each.acknowledged, f"{each.ignored_share * 100:.0f} %", each.short, each.silenced)
        add_row(
            shown,
            [each.rule, str(each.fired), f"{each.alerts_a_week:.1f}", *map(str, numbers), str(each.flapped), lasted],
        )
    out.print(shown)
    _print_lines(out, (f"{each.rule}: {text}" for each in found.rules for text in each.suggestions))
    if found.silent:
        _print_lines(out, [f"told nothing: {', '.join(found.silent)}"])


def _print_lines(out: Console, lines: Iterable[str]) -> None:
    for line in lines:
        out.print(escape(printable(line)))


def _short(moment: str | None) -> str:
    return (moment or "-")[:19]
