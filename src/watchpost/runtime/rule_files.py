"""The rules of the settings: the shipped ones and those of files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from watchpost.alerting.message import is_web
from watchpost.rules import pack
from watchpost.rules.rule import RuleSet
from watchpost.rules.rule_fields import Fault, RuleFileError
from watchpost.rules.rule_file import Known, read_rule_files
from watchpost.rules.rule_text import RuleText, texts_of
from watchpost.runtime.settings import Settings, SettingsError


def rule_set(settings: Settings) -> RuleSet:
    """Every rule at work. A rule of a file takes the place of the shipped one of its name. Raises `SettingsError` with every fault."""
    try:
        return read_rule_set(settings.alerting.rules, shipped=settings.alerting.shipped_rules)
    except RuleFileError as error:
        raise SettingsError("; ".join(f"alerting.rules: {fault}" for fault in error.faults)) from error


def read_rule_set(patterns: tuple[str, ...], *, shipped: bool) -> RuleSet:
    """The rules of the files that are named, or match a pattern, and beside them the shipped ones where they are wanted. Raises `RuleFileError`."""
    own = _read(patterns)
    if not shipped:
        return own
    names = {rule.name for rule in own.rules}
    kept = tuple(rule for rule in pack.shipped().rules if rule.name not in names)
    return msgspec.structs.replace(own, rules=(*kept, *own.rules), slos=(*pack.shipped().slos, *own.slos))


def _read(patterns: tuple[str, ...]) -> RuleSet:
    """Faults of all files are told at once, whether they cannot be found, cannot be read or are wrong."""
    files: dict[str, str] = {}
    faults: list[Fault] = []
    for path in _paths(patterns, faults):
        try:
            files[str(path)] = path.read_text(encoding="utf-8")
        except OSError as error:
            faults.append(Fault(str(path), 1, 1, "", "", error.strerror or "cannot be read"))
        except UnicodeDecodeError:
            faults.append(Fault(str(path), 1, 1, "", "", "is no UTF-8"))
    folders = {Path(path).parent for path in files}

    def has_runbook(name: str) -> bool:
        return pack.runbook(name) is not None or any((folder / name).is_file() for folder in folders)

    try:
        found = read_rule_files(files, Known(has_runbook=has_runbook))
    except RuleFileError as error:
        faults += error.faults
    if faults:
        raise RuleFileError(faults)
    return found


def _paths(patterns: tuple[str, ...], faults: list[Fault]) -> Iterator[Path]:
    """The files that are named, and those that a pattern matches; one that finds none is a fault."""
    for pattern in patterns:
        given = Path(pattern)
        if given.is_file():
            yield given
            continue
        try:
            found = sorted(Path(given.anchor).glob(str(given.relative_to(given.anchor))))
        except ValueError:
            found = []
        if not found:
            faults.append(Fault(pattern, 1, 1, "", "", "there is no such file"))
        yield from found


class RulePapers(msgspec.Struct, frozen=True):
    """What people read of rules: the text of each rule and objective by its name, and the Markdown of runbooks by the name that rules give them."""

    texts: dict[str, RuleText]
    runbooks: dict[str, str]


def rule_papers(settings: Settings, rules: RuleSet) -> RulePapers:
    """The papers of the rules at work, as the files say now. A runbook that is an address, or that cannot be read any more, is left out."""
    texts = texts_of(pack.shipped_text(), pack.FILE) if settings.alerting.shipped_rules else {}
    folders: list[Path] = []
    for path in _paths(settings.alerting.rules, []):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            texts |= texts_of(path.read_text(encoding="utf-8"), str(path))
            folders.append(path.parent)
    wanted = {rule.runbook for rule in rules.rules if not is_web(rule.runbook)}
    found = {name: _runbook(name, folders) for name in wanted}
    return RulePapers(texts, {name: text for name, text in found.items() if text is not None})


def _runbook(name: str, folders: Iterable[Path]) -> str | None:
    for folder in dict.fromkeys(folders):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return (folder / name).read_text(encoding="utf-8")
    return pack.runbook(name)
