"""A rule whose condition holds for one group of what it looks at, and how that stands."""

from __future__ import annotations

import hashlib

import msgspec

from watchpost.model.notice import AlertEvent


class Pending(msgspec.Struct, frozen=True, tag="pending"):
    """The condition holds, but not yet for as long as the rule asks. Times are Unix nanoseconds."""

    since_ns: int


class Firing(msgspec.Struct, frozen=True, tag="firing"):
    """Somebody is to know: since when the condition holds, and since when the alert fires; `held_ns` is when the condition last held."""

    since_ns: int
    fired_ns: int
    held_ns: int


class Resolved(msgspec.Struct, frozen=True, tag="resolved"):
    """What fired is over or, with `no_word`, whoever said that it fires says nothing any more, and how it stands is not known."""

    since_ns: int
    fired_ns: int
    resolved_ns: int
    no_word: bool = False


AlertState = Pending | Firing | Resolved


class Alert(msgspec.Struct, frozen=True):
    """One rule and one group. `id` derives from project, rule and labels, so that a group that fires again is the same alert.

    `labels` are the dimensions of the group, with the rule's name as `alertname`, and its `severity` and `owner`. `event` is that of the
    last time at which the condition held.
    """

    id: str
    project: str
    rule: str
    labels: dict[str, str]
    state: AlertState
    event: AlertEvent


def alert_id(project: str, rule: str, labels: dict[str, str]) -> str:
    """32 hexadecimal digits that are the same for the same labels in any order."""
    parts = (project, rule, sorted(labels.items()))
    return hashlib.blake2b(msgspec.json.encode(parts), digest_size=16).hexdigest()
