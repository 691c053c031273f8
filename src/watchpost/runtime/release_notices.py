"""Releases for those who are told of changes: each once, so that whoever is paged sees what changed just before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from watchpost.model.notice import AlertEvent, Notice, timestamp
from watchpost.model.release import Release
from watchpost.rules.event import one_line

NEWS_NS = 24 * 3600 * 10**9
"""What was released longer ago is history, brought in or told late, and no news."""

_SUMMARY, _NAME = 1000, 200


class ReleaseNotices:
    """What the channels that ask for changes are told of a batch's releases."""

    def __init__(self, channels: Iterable[str]) -> None:
        self._channels = sorted(channels)

    def take(self, releases: Iterable[Release], now_ns: int) -> list[Notice]:
        """A notice for each release and channel, always by the same id, so that the outbox knows a release whose time moved, or that is told again.

        What all began with is no change, and what was taken back is none either.
        """
        return [
            Notice(_digest(channel, release.id), channel, _event(release), change=_change(release))
            for release in releases
            if not release.began and release.retracted is None and release.at_ns >= now_ns - NEWS_NS
            for channel in self._channels
        ]


def _event(release: Release) -> AlertEvent:
    return AlertEvent(
        timestamp=timestamp(release.at_ns),
        service=one_line(release.name or release.workflow or release.project, _NAME),
        metric="release",
        tool="",
        value=1.0,
        threshold=0.0,
        window="",
        severity="info",
        owner="",
        runbook="",
        sessions=[],
        summary=_summary(release),
        rule="releases",
    )


def _summary(release: Release) -> str:
    """`model gpt-4o of refund-agent in refunds: the new one`, with what is known of it."""
    of = f" of {release.name}" if release.name else ""
    where = f" in {release.workflow}" if release.workflow else ""
    why = f": {release.note}" if release.note else ""
    return one_line(f"{release.kind} {release.version or 'without a version'}{of}{where}{why}", _SUMMARY)


def _change(release: Release) -> dict[str, str]:
    said = {
        "kind": release.kind,
        "name": release.name,
        "version": release.version,
        "project": release.project,
        "workflow": release.workflow,
        "source": release.source,
        "by": release.by,
        "release_id": release.id,
    }
    return {name: one_line(value, _NAME) for name, value in said.items() if value}


def _digest(*parts: str) -> str:
    return hashlib.blake2b(msgspec.json.encode(("change", parts)), digest_size=16).hexdigest()
