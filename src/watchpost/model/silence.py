"""What people say about alerts: be quiet about these for a while, and somebody is on it."""

from __future__ import annotations

import msgspec


class Silence(msgspec.Struct, frozen=True, array_like=True, tag="silence"):
    """Nobody is told about the alerts that `matchers` all match, from `starts_ns` until before `ends_ns`. Of several with one id the latest holds.

    A matcher is text as in `severity="critical"`. `project` empty means alerts of every project. Matchers that match an alert without
    any label silence everything; they are refused unless `everything` says that this is meant. Times are Unix nanoseconds.
    """

    id: str
    project: str
    matchers: tuple[str, ...]
    starts_ns: int
    ends_ns: int
    by: str
    comment: str
    at_ns: int
    everything: bool = False


class Acknowledgement(msgspec.Struct, frozen=True, array_like=True, tag="acknowledgement"):
    """Somebody is on what the notices of `key` told. `channel` is where that was said, empty for Watchpost's own pages and API."""

    project: str
    key: str
    by: str
    at_ns: int
    channel: str = ""
