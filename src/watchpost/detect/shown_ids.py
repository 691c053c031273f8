"""The ids that the tools of a session have shown, by how they are written. Texts are read only when somebody asks."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from watchpost.detect.id_form import cleaned, form_of, id_values, label, looks_like_id
from watchpost.model.step import TEXT_KEPT, Step

MOST_OF_ONE_FORM = 32
"""Ids kept of each form: the first ones."""

MOST_FORMS = 256

_LONGEST_BARE = 64


class ShownId(msgspec.Struct, frozen=True, gc=False):
    """An id, the tool that showed it, and the field it stood in, empty where it was the whole result."""

    value: str
    tool: str
    field: str


class ShownIds:
    """Each result is read once, when it is first asked for; the latest can be taken back."""

    def __init__(self) -> None:
        self._unread: list[Step] = []
        self._unread_at: list[int] = []
        """The places of these results."""
        self._by_form: dict[str, list[ShownId]] = {}
        self._numbered: dict[str, int] = {}
        self._read: list[tuple[int, list[str], list[str]]] = []
        """The place of each result that was read and showed ids, their forms, and the kinds of those that are numbers."""

    def add(self, place: int, step: Step) -> None:
        """A tool answered."""
        if len(step.result) <= TEXT_KEPT:
            self._unread.append(step)
            self._unread_at.append(place)

    def rewind(self, steps: int) -> None:
        """Forget results whose place is `steps` or beyond."""
        while self._unread_at and self._unread_at[-1] >= steps:
            self._unread_at.pop()
            self._unread.pop()
        while self._read and self._read[-1][0] >= steps:
            _, forms, numbered = self._read.pop()
            for form in reversed(forms):
                held = self._by_form[form]
                held.pop()
                if not held:
                    del self._by_form[form]
            for kind in numbered:
                del self._numbered[kind]

    def of(self, form: str) -> Sequence[ShownId]:
        """The first ids of a form."""
        self._read_all()
        return self._by_form.get(form, ())

    def numbered(self, kind: str) -> bool:
        """Whether fields of this kind have shown numbers."""
        self._read_all()
        return kind in self._numbered

    def _read_all(self) -> None:
        for place, step in zip(self._unread_at, self._unread, strict=True):
            self._take(place, step.tool or step.name, step.result)
        self._unread_at.clear()
        self._unread.clear()

    def _take(self, place: int, tool: str, text: str) -> None:
        forms: list[str] = []
        numbered: list[str] = []
        found = [(field, value) for field, value in id_values(text)]
        if len(text) <= _LONGEST_BARE and looks_like_id(bare := cleaned(text)):
            found.append(("", bare))
        for field, value in found:
            if value.isdigit() and (kind := label(field)) not in self._numbered:
                self._numbered[kind] = place
                numbered.append(kind)
            if looks_like_id(value) and self._keep(form_of(value), ShownId(value, tool, field)):
                forms.append(form_of(value))
        if forms or numbered:
            self._read.append((place, forms, numbered))

    def _keep(self, form: str, each: ShownId) -> bool:
        held = self._by_form.get(form)
        if held is None:
            if len(self._by_form) >= MOST_FORMS:
                return False
            held = self._by_form[form] = []
        if len(held) >= MOST_OF_ONE_FORM or any(each.value == other.value for other in held):
            return False
        held.append(each)
        return True
