"""What channels that ask for changes are told of releases."""

from __future__ import annotations

import msgspec
import pytest

from watchpost.model.release import Release, Retracted
from watchpost.runtime.channels import change_channels
from watchpost.runtime.release_notices import NEWS_NS, ReleaseNotices
from watchpost.runtime.settings import Settings

NOW = 1_790_000_000 * 10**9
MODEL = Release("r1", "p", "refunds", "model", "clerk", "gpt-4o-2024-11-20", NOW - 10**9, "seen")
changed = msgspec.structs.replace


def test_a_release_says_what_changed_where_and_who_said_so() -> None:
    release = changed(MODEL, source="told", by="ann", note="the new one,\nas planned")
    (notice,) = ReleaseNotices(["pd"]).take([release], NOW)
    assert (notice.channel, notice.event.service, notice.event.timestamp) == ("pd", "clerk", "2026-09-21T14:13:19.000Z")
    assert notice.event.summary == "model gpt-4o-2024-11-20 of clerk in refunds: the new one, as planned"
    assert notice.change == {
        "kind": "model", "name": "clerk", "version": "gpt-4o-2024-11-20", "project": "p", "workflow": "refunds", "source": "told",
        "by": "ann", "release_id": "r1",
    }  # fmt: skip


def test_what_is_not_known_is_left_out() -> None:
    (notice,) = ReleaseNotices(["pd"]).take([changed(MODEL, workflow="", name="", version="", kind="index")], NOW)
    assert (notice.event.summary, notice.event.service) == ("index without a version", "p")
    assert notice.change.keys() == {"kind", "project", "source", "release_id"}


def test_each_channel_is_told_by_an_id_of_its_own_that_stays_though_the_release_turns_out_to_be_older() -> None:
    notices = ReleaseNotices(["b", "a"])
    first = notices.take([MODEL], NOW)
    assert [notice.channel for notice in first] == ["a", "b"]
    assert len({notice.id for notice in first}) == 2
    later = notices.take([changed(MODEL, at_ns=MODEL.at_ns - 3600 * 10**9)], NOW)
    assert [notice.id for notice in later] == [notice.id for notice in first]
    assert ReleaseNotices(()).take([MODEL], NOW) == []


@pytest.mark.parametrize(
    "release",
    [
        changed(MODEL, began=True),
        changed(MODEL, retracted=Retracted(NOW, "ann", "", NOW)),
        changed(MODEL, at_ns=NOW - NEWS_NS - 1),
    ],
    ids=["the beginning", "taken back", "history"],
)
def test_what_is_no_change_or_no_news_is_not_told(release: Release) -> None:
    assert ReleaseNotices(["pd"]).take([release], NOW) == []


def test_a_release_of_any_length_is_bounded() -> None:
    long = "x\x1b[2J" * 10_000
    release = changed(MODEL, name=long, version=long, workflow=long, note=long, by=long)
    (notice,) = ReleaseNotices(["pd"]).take([release], NOW)
    assert len(msgspec.json.encode(notice)) < 4000
    assert "\x1b" not in notice.event.summary


def test_channels_ask_for_changes_in_their_section() -> None:
    sections: dict[str, dict[str, object]] = {
        "b": {"type": "pagerduty", "changes": "true"},
        "a": {"type": "pagerduty", "changes": True},
        "c": {"type": "pagerduty"},
        "d": {"type": "pagerduty", "changes": "false"},
        "e": {"type": "slack"},
    }
    assert change_channels(Settings(channels=sections)) == ["a", "b"]
