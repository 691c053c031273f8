"""Which alerts are in which group, and which of them are only waited for."""

from __future__ import annotations

from collections.abc import Container, Mapping

import msgspec

from watchpost.alerting.group import GroupState, group_id
from watchpost.alerting.route import Route
from watchpost.model.alert import Alert, Resolved


class Home(msgspec.Struct, frozen=True):
    """A group that an alert belongs to, by the route that took it."""

    id: str
    route: Route
    labels: dict[str, str]

    @classmethod
    def of(cls, route: Route, project: str, labels: Mapping[str, str]) -> Home:
        """The group of a route for alerts of a project with these labels."""
        by = route.group_labels(labels)
        return cls(group_id(route, project, by), route, by)


class Roster:
    """A group's state, and its members by alert id. `leaving` are those that the tree sends elsewhere now, of which only the end is told here.

    `planned_ns` is its entry in the calendar; entries of other times are out of date.
    """

    def __init__(self, route: Route, state: GroupState) -> None:
        self.route = route
        self.state = state
        self.members: dict[str, Alert] = {}
        self.leaving: set[str] = set()
        self.planned_ns = -1

    def stored(self) -> GroupState:
        """The state as it is kept."""
        ended = frozenset(each for each, alert in self.members.items() if isinstance(alert.state, Resolved))
        return msgspec.structs.replace(self.state, ended=ended)

    def only_leaves(self, alert_id: str) -> bool:
        """Whether a member still fires of which only the end is told here."""
        return alert_id in self.leaving and not isinstance(self.members[alert_id].state, Resolved)

    def lose(self, gone: Container[str]) -> bool:
        """Take out these, whatever anybody knows of them; whether any was a member."""
        lost = [each for each in self.members if each in gone]
        for each in lost:
            del self.members[each]
            self.leaving.discard(each)
        return bool(lost)

    def let_go(self, state: GroupState) -> list[str]:
        """Take out the members of which nobody has to be told any more in this state; their ids."""
        known = state.known
        over = [
            each
            for each, alert in self.members.items()
            if each not in known and (isinstance(alert.state, Resolved) or each in self.leaving)
        ]
        for each in over:
            del self.members[each]
            self.leaving.discard(each)
        return over
