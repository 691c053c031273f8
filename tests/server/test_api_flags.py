"""Flags over HTTP: listed, confirmed and dismissed; and what that says of the detectors."""

from __future__ import annotations

import json

import httpx
import msgspec
import pytest
from server_fakes import START_NS, House

from watchpost.ingest.request import OverloadedError
from watchpost.model.fact import Verdict
from watchpost.model.flag import Flag
from watchpost.model.session import session_key

ENTRY = [
    "id", "kind", "step_id", "trace_id", "step", "severity", "state", "summary", "evidence", "verdict", "project", "session",
    "session_id", "tool", "at", "muted",
]  # fmt: skip
WHEN = "2026-05-28T20:26:40.123456Z"


def flagged(house: House, many: int = 1, **fields: object) -> list[Flag]:
    """So many flags at the steps of one session, a tenth of a second apart."""
    session = house.shelf.add_session(f"s{len(house.shelf.summaries)}")
    steps = [house.shelf.add_step(session) for _ in range(many)]
    given = {"kind": "LOOP_DETECTED", "evidence": {"tool": "search"}} | fields
    return [house.shelf.add_flag(session, step, **given) for step in steps]


def say(house: House, flag_id: str, **body: object) -> httpx.Response:
    return house.post(f"/api/flags/{flag_id}/verdict", json.dumps(body).encode(), content_type="application/json")


def test_a_verdict_holds_once_it_is_answered() -> None:
    house = House()
    (flag,) = flagged(house)
    answer = say(house, flag.id, verdict="dismiss", by=" ann ", note="polling\r\nis meant")
    assert answer.status_code == 200
    found = answer.json()
    assert list(found) == [*ENTRY, "verdicts"]
    held = {"verdict": "dismiss", "by": "ann", "note": "polling\nis meant", "at": WHEN}
    assert (found["id"], found["verdict"], found["verdicts"]) == (flag.id, held, [held])
    assert house.slate.noted == [Verdict(flag.id, "dismiss", "ann", "polling\nis meant", START_NS)]
    assert house.get(f"/api/sessions/{found['session']}").json()["flags"][0]["verdict"] == held
    (step,) = house.get(f"/api/sessions/{found['session']}/steps").json()["steps"]
    assert step["flags"][0]["verdict"] == held
    detail = house.get(f"/api/sessions/{found['session']}/steps/{flag.span_id.hex()}").json()
    assert detail["flags"][0]["verdict"] == held


def test_a_verdict_that_does_not_hold_in_time_is_answered_as_taken() -> None:
    house = House()
    house.slate.slow = True
    (flag,) = flagged(house)
    answer = say(house, flag.id, verdict="confirm")
    assert (answer.status_code, answer.json()["verdict"]) == (202, None)
    assert len(house.slate.noted) == 1


def test_the_latest_verdict_holds_and_all_are_told() -> None:
    house = House()
    (flag,) = flagged(house)
    for verdict in ("confirm", "dismiss", "confirm"):
        say(house, flag.id, verdict=verdict, by=verdict)
    found = house.get(f"/api/flags/{flag.id}").json()
    assert found["verdict"]["by"] == "confirm"
    assert [one["verdict"] for one in found["verdicts"]] == ["confirm", "dismiss", "confirm"]


def test_a_verdict_about_an_unknown_flag_is_refused_before_it_is_noted() -> None:
    house = House()
    answer = say(house, "nosuch", verdict="confirm")
    assert (answer.status_code, answer.json()["detail"]) == (404, "no flag has the id nosuch")
    assert house.slate.noted == []
    assert house.get("/api/flags/nosuch").status_code == 404


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "verdict"),
        ({"verdict": "perhaps"}, "verdict"),
        ({"verdict": 3}, "verdict"),
        ({"verdict": "confirm", "by": None}, "by"),
        ({"verdict": "confirm", "by": "a" * 201}, "by"),
        ({"verdict": "confirm", "by": "a\nb"}, "by"),
        ({"verdict": "confirm", "note": "a" * 2001}, "note"),
        ({"verdict": "confirm", "note": "\x1b[31m"}, "note"),
        ({"verdict": "confirm", "note": "\ud800"}, "body"),
        ({"verdict": "confirm", "why": "x"}, "why"),
    ],
)
def test_a_verdict_that_cannot_be_used_is_named(body: dict[str, object], named: str) -> None:
    house = House()
    (flag,) = flagged(house)
    answer = say(house, flag.id, **body)
    assert (answer.status_code, house.slate.noted) == (422, [])
    assert answer.json()["errors"][0]["parameter"] == named


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"{", "application/json", 422),
        (b"[]", "application/json", 422),
        (b'{"verdict": "confirm", "note": "' + b" " * 70_000 + b'"}', "application/json", 413),
        (b'{"verdict": "confirm"}', "text/plain", 415),
        (b"verdict=confirm", "application/x-www-form-urlencoded", 415),
        (b'{"verdict": "confirm"}', "", 415),
    ],
)
def test_a_body_that_is_no_verdict_is_refused(body: bytes, media: str, status: int) -> None:
    house = House()
    (flag,) = flagged(house)
    assert house.post(f"/api/flags/{flag.id}/verdict", body, content_type=media).status_code == status
    assert house.slate.noted == []


def test_the_longest_texts_are_taken() -> None:
    house = House()
    (flag,) = flagged(house)
    assert say(house, flag.id, verdict="confirm", by="🦊" * 200, note="🦊" * 2000).status_code == 200


def test_a_verdict_from_a_page_of_another_origin_is_refused() -> None:
    house = House()
    (flag,) = flagged(house)
    answer = house.post(
        f"/api/flags/{flag.id}/verdict",
        b'{"verdict": "dismiss"}',
        content_type="application/json",
        origin="http://evil.example",
    )
    assert (answer.status_code, house.slate.noted) == (403, [])


def test_a_server_that_cannot_write_says_when_to_come_back() -> None:
    house = House()
    (flag,) = flagged(house)
    house.slate.fault = OverloadedError("the disk is full", 7)
    answer = say(house, flag.id, verdict="confirm")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    assert answer.json()["detail"] == "the disk is full"


def test_flags_of_all_sessions_are_listed_by_time_page_by_page() -> None:
    house = House()
    flags = [flag for _ in range(3) for flag in flagged(house, 3)]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = house.get(f"/api/flags?limit=2&cursor={cursor}").json()
        assert all(list(entry) == ENTRY for entry in page["flags"])
        seen += [entry["id"] for entry in page["flags"]]
        cursor = page["next"]
    assert seen == [flag.id for flag in sorted(flags, key=lambda flag: (flag.at_ns, flag.id), reverse=True)]
    first = house.get(f"/api/flags/{flags[1].id}").json()
    assert (first["step"], first["session"], first["at"]) == (
        2,
        session_key("default", "s0"),
        "2026-05-28T20:26:40.323456Z",
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", 4),
        ("project=default", 4),
        ("project=shop", 0),
        ("kind=LOOP_DETECTED", 3),
        ("tool=search", 3),
        ("tool=pay", 1),
        ("state=withdrawn", 1),
        ("verdict=none", 3),
        ("verdict=dismiss", 1),
        ("verdict=confirm", 0),
        (f"session={session_key('default', 's1')}", 1),
        (f"session={session_key('default', 's1')}&project=shop", 0),
        ("session_id=s0", 3),
        ("since=2026-05-28T20:26:40.3Z", 2),
        ("until=2026-05-28T20:26:40.3Z", 2),
        ("kind=LOOP_DETECTED&since=2026-05-28T20:26:40.3Z", 2),
    ],
)
def test_flags_are_found_by_what_they_are(query: str, found: int) -> None:
    house = House()
    first, *_ = flagged(house, 3)
    flagged(house, kind="STALE_DATA", state="withdrawn", evidence={"tool": "pay"})
    say(house, first.id, verdict="dismiss")
    assert len(house.get(f"/api/flags?{query}").json()["flags"]) == found


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("state=gone", "state"),
        ("verdict=maybe", "verdict"),
        ("since=soon", "since"),
        ("until=later", "until"),
        ("cursor=x", "cursor"),
        ("limit=0", "limit"),
    ],
)
def test_a_condition_that_cannot_be_used_is_named(query: str, named: str) -> None:
    answer = House().get(f"/api/flags?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, named)


def test_flags_of_a_session_that_was_merged_are_those_of_the_one_that_took_it() -> None:
    house = House()
    (flag,) = flagged(house)
    old = house.shelf.add_session("old", moved_to=session_key("default", "s0"))
    assert [entry["id"] for entry in house.get(f"/api/flags?session={old.key}").json()["flags"]] == [flag.id]
    assert house.get("/api/flags?session=nosuch").status_code == 404


def test_a_flag_whose_session_is_not_stored_yet_has_no_step_number() -> None:
    house = House()
    (flag,) = flagged(house)
    house.shelf.raised[0] = msgspec.structs.replace(flag, session_id="away")
    found = house.get(f"/api/flags/{flag.id}").json()
    assert (found["step"], found["session"]) == (None, session_key("default", "away"))


def test_precision_is_told_with_interval_and_number_of_verdicts() -> None:
    house = House()
    flags = flagged(house, 5)
    (other,) = flagged(house, evidence={})
    for place, flag in enumerate([*flags, other]):
        say(house, flag.id, verdict="confirm" if place in {1, 5} else "dismiss")
    found = house.get("/api/precision").json()
    (one,) = found["detectors"]
    assert found["verdicts"] == 4
    assert (one["project"], one["kind"], one["verdicts"], one["confirmed"], one["dismissed"]) == (
        "default", "LOOP_DETECTED", 6, 2, 4,
    )  # fmt: skip
    assert one["precision"] == pytest.approx(1 / 3)
    assert one["interval"] == pytest.approx([0.0968, 0.7000], abs=1e-4)
    assert [(tool["tool"], tool["verdicts"], tool["own"]) for tool in one["tools"]] == [
        ("", 1, False),
        ("search", 5, True),
    ]
    assert house.get("/api/precision?project=shop").json()["detectors"] == []


def test_a_detector_that_stopped_paging_says_so_wherever_it_is_shown() -> None:
    house = House()
    flags = flagged(house, 4)
    for flag in flags:
        assert house.get(f"/api/flags/{flag.id}").json()["muted"] is None
        say(house, flag.id, verdict="dismiss")
    reason = "stopped paging: precision 0.00 [0.00, 0.49] of 4 verdicts, needs 0.5"
    assert {entry["muted"] for entry in house.get("/api/flags").json()["flags"]} == {reason}
    (one,) = house.get("/api/precision").json()["detectors"]
    assert [tool["muted"] for tool in one["tools"]] == [reason]
    say(house, flags[0].id, verdict="confirm")
    assert {entry["muted"] for entry in house.get("/api/flags").json()["flags"]} == {None}
