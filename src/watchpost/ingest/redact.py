"""Redaction of deliveries: no secret and no personal datum of a known form reaches the log.

Every string is looked at: names, units, status messages, attribute values and keys at any depth, events, links, log bodies,
exemplars and resources. What is found becomes a keyed pseudonym, the same for the same value within a project.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from watchpost.ingest.scan import InvalidPatternError, Scanner, Spans, compiled
from watchpost.model.telemetry import (
    Attributes,
    Delivery,
    Event,
    Exemplar,
    Link,
    LogLine,
    MetricPoint,
    Parcel,
    Span,
)
from watchpost_core.fields import SECRET_FIELDS, FieldNames, is_id_field, kind_label, words
from watchpost_core.patterns import KINDS, Found, Rule
from watchpost_core.redaction import NUMBER_KINDS, Key, TextRedactor, rules_for

REDACTED_KINDS = tuple(dict.fromkeys((*KINDS, *SECRET_FIELDS.values())))
"""Every kind of value that is found without being asked for: by its form, by the name of its field, or both."""

SHORTEST_SECRET = 16

_SPANS_AT_ONCE = 64
_KNOWN_NAMES = 10_000
_LONGEST_KNOWN = 256
_DEEPEST = 100
_NEAR = 64
_HOLDERS = (list, dict, bytes)
_LARGEST_NUMBER = 10**20
_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}")

_Item = TypeVar("_Item")


class OwnPattern(msgspec.Struct, frozen=True):
    """A pattern of the user's. `name` is the kind in its pseudonyms; `regex` is RE2, and all that it matches is hidden."""

    name: str
    regex: str


class RedactionSettings(msgspec.Struct, frozen=True):
    """What is hidden. A field is asking by its last words, however joined: `customer name` is `order.customerName` too.

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
    """What a field's name means for its value. `kind` is empty unless the whole value is hidden; `hit`: the name itself holds something."""

    kind: str
    allowed: bool
    is_id: bool
    hit: bool


_NO_NAME = _Name(kind="", allowed=False, is_id=False, hit=False)


class _Pass(msgspec.Struct, frozen=True):
    """What one item is rebuilt with: the project's key, and the `id()` of every text that may hold something."""

    key: Key
    suspects: frozenset[int]


class Redactor:
    """Redacts deliveries under one set of settings. Raises `InvalidPatternError` for settings that cannot be used.

    `secret` keys the pseudonyms, each project's apart; it must be kept, or equal values stop being equal.
    Not for use by two threads at once.
    """

    def __init__(self, settings: RedactionSettings, secret: bytes) -> None:
        if len(secret) < SHORTEST_SECRET:
            raise ValueError(f"the redaction secret has {len(secret)} bytes; it needs at least {SHORTEST_SECRET}")
        _check_settings(settings)
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
        self._keys: dict[str, Key] = {}
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
        metrics = self._redacted(parcel.metrics, self._gather_point, self._point, key)
        rebuilt = Parcel(parcel.project, *head, spans, logs, metrics)
        return rebuilt if rebuilt != parcel or _differ(spans, parcel.spans) else parcel

    def _redacted(
        self,
        items: tuple[_Item, ...],
        gather: Callable[[_Item, list[str]], bool],
        rebuild: Callable[[_Item, _Pass], _Item],
        key: Key,
    ) -> tuple[_Item, ...]:
        """The items, those with something to hide rebuilt; the texts of up to 64 are scanned at once."""
        changed: dict[int, _Item] = {}
        for first in range(0, len(items), _SPANS_AT_ONCE):
            texts: list[str] = []
            ends: list[int] = []
            asking: list[int] = []
            for index, item in enumerate(items[first : first + _SPANS_AT_ONCE]):
                if gather(item, texts):
                    asking.append(index)
                ends.append(len(texts))
            hits = self._scanner.suspects(texts) if texts else []
            if not hits and not asking:
                continue
            work = _Pass(key, frozenset(id(texts[hit]) for hit in hits))
            for index in {*asking, *(bisect_right(ends, hit) for hit in hits)}:
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
        asks = self._gather(span.attributes, texts, 0)
        for event in span.events:
            texts.append(event.name)
            asks |= self._gather(event.attributes, texts, 0)
        for link in span.links:
            asks |= self._gather(link.attributes, texts, 0)
        return asks

    def _gather_line(self, line: LogLine, texts: list[str]) -> bool:
        texts.append(line.event_name)
        asks = self._gather_value(line.body, texts, 0)
        return self._gather(line.attributes, texts, 0) or asks

    def _gather_point(self, point: MetricPoint, texts: list[str]) -> bool:
        texts += (point.name, point.unit)
        asks = self._gather(point.attributes, texts, 0)
        for exemplar in point.exemplars:
            asks |= self._gather(exemplar.attributes, texts, 0)
        return asks

    def _gather(self, attributes: Attributes, texts: list[str], depth: int) -> bool:
        """Add every string among the values; answer whether the names in it, at any depth, ask for a rebuilding."""
        asks = not self._plain.issuperset(attributes) and self._asks(attributes)
        add = texts.append
        for value in attributes.values():
            if isinstance(value, str):
                add(value)
            elif isinstance(value, _HOLDERS) and self._gather_value(value, texts, depth + 1):
                asks = True
        return asks

    def _gather_value(self, value: object, texts: list[str], depth: int) -> bool:
        asks = False
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, bytes):
            asks = bool(self._scanner.suspects([value.decode("latin-1")]))
        elif depth > _DEEPEST:
            asks = isinstance(value, _HOLDERS)
        elif isinstance(value, dict):
            asks = self._gather(value, texts, depth)
        elif isinstance(value, list):
            for member in value:
                asks |= self._gather_value(member, texts, depth + 1)
        return asks

    def _asks(self, attributes: Attributes) -> bool:
        meanings = [self._meaning(name) for name in attributes]
        return any(meaning.kind or meaning.hit for meaning in meanings)

    def _meaning(self, name: str) -> _Name:
        known = self._known.get(name)
        if known is None:
            allowed = self._names.is_allowed(name)
            hit = not allowed and self._text.redact(name, self._key("")) != name
            known = _Name(self._names.kind(name), allowed, is_id_field(name), hit)
            if len(name) <= _LONGEST_KNOWN and len(self._known) < _KNOWN_NAMES:
                self._known[name] = known
                if not (known.kind or known.hit):
                    self._plain.add(name)
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
            tuple(
                Event(e.time_ns, self._string(e.name, work), self._attributes(e.attributes, work, 0))
                for e in span.events
            ),
            tuple(Link(x.trace_id, x.span_id, self._attributes(x.attributes, work, 0)) for x in span.links),
        )

    def _line(self, line: LogLine, work: _Pass) -> LogLine:
        return LogLine(
            line.time_ns,
            line.severity,
            line.trace_id,
            line.span_id,
            self._string(line.event_name, work),
            self._value(line.body, _NO_NAME, work, 0),
            self._attributes(line.attributes, work, 0),
        )

    def _point(self, point: MetricPoint, work: _Pass) -> MetricPoint:
        return MetricPoint(
            self._string(point.name, work),
            self._string(point.unit, work),
            point.type,
            point.temporality,
            point.monotonic,
            self._attributes(point.attributes, work, 0),
            point.start_ns,
            point.time_ns,
            point.value,
            tuple(
                Exemplar(e.time_ns, e.value, e.trace_id, e.span_id, self._attributes(e.attributes, work, 0))
                for e in point.exemplars
            ),
        )

    def _attributes(self, attributes: Attributes, work: _Pass, depth: int) -> Attributes:
        plain, suspects = self._plain, work.suspects
        doubtful = [
            (name, value)
            for name, value in attributes.items()
            if id(value) in suspects or name not in plain or isinstance(value, _HOLDERS)
        ]
        rebuilt = attributes.copy()
        for name, value in doubtful:
            meaning = self._meaning(name)
            shown = name
            if meaning.hit:
                del rebuilt[name]
                shown = self._text.redact(name, work.key)
                while shown in rebuilt:
                    shown += "'"
            rebuilt[shown] = value if meaning.allowed else self._value(value, meaning, work, depth + 1)
        return rebuilt

    def _value(self, value: object, meaning: _Name, work: _Pass, depth: int) -> object:
        """A value without what is to be hidden; null in place of what is nested deeper than any decoder lets through."""
        result = value
        if isinstance(value, str):
            result = self._string(value, work, meaning)
        elif isinstance(value, bytes):
            text = value.decode("latin-1")
            result = self._string(text, _Pass(work.key, frozenset({id(text)})), meaning).encode("latin-1")
        elif isinstance(value, _HOLDERS) and depth > _DEEPEST:
            result = None
        elif isinstance(value, dict):
            result = self._attributes(value, work, depth)
        elif isinstance(value, list):
            result = [self._value(member, meaning, work, depth + 1) for member in value]
        elif meaning.kind in NUMBER_KINDS and isinstance(value, int) and 0 <= value < _LARGEST_NUMBER:
            shown = self._text.redact_field(meaning.kind, str(value), work.key)
            result = shown if shown != str(value) else value
        return result

    def _string(self, text: str, work: _Pass, meaning: _Name = _NO_NAME) -> str:
        if meaning.kind:
            hidden = self._text.redact_field(meaning.kind, text, work.key)
            if hidden != text:
                return hidden
        if id(text) in work.suspects:
            return self._text.redact(text, work.key, in_id_field=meaning.is_id)
        return text

    def _key(self, project: str) -> Key:
        key = self._keys.get(project)
        if key is None:
            key = Key(self._secret, project)
            if len(self._keys) < _KNOWN_NAMES:
                self._keys[project] = key
        return key


def _differ(one: Sequence[object], other: Sequence[object]) -> bool:
    return any(a is not b for a, b in zip(one, other, strict=True))


def _check_settings(settings: RedactionSettings) -> None:
    for kind in settings.kinds:
        if kind not in REDACTED_KINDS:
            raise InvalidPatternError(kind, f"no such kind; there are {', '.join(REDACTED_KINDS)}")
    taken = set(REDACTED_KINDS)
    for own in settings.own_patterns:
        if _KIND.fullmatch(own.name) is None:
            raise InvalidPatternError(
                own.name, "a name is a lower-case letter, then at most 31 letters, digits and underscores"
            )
        if own.name in taken:
            raise InvalidPatternError(own.name, "there is another pattern of this name")
        taken.add(own.name)
    for name in (*settings.own_fields, *settings.allowed_fields):
        if not words(name):
            raise InvalidPatternError(name, "a field's name needs a letter or digit of ASCII")


def _own_rule(own: OwnPattern) -> tuple[Rule, Spans]:
    return Rule(own.name, own.regex, lambda _text, start, end: (Found(start, end),)), compiled(own.name, [own.regex])


def _id_formats(formats: tuple[str, ...]) -> Callable[[str, int, int], bool]:
    """Whether a span lies in a match of one of the formats."""
    if not formats:
        return lambda _text, _start, _end: False
    for expression in formats:
        compiled(f"id_formats {expression}", [expression])
    spans = compiled("id_formats", formats)

    def is_id(text: str, start: int, end: int) -> bool:
        first = max(0, start - _NEAR)
        return any(first + left <= start and end <= first + right for left, right in spans(text[first : end + _NEAR]))

    return is_id
