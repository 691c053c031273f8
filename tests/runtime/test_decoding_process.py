"""Decoding in another process gives what decoding here gives, and outlasts that process."""

from __future__ import annotations

import asyncio
import gzip
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest

from watchpost.ingest.items import Limits
from watchpost.ingest.redact import RedactionSettings
from watchpost.ingest.request import OtlpRequest, OverloadedError, RefusedError
from watchpost.model.telemetry import Delivery
from watchpost.runtime.decode_process import DecodingDefectError, DecodingEndedError, DecodingProcess, DecodingProcesses
from watchpost.runtime.decoder import Decoder, InProcessDecoder
from watchpost.runtime.prepare import Prepared, Preparer, Setup
from watchpost.runtime.supervisor import Supervisor

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("bad_input", "flow")]
from served import batch, eventually, tool_span, trace_of

KEY = bytes(range(1, 33))
SETUP = Setup(Limits(body_bytes=1 << 20, decompressed_bytes=1 << 21, items=600, attributes=8), RedactionSettings(), KEY)
NOW_NS = 1_790_000_000_000_000_000
JSON = "application/json"

OWNER = """
import asyncio, signal, sys
from watchpost.ingest.items import Limits
from watchpost.ingest.redact import RedactionSettings
from watchpost.runtime.decode_process import DecodingProcess
from watchpost.runtime.prepare import Setup

async def own():
    process = DecodingProcess(Setup(Limits(), RedactionSettings(), bytes(range(1, 33))))
    running = asyncio.create_task(process.run(asyncio.Event()))
    await asyncio.sleep(0)
    print(process.pid, flush=True)
    await running

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in whatever a shell runs in the background
asyncio.run(own())
"""


def request(number: int, spans: int = 1, **attributes: str) -> OtlpRequest:
    """An export of tool calls of the session `s<number>`."""
    name = f"s{number}"
    return OtlpRequest(
        "traces", batch([tool_span(trace_of(name), at, name, **attributes) for at in range(1, spans + 1)])
    )


def bad_span() -> bytes:
    """One span that can be kept and one that cannot."""
    spans = [tool_span(trace_of("good"), 1, "good"), tool_span(b"short", 1, "bad")]
    return batch(spans)


GOOD = {
    "one span": request(1),
    "many spans": request(2, 500),
    "a secret": request(3, 3, note="mail jo@example.com, card 4111 1111 1111 1111"),
    "packed": OtlpRequest("traces", gzip.compress(request(4, 20).body), content_encoding="gzip"),
    "a project": msgspec.structs.replace(request(5), project="shop"),
    "one span that cannot be kept": OtlpRequest("traces", bad_span()),
    "too many attributes": request(6, 2, **{f"a{number}": "x" for number in range(9)}),
    "empty": OtlpRequest("traces", b""),
    "logs in JSON": OtlpRequest("logs", b'{"resourceLogs": []}', JSON),
}

BAD = {
    "cut short": OtlpRequest("traces", request(1).body[:-3]),
    "no protobuf": OtlpRequest("logs", b"\xff" * 64),
    "no JSON": OtlpRequest("traces", b"{", JSON),
    "nested too deep": OtlpRequest("traces", b"[" * 100_000, JSON),
    "too many spans": request(7, 601),
    "body too large": OtlpRequest("traces", bytes((1 << 20) + 1)),
    "bomb": OtlpRequest("traces", gzip.compress(bytes(1 << 22)), content_encoding="gzip"),
    "broken gzip": OtlpRequest("traces", b"\x1f\x8b" + bytes(20), content_encoding="gzip"),
    "unknown encoding": OtlpRequest("traces", b"", content_encoding="br"),
    "unknown media": OtlpRequest("traces", b"", "text/plain"),
}


def with_process(work: Callable[[DecodingProcess], Awaitable[None]], setup: Setup = SETUP) -> None:
    """Do something with a process that decodes, and see it end when told to, with nothing left open and nothing gone wrong unseen."""
    faults: list[dict[str, object]] = []
    opened = open_files()

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
        process, stop = DecodingProcess(setup), asyncio.Event()
        running = asyncio.create_task(process.run(stop))
        await asyncio.sleep(0)
        pid = process.pid
        assert pid is not None
        await work(process)
        stop.set()
        await running
        assert not is_alive(pid)

    asyncio.run(run())
    assert faults == []
    assert open_files() == opened


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def outcome(decoder: Decoder, asked: OtlpRequest) -> Prepared | tuple[int, str, str]:
    try:
        return await decoder.prepare(asked, NOW_NS)
    except RefusedError as error:
        return error.status, error.detail, error.field


async def here(asked: OtlpRequest) -> Prepared | tuple[int, str, str]:
    """What decoding in this process gives."""
    decoder = InProcessDecoder(Preparer(SETUP))
    try:
        return await outcome(decoder, asked)
    finally:
        decoder.close()


def content(kept: object) -> tuple[Prepared, Delivery | None]:
    """All that was kept; attributes, whose order in the payload says nothing, in no order."""
    assert isinstance(kept, Prepared)
    delivery = msgspec.msgpack.decode(kept.payload, type=Delivery) if kept.payload else None
    return msgspec.structs.replace(kept, payload=b""), delivery


def session_in(prepared: Prepared) -> object:
    delivery = msgspec.msgpack.decode(prepared.payload, type=Delivery)
    return delivery.parcels[0].spans[0].attributes["gen_ai.conversation.id"]


def test_requests_that_are_kept_are_kept_as_in_process() -> None:
    async def work(process: DecodingProcess) -> None:
        for name, asked in GOOD.items():
            assert content(await process.prepare(asked, NOW_NS)) == content(await here(asked)), name
        secret = await process.prepare(GOOD["a secret"], NOW_NS)
        assert b"jo@example.com" not in secret.payload
        assert (await process.prepare(GOOD["one span that cannot be kept"], NOW_NS)).rejected == 1

    with_process(work)


def test_requests_that_are_refused_are_refused_as_in_process() -> None:
    async def work(process: DecodingProcess) -> None:
        for name, asked in BAD.items():
            told = await outcome(process, asked)
            assert isinstance(told, tuple), name
            assert told == await here(asked), name

    with_process(work)


def test_what_is_too_large_is_refused_before_it_is_sent() -> None:
    process = DecodingProcess(SETUP)
    assert isinstance(asyncio.run(outcome(process, BAD["body too large"])), tuple)


def test_many_requests_at_once_each_get_their_own_answer_also_where_some_are_given_up() -> None:
    async def work(process: DecodingProcess) -> None:
        asked = [asyncio.create_task(process.prepare(request(number, 200), NOW_NS)) for number in range(60)]
        await asyncio.sleep(0)
        given_up = set(range(0, 60, 7))
        for number in given_up:
            asked[number].cancel()
        for number in set(range(60)) - given_up:
            assert session_in(await asked[number]) == f"s{number}"
        assert process.waiting_bytes == 0

    with_process(work)


def test_a_defect_in_decoding_fails_its_own_request_alone() -> None:
    async def work(process: DecodingProcess) -> None:
        with pytest.raises(DecodingDefectError, match="ValueError"):
            await process.prepare(GOOD["packed"], NOW_NS)
        assert session_in(await process.prepare(request(1), NOW_NS)) == "s1"

    with_process(work, Setup(Limits(decompressed_bytes=-5), RedactionSettings(), KEY))


def test_of_two_processes_the_one_with_less_to_do_is_asked() -> None:
    async def run() -> None:
        processes, stop = [DecodingProcess(SETUP), DecodingProcess(SETUP)], asyncio.Event()
        decoder = DecodingProcesses(processes)
        with pytest.raises(OverloadedError):
            await decoder.prepare(request(1), NOW_NS)
        running = [asyncio.create_task(process.run(stop)) for process in processes]
        await asyncio.sleep(0)
        first = asyncio.create_task(decoder.prepare(request(1, 500), NOW_NS))
        second = asyncio.create_task(decoder.prepare(request(2), NOW_NS))
        await asyncio.sleep(0)
        assert all(process.waiting_bytes for process in processes)
        assert [session_in(await asked) for asked in (first, second)] == ["s1", "s2"]
        stop.set()
        await asyncio.gather(*running)

    asyncio.run(run())


def test_a_process_that_is_killed_puts_off_what_it_was_asked_and_is_started_again() -> None:
    async def run() -> None:
        process, stop, supervisor = DecodingProcess(SETUP), asyncio.Event(), Supervisor(patient=True)
        supervisor.ready = True
        running = asyncio.create_task(supervisor.persist("decoding", lambda: process.run(stop)))
        await asyncio.sleep(0)
        for _ in range(2):
            killed = process.pid
            assert killed is not None
            asked = [asyncio.create_task(process.prepare(request(number, 500), NOW_NS)) for number in range(20)]
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            os.kill(killed, signal.SIGKILL)
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert {type(answer) for answer in answers} == {Prepared, OverloadedError}
            assert all(answer.retry_after_s > 0 for answer in answers if isinstance(answer, OverloadedError))
            with pytest.raises(OverloadedError):
                await process.prepare(request(1), NOW_NS)
            while process.pid is None:  # noqa: ASYNC110 - a second of rest before the next start
                await asyncio.sleep(0.01)
            assert process.pid != killed
            assert session_in(await process.prepare(request(1), NOW_NS)) == "s1"
            assert supervisor.unready() is None
        stop.set()
        await running

    asyncio.run(run())


def test_how_a_process_ended_is_said() -> None:
    async def run() -> None:
        process = DecodingProcess(SETUP)
        running = asyncio.create_task(process.run(asyncio.Event()))
        await asyncio.sleep(0)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(DecodingEndedError, match="signal 9"):
            await running

    asyncio.run(run())


def test_the_process_does_not_outlive_its_owner_however_that_ends() -> None:
    for end in (signal.SIGKILL, signal.SIGINT):
        owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        with owner:
            assert owner.stdout is not None
            pid = int(owner.stdout.readline())
            assert is_alive(pid)
            owner.send_signal(end)
        eventually(partial(is_over, pid))


def is_over(pid: int) -> bool | None:
    return not is_running(pid) or None


def shown_of(pid: int | None, file: str) -> bytes:
    return Path(f"/proc/{pid}/{file}").read_bytes()


def is_running(pid: int) -> bool:
    """Whether it is there and no zombie, which its new parent has yet to bury."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_signals_meant_for_the_server_leave_the_process_at_work() -> None:
    async def work(process: DecodingProcess) -> None:
        await process.prepare(request(1), NOW_NS)
        assert process.pid is not None
        for meant in (signal.SIGINT, signal.SIGTERM):
            os.kill(process.pid, meant)
        assert session_in(await process.prepare(request(2), NOW_NS)) == "s2"

    with_process(work)


def test_the_key_stands_neither_on_the_command_line_nor_in_the_environment() -> None:
    async def work(process: DecodingProcess) -> None:
        await process.prepare(request(1), NOW_NS)
        shown = [shown_of(process.pid, file) for file in ("cmdline", "environ")]
        assert all(shown)
        assert not any(secret in text for text in shown for secret in (KEY, KEY.hex().encode()))

    with_process(work)


def test_the_process_loads_nothing_of_stores_and_server() -> None:
    seen = subprocess.run(
        [sys.executable, "-c", "import sys, watchpost.runtime.decode_worker; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    rooms = {name for name in seen if name.startswith("watchpost.")}
    assert {name for name in rooms if name.split(".")[1] not in {"ingest", "model", "runtime"}} == set()
    assert {name for name in rooms if name.startswith("watchpost.runtime.")} == {
        "watchpost.runtime.decode_worker",
        "watchpost.runtime.prepare",
    }
    heavy = {"asyncio", "chdb", "clickhouse_connect", "fastapi", "grpc", "numpy", "pyarrow", "pydantic", "sqlalchemy"}
    assert heavy & set(seen) == set()
