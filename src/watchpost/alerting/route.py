"""The routing tree: which alerts go to which channels, how they are grouped, and how long each step waits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from watchpost.alerting.matcher import Matcher, all_match

SECOND_NS = 1_000_000_000

GROUP_WAIT_NS = 30 * SECOND_NS
GROUP_INTERVAL_NS = 5 * 60 * SECOND_NS
REPEAT_INTERVAL_NS = 4 * 3600 * SECOND_NS
"""Defaults of a root that does not say. Source: Alertmanager."""

RATE_LABEL = "rate"
RATE = "yes"
"""The label, and its value, that a rule puts on its alerts if they are judged by a rate, a share, a frequency or a confirmed flag.

A page takes no other alerts: somebody's night is not ended by a single error.
"""


class Route(msgspec.Struct, frozen=True):
    """A node of the tree, with what it inherits already filled in. All lengths are nanoseconds.

    `key` names the node for good: the matchers on the way to it, so that it stays the same when a sibling is added before it.
    `channels` are told of every alert that comes here, `page` only of those whose label `rate` is `yes`. With neither, alerts stay in the
    history and tell nobody. `group_by` None groups by every label. `escalate_after_ns` 0 means never.
    """

    key: str
    match: tuple[Matcher, ...] = ()
    channels: tuple[str, ...] = ()
    page: tuple[str, ...] = ()
    group_by: tuple[str, ...] | None = ()
    group_wait_ns: int = GROUP_WAIT_NS
    group_interval_ns: int = GROUP_INTERVAL_NS
    repeat_interval_ns: int = REPEAT_INTERVAL_NS
    goes_on: bool = False
    mute_time_intervals: tuple[str, ...] = ()
    active_time_intervals: tuple[str, ...] = ()
    escalate_after_ns: int = 0
    escalate_to: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()

    def find(self, labels: Mapping[str, str]) -> list[Route]:
        """The deepest nodes that take an alert with these labels, in the order of the tree; empty where this node does not match.

        Of the children that match, the first takes it, and after one with `continue` the next one too; where none does, this node does.
        """
        if not all_match(self.match, labels):
            return []
        found: list[Route] = []
        for child in self.routes:
            below = child.find(labels)
            found += below
            if below and not child.goes_on:
                break
        return found or [self]

    @property
    def named(self) -> tuple[str, ...]:
        """Every channel that this node may tell something."""
        return (*self.channels, *self.page, *self.escalate_to)

    def walk(self) -> Iterator[Route]:
        """This node and all below it."""
        yield self
        for child in self.routes:
            yield from child.walk()

    def group_labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        """The labels by which an alert is grouped here, by name; those it does not have are left out."""
        names = labels if self.group_by is None else self.group_by
        return {name: labels[name] for name in sorted(names) if labels.get(name)}

    def takes(self, channel: str, labels: Mapping[str, str]) -> bool:
        """Whether this channel of the node is told of an alert with these labels."""
        return channel not in self.page or labels.get(RATE_LABEL) == RATE
