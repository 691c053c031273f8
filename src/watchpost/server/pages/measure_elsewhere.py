"""The same question for a program: the address of the API, the command, and what to ask of Prometheus."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from watchpost.query.catalogue import MEASURES
from watchpost.query.measures import Dimension
from watchpost.rules.promql import SHORTEST_WINDOW_NS, Asked, Share, UnsayableError, asked_of, value
from watchpost.rules.rule import OfMeasure
from watchpost.server.measures import MeasuredAnswer
from watchpost.server.pages.measure_question import Pair, with_query

_OPTIONS = ("since", "until", "step", "by", "quantile", "compare", "top")
_WHOLE = 1000


class Elsewhere(msgspec.Struct, frozen=True):
    """Where else it can be asked. `metrics` are the names at `/metrics`, `promql` what one point is there; `unsaid` is why there are none."""

    api: str
    command: str
    metrics: tuple[str, ...]
    promql: str
    unsaid: str


def elsewhere(answer: MeasuredAnswer, asked: Sequence[Pair]) -> Elsewhere:
    """The question that was answered so; `asked` are the parameters of the API."""
    name = answer.measure.name
    api = with_query(f"/api/measures/{quote(name, safe='')}", asked)
    try:
        there, window_ns = _prometheus(answer, asked)
    except UnsayableError as error:
        return Elsewhere(api, _command(name, asked), (), "", str(error))
    source = there.source
    counters = (source.over, source.per) if isinstance(source, Share) else (source.of,)
    metrics = tuple(counter.metric for counter in counters)
    return Elsewhere(api, _command(name, asked), metrics, value(there, window_ns).strip(), "")


def _command(name: str, asked: Sequence[Pair]) -> str:
    words = ["watchpost", "measures", name]
    for parameter, text in asked:
        words += [f"--{parameter}", text] if parameter in _OPTIONS else ["--where", f"{parameter}={text}"]
    return shlex.join(words)


def _prometheus(answer: MeasuredAnswer, asked: Sequence[Pair]) -> tuple[Asked, int]:
    filters: dict[Dimension, tuple[str, ...]] = {}
    for name, text in asked:
        if name in answer.measure.dimensions:
            filters[name] = (*filters.get(name, ()), text)
    quantile = 950 if answer.quantile is None else round(answer.quantile * _WHOLE)
    subject = OfMeasure(MEASURES[answer.measure.name], tuple(filters.items()), answer.by, quantile)
    if answer.measure.of == "sample":
        raise UnsayableError("it is sampled, and /metrics has numbers of its own on how Watchpost does")
    return asked_of(subject), max(round((answer.step or 0) * 10**9), SHORTEST_WINDOW_NS)
