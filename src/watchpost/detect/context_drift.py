"""The context drift detector: what the model says it does has moved away from what it was asked to do.

How far is measured at checkpoints, outside the fold, for it takes the prompts that the fold does not keep, and may take a model that makes
embeddings. A measurement comes back as an evaluation of the step that it is about; this detector reads it.
"""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal
from zlib import crc32

import msgspec

from watchpost.model.flag import Finding, Severity
from watchpost.model.step import Step, StepKind

KIND = "CONTEXT_DRIFT"

MEASURED = "watchpost.context_drift"
"""The name of the evaluation that carries a measurement."""

SHOWN = 300
"""Characters shown of either side."""

LONGEST = 16_000
"""Characters of either side that are compared."""

LIMITS = {"lexical": 0.93, "embeddings": 0.75}
"""The distance beyond which a method says that the context drifted, where the settings say nothing else."""

_WORD = re.compile(r"[^\W\d_]{3,}")


class ContextDriftSettings(msgspec.Struct, frozen=True):
    """How far from its task a session may come. Without a `method` nothing is measured.

    `lexical` compares words and pairs of words; `embeddings` asks `url`, any endpoint that speaks OpenAI's embeddings API (its address up to
    and without `/embeddings`), for `model`, with `key`. It is measured each time a session has come `every` steps further, over
    its last `window` steps. `distance`, from 0 for the same to 1 for nothing in common, is the limit.
    """

    method: Literal["", "lexical", "embeddings"] = ""
    every: int = 20
    window: int = 6
    distance: float | None = None
    url: str = ""
    model: str = ""
    key: str = ""
    timeout_seconds: float = 30
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        if self.every < 2:
            raise ValueError("every must be at least 2 steps")
        if self.window < 1:
            raise ValueError("window must be at least 1 step")
        if self.timeout_seconds <= 0:
            raise ValueError("timeout_seconds must be above 0")
        if self.distance is not None and not 0 < self.distance < 1:
            raise ValueError(f"distance must be between 0 and 1, not {self.distance}")
        if self.method == "embeddings" and not (self.url.startswith(("http://", "https://")) and self.model):
            raise ValueError("url and model must say where embeddings come from, and from which model")

    @property
    def limit(self) -> float:
        """The distance beyond which a context has drifted."""
        return LIMITS.get(self.method, 1.0) if self.distance is None else self.distance


class Checkpoint(msgspec.Struct, frozen=True):
    """A place in a session at which to measure: the step, what the session was to do as far as the fold knows, and what was said lately.

    `prompted` is the last model call up to there whose prompt was reported; it holds what the fold does not: the system prompt and
    the person's words, where they are no steps of their own. Empty where there is none.
    """

    project: str
    session_id: str
    trace_id: bytes
    span_id: bytes
    at_ns: int
    asked: str
    stated: str
    prompted: tuple[bytes, bytes] | None


class Measurement(msgspec.Struct, frozen=True):
    """How far a session had come from its task at a checkpoint, and between which words."""

    distance: float
    limit: float
    method: str
    trace_id: str
    span_id: str
    asked: str
    stated: str


class ContextDriftDetector:
    """Reads measurements. Each checkpoint beyond the limit is one finding, at the step that was measured; nothing refutes it."""

    kinds: frozenset[StepKind] = frozenset({"evaluation"})

    def __init__(self, settings: ContextDriftSettings) -> None:
        self._settings = settings

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Take the next evaluation, and say so where it measured a drift."""
        del place
        if step.name != MEASURED:
            return ()
        try:
            measured = msgspec.json.decode(step.result, type=Measurement)
            at = bytes.fromhex(measured.trace_id + measured.span_id)
        except ValueError:
            return ()
        if measured.distance <= self._settings.limit or len(at) != 24:
            return ()
        summary = f"what the agent does has moved away from its task: distance {measured.distance:.2f}, limit {self._settings.limit:.2f}"
        evidence: dict[str, object] = {
            "reason": measured.method,
            "value": round(measured.distance, 4),
            "threshold": self._settings.limit,
            "window": f"{self._settings.window} steps",
            "asked": measured.asked[:SHOWN],
            "stated": measured.stated[:SHOWN],
        }
        return (Finding(KIND, "task", self._settings.severity, summary, evidence, at=at),)

    def rewind(self, steps: int) -> None:
        """Forget nothing: each measurement is judged by itself."""


def checkpoint_of(
    project: str, session_id: str, steps: Sequence[Step], settings: ContextDriftSettings
) -> Checkpoint | None:
    """Where to measure now, at the last thing the agent did; None where it did or was told too little to compare."""
    acts = [step for step in steps if step.kind in {"llm", "tool", "handoff"}]
    if len(acts) <= settings.window:
        return None
    asked = "\n".join(step.result for step in steps if step.kind in {"human", "state"})
    began = "\n".join(map(_stated, acts[: settings.window]))
    prompted = next((step for step in reversed(acts) if step.informed), None)
    stated = "\n".join(map(_stated, acts[-settings.window :]))
    if not stated.strip() or not (asked.strip() or prompted):
        return None
    last = acts[-1]
    return Checkpoint(
        project,
        session_id,
        last.trace_id,
        last.span_id,
        last.end_ns or last.start_ns,
        f"{asked}\n{began}"[:LONGEST],
        stated[:LONGEST],
        (prompted.trace_id, prompted.span_id) if prompted is not None else None,
    )


def _stated(step: Step) -> str:
    """What a step says of what the agent is after: the words of a model, or what it asked of a tool."""
    if step.kind == "llm":
        return step.result
    return f"{step.tool or step.name} {step.arguments}".replace("_", " ")


def lexical_distance(asked: str, stated: str) -> float:
    """1 less the cosine between the words and pairs of words of two texts, each weighed by 1 + ln of how often it stands there."""
    one, other = _weights(asked), _weights(stated)
    if not one or not other:
        return 0.0
    shared = sum(weight * other.get(gram, 0.0) for gram, weight in one.items())
    return max(0.0, 1.0 - shared / (_length(one) * _length(other)))


def cosine_distance(one: Sequence[float], other: Sequence[float]) -> float:
    """1 less the cosine between two vectors of one length, neither of them nought. Raises ValueError for others."""
    lengths = math.hypot(*one) * math.hypot(*other)
    if not lengths:
        raise ValueError("a vector without a direction")
    return max(0.0, 1.0 - sum(a * b for a, b in zip(one, other, strict=True)) / lengths)


def _weights(text: str) -> dict[int, float]:
    words = [word.lower() for word in _WORD.findall(text)]
    grams = Counter(words)
    grams.update(f"{one} {two}" for one, two in itertools.pairwise(words))
    return {crc32(gram.encode()): 1 + math.log(count) for gram, count in grams.items()}


def _length(weights: dict[int, float]) -> float:
    return math.sqrt(sum(weight * weight for weight in weights.values()))
