"""The results as a file to read."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from lab import Measured


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured."""

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str


class Result(msgspec.Struct, frozen=True):
    """One measurement and what came of it; `failure` says why there is nothing."""

    name: str
    what: str
    unit: str
    aim: str
    measured: Measured | None
    failure: str
    seconds: float


class Results(msgspec.Struct, frozen=True):
    """One run."""

    date: str
    scale: str
    machine: Machine
    results: Sequence[Result]


def machine() -> Machine:
    """This one."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        models[0] if models else platform.machine(),
        len(os.sched_getaffinity(0)),
        pages / (1 << 30),
        platform.release(),
        platform.python_version(),
    )


def render(results: Results) -> str:
    """RESULTS.md."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: Results) -> Iterator[str]:
    where = results.machine
    yield "# Results"
    yield ""
    yield f"{results.date}, {results.scale} run. {where.cores} cores of {where.cpu}, {where.memory_gib:.0f} GiB of memory, Linux {where.system}, Python {where.python}."
    yield ""
    yield "Written by `make bench`; what each number means and how it is taken stands in [README.md](README.md). The aims are this project's own."
    yield "Server, sender and reader share the machine, so every rate is one that leaves the sender its part of the cores."
    yield ""
    yield "| what | aim | measured |"
    yield "|---|---|---|"
    for result in results.results:
        measured = result.measured.value if result.measured else f"not measured: {_cell(result.failure)}"
        yield f"| {result.what} | {result.aim} | {measured} |"
    yield ""
    yield "## Notes"
    yield ""
    for result in results.results:
        for note in result.measured.notes if result.measured else ():
            yield f"- {result.what}: {_cell(note)}"
    yield ""
    yield "## All numbers"
    yield ""
    for result in results.results:
        if result.measured and result.measured.numbers:
            numbers = ", ".join(f"{name} {_number(number)}" for name, number in result.measured.numbers.items())
            yield f"- `{result.name}`: {numbers}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "/").split())


def _number(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:,.2f}"
