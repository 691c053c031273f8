"""What is usual: how long tools, models and whole runs take, what sessions use, how often a tool finds nothing.

`tool_seconds NAME`, `model_seconds NAME`: seconds of calls that did not fail. `workflow_seconds NAME`: seconds of a run, from its first
step to its last end. `workflow_tokens NAME`, `workflow_steps NAME`: of a session. `tool_empty NAME`: the share of a tool's results that
were empty, which is all three quantiles at once.

Each is a histogram whose buckets are a tenth wider than the ones before, so a quantile is right to 5 %, whatever the range. The newer half
of what was seen weighs most: beyond `FADES` observations all counts are halved. Only sound sessions teach.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from watchpost.detect.alike import shown
from watchpost.detect.empty_result import is_empty
from watchpost.detect.learner import Ended
from watchpost.model.knowledge import Content, Norm
from watchpost.model.step import Step

LEAST = 30
"""Observations before anything is published."""

MOVED = 0.25
"""A norm is published again where one of its quantiles moved by more than this share, or it rests on half as many observations again."""

NAMES = 2_000
"""Things of which the norm is learnt in one project; whoever makes up names does not fill the store."""

FADES = 20_000

_WIDER = math.log(1.1)
_NOTHING = -100_000
"""The bucket of zero."""


class _Histogram(msgspec.Struct):
    """Observations by bucket, and the count at which they are next looked at."""

    count: int = 0
    due: int = LEAST
    buckets: dict[int, int] = {}

    def add(self, value: float) -> None:
        bucket = math.floor(math.log(value) / _WIDER) if value > 0 else _NOTHING
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        self.count += 1
        if self.count > FADES:
            self.buckets = {at: left for at, seen in self.buckets.items() if (left := seen // 2)}
            self.count = sum(self.buckets.values())
            self.due = self.count + 1

    def quantiles(self, *shares: float) -> list[float]:
        """The values that these shares of the observations, rising, do not exceed."""
        found: list[float] = []
        seen = 0
        for bucket in sorted(self.buckets):
            seen += self.buckets[bucket]
            while len(found) < len(shares) and seen >= shares[len(found)] * self.count:
                found.append(0.0 if bucket == _NOTHING else round(math.exp((bucket + 0.5) * _WIDER), 6))
        return found

    @property
    def share(self) -> float:
        """The share of observations that are not zero."""
        return round(1 - self.buckets.get(_NOTHING, 0) / self.count, 6)


class NormLearner:
    """Learns the norms of one project."""

    def __init__(self) -> None:
        self._seen: dict[str, _Histogram] = {}

    def learn(self, session: Ended) -> Iterable[str]:
        """Take an ended session in, once; the names whose drafts changed."""
        if not session.sound:
            return ()
        changed: dict[str, None] = {}
        for name, value in _observations(session):
            held = self._seen.get(name)
            if held is None:
                if len(self._seen) >= NAMES:
                    continue
                held = self._seen[name] = _Histogram()
            held.add(value)
            changed[name] = None
        return changed

    def load(self, name: str, body: bytes) -> None:
        """Go on from a draft as `draft` gave it."""
        self._seen[name] = msgspec.json.decode(body, type=_Histogram)

    def draft(self, name: str) -> bytes:
        """What was gathered about a name."""
        return msgspec.json.encode(self._seen[name])

    def content(self, name: str, held: Content | None) -> Content | None:
        """The norm, where it is known well and is not what holds already; looked at each time a tenth more was seen."""
        seen = self._seen[name]
        if seen.count < seen.due:
            return held
        seen.due = seen.count + max(1, seen.count // 10)
        quantiles = [seen.share] * 3 if name.startswith("tool_empty ") else seen.quantiles(0.5, 0.95, 0.99)
        norm = Norm(seen.count, *quantiles)
        return norm if not isinstance(held, Norm) or _moved(held, norm) else held


def _moved(held: Norm, norm: Norm) -> bool:
    if 2 * norm.count >= 3 * held.count:
        return True
    pairs = ((held.p50, norm.p50), (held.p95, norm.p95), (held.p99, norm.p99))
    return any(abs(old - new) > MOVED * max(old, new) for old, new in pairs)


def _observations(session: Ended) -> Iterator[tuple[str, float]]:
    """All that one session shows of what is usual. A step that took no time tells nothing of time: its source knows none."""
    for step in session.steps:
        if step.status == "ok" and step.kind in {"llm", "tool"}:
            yield from _of_call(step)
    workflow = shown(session.workflow)
    yield f"workflow_steps {workflow}", len(session.steps)
    used = [
        (step.tokens.input or 0) + (step.tokens.output or 0)
        for step in session.steps
        if step.kind == "llm" and (step.tokens.input is not None or step.tokens.output is not None)
    ]
    if used:
        yield f"workflow_tokens {workflow}", sum(used)
    if any(step.end_ns > step.start_ns for step in session.steps):
        for took_ns in _runs_ns(session.steps):
            yield f"workflow_seconds {workflow}", took_ns / 1e9


def _of_call(step: Step) -> Iterator[tuple[str, float]]:
    took_ns = step.end_ns - step.start_ns
    if step.kind == "llm":
        if took_ns > 0:
            yield f"model_seconds {shown(step.model or step.name)}", took_ns / 1e9
        return
    tool = shown(step.tool or step.name)
    if took_ns > 0:
        yield f"tool_seconds {tool}", took_ns / 1e9
    if step.result:
        yield f"tool_empty {tool}", float(is_empty(step.result))


def _runs_ns(steps: Sequence[Step]) -> Iterator[int]:
    """How long each run took, from its first step to its last end."""
    runs: dict[bytes, tuple[int, int]] = {}
    for step in steps:
        began, ended = runs.get(step.trace_id, (step.start_ns, 0))
        runs[step.trace_id] = (began, max(ended, step.end_ns))
    yield from (ended - began for began, ended in runs.values() if ended > began)
