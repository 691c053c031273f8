"""A real Prometheus in a process of its own, and what its API says."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlencode
from urllib.request import urlopen

import msgspec
from foreign_server import ForeignServer

CONFIGURATION = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: watchpost
    static_configs: [{{targets: ["{target}"]}}]
"""


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
        configuration = folder / "prometheus.yml"
        configuration.write_text(CONFIGURATION.format(target=target), encoding="utf-8")
        self._server = ForeignServer(
            "prometheus",
            folder,
            lambda address: [
                f"--config.file={configuration}",
                f"--storage.tsdb.path={folder / 'prometheus'}",
                f"--web.listen-address={address}",
                "--enable-feature=exemplar-storage",
            ],
        )

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.__exit__(kind, error, at)

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
        with urlopen(f"{self._server.url}/api/v1/{what}?{urlencode(parameters)}", timeout=10) as answer:  # noqa: S310  our own process
            body: bytes = answer.read()
            return body
