"""A YAML document in which every value knows its line, read with all its faults at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec
import yaml

Read = TypeVar("Read")

_DEEPEST = 100
_TRUTHS = {"true": True, "false": False}
_MAPPING = "must be a table of fields"


class Fault(msgspec.Struct, frozen=True):
    """What is wrong at one place: `line` counts from 1, `field` is a path such as `route.routes[2].group_wait`."""

    line: int
    field: str
    reason: str

    def __str__(self) -> str:
        """One line for a terminal."""
        return f"line {self.line}: {self.field}: {self.reason}" if self.field else f"line {self.line}: {self.reason}"


class DocumentError(ValueError):
    """A document that cannot be used. `faults` are all that were found, by line."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = sorted(faults, key=lambda fault: (fault.line, fault.field, fault.reason))
        super().__init__("\n".join(str(fault) for fault in self.faults))


class Place:
    """A value of the document, and where it stands. Reading it as what it is not notes a fault and answers with nothing."""

    def __init__(self, node: yaml.Node, field: str, faults: list[Fault]) -> None:
        self._node = node
        self._faults = faults
        self.field = field

    def fault(self, reason: str, field: str = "") -> None:
        """Note what is wrong here, or in a field below that is missing."""
        path = f"{self.field}.{field}" if self.field and field else self.field or field
        self._faults.append(Fault(self._node.start_mark.line + 1, path, reason))

    def fields(self, known: frozenset[str]) -> dict[str, Place]:
        """The fields of a table by name; unknown ones and repeated ones are faults and left out, and so are those left empty."""
        if not isinstance(self._node, yaml.MappingNode):
            self.fault(_MAPPING)
            return {}
        found: dict[str, Place] = {}
        for key, value in self._node.value:
            name = str(key.value)
            inside = Place(value, f"{self.field}.{name}" if self.field else name, self._faults)
            if name not in known:
                Place(key, inside.field, self._faults).fault(f"is no field here; there are {', '.join(sorted(known))}")
            elif name in found:
                Place(key, inside.field, self._faults).fault("stands here twice")
            elif not inside._is_empty():
                found[name] = inside
        return found

    def items(self) -> list[Place]:
        """The items of a list; anything else is a fault."""
        if not isinstance(self._node, yaml.SequenceNode):
            self.fault("must be a list")
            return []
        return [Place(item, f"{self.field}[{at}]", self._faults) for at, item in enumerate(self._node.value)]

    def text(self) -> str:
        """The text of a scalar as it was written; anything else is a fault."""
        if isinstance(self._node, yaml.ScalarNode) and not self._is_empty():
            return str(self._node.value)
        self.fault("must be text")
        return ""

    def truth(self) -> bool:
        """True or false; anything else is a fault."""
        value = _TRUTHS.get(self._node.value) if isinstance(self._node, yaml.ScalarNode) else None
        if value is None:
            self.fault("must be true or false")
        return bool(value)

    def read(self, reader: Callable[[str], Read], otherwise: Read) -> Read:
        """The scalar as `reader` reads it; its `ValueError` is the fault."""
        before = len(self._faults)
        text = self.text()
        if len(self._faults) > before:
            return otherwise
        try:
            return reader(text)
        except ValueError as error:
            self.fault(str(error))
            return otherwise

    def aside(self) -> Place:
        """The same place, of which faults are not noted."""
        return Place(self._node, self.field, [])

    def texts(self) -> Iterator[Place]:
        """The places of a list of texts, or of a single text, which is a list of one."""
        yield from self.items() if not isinstance(self._node, yaml.ScalarNode) else [self]

    def _is_empty(self) -> bool:
        return isinstance(self._node, yaml.ScalarNode) and self._node.tag == "tag:yaml.org,2002:null"


def read_document(text: str, faults: list[Fault]) -> Place:
    """The root of the document; what is noted anywhere below it is added to `faults`.

    Raises `DocumentError` at once where the text is no YAML, is empty, or holds aliases, which could make a short text endless.
    """
    try:
        _refuse_endless(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise DocumentError([Fault(mark.line + 1 if mark else 1, "", f"is no YAML: {error.problem}")]) from error
    except (yaml.YAMLError, RecursionError) as error:
        raise DocumentError([Fault(1, "", f"is no YAML: {error}")]) from error
    if node is None:
        raise DocumentError([Fault(1, "", "the document is empty")])
    return Place(node, "", faults)


def _refuse_endless(text: str) -> None:
    """Raise `DocumentError` for a short text that would take for ever to read."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise DocumentError([Fault(line, "", "aliases (`*name`) are not read; write the value out")])
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise DocumentError([Fault(line, "", f"is nested deeper than {_DEEPEST} lists and tables")])
