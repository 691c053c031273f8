"""The ping-pong detector: two agents that hand the work to each other and do none of it.

A handoff counts from the agent that makes it to the agent that it names. Work is a tool call that brought something, and a word
from a person is a new start: either ends the row. An agent that uses another as a tool, gives work back, or shares it out among
several does not play ping-pong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache, partial

import msgspec

from watchpost.detect.alike import shown
from watchpost.detect.undo import Undo
from watchpost.model.flag import Finding, Severity
from watchpost.model.step import Step, StepKind

KIND = "HANDOFF_PING_PONG"

_TO = re.compile(r"(?:transfer|hand_?off)_to_(\w+)|hand_?off to (.+)|goto (.+)|.*→ ?(.+?)(?:\.handoff)?", re.IGNORECASE)
_BACK = re.compile(r"(?:transfer|hand_?off)_back_to_\w+", re.IGNORECASE)
_NAMED = re.compile(
    r"""["'](?:agent_name|to_agent|target_agent|agent|coworker|destination)["']\s*:\s*["']([^"']{1,200})"""
)
_LOOKED_AT = 2000


class PingPongSettings(msgspec.Struct, frozen=True):
    """For how many rounds two agents hand over to each other before that is ping-pong: two are A, B, A, B. 0 switches it off."""

    rounds: int = 2
    severity: Severity = "error"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        if not (self.rounds == 0 or 2 <= self.rounds <= 20):
            raise ValueError("rounds must be from 2 to 20, or 0 to switch it off")


class _Handoff(msgspec.Struct, frozen=True, gc=False):
    span_id: bytes
    giver: str
    taker: str


class PingPongDetector:
    """Keeps the latest handoffs in a row. One game is one finding, at the handoff that completes it; no later step can refute it."""

    kinds: frozenset[StepKind] = frozenset({"handoff", "tool", "human", "llm"})

    def __init__(self, settings: PingPongSettings) -> None:
        self._length = 2 * settings.rounds
        self._settings = settings
        self._row: tuple[_Handoff, ...] = ()
        self._speaker = ""
        self._undo = Undo()

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Take the next step in order and say whether it completes a game."""
        if step.kind == "llm":
            if step.agent and step.agent != self._speaker:
                self._undo.note(place, partial(setattr, self, "_speaker", self._speaker))
                self._speaker = shown(step.agent)
            return ()
        if step.kind == "handoff":
            return self._handed_over(place, step)
        if self._row and (step.kind == "human" or (step.status == "ok" and step.result.strip())):
            self._keep(place, ())
        return ()

    def rewind(self, steps: int) -> None:
        """Forget every step whose place is `steps` or beyond."""
        self._undo.rewind(steps)

    def _handed_over(self, place: int, step: Step) -> Sequence[Finding]:
        giver, last = shown(step.agent) or self._speaker, self._row[-1].taker if self._row else ""
        taker = _taker(step, known=giver != "")
        if not taker or step.status == "error" or taker == last:
            return ()
        handoff = _Handoff(step.span_id, giver or last, taker)
        row = (*self._row, handoff)[-self._length - 1 :]
        self._keep(place, row)
        played, game = len(row) > self._length and _is_game(row), row[-self._length :]
        if len(game) < self._length or played or not _is_game(game):
            return ()
        return (self._finding(game),)

    def _keep(self, place: int, row: tuple[_Handoff, ...]) -> None:
        self._undo.note(place, partial(setattr, self, "_row", self._row))
        self._row = row

    def _finding(self, game: tuple[_Handoff, ...]) -> Finding:
        one, other = sorted((game[0].taker, game[1].taker))
        evidence: dict[str, object] = {
            "reason": "ping_pong",
            "value": self._settings.rounds,
            "threshold": self._settings.rounds,
            "window": "turn",
            "agents": [one, other],
            "calls": [{"span_id": each.span_id.hex(), "from": each.giver, "to": each.taker} for each in game],
        }
        summary = f"{one} and {other} handed over to each other {len(game)} times, and no tool did anything between"
        return Finding(KIND, f"{one} {other}", self._settings.severity, summary, evidence)


def _is_game(row: Sequence[_Handoff]) -> bool:
    """Whether two takers alternate, and neither the same agent made all of it nor an agent handed over to itself."""
    first, second = row[0], row[1]
    if first.taker == second.taker or (first.giver and first.giver == second.giver):
        return False
    return all(
        each.taker == (second if place % 2 else first).taker and each.giver != each.taker
        for place, each in enumerate(row)
    )


def _taker(step: Step, *, known: bool) -> str:
    """The agent that a handoff names, as its tool, its arguments or its span has it; empty where it names none or gives back.

    Where it is known who gives, the tool by itself is as good a name of whom to: nobody hands over to himself.
    """
    called = step.tool or step.name
    if len(called) > _LOOKED_AT or _BACK.fullmatch(called):
        return ""
    named = _to(called)
    if named and named != "agent":
        return named
    found = _NAMED.search(step.arguments[:_LOOKED_AT])
    if found is not None:
        return shown(found[1])
    if not step.tool:
        return _to(step.name[:_LOOKED_AT])
    return shown(called) if known else ""


@lru_cache(maxsize=1024)
def _to(called: str) -> str:
    found = _TO.fullmatch(called)
    return "" if found is None else shown(next(each for each in found.groups() if each))
