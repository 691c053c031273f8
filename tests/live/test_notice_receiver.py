"""The demo's receiver believes a signature and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook

from watchpost.cli.demo.receiver import LARGEST_BODY, NoticeReceiver

NOW_S = 1_800_000_000
EVENT = {"owner": "oncall@example.com", "metric": "LOOP_DETECTED", "summary": "get_order called 3 times"}
BODY = msgspec.json.encode({"type": "alert.firing", "timestamp": "2027-01-15T08:00:00.000Z", "data": EVENT})

said: list[str] = []


@pytest.fixture
def receiver() -> Iterator[NoticeReceiver]:
    said.clear()
    with NoticeReceiver(said.append, now_ns=lambda: NOW_S * 10**9) as receiver:
        yield receiver


def signed(
    receiver: NoticeReceiver, body: bytes = BODY, at_s: int = NOW_S, notice_id: str = "n1", secret: str = ""
) -> dict[str, str]:
    """The headers that the reference implementation of Standard Webhooks makes."""
    signature = Webhook(secret or receiver.secret).sign(notice_id, datetime.fromtimestamp(at_s, UTC), body.decode())
    return {"webhook-id": notice_id, "webhook-timestamp": str(at_s), "webhook-signature": signature}


def post(receiver: NoticeReceiver, headers: dict[str, str], body: bytes = BODY) -> int:
    request = Request(receiver.url, body, headers)  # noqa: S310  the address of our own receiver
    try:
        with urlopen(request, timeout=5) as answer:  # noqa: S310  the address of our own receiver
            status: int = answer.status
            return status
    except HTTPError as error:
        with error:
            return error.code


def test_a_signed_notice_is_taken_once_and_told(receiver: NoticeReceiver) -> None:
    assert post(receiver, signed(receiver)) == 204
    assert post(receiver, signed(receiver)) == 204
    assert receiver.wait(5) == EVENT
    assert receiver.wait(0) is None
    assert said == ["notice for oncall@example.com: LOOP_DETECTED: get_order called 3 times"]


def test_notices_are_waited_for_one_by_one_in_order_of_arrival(receiver: NoticeReceiver) -> None:
    for number in range(3):
        body = msgspec.json.encode({"type": "alert.firing", "timestamp": "", "data": {"number": number}})
        post(receiver, signed(receiver, body, notice_id=f"n{number}"), body)
    assert [receiver.wait(5) for _ in range(3)] == [{"number": 0}, {"number": 1}, {"number": 2}]


def test_one_good_signature_among_several_is_enough(receiver: NoticeReceiver) -> None:
    headers = signed(receiver)
    headers["webhook-signature"] = f"v1,AAAA v2,x {headers['webhook-signature']}"
    assert post(receiver, headers) == 204


def test_a_notice_by_another_secret_is_refused(receiver: NoticeReceiver) -> None:
    assert post(receiver, signed(receiver, secret="whsec_" + "QUJD" * 8)) == 401
    assert receiver.wait(0) is None


@pytest.mark.parametrize("body", [BODY + b" ", BODY.replace(b"3", b"4")])
def test_a_notice_that_was_changed_is_refused(receiver: NoticeReceiver, body: bytes) -> None:
    assert post(receiver, signed(receiver), body) == 401
    assert receiver.wait(0) is None


@pytest.mark.parametrize("away_s", [-301, 301])
def test_a_notice_from_another_time_is_refused(receiver: NoticeReceiver, away_s: int) -> None:
    assert post(receiver, signed(receiver, at_s=NOW_S + away_s)) == 401


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_notice_without_one_of_the_headers_is_refused(receiver: NoticeReceiver, missing: str) -> None:
    headers = {name: value for name, value in signed(receiver).items() if name != missing}
    assert post(receiver, headers) == 401


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b'{"type": "alert.firing"}'])
def test_a_signed_body_that_is_no_notice_is_called_so(receiver: NoticeReceiver, body: bytes) -> None:
    assert post(receiver, signed(receiver, body), body) == 400
    assert receiver.wait(0) is None


def test_a_body_beyond_the_limit_is_not_read(receiver: NoticeReceiver) -> None:
    headers = signed(receiver) | {"content-length": str(LARGEST_BODY + 1)}
    assert post(receiver, headers) == 413


def test_two_receivers_have_different_secrets() -> None:
    with NoticeReceiver() as one, NoticeReceiver() as other:
        assert one.secret != other.secret
        assert one.url != other.url
