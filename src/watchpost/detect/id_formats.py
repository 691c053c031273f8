"""How the ids of a project are written, learnt from the results of tools in sound sessions.

Of each kind of id (`order_id`) the forms of its values are counted, not the values. A format is published once enough different values in enough
sessions are written so, once they are nearly all values of their kind, and only where ordinary words, numbers and dates are not
written so as well. One odd value in one session changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from watchpost.detect.id_form import form_of, id_values, is_telling, label, looks_like_id
from watchpost.detect.learner import Ended
from watchpost.model.knowledge import Content, IdFormat
from watchpost_core.mentions import digest

ENOUGH_VALUES = 5
"""Different values of a form before it is believed."""

ENOUGH_SESSIONS = 3
"""Sessions that showed a form before it is believed."""

NEARLY_ALL = 0.9
"""The least share of a kind's values that believed forms must account for."""

_MOST_KINDS = 500
_MOST_FORMS = 32
_MOST_FIELDS = 8
_NO_KIND_OF_ITS_OWN = frozenset({"id", "uuid", "guid", "_id"})


class _Form(msgspec.Struct):
    """One way of writing: how many values and sessions, and the digests of the first few different values."""

    values: int = 0
    sessions: int = 0
    different: list[int] = []

    @property
    def is_believed(self) -> bool:
        return len(self.different) >= ENOUGH_VALUES and self.sessions >= ENOUGH_SESSIONS


class _Kind(msgspec.Struct):
    """One kind of id: its forms, how many values had a form that was not counted, and the fields that showed it."""

    forms: dict[str, _Form] = {}
    others: int = 0
    fields: list[str] = []


class IdFormatLearner:
    """Learns one format for each kind of id; a kind is the name of the field, with the tool's before it where that is `id` alone."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def learn(self, session: Ended) -> Iterable[str]:
        """Take in what the tools of a sound session showed."""
        if not session.sound:
            return ()
        shown: dict[str, dict[str, set[str]]] = {}
        for step in session.steps:
            if step.kind == "tool" and step.status == "ok" and step.result:
                tool = step.tool or step.name
                for field, value in id_values(step.result):
                    if looks_like_id(value):
                        kind = label(field)
                        name = f"{tool} {kind}" if kind in _NO_KIND_OF_ITS_OWN else kind
                        shown.setdefault(name, {}).setdefault(f"{tool} {field}", set()).add(value)
        return [name for name, fields in sorted(shown.items()) if self._take(name, fields)]

    def load(self, name: str, body: bytes) -> None:
        """Go on from a draft as `draft` gave it."""
        self._kinds[name] = msgspec.json.decode(body, type=_Kind)

    def draft(self, name: str) -> bytes:
        """What was gathered about a kind of id."""
        return msgspec.json.encode(self._kinds[name])

    def content(self, name: str, held: Content | None) -> Content | None:
        """The format that a kind of id has, if it has one that can be relied on."""
        kind = self._kinds[name]
        believed = {form: count for form, count in kind.forms.items() if count.is_believed}
        counted = sum(count.values for count in believed.values())
        total = kind.others + sum(count.values for count in kind.forms.values())
        if not believed or counted < NEARLY_ALL * total:
            return None
        pattern = "|".join(sorted(believed))
        if isinstance(held, IdFormat) and held.pattern == pattern and held.fields == tuple(kind.fields):
            return held
        return IdFormat(pattern, tuple(kind.fields), counted)

    def _take(self, name: str, fields: dict[str, set[str]]) -> bool:
        kind = self._kinds.get(name)
        if kind is None:
            if len(self._kinds) >= _MOST_KINDS:
                return False
            kind = self._kinds[name] = _Kind()
        for field in sorted(fields):
            if field not in kind.fields and len(kind.fields) < _MOST_FIELDS:
                kind.fields.append(field)
        taken: dict[str, None] = {}
        for value in sorted(set().union(*fields.values())):
            form = _counted_as(value, kind)
            count = kind.forms.get(form)
            if count is None and (len(kind.forms) >= _MOST_FORMS or not is_telling(value)):
                kind.others += 1
                continue
            if count is None:
                count = kind.forms[form] = _Form()
            count.values += 1
            key = digest(value)
            if len(count.different) < ENOUGH_VALUES and key not in count.different:
                count.different.append(key)
            taken[form] = None
        for form in taken:
            kind.forms[form].sessions += 1
        return True


def _counted_as(value: str, kind: _Kind) -> str:
    """The form of a value, or a wider one of its kind that it has too: `AB1234` is one of `[A-Z0-9]{6}`."""
    form = form_of(value)
    if form in kind.forms:
        return form
    return next((wider for wider in kind.forms if "0-9]" in wider and re.fullmatch(wider, value)), form)
