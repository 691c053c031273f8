"""The rules that come with Watchpost, and their runbooks."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from watchpost.rules.rule import RuleSet
from watchpost.rules.rule_file import Known, read_rules

FILE = "shipped.yaml"


@cache
def shipped() -> RuleSet:
    """The shipped rules."""
    return read_rules(shipped_text(), FILE, Known(has_runbook=lambda name: runbook(name) is not None))


def shipped_text() -> str:
    """Their YAML, to be copied and changed."""
    return files("watchpost.rules").joinpath(FILE).read_text(encoding="utf-8")


def runbook(name: str) -> str | None:
    """The Markdown of a runbook by the name that a shipped rule gives it, `runbooks/llm-errors.md`; None where there is none."""
    folder, _, file = name.partition("/")
    if folder != "runbooks" or "/" in file or not file.endswith(".md"):
        return None
    found = files("watchpost.rules").joinpath(folder, file)
    return found.read_text(encoding="utf-8") if found.is_file() else None
