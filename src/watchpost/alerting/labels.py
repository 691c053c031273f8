"""The labels by which alerts are routed, grouped, silenced and inhibited."""

from __future__ import annotations

from watchpost.model.alert import Alert

PROJECT_LABEL = "project"
"""What an alert's project is called among its labels; alerts of two projects are never grouped, and never inhibit each other."""

COMES_AND_GOES = frozenset({"flapping"})
"""Labels that say how an alert fares and not which one it is: one alert must not change groups while it fires."""


def labels_of(alert: Alert) -> dict[str, str]:
    """An alert's labels and its project, the same for as long as it lives."""
    kept = {name: value for name, value in alert.labels.items() if name not in COMES_AND_GOES}
    return {**kept, PROJECT_LABEL: alert.project}
