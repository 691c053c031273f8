"""Fields of one rule as they are read: each fault is noted with its place, and reading goes on, so that all are told at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from difflib import get_close_matches
from typing import TypeVar

import msgspec

from watchpost.query.measures import Unit
from watchpost.rules.marked_yaml import Items, Node, Place, Scalar, Table
from watchpost.rules.quantity import QuantityError, amount, duration_ns

T = TypeVar("T")


class Fault(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong: where, of what rule (its name, or its place as `#1` where it has none), in which field, and why."""

    file: str
    line: int
    column: int
    rule: str
    field: str
    reason: str

    def __str__(self) -> str:
        parts = [f"{self.file}:{self.line}:{self.column}", self.rule, self.field, self.reason]
        return ": ".join(part for part in parts if part)


class RuleFileError(ValueError):
    """Rules that cannot be used; all that is wrong with them, in the order of the file."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = sorted(set(faults))
        super().__init__("\n".join(map(str, self.faults)))


class Faults:
    """Where faults are noted, of one rule."""

    def __init__(self, file: str, rule: str, noted: list[Fault]) -> None:
        self.file = file
        self.rule = rule
        self.noted = noted

    def note(self, at: Place, field: str, reason: str) -> None:
        """Note one."""
        self.noted.append(Fault(self.file, at.line, at.column, self.rule, field, reason))


class Fields:
    """The fields of one table. What is read of a field that is not there, or at fault, is None."""

    def __init__(self, table: Table, faults: Faults, known: Collection[str]) -> None:
        self.at = table.at
        self.faults = faults
        self._fields = table.fields
        for key in table.repeated:
            faults.note(key.at, key.text, "stands twice")
        for name, (key, _) in table.fields.items():
            if name not in known:
                faults.note(key.at, name, f"there is no such field{meant(name, known)}")

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def place(self, name: str) -> Place:
        """Where a field's value stands, or else the table."""
        return self._fields[name][1].at if name in self._fields else self.at

    def note(self, name: str, reason: str) -> None:
        """Note a fault of a field."""
        self.faults.note(self.place(name), name, reason)

    def require(self, name: str, reason: str) -> None:
        """Note that a field is missing, if it is."""
        if not self._is_given(name):
            self.note(name, f"is missing: {reason}")

    def node(self, name: str) -> Node | None:
        """The value as it stands."""
        return self._fields[name][1] if name in self._fields else None

    def text(self, name: str) -> str | None:
        """One word or line."""
        node = self.node(name)
        if node is None:
            return None
        if isinstance(node, Scalar) and node.text.strip():
            return node.text.strip()
        self.note(name, "must be a text, and not empty")
        return None

    def one_of(self, name: str, choice: Sequence[str]) -> str | None:
        """One of some words."""
        text = self.text(name)
        if text is not None and text not in choice:
            self.note(name, f"{text!r} is none of {', '.join(choice)}")
            return None
        return text

    def texts(self, name: str) -> list[tuple[Place, str]]:
        """One word, or a list of them, each with its place."""
        node = self.node(name)
        return [] if node is None else self.words(name, node)

    def words(self, name: str, node: Node) -> list[tuple[Place, str]]:
        """As `texts`, of a value; of text that may be empty."""
        given = node.items if isinstance(node, Items) else [node]
        found = [(each.at, each.text) for each in given if isinstance(each, Scalar)]
        if len(found) < len(given) or not found:
            self.faults.note(node.at, name, "must be one word or a list of words")
            return []
        return found

    def table(self, name: str, known: Collection[str]) -> Fields | None:
        """A table inside."""
        node = self.node(name)
        if isinstance(node, Table):
            return Fields(node, self.faults, known)
        if node is not None:
            self.note(name, "must be a table")
        return None

    def pairs(self, name: str) -> list[tuple[Place, str, Node]]:
        """The fields of a table whose names are free."""
        node = self.node(name)
        if isinstance(node, Table):
            for key in node.repeated:
                self.faults.note(key.at, f"{name}.{key.text}", "stands twice")
            return [(key.at, key.text, value) for key, value in node.fields.values()]
        if node is not None:
            self.note(name, "must be a table")
        return []

    def duration(self, name: str, least_ns: int = 0) -> int | None:
        """Nanoseconds of a duration, at least so many."""
        span = self._read(name, duration_ns)
        if span is not None and span < least_ns:
            self.note(name, "must be longer than 0" if not span else "is too short")
            return None
        return span

    def amount(self, name: str, unit: Unit) -> Decimal | None:
        """A number of a unit."""
        return self._read(name, lambda text: amount(text, unit))

    def count(self, name: str) -> int | None:
        """A whole number from 0."""
        number = self.amount(name, "count")
        if number is not None and number != int(number):
            self.note(name, f"{number} is no whole number")
            return None
        return None if number is None else int(number)

    def _read(self, name: str, read: Callable[[str], T]) -> T | None:
        text = self.text(name)
        if text is None:
            return None
        try:
            return read(text)
        except QuantityError as error:
            self.note(name, str(error))
            return None

    def _is_given(self, name: str) -> bool:
        node = self.node(name)
        return node is not None and not (isinstance(node, Scalar) and not node.text.strip())


def meant(word: str, known: Collection[str]) -> str:
    """A guess at what a word was meant to be, to be put behind a reason."""
    close = get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else ""
