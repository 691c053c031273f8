"""What fails is said, tried again where that helps, and stops where it does not."""

from __future__ import annotations

import asyncio
import errno
import io
import threading

import pytest

from watchpost.runtime.supervisor import StoppedError, Supervisor


class Flaky:
    """Fails so many times, then answers 7."""

    def __init__(self, failures: int) -> None:
        self.calls = 0
        self._failures = failures

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self._failures:
            secret = "geheim"  # noqa: F841, S105 - a local variable must not be shown
            raise OSError("no room")
        return 7


def test_a_patient_one_tries_until_it_succeeds_and_says_meanwhile_what_fails(
    capsys: pytest.CaptureFixture[str],
) -> None:
    supervisor = Supervisor(patient=True)
    supervisor.ready = True
    seen: list[str | None] = []
    flaky = Flaky(1)

    def action() -> int:
        seen.append(supervisor.unready())
        return flaky()

    assert supervisor.insist("store", action) == 7
    assert seen == [None, "store: OSError: no room"]
    assert supervisor.unready() is None
    said = capsys.readouterr()
    assert said.out == ""
    assert "no room" in said.err
    assert "geheim" not in said.err.replace('secret = "geheim"', "")


def test_a_patient_one_gives_up_when_the_process_stops() -> None:
    supervisor = Supervisor(patient=True)
    supervisor.stopping.set()
    flaky = Flaky(10)
    with pytest.raises(StoppedError, match="store"):
        supervisor.insist("store", flaky)
    assert flaky.calls == 1


def test_one_that_is_not_patient_tries_once() -> None:
    flaky = Flaky(10)
    with pytest.raises(OSError, match="no room"):
        Supervisor(patient=False).insist("store", flaky)
    assert flaky.calls == 1


def test_it_is_not_ready_before_it_is_said_to_be() -> None:
    supervisor = Supervisor(patient=True)
    assert "starting" in (supervisor.unready() or "")


def test_a_thread_that_ends_by_a_fault_leaves_it_unready(capsys: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor(patient=True)
    supervisor.ready = True

    def work() -> None:
        with supervisor.watching("react"):
            raise ZeroDivisionError

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert "react: ZeroDivisionError" in (supervisor.unready() or "")
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_thread_that_ends_because_the_process_stops_is_no_fault() -> None:
    supervisor = Supervisor(patient=True)
    supervisor.ready = True

    def work() -> None:
        with supervisor.watching("react"):
            raise StoppedError("store")

    work()
    assert supervisor.unready() is None


class FullDisk(io.StringIO):
    """A file with no room."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, f"no room for {len(text)} characters")


def test_a_standard_error_on_a_full_disk_fails_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = Supervisor(patient=True)
    monkeypatch.setattr("sys.stderr", FullDisk())
    assert supervisor.insist("store", Flaky(1)) == 7


def test_work_that_fails_is_taken_up_again(capsys: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor(patient=True)
    flaky = Flaky(1)

    async def work() -> None:
        flaky()

    asyncio.run(supervisor.persist("outbox", work))
    assert flaky.calls == 2
    assert "no room" in capsys.readouterr().err
