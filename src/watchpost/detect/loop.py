"""The loop detector: an agent that asks the same thing again, or goes on for longer than it should.

Five reasons, each with its own setting: one tool called with arguments that are alike (`alike_calls`); two calls that
alternate (`cycle`); one tool that is asked about the same entities in other words and answers the same
(`unchanged_result`); too many tool calls in a turn (`calls_per_turn`); too many turns (`turns`).

Two argument texts are alike if they name the same numbers and ids and their canonical texts are at least 90 % alike. A
call whose arguments were not reported is never alike to another, and where the text of a result was not reported, is
empty or is an error, it is not an unchanged result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fnmatch import fnmatchcase

import msgspec
from rapidfuzz import fuzz

from watchpost.model.flag import Finding, Severity
from watchpost.model.step import Step
from watchpost_core.similarity import canonical, entities

KIND = "LOOP_DETECTED"

CANDIDATES = 32
"""A call is compared with this many of the latest different calls of its tool that name the same entities."""

TEXT_LIMIT = 2048
"""Longer canonical arguments are kept as a digest only, and are alike to the very same arguments alone."""

TEXT_BUDGET = 8_000_000
"""Characters of canonical arguments kept per session; calls past it are kept as a digest only."""

SHOWN_CALLS = 5
SHOWN_CHARACTERS = 200
SHOWN_ENTITIES = 20
"""What evidence holds at most."""

_NOTHING = frozenset({"", "[]", "{}", "null", '""'})


class LoopSettings(msgspec.Struct, frozen=True):
    """When repetition is a loop. Zero switches a limit off.

    `alike` is the least similarity of two argument texts, above 0 and up to 1. A call fires when more than `repeats` calls
    of its tool, itself included, have alike arguments; when two calls have alternated for `cycle_rounds` rounds; when
    more than `unchanged` calls of its tool about the same entities brought the same result; when it is beyond
    `calls_per_turn`. A human step fires when it begins a turn beyond `turns`; a session without human steps is one turn.
    `polling` declares tools that may ask again: a tool name or shell pattern, and the alike calls it is allowed in a session,
    0 for any number; the first pattern that matches holds, and polling calls count for no cycle and no unchanged result.
    """

    alike: float = 0.90
    repeats: int = 2
    cycle_rounds: int = 2
    unchanged: int = 2
    calls_per_turn: int = 0
    turns: int = 25
    polling: dict[str, int] = {}
    severity: Severity = "high"
    limit_severity: Severity = "error"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        if not 0 < self.alike <= 1:
            raise ValueError(f"alike must be above 0 and at most 1, not {self.alike}")
        for field in ("repeats", "cycle_rounds", "unchanged", "calls_per_turn", "turns"):
            if getattr(self, field) < 0:
                raise ValueError(f"{field} must not be negative; 0 switches it off")
        if self.cycle_rounds == 1:
            raise ValueError("cycle_rounds must be at least 2, or 0 to switch it off")
        for tool, allowed in self.polling.items():
            if allowed < 0:
                raise ValueError(f"polling.{tool} must not be negative; 0 allows any number")


class _Call(msgspec.Struct, frozen=True, gc=False):
    """One call as evidence shows it; `digest` is of its tool and all of its canonical arguments."""

    span_id: bytes
    shown: str
    digest: bytes


class _Cluster(msgspec.Struct, eq=False):
    """Calls of one tool with alike arguments; `calls` holds the first few of `count`.

    `text` is the canonical arguments of the first call, empty where only their digest is kept. `flagged` says that the
    loop these calls are part of has been reported.
    """

    tool: str
    entities: tuple[str, ...]
    digest: bytes
    text: str
    count: int = 0
    calls: tuple[_Call, ...] = ()
    flagged: bool = False


class _Answer(msgspec.Struct, eq=False):
    """Calls of one tool about the same entities that brought the same result, and the clusters of the first few of them."""

    count: int = 0
    calls: tuple[_Call, ...] = ()
    clusters: tuple[_Cluster, ...] = ()
    flagged: bool = False


class _Entry(msgspec.Struct, frozen=True):
    """What one step changed, so that it can be taken back, and where turn and text budget stood after it."""

    turns: int = 0
    calls_in_turn: int = 0
    kept: int = 0
    ordered: bool = False
    cluster: _Cluster | None = None
    bucket: bytes = b""
    answer: bytes = b""
    marked: tuple[_Cluster | _Answer, ...] = ()


_START = _Entry()


class LoopDetector:
    """Finds loops in the tool calls of one session.

    A loop gives one finding, at the call that crosses the limit; the calls that continue it give none. No later step can
    refute it. A step costs at most `CANDIDATES` comparisons of texts of at most `TEXT_LIMIT` characters, however long
    the session is. What is held grows by a bounded amount with each step, and by at most `TEXT_BUDGET` characters of
    arguments in a session.
    """

    def __init__(self, settings: LoopSettings) -> None:
        self._settings = settings
        self._entries: list[_Entry] = [_START]
        self._exact: dict[bytes, _Cluster] = {}
        self._buckets: dict[bytes, list[_Cluster]] = {}
        self._answers: dict[bytes, _Answer] = {}
        self._order: list[tuple[_Cluster, _Call] | None] = []

    def see(self, step: Step) -> Sequence[Finding]:
        """Take the next step in order and say which loop it completes."""
        before = self._entries[-1]
        if step.kind == "human":
            self._entries.append(_Entry(turns=before.turns + 1, kept=before.kept))
            return self._beyond_turns(before.turns + 1)
        if step.kind != "tool":
            self._entries.append(_Entry(before.turns, before.calls_in_turn, before.kept))
            return ()
        return [*self._called(step, before), *self._beyond_calls(step, before.calls_in_turn + 1)]

    def rewind(self, steps: int) -> None:
        """Forget all but the first `steps` steps."""
        while len(self._entries) > steps + 1:
            self._take_back(self._entries.pop())

    def _called(self, step: Step, before: _Entry) -> Sequence[Finding]:
        """Count a tool call, and keep how to take it back."""
        tool = step.tool or step.name
        if not tool or not step.arguments.strip():
            self._order.append(None)
            self._entries.append(_Entry(before.turns, before.calls_in_turn + 1, before.kept, ordered=True))
            return ()
        text = canonical(step.arguments)
        allowed = self._polling(tool)
        named = entities(text)
        bucket = _digest(tool, *named)
        call = _Call(step.span_id, _shown(text), _digest(tool, text))
        cluster, kept = self._join(
            tool, text, call.digest, named=named, bucket=bucket, budget=TEXT_BUDGET - before.kept
        )
        _count(cluster, call)
        key, answer = b"", None
        if allowed is None:
            self._order.append((cluster, call))
            key, answer = self._answered(step, cluster, call, bucket)
        findings, marked = self._judge(cluster, call, self._settings.repeats if allowed is None else allowed, answer)
        for each in marked:
            each.flagged = True
        entry = _Entry(
            before.turns,
            before.calls_in_turn + 1,
            before.kept + kept,
            ordered=allowed is None,
            cluster=cluster,
            bucket=bucket,
            answer=key,
            marked=marked,
        )
        self._entries.append(entry)
        return findings

    def _polling(self, tool: str) -> int | None:
        """The alike calls a declared polling tool is allowed, None for any other tool."""
        for pattern, allowed in self._settings.polling.items():
            if fnmatchcase(tool, pattern):
                return allowed
        return None

    def _join(
        self, tool: str, text: str, digest: bytes, *, named: tuple[str, ...], bucket: bytes, budget: int
    ) -> tuple[_Cluster, int]:
        """The cluster of calls alike to this one, made if there is none, and the characters newly kept for it."""
        if (same := self._exact.get(digest)) is not None:
            return same, 0
        candidates = self._buckets.setdefault(bucket, [])
        if len(text) <= TEXT_LIMIT:
            percent = self._settings.alike * 100
            for cluster in reversed(candidates[-CANDIDATES:]):
                if cluster.text and fuzz.ratio(text, cluster.text, score_cutoff=percent) >= percent:
                    return cluster, 0
        kept = text if len(text) <= min(TEXT_LIMIT, budget) else ""
        cluster = _Cluster(_shown(tool), tuple(_shown(each) for each in named[:SHOWN_ENTITIES]), digest, kept)
        candidates.append(cluster)
        self._exact[digest] = cluster
        return cluster, len(kept)

    def _answered(self, step: Step, cluster: _Cluster, call: _Call, bucket: bytes) -> tuple[bytes, _Answer | None]:
        """The calls of this tool about the same entities that brought this result, and their key; none without a result."""
        if step.status != "ok" or step.result.strip() in _NOTHING:
            return b"", None
        key = _digest(bucket.hex(), step.result)
        answer = self._answers.setdefault(key, _Answer())
        _count(answer, call)
        answer.clusters = (*answer.clusters, cluster)[:SHOWN_CALLS]
        return key, answer

    def _judge(
        self, cluster: _Cluster, call: _Call, limit: int, answer: _Answer | None
    ) -> tuple[Sequence[Finding], tuple[_Cluster | _Answer, ...]]:
        """What the call just counted completes, and what is part of a loop that has now been reported."""
        stalled = answer is not None and 0 < self._settings.unchanged < answer.count
        if cluster.flagged:
            return (), (answer,) if answer is not None and stalled and not answer.flagged else ()
        if answer is not None and answer.flagged:
            return (), (cluster,)
        if 0 < limit < cluster.count:
            return (self._alike(cluster, call, limit),), (cluster,)
        if (other := self._alternating(cluster)) is not None:
            return (self._cycle(other, cluster),), (other, cluster)
        if answer is not None and stalled:
            part = {id(each): each for each in (*answer.clusters, cluster) if not each.flagged}
            return (self._stalled(answer, cluster, call),), (answer, *part.values())
        return (), ()

    def _alternating(self, cluster: _Cluster) -> _Cluster | None:
        """What has taken turns with this call for the rounds that make a cycle, if its own loop is not yet reported."""
        length = 2 * self._settings.cycle_rounds
        latest = [each[0] if each else None for each in self._order[-length:]] if length else []
        if len(latest) < max(length, 1):
            return None
        other = latest[0]
        if other is None or other is cluster or other.flagged:
            return None
        return other if all(each is (cluster if place % 2 else other) for place, each in enumerate(latest)) else None

    def _take_back(self, entry: _Entry) -> None:
        """Undo the latest step."""
        for each in entry.marked:
            each.flagged = False
        if entry.ordered:
            self._order.pop()
        if entry.answer:
            answer = self._answers[entry.answer]
            _uncount(answer)
            answer.clusters = answer.clusters[: answer.count]
            if not answer.count:
                del self._answers[entry.answer]
        if entry.cluster is not None:
            _uncount(entry.cluster)
            if not entry.cluster.count:
                del self._exact[entry.cluster.digest]
                self._buckets[entry.bucket].pop()
                if not self._buckets[entry.bucket]:
                    del self._buckets[entry.bucket]

    def _alike(self, cluster: _Cluster, call: _Call, limit: int) -> Finding:
        calls = _with_latest(cluster, call)
        same = "the same" if len({each.digest for each in calls}) == 1 else "nearly the same"
        return self._loop(
            cluster,
            f"{cluster.tool} called {cluster.count} times with {same} arguments {call.shown}",
            _evidence("alike_calls", cluster.tool, cluster.count, limit, calls=calls, named=cluster.entities),
        )

    def _cycle(self, other: _Cluster, cluster: _Cluster) -> Finding:
        rounds = self._settings.cycle_rounds
        calls = [each[1] for each in self._order[-2 * rounds :] if each]
        named = tuple(dict.fromkeys((*other.entities, *cluster.entities)))
        return self._loop(
            other,
            f"{other.tool} {calls[0].shown} and {cluster.tool} {calls[1].shown} called by turns, {rounds} rounds",
            _evidence("cycle", other.tool, rounds, rounds, calls=calls, named=named) | {"other_tool": cluster.tool},
        )

    def _stalled(self, answer: _Answer, cluster: _Cluster, call: _Call) -> Finding:
        limit, calls = self._settings.unchanged, _with_latest(answer, call)
        return self._loop(
            answer.clusters[0],
            f"{cluster.tool} called {answer.count} times and the result did not change, last with {call.shown}",
            _evidence("unchanged_result", cluster.tool, answer.count, limit, calls=calls, named=cluster.entities),
        )

    def _loop(self, cluster: _Cluster, summary: str, evidence: dict[str, object]) -> Finding:
        """A finding whose subject is the tool and which of its calls: the same for the same call in every session."""
        subject = f"{cluster.tool} {cluster.digest[:4].hex()}"
        return Finding(KIND, subject, self._settings.severity, summary, evidence)

    def _beyond_calls(self, step: Step, calls: int) -> Sequence[Finding]:
        limit, tool = self._settings.calls_per_turn, step.tool or step.name
        if not limit or calls != limit + 1:
            return ()
        summary = f"{calls} tool calls in one turn, more than {limit}; the latest is {_shown(tool)}"
        evidence = _evidence("calls_per_turn", tool, calls, limit, window="turn")
        return (Finding(KIND, "calls_per_turn", self._settings.limit_severity, summary, evidence),)

    def _beyond_turns(self, turns: int) -> Sequence[Finding]:
        limit = self._settings.turns
        if not limit or turns != limit + 1:
            return ()
        summary = f"{turns} turns in the session, more than {limit}"
        evidence = _evidence("turns", "", turns, limit)
        return (Finding(KIND, "turns", self._settings.limit_severity, summary, evidence),)


def _count(group: _Cluster | _Answer, call: _Call) -> None:
    group.count += 1
    group.calls = (*group.calls, call)[:SHOWN_CALLS]


def _uncount(group: _Cluster | _Answer) -> None:
    group.count -= 1
    group.calls = group.calls[: group.count]


def _with_latest(group: _Cluster | _Answer, call: _Call) -> list[_Call]:
    """The first calls of a group and its latest, `SHOWN_CALLS` at most."""
    return [*group.calls[: min(group.count, SHOWN_CALLS) - 1], call]


def _evidence(
    reason: str,
    tool: str,
    value: int,
    threshold: int,
    *,
    window: str = "session",
    calls: Sequence[_Call] = (),
    named: Sequence[str] = (),
) -> dict[str, object]:
    return {
        "reason": reason,
        "tool": _shown(tool),
        "value": value,
        "threshold": threshold,
        "window": window,
        "calls": [{"span_id": call.span_id.hex(), "arguments": call.shown} for call in calls],
        "entities": list(named[:SHOWN_ENTITIES]),
    }


def _shown(text: str) -> str:
    """The text, cut to `SHOWN_CHARACTERS`, as valid Unicode."""
    cut = text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"
    return cut if cut.isascii() else cut.encode(errors="replace").decode()


def _digest(*parts: str) -> bytes:
    """16 bytes that tell these texts, in this order, from any others."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode(errors="surrogatepass")
        state.update(len(raw).to_bytes(8, "big"))
        state.update(raw)
    return state.digest()
