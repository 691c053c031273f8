"""Rule files: YAML to rules and objectives, or every fault with its line, column, field and reason.

An alert that nobody can act on teaches people to ignore the next one. So a rule says what it looks at (a measure or flags), how much is too much, over
which window, who answers and what they do; one that leaves any of it open, as "something may be wrong with AI quality" does, is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

import msgspec

from watchpost.query.catalogue import MEASURES
from watchpost.rules.marked_yaml import Items, Node, Place, Scalar, Table, YamlError, read_yaml
from watchpost.rules.rule import Rule, RuleSet, Slo
from watchpost.rules.rule_body import RULE_FIELDS, read_rule
from watchpost.rules.rule_fields import Fault, Faults, Fields, RuleFileError
from watchpost.rules.slo import burn_rules
from watchpost.rules.slo_body import SLO_FIELDS, read_slo

_TOP = ("groups", "rules", "slos")
_GROUP = ("name", "rules")


class Known(msgspec.Struct, frozen=True):
    """What rules may speak of beside measures: kinds of flags, any well-formed one where none is named, and the runbooks beside the file, where that can be asked."""

    flags: Collection[str] = ()
    has_runbook: Callable[[str], bool] | None = None


def read_rules(text: str, file: str = "rules.yaml", known: Known | None = None) -> RuleSet:
    """The rules of one file. Raises `RuleFileError` with everything that is wrong."""
    return read_rule_files({file: text}, known)


def read_rule_files(files: Mapping[str, str], known: Known | None = None) -> RuleSet:
    """The rules of several files, by name, whose rules are all told apart by their names. Raises `RuleFileError` with everything that is wrong in any."""
    found = _Found(known or Known())
    for file, text in files.items():
        for kind, node, place in _bodies(text, file, found.noted):
            found.take(kind, node, Faults(file, place, found.noted))
    if found.noted:
        raise RuleFileError(found.noted)
    return RuleSet(tuple(found.rules), tuple(found.slos))


class _Found:
    """What was read so far, and what is wrong with it."""

    def __init__(self, known: Known) -> None:
        self.noted: list[Fault] = []
        self.rules: list[Rule] = []
        self.slos: list[Slo] = []
        self._known = known
        self._places: dict[str, str] = {}

    def take(self, kind: str, node: Node, faults: Faults) -> None:
        """Read one rule or objective."""
        if not isinstance(node, Table):
            faults.note(node.at, kind, "must be a table of fields")
            return
        faults.rule = _name(node) or faults.rule
        fields = Fields(node, faults, SLO_FIELDS if kind == "slos" else RULE_FIELDS)
        _check_runbook(fields, self._known)
        for rule in self._slo(fields) if kind == "slos" else self._rule(fields):
            if rule.name in self._places:
                fields.note(
                    "name", f"{rule.name} stands in {self._places[rule.name]} already; give each rule its own name"
                )
            self._places[rule.name] = f"{faults.file}, line {node.at.line}"
            self.rules.append(rule)

    def _rule(self, fields: Fields) -> tuple[Rule, ...]:
        before = len(self.noted)
        rule = read_rule(fields, MEASURES, self._known.flags)
        return () if rule is None or len(self.noted) > before else (rule,)

    def _slo(self, fields: Fields) -> tuple[Rule, ...]:
        before = len(self.noted)
        slo = read_slo(fields, MEASURES)
        if slo is None or len(self.noted) > before:
            return ()
        self.slos.append(slo)
        return burn_rules(slo)


def _check_runbook(fields: Fields, known: Known) -> None:
    runbook = fields.text("runbook") if "runbook" in fields else None
    if runbook is None or runbook.startswith(("https://", "http://")):
        return
    if runbook.startswith("/") or ".." in runbook.split("/") or "://" in runbook:
        fields.note("runbook", f"{runbook!r} is neither an address nor a file beside the rules")
    elif known.has_runbook is not None and not known.has_runbook(runbook):
        fields.note("runbook", f"there is no file {runbook!r} beside the rules")


def _bodies(text: str, file: str, noted: list[Fault]) -> Iterator[tuple[str, Node, str]]:
    """Every rule and objective of a file, with what to call it where it has no name."""
    faults = Faults(file, "", noted)
    try:
        root = read_yaml(text)
    except YamlError as error:
        faults.note(error.at, "", error.reason)
        return
    if not isinstance(root, Table):
        faults.note(root.at, "", f"must be a table with {', '.join(_TOP)}")
        return
    top = Fields(root, faults, _TOP)
    if not any(name in top for name in _TOP):
        faults.note(Place(1, 1), "", "there are no rules in it")
    for group in _items(top, "groups"):
        if isinstance(group, Table):
            yield from (
                ("rules", node, f"#{n}") for n, node in enumerate(_items(Fields(group, faults, _GROUP), "rules"), 1)
            )
        else:
            faults.note(group.at, "groups", "must be a table with name and rules")
    for kind in ("rules", "slos"):
        yield from ((kind, node, f"#{n}") for n, node in enumerate(_items(top, kind), 1))


def _items(fields: Fields, name: str) -> Iterator[Node]:
    node = fields.node(name)
    if isinstance(node, Items):
        yield from node.items
    elif node is not None and not (isinstance(node, Scalar) and not node.text):
        fields.note(name, "must be a list")


def _name(table: Table) -> str:
    node = table.fields["name"][1] if "name" in table.fields else None
    return node.text.strip() if isinstance(node, Scalar) else ""
