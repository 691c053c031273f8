"""The list of flags, as they came or kind by kind, and how often each detector is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, get_args
from urllib.parse import urlencode

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from watchpost.model.flag import SEVERITIES, FlagState, Severity
from watchpost.server.answers import FlagEntry, moment
from watchpost.server.pages.asked import Asked
from watchpost.server.pages.rendering import rendered
from watchpost.server.review import BY_LENGTH, PrecisionAnswer, Review
from watchpost.server.verdicts import WantedFlags

CALLED = {
    "kind": "kind",
    "tool": "tool",
    "session_id": "session",
    "project": "project",
    "state": "state",
    "verdict": "verdict",
    "since": "since",
    "until": "until",
}
"""What parameters are called on the page, in the order in which they are shown."""

SHORTCUTS = (
    ("No verdict yet", "verdict", "none"),
    ("Last hour", "since", "1h"),
    ("24 hours", "since", "24h"),
    ("7 days", "since", "7d"),
)

VERDICTS = (("none", "none yet"), ("confirm", "confirmed"), ("dismiss", "dismissed"))

KINDS = 12
"""So many kinds have a chip."""

GROUPED = 200
"""Flags that are looked at kind by kind."""


class KindChip(msgspec.Struct, frozen=True):
    """A kind, how many flags are of it, and the address of those, or of all where these are `chosen`."""

    kind: str
    flags: int
    href: str
    chosen: bool


class Group(msgspec.Struct, frozen=True):
    """Flags of one kind, the latest first: the gravest severity, and in how many sessions they stand."""

    kind: str
    severity: Severity
    sessions: int
    flags: list[FlagEntry]


class Bar(msgspec.Struct, frozen=True):
    """A share and its interval on a bar of 100, to a tenth; `share` is None of nothing."""

    share: float | None
    low: float
    high: float


def router(review: Review, now_ns: Callable[[], int]) -> APIRouter:
    """The routes."""
    routes = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @routes.get("/flags")
    def flags(request: Request, wanted: WantedFlags, group: Literal["", "kind"] = "") -> Response:
        given = {name: value for name in (*CALLED, "group") if (value := request.query_params.get(name))}
        asked, later = Asked("/flags", given), wanted.before is not None
        page = review.page(msgspec.structs.replace(wanted, limit=GROUPED) if group else wanted)
        shortcuts = asked.shortcuts(SHORTCUTS)
        kinds = review.kinds(wanted)
        return rendered(
            "flags.html",
            page=page,
            groups=_groups(page.flags) if group else [Group("", "info", 0, page.flags)],
            group=group,
            ungrouped=asked.address(group=""),
            grouped=asked.address(group="kind"),
            asked={name: given.get(name, "") for name in CALLED},
            conditions=asked.conditions(CALLED, besides=shortcuts),
            shortcuts=shortcuts,
            kinds=[
                KindChip(each.kind, each.flags, asked.address(kind="" if chosen else each.kind), chosen)
                for each in kinds.kinds[:KINDS]
                for chosen in (each.kind == wanted.kind,)
            ],
            counted=kinds,
            states=get_args(FlagState),
            verdicts=VERDICTS,
            by_length=BY_LENGTH,
            query=asked.address().partition("?")[2],
            later=later,
            first_page=asked.address(),
            next_page=asked.address(limit=str(wanted.limit), cursor=page.next) if page.next else None,
            now=moment(now_ns()),
        )

    @routes.get("/precision")
    def precision(project: Annotated[str, Query(max_length=1024)] = "") -> Response:
        return rendered("precision.html", found=review.precision(project), project=project, bar=_bar, listed=_listed)

    return routes


def _groups(flags: Sequence[FlagEntry]) -> list[Group]:
    """The gravest kind first, and of the same severity the one with the most sessions."""
    held: dict[str, list[FlagEntry]] = {}
    for flag in flags:
        held.setdefault(flag.kind, []).append(flag)
    groups = [
        Group(
            kind,
            min((flag.severity for flag in same), key=SEVERITIES.index),
            len({flag.session for flag in same}),
            same,
        )
        for kind, same in held.items()
    ]
    return sorted(groups, key=lambda each: (SEVERITIES.index(each.severity), -each.sessions, each.kind))


def _bar(one: PrecisionAnswer) -> Bar:
    low, high = (round(100 * bound, 1) for bound in one.interval)
    return Bar(None if one.precision is None else round(100 * one.precision, 1), low, high)


def _listed(**asked: str) -> str:
    """The address of the flags that are meant."""
    return "/flags?" + urlencode({name: value for name, value in asked.items() if value})
