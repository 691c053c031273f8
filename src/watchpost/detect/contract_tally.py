"""What has been counted of a tool's responses, field by field, and the contract that follows from it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

import msgspec

from watchpost.detect.contract import LETTERS, any_path, member_path
from watchpost.model.knowledge import Field, JsonType
from watchpost_core.shape import NAMES, Node, member, parts

_FIELD_NAME = re.compile(r"[A-Za-z_$@][A-Za-z0-9_$\-]*\Z")
_DATA_NAMES = 8
"""So many names with plain values, none of which is always there, are data."""


class Enough(msgspec.Struct, frozen=True):
    """How much has to be known of a thing to judge by it: so many responses of so many sessions.

    Where it still changed in its nth session, `quiet` times as many sessions as that, but no more than `again` sessions after it. Null
    counts as new from `null_sessions` on. That an object some of whose names are not always there has no more of them takes `loose`
    times as much: such objects are those that turn out to have more.
    """

    responses: int = 10
    sessions: int = 5
    quiet: float = 4.0
    null_sessions: int = 12
    again: int = 50
    loose: int = 3

    def of(self, responses: int, sessions: int, news: int) -> bool:
        """Whether so many are enough, if the latest news came in the session with the number `news`."""
        return responses >= self.responses and sessions >= self.sessions and sessions >= self.wait(news)

    def wait(self, news: int) -> float:
        """The session from which on something holds that was last new in this one."""
        return min(self.quiet * news, news + self.again) if news > 1 else 0

    def to_close(self, responses: int, sessions: int, news: int, *, loose: bool) -> bool:
        """Whether so many are enough to say that an object has no other names, of which in a `loose` one some are not always there."""
        more = self.loose if loose else 1
        return (
            self.of(responses, sessions, news)
            and responses >= more * self.responses
            and sessions >= more * self.sessions
        )


class Tally(msgspec.Struct, array_like=True, gc=False):
    """What was counted of one field: the responses and sessions that had it, and the responses in which all items of a list had it.

    `types` has the responses by letter of the shape, `o` for objects and `a` for lists. Of objects with members it counts responses,
    sessions, and in which of these sessions a name, or a type of this field, was last new. `last` is the session counted last.
    """

    seen: int = 0
    sessions: int = 0
    full: int = 0
    last: int = 0
    types: dict[str, int] = {}
    typed_at: int = 0
    objects: int = 0
    object_sessions: int = 0
    object_last: int = 0
    named_at: int = 0
    names: dict[str, Tally] = {}
    any_name: Tally | None = None
    items: Tally | None = None
    inner: Tally | None = None

    def add(self, node: Node, responses: int, session: int, *, always: bool = True) -> bool:
        """Count so many responses of one session, whose number counts from 1, that have this here; whether more than counts changed."""
        is_new = False
        self.seen += responses
        self.full += responses if always else 0
        if self.last != session:
            self.last = session
            self.sessions += 1
        letters, members, items = parts(node)
        inner = members.get("()") if members is not None else None
        kinds = letters + ("o" if members is not None and inner is None else "") + ("a" if items is not None else "")
        for kind in kinds:
            if kind not in self.types:
                self.typed_at = self.sessions
                is_new = True
            self.types[kind] = self.types.get(kind, 0) + responses
        if inner is not None:
            self.inner = self.inner or Tally()
            is_new |= self.inner.add(inner, responses, session)
        elif members:
            is_new |= self._add_members(members, responses, session)
        if items:
            self.items = self.items or Tally()
            is_new |= self.items.add(items[0], responses, session)
        return is_new

    def _add_members(self, members: Mapping[str, Node], responses: int, session: int) -> bool:
        is_new = False
        always_there = [name for name in self.names if self.is_always(name)]
        self.objects += responses
        if self.object_last != session:
            self.object_last = session
            self.object_sessions += 1
        if self.names and ("*" in members or len(self.names) > NAMES):
            is_new = True
        if "*" in members or len(self.names) > NAMES:
            self._collapse()
        if self.any_name is not None:
            for node in members.values():
                is_new |= self.any_name.add(node, responses, session)
            return is_new
        known = len(self.names)
        for key, node in members.items():
            name, always = member(key)
            if name not in self.names:
                self.names[name] = Tally()
                self.named_at = self.object_sessions
            is_new |= self.names[name].add(node, responses, session, always=always)
        if len(self.names) > known and self.names_are_data():
            self._collapse()
            return True
        return is_new or len(self.names) > known or not all(map(self.is_always, always_there))

    def is_always(self, name: str) -> bool:
        """Whether every object here has this member."""
        return self.names[name].full == self.objects

    def names_are_data(self) -> bool:
        """Whether the names of an object are no names of fields.

        They are where all values are objects of the same make, and the names are none that a field has, or another of them is there
        each time; and where many names, of which none is always there, all have plain values of one type.
        """
        if not self.names:
            return False
        makes = [frozenset(each.names) for each in self.names.values()]
        if all(makes) and all(_alike(first, second) for first, second in pairwise(makes)):
            if not any(map(_FIELD_NAME.match, self.names)):
                return True
            return len(self.names) > 1 and not any(map(self.is_always, self.names))
        kinds = {kind for each in self.names.values() for kind in each.types}
        return len(self.names) >= _DATA_NAMES and len(kinds) == 1 and not any(map(self.is_always, self.names))

    def _collapse(self) -> None:
        """Count all members as one."""
        if self.any_name is None:
            self.any_name, self.named_at = Tally(), 0
        for each in self.names.values():
            self.any_name.take(each)
        self.names = {}

    def take(self, other: Tally) -> None:
        """Count what another tally of the same kind of thing has counted."""
        self.seen += other.seen
        self.full += other.full
        self.sessions = max(self.sessions, other.sessions)
        self.last = max(self.last, other.last)
        self.typed_at = max(self.typed_at, other.typed_at)
        for kind, count in other.types.items():
            self.types[kind] = self.types.get(kind, 0) + count
        self.objects += other.objects
        self.object_sessions = max(self.object_sessions, other.object_sessions)
        self.object_last = max(self.object_last, other.object_last)
        self.named_at = max(self.named_at, other.named_at)
        for name, each in other.names.items():
            if name not in self.names:
                self.names[name] = Tally()
            self.names[name].take(each)
        self.any_name = _taken(self.any_name, other.any_name)
        self.items = _taken(self.items, other.items)
        self.inner = _taken(self.inner, other.inner)

    def become(self, node: Node) -> None:
        """Count as though every response so far had been like this one: it has all these names and types, and no others always."""
        letters, members, items = parts(node)
        inner = members.get("()") if members is not None else None
        for kind in (
            letters + ("o" if members is not None and inner is None else "") + ("a" if items is not None else "")
        ):
            self.types.setdefault(kind, self.seen)
        if inner is not None:
            self.inner = self.inner or self._like(inner)
            self.inner.become(inner)
        elif members and "*" not in members and self.any_name is None:
            self._become_object({member(key)[0]: (node, member(key)[1]) for key, node in members.items()})
        if items:
            self.items = self.items or self._like(items[0])
            self.items.become(items[0])

    def _become_object(self, members: Mapping[str, tuple[Node, bool]]) -> None:
        self.objects = self.objects or self.seen
        self.object_sessions = self.object_sessions or self.sessions
        for name in [name for name in self.names if name not in members and self.is_always(name)]:
            del self.names[name]
        for name, (node, always) in members.items():
            if name not in self.names:
                self.names[name] = self._like(node)
            self.names[name].full = self.objects if always and self.names[name].full >= self.objects else 0
            self.names[name].become(node)

    def _like(self, node: Node) -> Tally:
        """A tally of something that was there as often as this."""
        new = Tally(self.seen, self.sessions, self.objects or self.seen)
        new.become(node)
        return new

    def lasts(self, enough: Enough) -> float:
        """So many more sessions, at least 1, have to be counted before `fields` may say anything else, if they bring nothing new."""
        found = [each.lasts(enough) for each in self.names.values()]
        found += [each.lasts(enough) for each in (self.any_name, self.items, self.inner) if each is not None]
        if not enough.of(self.seen, self.sessions, self.typed_at):
            found.append(max(enough.sessions, enough.wait(self.typed_at)) - self.sessions)
        if "n" not in self.types and self.sessions < enough.null_sessions:
            found.append(enough.null_sessions - self.sessions)
        if self.objects:
            wait = enough.wait(self.named_at)
            if not enough.of(self.objects, self.object_sessions, self.named_at):
                found.append(max(enough.sessions, wait) - self.object_sessions)
            loose = any(each.full != self.objects for each in self.names.values())
            if not enough.to_close(self.objects, self.object_sessions, self.named_at, loose=loose):
                more = enough.loose if loose else 1
                found.append(max(more * enough.sessions, wait) - self.object_sessions)
        return max(1, min(found, default=math.inf))

    def fields(self, enough: Enough, path: str = "", *, required: bool = True) -> Iterator[tuple[str, Field]]:
        """The fields of the contract at this path and beneath it."""
        yield path, self._field(enough, required=required)
        whole = enough.of(self.objects, self.object_sessions, self.named_at)
        for name, each in self.names.items():
            yield from each.fields(enough, member_path(path, name), required=whole and self.is_always(name))
        if self.any_name is not None:
            yield from self.any_name.fields(enough, any_path(path), required=False)
        if self.items is not None:
            yield from self.items.fields(enough, f"{path}[]", required=False)
        if self.inner is not None:
            yield from self.inner.fields(enough, f"{path}()", required=False)

    def _field(self, enough: Enough, *, required: bool) -> Field:
        settled = enough.of(self.seen, self.sessions, self.typed_at)
        loose = any(each.full != self.objects for each in self.names.values())
        return Field(
            _types(self.types),
            required,
            self.seen,
            settled,
            enough.to_close(self.objects, self.object_sessions, self.named_at, loose=loose),
            "n" not in self.types and settled and self.sessions >= enough.null_sessions,
        )


def _types(counted: Mapping[str, int]) -> tuple[JsonType, ...]:
    return tuple(sorted(LETTERS.get(kind) or ("object" if kind == "o" else "array") for kind in counted))


def _taken(held: Tally | None, other: Tally | None) -> Tally | None:
    if other is not None:
        held = held or Tally()
        held.take(other)
    return held


def _alike(first: frozenset[str], second: frozenset[str]) -> bool:
    return len(first & second) * 2 > len(first | second) and len(first | second) > 1
