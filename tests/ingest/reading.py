"""Reads single spans that are given by their attributes."""

from __future__ import annotations

from collections.abc import Sequence

from watchpost.ingest.read import Reader
from watchpost.model.step import Reading
from watchpost.model.telemetry import Attributes, Event, Parcel, Span


def span_with(
    attributes: Attributes, name: str = "a span", *, status: int = 0, end_ns: int = 2, events: Sequence[Event] = ()
) -> Span:
    """A span of a second."""
    return Span(b"t" * 16, b"s" * 8, b"", name, 1, end_ns, 1, status, "", attributes, tuple(events))


def read(
    attributes: Attributes, name: str = "a span", *, status: int = 0, end_ns: int = 2, events: Sequence[Event] = ()
) -> Reading:
    """What is read in it."""
    span = span_with(attributes, name, status=status, end_ns=end_ns, events=events)
    parcel = Parcel("default", {"service.name": "shop"}, "a.scope", (span,))
    return Reader(parcel, 1_000, 7).read(span)


def raised(error_type: str) -> Event:
    """The event by which an exception is recorded."""
    return Event(1, "exception", {"exception.type": error_type})
