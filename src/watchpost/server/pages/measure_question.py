"""A question about a measure as it stands in the address of a page, and the ways on from it: to another question, to what the API is asked, to sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from watchpost.query.measures import MOST_BY, Dimension
from watchpost.server.answers import moment

MINUTE_NS = 60 * 10**9
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS

WINDOWS: Mapping[str, int] = {
    "1h": HOUR_NS,
    "6h": 6 * HOUR_NS,
    "24h": DAY_NS,
    "7d": 7 * DAY_NS,
    "30d": 30 * DAY_NS,
}
"""Windows that end now, by what they are called."""

USUAL = "24h"
TOP = "20"
"""How many groups are told apart where nothing says otherwise."""

_SAID = ("window", "since", "until", "step", "quantile", "compare", "top")
_ADDED = ("dimension", "value")
"""The two fields of the form by which a filter is added."""

Pair = tuple[str, str]


class Times(NamedTuple):
    """From when to when, as parameters of the API: what was given, or else what follows from the clock."""

    since: str
    until: str


class Asking(msgspec.Struct, frozen=True):
    """What the fields of the form hold, as text and unchecked; `filters` are all other parameters, which are dimensions or nothing that is known."""

    window: str = ""
    since: str = ""
    until: str = ""
    step: str = ""
    quantile: str = ""
    compare: str = ""
    top: str = ""
    by: tuple[str, ...] = ()
    filters: tuple[Pair, ...] = ()

    @property
    def floats(self) -> bool:
        """Whether the window ends now, and so moves on."""
        return not self.since and not self.until

    @property
    def length(self) -> str:
        """Which of `WINDOWS` it is; empty where it is from one moment to another."""
        return (self.window if self.window in WINDOWS else USUAL) if self.floats else ""

    def pairs(self) -> list[Pair]:
        """All that the address says, in one order for one question."""
        held = [(name, str(getattr(self, name))) for name in _SAID if getattr(self, name)]
        return [*self.filters, *([("by", ",".join(self.by))] if self.by else []), *held]

    def address(self, name: str, **changed: object) -> str:
        """The page of a measure with this question, or with one that differs from it in these fields."""
        asked = msgspec.structs.replace(self, **changed)
        return with_query(f"/measures/{quote(name, safe='')}", asked.pairs())

    def times(self, now_ns: int) -> Times:
        """The window; one that ends now ends with the minute, so that the same question can be asked again."""
        until_ns = -(-now_ns // MINUTE_NS) * MINUTE_NS
        until = written(until_ns)
        if self.floats:
            return Times(written(until_ns - WINDOWS[self.length]), until)
        return Times(self.since, self.until or until)

    def asked(self, times: Times, step: str) -> list[Pair]:
        """The same question as parameters of the API."""
        by = [("by", ",".join(self.by)), ("top", self.top or TOP)] if self.by else []
        also = [(name, str(getattr(self, name))) for name in ("quantile", "compare") if getattr(self, name)]
        since = [("since", times.since)] if times.since else []
        return [*self.filters, *by, *also, *since, ("until", times.until), ("step", step)]

    def sessions(self, name: str, group: Mapping[Dimension, str] | Mapping[str, str], since: str, until: str) -> str:
        """The page of the sessions behind a point of a group."""
        kept = [(dimension, value) for dimension, value in self.filters if dimension not in group]
        said = [("quantile", self.quantile)] if self.quantile else []
        pairs = [*kept, *group.items(), *said, ("since", since), ("until", until)]
        return with_query(f"/measures/{quote(name, safe='')}/sessions", pairs)


def read(parameters: Sequence[Pair]) -> tuple[Asking, bool]:
    """What an address asks, and whether it says so in the one way that `pairs` does; a form sends empty fields and filters in two."""
    said = {name: value.strip() for name, value in parameters if name in _SAID}
    by = tuple(part for name, value in parameters if name == "by" for part in value.split(",") if part)
    filters = [(name, value) for name, value in parameters if name not in (*_SAID, *_ADDED, "by")]
    added = dict(pair for pair in parameters if pair[0] in _ADDED)
    if added.get("dimension"):
        filters.append((added["dimension"], added.get("value", "").strip()))
    if said.get("since") or said.get("until"):
        said.pop("window", None)
    if not by:
        said.pop("top", None)
    asking = Asking(**said, by=tuple(dict.fromkeys(by)), filters=tuple(dict.fromkeys(filters)))
    return asking, sorted(asking.pairs()) == sorted(parameters)


def written(at_ns: int) -> str:
    """A moment for an address, without a fraction where it has none."""
    return (moment(at_ns) or "").replace(".000000", "")


def with_query(path: str, pairs: Sequence[Pair]) -> str:
    """An address with what it asks."""
    return f"{path}?{urlencode(pairs)}" if pairs else path


BY_FIELDS = range(MOST_BY)
"""The fields of the form that say what is grouped by."""
