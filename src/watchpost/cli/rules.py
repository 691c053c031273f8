"""`watchpost rules`: what is judged, whether files of rules are right, what they do, and what they are elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer

from watchpost.alerting.alertmanager_export import CONFIG_FILE, alertmanager_export
from watchpost.alerting.route_file import SHIPPED_CHANNELS, shipped_routing
from watchpost.cli import backtest
from watchpost.cli.exits import CommandError, Exit
from watchpost.cli.options import Json
from watchpost.cli.printable import printable
from watchpost.cli.tables import add_row, console, print_json, say, table
from watchpost.rules.grafana import DASHBOARD_FILE, DATASOURCES_FILE, agents_dashboard, datasources
from watchpost.rules.prometheus import RULES_FILE, TESTS_FILE, prometheus_rules, rules_file
from watchpost.rules.promtool import unit_tests
from watchpost.rules.quantity import duration_text
from watchpost.rules.rule import Rule, RuleSet
from watchpost.rules.rule_fields import Fault, RuleFileError
from watchpost.rules.scenario import differences
from watchpost.rules.scenario_text import ScenarioError, parse
from watchpost.rules.words import in_words
from watchpost.runtime.alerting import routing
from watchpost.runtime.channels import channel_sections
from watchpost.runtime.rule_files import read_rule_set, rule_set
from watchpost.runtime.settings import Settings, read_settings

app = typer.Typer(help="Rules: what they look at, whether they are right, what they do.", no_args_is_help=True)
app.command()(backtest.backtest)
app.command()(backtest.review)

Target = Literal["prometheus", "alertmanager", "grafana"]


class Checked(msgspec.Struct, frozen=True):
    """How many rules and objectives were read, and everything that is wrong."""

    rules: int
    slos: int
    faults: list[Fault]


class Tried(msgspec.Struct, frozen=True):
    """A scenario, and what was not as it expects, a line for each."""

    file: str
    passed: bool
    differences: list[str]


class RuleRow(msgspec.Struct, frozen=True):
    """A rule in words; the window and how long the condition must hold in seconds."""

    name: str
    looks_at: str
    condition: str
    window_seconds: float
    for_seconds: float
    severity: str
    owner: str
    runbook: str
    labels: dict[str, str]


class Exported(msgspec.Struct, frozen=True):
    """Files by name, the first of which is the export itself, what somebody has to fill in, and what is not in them, with the reason."""

    files: dict[str, str]
    to_fill_in: list[str]
    left_out: list[str]


@app.command(name="list")
def list_rules(as_json: Json = False) -> None:
    """List the rules that the settings put to work, the shipped ones among them."""
    rows = [_row(rule) for rule in sorted(rule_set(read_settings()).rules, key=lambda rule: rule.name)]
    if as_json:
        print_json(rows)
        return
    shown = table("looks at", "condition", "window", "for", "severity", "owner", key="rule")
    for row in rows:
        spans = (duration_text(round(span * 1e9)) for span in (row.window_seconds, row.for_seconds))
        add_row(shown, [row.name, row.looks_at, row.condition, *spans, row.severity, row.owner])
    console().print(shown)


@app.command()
def check(
    files: Annotated[
        list[str] | None, typer.Argument(help="Files of rules, or patterns; those of the settings without any.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check files of rules: every fault is told with its line, column, field and reason; exit 1 if there is one."""
    found, faults = RuleSet(), []
    try:
        found = _rules_of(files, read_settings())
    except RuleFileError as error:
        faults = error.faults
    if as_json:
        print_json(Checked(len(found.rules), len(found.slos), faults))
    elif faults:
        sys.stdout.writelines(f"{printable(str(fault))}\n" for fault in faults)
    else:
        sys.stdout.write(f"{len(found.rules)} rules, {len(found.slos)} objectives: in order\n")
    if faults:
        raise CommandError(f"not in order: {len(faults)} {'fault' if len(faults) == 1 else 'faults'}")


@app.command(name="test")
def try_scenarios(
    files: Annotated[list[Path], typer.Argument(help="Text files, each a scenario.")], as_json: Json = False
) -> None:
    """Play scenarios, and tell where alerts stand in another way than they expect; exit 1 if one does."""
    tried = [_try(path) for path in files]
    if as_json:
        print_json(tried)
    else:
        for each in tried:
            sys.stdout.write(f"{'ok  ' if each.passed else 'FAIL'}  {printable(each.file)}\n")
            sys.stdout.writelines(f"      {printable(line)}\n" for line in each.differences)
    if failed := [each.file for each in tried if not each.passed]:
        raise CommandError(f"not as expected: {', '.join(failed)}")


@app.command()
def export(
    target: Annotated[Target, typer.Argument(help="For what.")],
    out: Annotated[
        Path | None, typer.Option(help="A folder to write to, instead of printing.", file_okay=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Write rules, routes or dashboards as Prometheus, Alertmanager or Grafana read them; what cannot be said there is told on standard error."""
    exported = _export(target, read_settings())
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in exported.files.items():
            (out / name).write_text(text, encoding="utf-8")
    if as_json:
        print_json(exported)
        return
    if out is None:
        sys.stdout.write(next(iter(exported.files.values())))
    else:
        sys.stdout.writelines(f"{out / name}\n" for name in exported.files)
    for line in exported.to_fill_in:
        say(f"to be written: {line}")
    for line in exported.left_out:
        say(f"not exported: {line}")


def _rules_of(files: Sequence[str] | None, settings: Settings) -> RuleSet:
    section = settings.alerting
    return (
        read_rule_set(tuple(files), shipped=False)
        if files
        else read_rule_set(section.rules, shipped=section.shipped_rules)
    )


def _try(path: Path) -> Tried:
    try:
        found = differences(parse(path.read_text(encoding="utf-8")))
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: is no UTF-8", Exit.USAGE) from error
    except ScenarioError as error:
        found = [str(error)]
    return Tried(str(path), not found, found)


def _row(rule: Rule) -> RuleRow:
    return RuleRow(
        rule.name,
        *in_words(rule),
        rule.window_ns / 1e9,
        rule.for_ns / 1e9,
        rule.severity,
        rule.owner,
        rule.runbook,
        rule.labels,
    )


def _export(target: Target, settings: Settings) -> Exported:
    match target:
        case "prometheus":
            rules = prometheus_rules(rule_set(settings))
            left_out = [f"{each.rule}: {each.reason}" for each in rules.left_out]
            return Exported({RULES_FILE: rules_file(rules), TESTS_FILE: unit_tests(rules)}, [], left_out)
        case "alertmanager":
            channels = channel_sections(settings)
            tree = routing(settings) if channels else shipped_routing(SHIPPED_CHANNELS)
            made = alertmanager_export(tree, channels)
            return Exported({CONFIG_FILE: made.text}, list(made.to_fill_in), list(made.left_out))
        case "grafana":
            dashboard = msgspec.json.format(msgspec.json.encode(agents_dashboard(rule_set(settings).rules))).decode()
            address = settings.public_url or f"http://127.0.0.1:{settings.port}"
            return Exported({DASHBOARD_FILE: f"{dashboard}\n", DATASOURCES_FILE: datasources(address)}, [], [])
