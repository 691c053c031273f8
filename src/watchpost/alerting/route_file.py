"""The routing file: a tree of routes, inhibitions and time intervals in YAML, named as in Alertmanager.

Every fault is reported at once, each with its line, field and reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from importlib.resources import files

import msgspec

from watchpost.alerting.document import DocumentError, Fault, Place, read_document
from watchpost.alerting.duration import read_duration
from watchpost.alerting.inhibition import Inhibition
from watchpost.alerting.matcher import Matcher, read_matchers
from watchpost.alerting.route import Route
from watchpost.alerting.time_window import Window, read_window

_FIELDS = frozenset({"route", "inhibit_rules", "time_intervals"})
_ROUTE_FIELDS = frozenset(
    {
        "match",
        "channels",
        "page",
        "group_by",
        "group_wait",
        "group_interval",
        "repeat_interval",
        "continue",
        "mute_time_intervals",
        "active_time_intervals",
        "escalate_after",
        "escalate_to",
        "routes",
    }
)
_NOT_ON_THE_ROOT = ("match", "continue", "mute_time_intervals", "active_time_intervals")
_DEEPEST = 32


class Routing(msgspec.Struct, frozen=True):
    """All that a routing file says."""

    root: Route
    inhibitions: tuple[Inhibition, ...] = ()
    intervals: dict[str, tuple[Window, ...]] = {}

    @property
    def channels(self) -> frozenset[str]:
        """Every channel that some route names."""
        return frozenset(name for route in self.root.walk() for name in route.named)


def read_routing(text: str, channels: Collection[str]) -> Routing:
    """The routing that a YAML document describes. `channels` are the names there are; a route that names another is a fault.

    Raises `DocumentError` with every fault.
    """
    faults: list[Fault] = []
    fields = read_document(text, faults).fields(_FIELDS)
    intervals = _intervals(fields["time_intervals"]) if "time_intervals" in fields else {}
    inhibitions = [_inhibition(item) for item in fields["inhibit_rules"].items()] if "inhibit_rules" in fields else []
    root = Route(key="")
    if "route" in fields:
        root = _Reader(frozenset(channels), frozenset(intervals)).root(fields["route"])
    else:
        faults.append(Fault(1, "route", "is missing; it says where alerts go that no other route takes"))
    if faults:
        raise DocumentError(faults)
    return Routing(root, tuple(inhibitions), intervals)


def shipped_routing(channels: Collection[str]) -> Routing:
    """The routing that holds where nobody wrote one, without those of its channels that there are not."""
    text = files("watchpost.alerting").joinpath("shipped_routes.yaml").read_text(encoding="utf-8")
    routing = read_routing(text, SHIPPED_CHANNELS)
    return msgspec.structs.replace(routing, root=_only(routing.root, frozenset(channels)))


SHIPPED_CHANNELS = frozenset({"pagerduty", "incidents", "agent-alerts"})
"""Names of the channels to which the shipped routes send."""


def _only(route: Route, channels: frozenset[str]) -> Route:
    def kept(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if name in channels)

    return msgspec.structs.replace(
        route,
        channels=kept(route.channels),
        page=kept(route.page),
        escalate_to=kept(route.escalate_to),
        routes=tuple(_only(child, channels) for child in route.routes),
    )


class _Reader:
    """Reads routes; knows which channels and time intervals there are."""

    def __init__(self, channels: frozenset[str], intervals: frozenset[str]) -> None:
        self._channels = channels
        self._intervals = intervals

    def root(self, place: Place) -> Route:
        fields = place.fields(_ROUTE_FIELDS)
        for name in _NOT_ON_THE_ROOT:
            if name in fields:
                fields[name].fault("cannot stand on the root, which takes every alert at any time")
        if not fields.keys() & {"channels", "page"}:
            place.fault("is missing on the root; an empty list means that nobody is told", "channels")
        return self._route(place, fields, Route(key="{}"), "{}", 0)

    def _route(self, place: Place, fields: dict[str, Place], parent: Route, key: str, depth: int) -> Route:
        # Channels and pages are taken over together: a route that names other channels must not page by what stands above it.
        above = parent if not fields.keys() & {"channels", "page"} else Route(key="")
        route = Route(
            key=key,
            match=_matchers(fields.get("match")),
            channels=self._named(fields, "channels", above.channels),
            page=self._named(fields, "page", above.page),
            group_by=self._group_by(fields["group_by"]) if "group_by" in fields else parent.group_by,
            group_wait_ns=_length(fields.get("group_wait"), parent.group_wait_ns, may_be_zero=True),
            group_interval_ns=_length(fields.get("group_interval"), parent.group_interval_ns),
            repeat_interval_ns=_length(fields.get("repeat_interval"), parent.repeat_interval_ns),
            goes_on=fields["continue"].truth() if "continue" in fields else False,
            mute_time_intervals=self._interval_names(fields.get("mute_time_intervals")),
            active_time_intervals=self._interval_names(fields.get("active_time_intervals")),
            escalate_after_ns=_length(fields.get("escalate_after"), parent.escalate_after_ns, may_be_zero=True),
            escalate_to=self._named(fields, "escalate_to", parent.escalate_to),
        )
        if "page" in fields:
            for name in sorted({*route.channels} & {*route.page}):
                fields["page"].fault(
                    f"{name!r} stands in channels as well; a page takes rates only, a channel every alert"
                )
        if route.escalate_after_ns and not route.escalate_to:
            place.fault("is missing; say who is told when nobody acknowledges", "escalate_to")
        if "escalate_to" in fields and not route.escalate_after_ns:
            place.fault("is missing; say after how long", "escalate_after")
        if depth >= _DEEPEST:
            place.fault(f"stands deeper than {_DEEPEST} routes")
        elif "routes" in fields:
            route = msgspec.structs.replace(route, routes=self._children(fields["routes"], route, depth))
        return route

    def _children(self, place: Place, parent: Route, depth: int) -> tuple[Route, ...]:
        children = []
        alike: Counter[str] = Counter()
        for item in place.items():
            fields = item.fields(_ROUTE_FIELDS)
            key = "{" + ",".join(sorted(str(matcher) for matcher in _quietly(fields.get("match")))) + "}"
            alike[key] += 1
            # Two siblings with the same matchers are told apart by their order among themselves.
            key = f"{parent.key}/{key}" + (f"#{alike[key]}" if alike[key] > 1 else "")
            children.append(self._route(item, fields, parent, key, depth + 1))
        return tuple(children)

    def _named(self, fields: dict[str, Place], field: str, inherited: tuple[str, ...]) -> tuple[str, ...]:
        """Names of channels, each once."""
        if field not in fields:
            return inherited
        names: list[str] = []
        for item in fields[field].texts():
            name = item.text()
            if name and name not in self._channels:
                item.fault(f"there is no channel {name!r}; there {_are(self._channels)}")
            if name in names:
                item.fault(f"{name!r} stands here twice")
            names.append(name)
        return tuple(names)

    def _interval_names(self, place: Place | None) -> tuple[str, ...]:
        names = [] if place is None else [(item, item.text()) for item in place.texts()]
        for item, name in names:
            if name and name not in self._intervals:
                item.fault(f"there is no time interval {name!r}; there {_are(self._intervals)}")
        return tuple(name for _, name in names)

    def _group_by(self, place: Place) -> tuple[str, ...] | None:
        names = [item.text() for item in place.texts()]
        if len(set(names)) < len(names):
            place.fault("names a label twice")
        if "..." in names and len(names) > 1:
            place.fault("'...' groups by every label, and stands alone")
        return None if "..." in names else tuple(names)


def _are(names: frozenset[str]) -> str:
    return f"are {', '.join(sorted(names))}" if names else "is none"


def _matchers(place: Place | None) -> tuple[Matcher, ...]:
    if place is None:
        return ()
    none: tuple[Matcher, ...] = ()
    return tuple(matcher for item in place.texts() for matcher in item.read(read_matchers, none))


def _quietly(place: Place | None) -> tuple[Matcher, ...]:
    """The matchers without noting their faults, which are noted when the route is read."""
    return () if place is None else _matchers(place.aside())


def _length(place: Place | None, inherited: int, *, may_be_zero: bool = False) -> int:
    if place is None:
        return inherited
    length = place.read(read_duration, inherited)
    if length == 0 and not may_be_zero:
        place.fault("must be longer than 0")
    return length


def _inhibition(place: Place) -> Inhibition:
    fields = place.fields(frozenset({"source_matchers", "target_matchers", "equal"}))
    for name in ("source_matchers", "target_matchers"):
        if name not in fields:
            place.fault("is missing", name)
    equal = tuple(item.text() for item in fields["equal"].texts()) if "equal" in fields else ()
    return Inhibition(_matchers(fields.get("source_matchers")), _matchers(fields.get("target_matchers")), equal)


def _intervals(place: Place) -> dict[str, tuple[Window, ...]]:
    found: dict[str, tuple[Window, ...]] = {}
    for item in place.items():
        fields = item.fields(frozenset({"name", "time_intervals"}))
        for name in ("name", "time_intervals"):
            if name not in fields:
                item.fault("is missing", name)
        if len(fields) < 2:
            continue
        name = fields["name"].text()
        if name in found:
            fields["name"].fault(f"{name!r} stands on two time intervals")
        found[name] = tuple(read_window(window) for window in fields["time_intervals"].items())
    return found
