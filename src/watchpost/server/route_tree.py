"""The routing tree as people see it, and which of its routes take an alert with given labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from watchpost.alerting.duration import write_duration
from watchpost.alerting.matcher import MatcherError, read_matchers
from watchpost.alerting.route import Route
from watchpost.alerting.route_file import Routing
from watchpost.server.problem import ParameterError


class RouteAnswer(msgspec.Struct, frozen=True):
    """One route, `depth` below the root. `takes` says that an alert with the labels asked for comes here, `told` which of its channels then hear of it.

    `channels` hear of every alert, `page` only of rates. `group_by` is null where every label makes a group.
    """

    depth: int
    match: list[str]
    channels: list[str]
    page: list[str]
    group_by: list[str] | None
    group_wait: str
    group_interval: str
    repeat_interval: str
    goes_on: bool
    muted: list[str]
    active: list[str]
    escalate_after: str
    escalate_to: list[str]
    takes: bool
    told: list[str]


class RoutesAnswer(msgspec.Struct, frozen=True):
    """The routes in the order of the tree, the root first; `told` is who hears at once of an alert with the labels asked for, `later` who if nobody acknowledges."""

    routes: list[RouteAnswer]
    labels: dict[str, str]
    told: list[str]
    later: list[str]


class RouteTree:
    """Answers where alerts go."""

    def __init__(self, routing: Routing) -> None:
        self._root = routing.root

    def answer(self, labels: str) -> RoutesAnswer:
        """The tree; `labels` as text, `severity="critical", tool="search"`, empty for no example. Raises `ParameterError` for what says no labels."""
        given = _labels(labels)
        taking = {route.key for route in self._root.find(given)} if given else set()
        routes = [_answer(route, depth, given, taking) for route, depth in _walk(self._root, 0)]
        told = dict.fromkeys(name for route in routes for name in route.told)
        later = dict.fromkeys(name for route in routes if route.takes for name in route.escalate_to if name not in told)
        return RoutesAnswer(routes, given, list(told), list(later))


def _walk(route: Route, depth: int) -> Iterator[tuple[Route, int]]:
    yield route, depth
    for child in route.routes:
        yield from _walk(child, depth + 1)


def _answer(route: Route, depth: int, labels: Mapping[str, str], taking: set[str]) -> RouteAnswer:
    takes = route.key in taking
    named = (*route.channels, *route.page)
    return RouteAnswer(
        depth,
        [str(matcher) for matcher in route.match],
        list(route.channels),
        list(route.page),
        None if route.group_by is None else list(route.group_by),
        write_duration(route.group_wait_ns),
        write_duration(route.group_interval_ns),
        write_duration(route.repeat_interval_ns),
        route.goes_on,
        list(route.mute_time_intervals),
        list(route.active_time_intervals),
        write_duration(route.escalate_after_ns) if route.escalate_after_ns else "",
        list(route.escalate_to),
        takes,
        [name for name in named if takes and route.takes(name, labels)],
    )


def _labels(text: str) -> dict[str, str]:
    if not text.strip():
        return {}
    try:
        matchers = read_matchers(text)
    except MatcherError as error:
        raise ParameterError("labels", str(error)) from error
    if any(matcher.operator != "=" for matcher in matchers):
        raise ParameterError("labels", "say what an alert's labels are, with = alone")
    return {matcher.name: matcher.value for matcher in matchers}
