"""Redaction of deliveries: no secret and no personal datum of a known form reaches the log.

Every string is looked at: names, status messages, attribute values and keys at any depth, events, links, log bodies and
resources. What is found becomes a keyed pseudonym, the same for the same value within a project.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from watchpost_core.fields import SECRET_FIELDS, FieldNames, is_id_field, kind_label, words
from watchpost_core.patterns import KINDS, Found, Rule
from watchpost_core.redaction import NUMBER_KINDS, TextRedactor, project_key, rules_for

from watchpost.ingest.scan import InvalidPatternError, Scanner, Spans, compiled
from watchpost.model.telemetry import Attributes, Delivery, Event, Link, LogLine, Parcel, Span

REDACTED_KINDS = tuple(dict.fromkeys((*KINDS, *SECRET_FIELDS.values())))
"""Every kind of value that is found without being asked for: by its form, by the name of its field, or both."""

SHORTEST_SECRET = 16

_SPANS_AT_ONCE = 64
_KNOWN_NAMES = 10_000
_LONGEST_KNOWN = 256
_DEEPEST = 100
_NEAR = 64
_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}")

_Item = TypeVar("_Item")


class OwnPattern(msgspec.Struct, frozen=True):
    """A pattern of the user's. `name` is the kind in its pseudonyms; `regex` is RE2, and all that it matches is hidden."""

    name: str
    regex: str


class RedactionSettings(msgspec.Struct, frozen=True):
    """What is hidden. A field is named by its last words, however joined: `customer name` is `order.customerName` too.

    `kinds` are the built-in kinds in use. `own_patterns` and `own_fields` add to them. What lies in a match of one of the
    `id_formats`, which are RE2, is never taken for a card, social security, phone number or IP address. Nothing in
    `allowed_fields` is changed at all.
    """

    kinds: tuple[str, ...] = REDACTED_KINDS
    own_patterns: tuple[OwnPattern, ...] = ()
    own_fields: tuple[str, ...] = ()
    id_formats: tuple[str, ...] = ()
    allowed_fields: tuple[str, ...] = ()


class _Name(msgspec.Struct, frozen=True):
    """What a field's name means for its value. `kind` is empty unless the whole value is hidden; `hit` is a find in the name."""

    kind: str
    allowed: bool
    is_id: bool
    hit: bool


_UNNAMED = _Name(kind="", allowed=False, is_id=False, hit=False)


class _Pass(msgspec.Struct, frozen=True):
    """What one item is rebuilt with: the project's key, and the `id()` of every text that may hold something."""

    key: bytes
    suspects: frozenset[int]


class Redactor:
    """Redacts deliveries under one set of settings. Raises `InvalidPatternError` for settings that cannot be used.

    `secret` keys the pseudonyms, each project's apart; it must be kept, or equal values stop being equal.
    Not for use by two threads at once.
    """

    def __init__(self, settings: RedactionSettings, secret: bytes) -> None:
        if len(secret) < SHORTEST_SECRET:
            raise ValueError(f"the redaction secret has {len(secret)} bytes; it needs at least {SHORTEST_SECRET}")
        _check_kinds(settings)
        kinds = set(settings.kinds)
        secret_fields = {name: kind for name, kind in SECRET_FIELDS.items() if kind in kinds}
        self._names = FieldNames(
            {**secret_fields, **{name: kind_label(name) for name in settings.own_fields}},
            frozenset(settings.allowed_fields),
        )
        self._scanner = Scanner(rules_for(kinds, self._names), [_own_rule(own) for own in settings.own_patterns])
        is_id = _id_formats(settings.id_formats)
        self._text = TextRedactor(self._scanner.candidates, self._names, is_id)
        self._secret = secret
        self._keys: dict[str, bytes] = {}
        self._plain: set[str] = set()
        self._known: dict[str, _Name] = {}

    def delivery(self, delivery: Delivery) -> Delivery:
        """The delivery with nothing left in it to hide, whatever it holds; what had nothing to hide is the same object.

        Redacting again changes nothing. Names of projects stay as they are.
        """
        parcels = tuple(map(self._parcel, delivery.parcels))
        return Delivery(delivery.received_ns, parcels) if _differ(parcels, delivery.parcels) else delivery

    def _parcel(self, parcel: Parcel) -> Parcel:
        key = self._key(parcel.project)
        head = self._redacted(((parcel.resource, parcel.scope),), self._gather_head, self._head, key)[0]
        spans = self._redacted(parcel.spans, self._gather_span, self._span, key)
        logs = self._redacted(parcel.logs, self._gather_line, self._line, key)
        rebuilt = Parcel(parcel.project, *head, spans, logs)
        return rebuilt if rebuilt != parcel or _differ(spans, parcel.spans) else parcel

    def _redacted(
        self,
        items: tuple[_Item, ...],
        gather: Callable[[_Item, list[str]], bool],
        rebuild: Callable[[_Item, _Pass], _Item],
        key: bytes,
    ) -> tuple[_Item, ...]:
        """The items, those with something to hide rebuilt; the texts of up to 64 are scanned at once."""
        changed: dict[int, _Item] = {}
        for first in range(0, len(items), _SPANS_AT_ONCE):
            texts: list[str] = []
            ends: list[int] = []
            named: list[int] = []
            for index, item in enumerate(items[first : first + _SPANS_AT_ONCE]):
                if gather(item, texts):
                    named.append(index)
                ends.append(len(texts))
            hits = self._scanner.suspects(texts) if texts else []
            if not hits and not named:
                continue
            work = _Pass(key, frozenset(id(texts[hit]) for hit in hits))
            for index in {*named, *(bisect_right(ends, hit) for hit in hits)}:
                item = items[first + index]
                rebuilt = rebuild(item, work)
                if rebuilt != item:
                    changed[first + index] = rebuilt
        return tuple(changed.get(index, item) for index, item in enumerate(items)) if changed else items

    def _gather_head(self, head: tuple[Attributes, str], texts: list[str]) -> bool:
        texts.append(head[1])
        return self._gather(head[0], texts, 0)

    def _gather_span(self, span: Span, texts: list[str]) -> bool:
        texts.append(span.name)
        if span.status_message:
            texts.append(span.status_message)
        named = self._gather(span.attributes, texts, 0)
        for event in span.events:
            texts.append(event.name)
            named |= self._gather(event.attributes, texts, 0)
        for link in span.links:
            named |= self._gather(link.attributes, texts, 0)
        return named

    def _gather_line(self, line: LogLine, texts: list[str]) -> bool:
        texts.append(line.event_name)
        named = self._gather_value(line.body, texts, 0)
        return self._gather(line.attributes, texts, 0) or named

    def _gather(self, attributes: Attributes, texts: list[str], depth: int) -> bool:
        """Add every string among the values; answer whether a name in it, at any depth, asks for something."""
        named = not self._plain.issuperset(attributes) and not self._are_plain(attributes)
        add = texts.append
        for value in attributes.values():
            kind = type(value)
            if kind is str:
                add(value)  # type: ignore[arg-type]  # the line above says so, and isinstance is three times slower
            elif kind is list or kind is dict or kind is bytes:
                named |= self._gather_value(value, texts, depth + 1)
        return named

    def _gather_value(self, value: object, texts: list[str], depth: int) -> bool:
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, bytes):
            texts.append(value.decode("latin-1"))
            return bool(self._scanner.suspects(texts[-1:]))
        elif depth > _DEEPEST:
            return isinstance(value, list | dict)
        elif isinstance(value, dict):
            return self._gather(value, texts, depth)
        elif isinstance(value, list):
            return any([self._gather_value(member, texts, depth + 1) for member in value])
        return False

    def _are_plain(self, attributes: Attributes) -> bool:
        return all([name in self._plain or self._name(name) is _UNNAMED for name in attributes])

    def _name(self, name: str) -> _Name:
        """What a name means; `_UNNAMED` if it asks for nothing as long as its value holds nothing."""
        if name in self._plain:
            return _UNNAMED
        known = self._known.get(name)
        if known is None:
            allowed = self._names.is_allowed(name)
            kind = self._names.kind(name)
            hit = not allowed and self._text.redact(name, b"") != name
            known = _Name(kind, allowed, is_id_field(name), hit)
            if not (kind or allowed or hit):
                known = _UNNAMED
            if len(name) <= _LONGEST_KNOWN and len(self._plain) + len(self._known) < _KNOWN_NAMES:
                if known is _UNNAMED:
                    self._plain.add(name)
                else:
                    self._known[name] = known
        return known

    def _head(self, head: tuple[Attributes, str], work: _Pass) -> tuple[Attributes, str]:
        return self._attributes(head[0], work, 0), self._string(head[1], work)

    def _span(self, span: Span, work: _Pass) -> Span:
        return Span(
            span.trace_id,
            span.span_id,
            span.parent_id,
            self._string(span.name, work),
            span.start_ns,
            span.end_ns,
            span.kind,
            span.status,
            self._string(span.status_message, work),
            self._attributes(span.attributes, work, 0),
            tuple(Event(e.time_ns, self._string(e.name, work), self._attributes(e.attributes, work, 0)) for e in span.events),
            tuple(Link(x.trace_id, x.span_id, self._attributes(x.attributes, work, 0)) for x in span.links),
        )

    def _line(self, line: LogLine, work: _Pass) -> LogLine:
        return LogLine(
            line.time_ns,
            line.severity,
            line.trace_id,
            line.span_id,
            self._string(line.event_name, work),
            self._value(line.body, _UNNAMED, work, 0),
            self._attributes(line.attributes, work, 0),
        )

    def _attributes(self, attributes: Attributes, work: _Pass, depth: int) -> Attributes:
        rebuilt: Attributes = {}
        for name, value in attributes.items():
            meaning = self._name(name)
            if meaning.hit:
                name = self._text.redact(name, work.key)  # noqa: PLW2901 - the name that everything below speaks of
                while name in rebuilt or name in attributes:
                    name += "'"  # noqa: PLW2901 - two spellings of one value: both fields are kept
            rebuilt[name] = value if meaning.allowed else self._value(value, meaning, work, depth + 1)
        return rebuilt
