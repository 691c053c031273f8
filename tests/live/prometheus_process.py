"""A real Prometheus in a process of its own, and what its API says."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import msgspec
from watchpost_process import eventually

STOP_S = 10

CONFIGURATION = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: watchpost
    static_configs: [{{targets: ["{target}"]}}]
"""


def program(name: str) -> str | None:
    """Where `prometheus` or `promtool` is, beside the interpreter or on the path; None where there is none."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def may_be_missing() -> bool:
    """Whether there is no Prometheus and no way in which the set-up could have brought one."""
    return program("prometheus") is None and shutil.which("apt-get") is None


class Sample(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Result(msgspec.Struct):
    result: list[Sample]


class _Answer(msgspec.Struct):
    data: _Result


class Exemplar(msgspec.Struct):
    labels: dict[str, str]
    value: str


class Series(msgspec.Struct):
    seriesLabels: dict[str, str]  # noqa: N815 - named by Prometheus
    exemplars: list[Exemplar]


class _Exemplars(msgspec.Struct):
    data: list[Series]


class PrometheusProcess:
    """A `with` block around a Prometheus that scrapes an address each second, with its data in `folder`."""

    def __init__(self, folder: Path, target: str) -> None:
        self._folder = folder
        self._target = target
        self._url = ""

    def __enter__(self) -> Self:
        configuration = self._folder / "prometheus.yml"
        configuration.write_text(CONFIGURATION.format(target=self._target), encoding="utf-8")
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = "{}:{}".format(*free.getsockname())
        self._url = f"http://{address}"
        command = [
            program("prometheus") or "prometheus",
            f"--config.file={configuration}",
            f"--storage.tsdb.path={self._folder / 'prometheus'}",
            f"--web.listen-address={address}",
            "--enable-feature=exemplar-storage",
        ]
        with (self._folder / "prometheus.txt").open("wb") as said:
            self._process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        try:
            eventually(self._is_ready, 30)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()

    def ask(self, expression: str) -> dict[str, float]:
        """What an expression is now, by the labels of its samples, each a value, joined by spaces."""
        answer = msgspec.json.decode(self._get("query", query=expression), type=_Answer)
        found = (
            (" ".join(value for _, value in sorted(one.metric.items())), one.value[1]) for one in answer.data.result
        )
        return {labels: float(value) for labels, value in found}

    def exemplars(self, selector: str) -> list[Series]:
        """The exemplars of the series that a selector names, of the last hour."""
        now = time.time()
        answer = self._get("query_exemplars", query=selector, start=str(now - 3600), end=str(now + 60))
        return msgspec.json.decode(answer, type=_Exemplars).data

    def _get(self, what: str, **parameters: str) -> bytes:
        with urlopen(f"{self._url}/api/v1/{what}?{urlencode(parameters)}", timeout=10) as answer:  # noqa: S310  our own process
            body: bytes = answer.read()
            return body

    def _is_ready(self) -> bool | None:
        assert self._process.poll() is None, (self._folder / "prometheus.txt").read_text(encoding="utf-8")
        try:
            with urlopen(f"{self._url}/-/ready", timeout=5):  # noqa: S310  our own process
                return True
        except URLError:
            return None

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
