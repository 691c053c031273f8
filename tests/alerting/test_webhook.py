"""Webhooks against real receivers on loopback."""

from __future__ import annotations

import asyncio
import base64
import logging
import socket
import ssl
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from notices import MemoryOutbox, notice
from receiver import HANG, Receiver, answer
from standardwebhooks import Webhook as Reference
from waiting import until

from watchpost.alerting.delivery import Deliverer
from watchpost.alerting.egress import Outbound, Resolve, SystemResolver
from watchpost.alerting.http_call import HttpAddressError
from watchpost.alerting.notifier import Answer, Failed, Sent, Throttled
from watchpost.alerting.notifiers.webhook import Webhook
from watchpost.alerting.signature import SecretError
from watchpost.model.notice import Notice

SECRET = f"whsec_{base64.b64encode(b'n' * 32).decode()}"
OLD_SECRET = f"whsec_{base64.b64encode(b'o' * 32).decode()}"
OK = answer("200 OK")
PLAIN = ssl.create_default_context()


def now_ns() -> int:
    return int(datetime.now(UTC).timestamp()) * 1_000_000_000


def to(*addresses: str) -> Resolve:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolve


def webhook(
    url: str,
    *secrets: str,
    resolve: Resolve | None = None,
    tls: ssl.SSLContext = PLAIN,
    allow_private: bool = True,
    timeout_s: float = 5.0,
) -> Webhook:
    outbound = Outbound(resolve or to("127.0.0.1"), now_ns, tls, allow_private, timeout_s)
    return Webhook(url, secrets or (SECRET,), outbound)


def told(*answers: bytes, one: Notice | None = None, timeout_s: float = 5.0) -> tuple[Answer, Receiver]:
    """What a receiver that gives these answers makes of one notice."""

    async def story() -> tuple[Answer, Receiver]:
        async with Receiver(*answers) as receiver:
            hook = webhook(f"http://hooks.example:{receiver.port}/in?a=b", SECRET, OLD_SECRET, timeout_s=timeout_s)
            return await hook.send(one or notice()), receiver

    return asyncio.run(story())


@pytest.mark.parametrize("held", [SECRET, OLD_SECRET])
def test_a_receiver_verifies_the_notice_with_the_new_and_with_the_old_secret(held: str) -> None:
    given, receiver = told(OK)
    assert given == Sent("HTTP 200")
    [(line, headers, body)] = receiver.requests
    assert line == "POST /in?a=b HTTP/1.1"
    assert Reference(held).verify(body, headers)
    assert headers["webhook-id"] == "a1b2c3"
    assert headers["host"] == f"hooks.example:{receiver.port}"
    assert headers["content-type"] == "application/json"


def test_the_body_holds_type_time_and_every_key_of_the_event() -> None:
    _, receiver = told(OK)
    sent = msgspec.json.decode(receiver.requests[0][2], type=dict[str, object])
    group = {"notice_id": "a1b2c3", "key": "a1b2c3", "by": "", "alerts": [], "more_alerts": 0}
    expected = {**msgspec.structs.asdict(notice().event), **group}
    assert sent == {"type": "alert.firing", "timestamp": "2025-11-05T08:00:00.123Z", "data": expected}


def test_hostile_text_travels_in_the_body_and_breaks_no_header() -> None:
    hostile = 'x\r\nwebhook-id: forged\r\n\r\n{"a":1}\x00\x1b[31m\u202e\U0001f600'
    given, receiver = told(OK, one=notice(summary=hostile))
    assert given == Sent("HTTP 200")
    [(_, headers, body)] = receiver.requests
    assert headers["webhook-id"] == "a1b2c3"
    assert hostile.encode() not in body
    assert msgspec.json.decode(body)["data"]["summary"] == hostile


@pytest.mark.parametrize("bad", ["", "a.b", "a b", "a\r\nx-evil: 1", "ä", "x" * 257])
def test_an_id_that_cannot_stand_in_a_header_is_never_sent(bad: str) -> None:
    given, receiver = told(OK, one=notice(bad))
    assert isinstance(given, Failed)
    assert given.permanent
    assert receiver.requests == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 422, 300, 301, 302, 304, 307, 308])
def test_a_refusal_or_redirect_is_permanent_and_keeps_what_the_receiver_said(status: int) -> None:
    given, receiver = told(
        answer(f"{status} No", "Location: http://127.0.0.1:9/", body=b"" if status == 304 else b"not\r\nyou\x1b")
    )
    assert given == Failed(permanent=True, detail=f"HTTP {status}" + ("" if status == 304 else ": not you"))
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
def test_a_failure_of_the_moment_is_tried_again(status: int) -> None:
    given, _ = told(answer(f"{status} Later", body=b"busy"))
    assert given == Failed(permanent=False, detail=f"HTTP {status}: busy")


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_that_says_when_to_come_back_is_heard(status: int) -> None:
    assert told(answer(f"{status} Later", "Retry-After: 17"))[0] == Throttled(17.0, f"HTTP {status}")
    date = datetime.fromtimestamp(now_ns() / 1e9 + 60, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    given, _ = told(answer(f"{status} Later", f"Retry-After: {date}"))
    assert isinstance(given, Throttled)
    assert 50 <= given.retry_after_s <= 60


@pytest.mark.parametrize(
    "garbage",
    [
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200",
        b"",
        b"HTTP/1.1 200 OK\r\n" + b"x-header: " + b"y" * 200_000 + b"\r\n\r\n",
        b"\x16\x03\x01",
    ],
    ids=["garbage", "cut off", "nothing", "huge header", "tls"],
)
def test_an_answer_that_is_no_http_is_tried_again(garbage: bytes) -> None:
    given, _ = told(garbage)
    assert isinstance(given, Failed)
    assert not given.permanent
    assert given.detail.startswith("no answer")


def test_a_receiver_that_hangs_is_left_after_the_timeout() -> None:
    assert told(HANG, timeout_s=0.1)[0] == Failed(permanent=False, detail="no answer within 0.1 s")


def test_an_endless_answer_is_read_only_in_its_beginning() -> None:
    endless = b"HTTP/1.1 500 No\r\nContent-Length: 1000000000000\r\n\r\n" + b"z" * 10_000 + HANG
    assert told(endless)[0] == Failed(permanent=False, detail="HTTP 500: " + "z" * 4096)


def test_a_huge_answer_is_no_hindrance() -> None:
    assert told(answer("500 No", body=b"z" * 5_000_000))[0] == Failed(permanent=False, detail="HTTP 500: " + "z" * 4096)


def test_a_refusal_cut_off_in_its_body_still_counts_by_its_status() -> None:
    given, _ = told(b"HTTP/1.1 400 No\r\nContent-Length: 100\r\n\r\nhalf")
    assert given == Failed(permanent=True, detail="HTTP 400: half")


def test_a_refused_connection_is_tried_again() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        hook = webhook(f"http://hooks.example:{unused.getsockname()[1]}/")
        given = asyncio.run(hook.send(notice()))
    assert isinstance(given, Failed)
    assert not given.permanent
    assert given.detail.startswith("not connected")


def test_a_second_address_is_tried_where_the_first_does_not_connect() -> None:
    async def story() -> Answer:
        async with Receiver(OK) as receiver:
            hook = webhook(f"http://hooks.example:{receiver.port}/", resolve=to("127.0.0.2", "127.0.0.1"))
            return await hook.send(notice())

    assert asyncio.run(story()) == Sent("HTTP 200")


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"]]
)
def test_no_connection_is_made_when_a_name_leads_to_a_private_address(addresses: list[str]) -> None:
    async def story() -> tuple[Answer, Receiver]:
        async with Receiver(OK) as receiver:
            hook = webhook(f"http://hooks.example:{receiver.port}/", resolve=to(*addresses), allow_private=False)
            return await hook.send(notice()), receiver

    given, receiver = asyncio.run(story())
    assert isinstance(given, Failed)
    assert given.permanent
    assert "loopback address" in given.detail
    assert receiver.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::1]", "[::ffff:127.0.0.1]"])
def test_an_address_written_in_the_url_is_checked_like_any_other(host: str) -> None:
    given = asyncio.run(
        webhook(f"http://{host}/", resolve=SystemResolver(threads=1), allow_private=False).send(notice())
    )
    assert isinstance(given, Failed)
    assert "loopback" in given.detail


def test_a_name_is_resolved_once_per_try_and_the_checked_address_is_used() -> None:
    asked = []

    async def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["192.0.2.1"]

    async def story() -> Answer:
        async with Receiver(OK) as receiver:
            return await webhook(f"http://hooks.example:{receiver.port}/", resolve=rebinding).send(notice())

    assert asyncio.run(story()) == Sent("HTTP 200")
    assert asked == ["hooks.example"]


def test_a_name_that_does_not_resolve_is_tried_again() -> None:
    async def nobody(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    assert asyncio.run(webhook("http://hooks.example/", resolve=nobody).send(notice())) == Failed(
        permanent=False, detail="the host's name was not resolved: Name or service not known"
    )
    assert asyncio.run(webhook("http://hooks.example/", resolve=to()).send(notice())) == Failed(
        permanent=False, detail="the host's name has no address"
    )


def test_a_resolver_that_hangs_counts_into_the_timeout() -> None:
    async def never(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    given = asyncio.run(webhook("http://hooks.example/", resolve=never, timeout_s=0.05).send(notice()))
    assert given == Failed(permanent=False, detail="no answer within 0.05 s")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for hooks.example in one file."""
    pem = tmp_path_factory.mktemp("tls") / "both.pem"
    key = pem.with_name("key.pem")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=hooks.example"
    names = ["-addext", "subjectAltName=DNS:hooks.example", "-keyout", str(key), "-out", str(pem)]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    pem.write_text(key.read_text() + pem.read_text())
    return pem


@pytest.mark.parametrize(("host", "trusted"), [("hooks.example", True), ("other.example", False)])
def test_the_certificate_is_checked_against_the_name_although_the_address_is_connected(
    certificate: Path, host: str, *, trusted: bool
) -> None:
    seen: list[str | None] = []
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    server.sni_callback = lambda _socket, name, _context: seen.append(name)
    client = ssl.create_default_context(cafile=str(certificate))

    async def story() -> Answer:
        async with Receiver(OK, tls=server) as receiver:
            return await webhook(f"https://{host}:{receiver.port}/", tls=client).send(notice())

    given = asyncio.run(story())
    assert seen == [host]
    if trusted:
        assert given == Sent("HTTP 200")
    else:
        assert isinstance(given, Failed)
        assert not given.permanent
        assert "certificate" in given.detail.lower()


def test_neither_address_nor_secret_is_logged_or_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def story() -> list[Answer]:
        async with Receiver(answer("400 No", body=b"no"), OK, b"x") as receiver:
            hook = webhook(f"http://hooks.example:{receiver.port}/t0ken?key=t0ken", SECRET)
            return [await hook.send(notice()) for _ in range(3)]

    given = asyncio.run(story())
    everything = caplog.text + repr(given) + repr(webhook("http://hooks.example/t0ken"))
    assert "t0ken" not in everything
    assert SECRET.removeprefix("whsec_") not in everything


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example/t0ken",
        "ftp://hooks.example/t0ken",
        "file:///etc/t0ken",
        "http:///t0ken",
        "https://user:t0ken@hooks.example/",
        "https://hooks.example:0/t0ken",
        "https://hooks.example:99999/t0ken",
        "https://hooks.example:port/t0ken",
        "https://hooks.example/t0ken\r\nx-evil: 1",
        "https://[::1/t0ken",
    ],
)
def test_an_address_that_cannot_work_is_refused_at_once_and_not_repeated(url: str) -> None:
    with pytest.raises(HttpAddressError) as refused:
        webhook(url)
    assert "t0ken" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_webhook_without_a_good_secret_is_refused() -> None:
    with pytest.raises(SecretError):
        webhook("https://hooks.example/", "hunter2")
    with pytest.raises(SecretError):
        Webhook("https://hooks.example/", [], Outbound(to(), now_ns, PLAIN))


def test_from_outbox_to_receiver_a_failure_is_repeated_with_the_same_id_and_a_new_timestamp() -> None:
    outbox, clock = MemoryOutbox(notice()), [now_ns()]

    async def story() -> list[tuple[str, dict[str, str], bytes]]:
        async with Receiver(answer("500 No"), OK) as receiver:
            outbound = Outbound(to("127.0.0.1"), lambda: clock[0], PLAIN, allow_private=True)
            hook = Webhook(f"http://hooks.example:{receiver.port}/", [SECRET], outbound)
            stop = asyncio.Event()
            one = Deliverer("ops", hook, outbox, now_ns=lambda: clock[0], jitter=lambda: 0.0, tick_s=0.002)
            async with asyncio.TaskGroup() as group:
                group.create_task(one.run(stop))
                await until(lambda: bool(outbox.receipts))
                clock[0] += 5_000_000_000
                await until(lambda: outbox.states() == {"a1b2c3": "delivered"})
                stop.set()
            return receiver.requests

    first, second = asyncio.run(story())
    assert first[1]["webhook-id"] == second[1]["webhook-id"] == "a1b2c3"
    assert int(second[1]["webhook-timestamp"]) - int(first[1]["webhook-timestamp"]) == 5
    assert first[2] == second[2]
    assert Reference(SECRET).verify(second[2], second[1])
