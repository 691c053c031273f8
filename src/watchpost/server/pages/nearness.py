"""How long ago something was, in words, and ids short enough for a row."""

from __future__ import annotations

from datetime import UTC, datetime

from markupsafe import Markup, escape

from watchpost.server.pages.display import ABSENT, HIDDEN, visible

_HEAD, _TAIL = 12, 4
"""Characters of a long id that stay at its two ends."""

_DAYS = 7
"""Longer ago than so many days a date says more than words."""


def ago(value: str | None, now: str | None) -> Markup:
    """When something was, seen from `now`; the moment itself is the tooltip. `js/ago.js` keeps the words true while a page stays open."""
    if value is None or now is None:
        return ABSENT
    then = datetime.fromisoformat(value)
    seconds = (datetime.fromisoformat(now) - then).total_seconds()
    return Markup('<time data-ago datetime="{}" title="{} UTC">{}</time>').format(
        value, _exact(then), _words(then, seconds)
    )


def stamp(value: str | None, now: str | None) -> Markup:
    """The moment beside such words: the time alone today, and the date before it on other days; in UTC."""
    if value is None or now is None:
        return ABSENT
    then = datetime.fromisoformat(value).astimezone(UTC)
    shown = f"{then:%H:%M:%S}" if value[:10] == now[:10] else f"{then:%m-%d %H:%M}"
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(value, _exact(then), shown)


def short(text: str, longest: int = 24) -> Markup:
    """An id of more than `longest` characters by its two ends; the whole is the tooltip."""
    if len(text) <= longest:
        return visible(text) if text else ABSENT
    whole = HIDDEN.sub(lambda found: f"U+{ord(found[0]):04X}", text[:400])
    return Markup('<span title="{}">{}…{}</span>').format(whole, visible(text[:_HEAD]), visible(text[-_TAIL:]))


def _words(then: datetime, seconds: float) -> Markup:
    if seconds < 60:
        return escape("just now" if seconds < 10 else f"{seconds:.0f} s ago")
    if seconds < 3600:
        return escape(f"{seconds // 60:.0f} min ago")
    if seconds < 86_400:
        return escape(f"{seconds // 3600:.0f} h ago")
    if seconds < _DAYS * 86_400:
        return escape(f"{seconds // 86_400:.0f} d ago")
    return escape(f"{then:%Y-%m-%d}")


def _exact(then: datetime) -> str:
    return f"{then.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
