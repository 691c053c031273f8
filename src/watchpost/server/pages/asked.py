"""What a list is asked for, as it stands on its page: each condition with the address that leaves it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import msgspec

EVER = "1970-01-01T00:00:00Z"


class Condition(msgspec.Struct, frozen=True):
    """One condition in force: what it is called, its value, empty where the name says it all, and the address of the list without it."""

    name: str
    value: str
    without: str


class Shortcut(msgspec.Struct, frozen=True):
    """Conditions that are often wanted: the address that adds them, or takes them away where they are `chosen`."""

    name: str
    href: str
    chosen: bool


class Asked(msgspec.Struct, frozen=True):
    """The parameters of a list that were given a value, in the order in which they are shown, and the path of the list.

    `also` are those that may be given several times; they stay in every address.
    """

    path: str
    given: dict[str, str]
    also: tuple[tuple[str, str], ...] = ()

    def address(self, **others: str) -> str:
        """The list with these parameters instead; an empty one is left out."""
        query = urlencode([*((name, value) for name, value in {**self.given, **others}.items() if value), *self.also])
        return f"{self.path}?{query}" if query else self.path

    def conditions(self, called: Mapping[str, str], *, besides: Sequence[Shortcut] = ()) -> list[Condition]:
        """Those in force, under the names of `called`, but for what a chosen one of `besides` shows."""
        shown = {shortcut.href for shortcut in besides if shortcut.chosen}
        found = [
            Condition(called[name], "" if value == "true" else value, self.address(**{name: ""}))
            for name, value in self.given.items()
            if name in called
        ]
        return [each for each in found if each.without not in shown]

    def shortcuts(self, known: Sequence[tuple[str, str, str]]) -> list[Shortcut]:
        """Of (name, parameter, value) each."""
        return [
            Shortcut(
                name,
                self.address(**{parameter: "" if self.given.get(parameter) == value else value}),
                self.given.get(parameter) == value,
            )
            for name, parameter, value in known
        ]
