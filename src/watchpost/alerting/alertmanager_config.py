"""A routing as a configuration of Alertmanager, for who goes on with that, and as the oracle of our own tests."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from watchpost.alerting.duration import write_duration
from watchpost.alerting.inhibition import Inhibition
from watchpost.alerting.matcher import Matcher
from watchpost.alerting.route import RATE, RATE_LABEL, Route
from watchpost.alerting.route_file import Routing
from watchpost.alerting.time_window import Range, Window

NOBODY = "nobody"
"""The receiver of routes that tell nobody."""

_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")

Integrations = Mapping[str, Mapping[str, object]]
"""How Alertmanager reaches each channel: `{"ops": {"webhook_configs": [{"url": ...}]}}`."""


class AlertmanagerConfig(msgspec.Struct, frozen=True):
    """The configuration, to be written as YAML or JSON, and what of the routing Alertmanager cannot express."""

    config: dict[str, object]
    left_out: tuple[str, ...]


def alertmanager_config(routing: Routing, integrations: Integrations) -> AlertmanagerConfig:
    """The configuration under which Alertmanager sends the same alerts to the same channels.

    Channels without integrations keep a receiver that tells nobody. A page becomes a child route for alerts with `rate="yes"`.
    """
    left_out: list[str] = []
    receivers: dict[str, dict[str, object]] = {}
    root = _route(routing.root, receivers, integrations, left_out)
    root.pop("continue", None)
    config: dict[str, object] = {
        "route": root,
        "receivers": list(receivers.values()),
        "inhibit_rules": [_inhibition(rule) for rule in routing.inhibitions],
        "time_intervals": [
            {"name": name, "time_intervals": [_window(window) for window in windows]}
            for name, windows in routing.intervals.items()
        ],
    }
    return AlertmanagerConfig(config, tuple(left_out))


def receiver_name(channels: tuple[str, ...]) -> str:
    """What the receiver of a route with these channels is called."""
    return "+".join(channels) or NOBODY


def _route(
    route: Route, receivers: dict[str, dict[str, object]], integrations: Integrations, left_out: list[str]
) -> dict[str, object]:
    children = [_route(child, receivers, integrations, left_out) for child in route.routes]
    told = route.channels
    if route.page and any(child.goes_on for child in route.routes):
        left_out.append(f"route {route.key}: pages take alerts of any rule, because a route below it continues")
        told = (*route.channels, *route.page)
    elif route.page:
        every = (*route.channels, *route.page)
        rated = {
            "matchers": [str(Matcher(RATE_LABEL, "=", RATE))],
            "receiver": _receiver(every, receivers, integrations),
        }
        children.append(rated | _when(route))
    if route.escalate_after_ns:
        left_out.append(f"route {route.key}: nobody is told later when nobody acknowledges")
    return {
        **({"matchers": [str(matcher) for matcher in route.match]} if route.match else {}),
        "receiver": _receiver(told, receivers, integrations),
        "group_by": ["..."] if route.group_by is None else list(route.group_by),
        "group_wait": write_duration(route.group_wait_ns),
        "group_interval": write_duration(route.group_interval_ns),
        "repeat_interval": write_duration(route.repeat_interval_ns),
        "continue": route.goes_on,
        **_when(route),
        **({"routes": children} if children else {}),
    }


def _when(route: Route) -> dict[str, object]:
    """The names of time intervals, which children do not inherit."""
    named = {"mute_time_intervals": route.mute_time_intervals, "active_time_intervals": route.active_time_intervals}
    return {field: list(names) for field, names in named.items() if names}


def _receiver(channels: tuple[str, ...], receivers: dict[str, dict[str, object]], integrations: Integrations) -> str:
    name = receiver_name(channels)
    if name not in receivers:
        receiver: dict[str, object] = {"name": name}
        for channel in channels:
            for kind, configs in integrations.get(channel, {}).items():
                held = receiver.get(kind, [])
                receiver[kind] = [
                    *(held if isinstance(held, list) else []),
                    *(configs if isinstance(configs, list) else []),
                ]
        receivers[name] = receiver
    return name


def _inhibition(rule: Inhibition) -> dict[str, object]:
    return {
        "source_matchers": [str(matcher) for matcher in rule.source],
        "target_matchers": [str(matcher) for matcher in rule.target],
        "equal": list(rule.equal),
    }


def _window(window: Window) -> dict[str, object]:
    fields: dict[str, object] = {}
    if window.times:
        fields["times"] = [{"start_time": _clock(start), "end_time": _clock(end)} for start, end in window.times]
    if window.weekdays:
        fields["weekdays"] = [f"{_WEEKDAYS[first]}:{_WEEKDAYS[last]}" for first, last in window.weekdays]
    for name, ranges in (
        ("days_of_month", window.days_of_month),
        ("months", window.months),
        ("years", window.years),
    ):
        if ranges:
            fields[name] = [_range(each) for each in ranges]
    if window.location != "UTC":
        fields["location"] = window.location
    return fields


def _range(each: Range) -> str:
    return f"{each[0]}:{each[1]}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
