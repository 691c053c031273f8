"""The injection detector: text that nobody vouches for gives orders to the model, and the agent does as it is told there.

Three reasons: a text holds instructions to the model (`instructions_seen`); a later call uses an identifier or words that only those
instructions name (`identifier_followed`); a later call of a high-risk tool does what they ask for and the person did not
(`high_risk_after_exposure`). Results of tools, what was retrieved and what handoffs return are untrusted; what a person says and the
system prompt are trusted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import msgspec

from watchpost.detect.injection_acts import Wish, fulfilled, matcher
from watchpost.detect.injection_call import Call
from watchpost.detect.injection_passage import Passage, Target, holds, read, searchable, words
from watchpost.detect.undo import Undo
from watchpost.model.flag import Finding, Severity
from watchpost.model.step import Step, StepKind
from watchpost_core.mentions import digest, unpacked

KIND = "PROMPT_INJECTION"

PASSAGES = 16
"""Passages held of a session, the first ones; what comes later is not searched."""

TEXT_BUDGET = 48_000
"""Characters of a session's trusted texts, and of its other ones, in which the origin of an identifier is looked for: the first ones."""

ASKED_BUDGET = 12_000
"""Characters of what people say in a session in which an act that they ask for is looked for: the first ones."""

_LEAST_TEXT = 12
_HEARD = frozenset({"human", "state"})
_QUOTED = 400
_SHOWN = 160
_ENTITIES = 8

HIGH_RISK: tuple[str, ...] = (
    "*send*", "*pay*", "*transfer*", "*wire*", "*refund*", "*withdraw*", "*delete*", "*remove*", "*drop*", "*destroy*", "*wipe*",
    "*invite*", "*share*", "*grant*", "*permission*", "*execute*", "*exec", "*exec_*", "run_*", "*shell*", "*bash*", "*eval*",
    "*password*", "*credential*", "*ssh_key*", "*api_key*", "*secret*", "*buy*", "*purchase*", "*checkout*", "*place_order*", "*cart_add*",
    "*publish*", "*post_*", "*upload*", "*push*", "*merge*", "*deploy*", "*install*", "*cancel*", "*revoke*", "*disable*", "*create_*",
    "*add_*", "*update_*", "*set_*", "*write_*",
)  # fmt: skip
"""Tools whose work gives something away or cannot be taken back, by the verb in their names."""


class InjectionSettings(msgspec.Struct, frozen=True):
    """What is untrusted, what counts as instructions, and which tools must not be used on their behalf.

    `least` is the weight of signs from which a text holds instructions. `trusted` and `high_risk` are tool names or shell patterns, in
    any case: results of trusted tools are not searched, and what they name is accounted for. `seen_severity` is also that of a call
    that follows instructions and fails.
    """

    enabled: bool = True
    least: int = 3
    trusted: tuple[str, ...] = ()
    high_risk: tuple[str, ...] = HIGH_RISK
    seen_severity: Severity = "warning"
    severity: Severity = "high"
    high_risk_severity: Severity = "critical"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        if self.least < 1:
            raise ValueError(f"least must be at least 1, not {self.least}")


class _Texts:
    """The first texts of a session, up to a budget of characters."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._used = 0
        self._held: list[str] = []
        self._places: list[int] = []
        """That of the step of each text."""

    def add(self, place: int, text: str) -> None:
        """Keep what there is room for."""
        if text and (room := self._budget - self._used) > 0:
            kept = text if len(text) <= room else text[:room]
            self._held.append(kept)
            self._places.append(place)
            self._used += len(kept)

    def rewind(self, steps: int) -> None:
        """Forget the texts of steps whose place is `steps` or beyond."""
        while self._places and self._places[-1] >= steps:
            self._places.pop()
            self._used -= len(self._held.pop())

    def joined(self) -> str:
        """All that is kept, searchable."""
        return searchable("\n".join(self._held))

    def words(self) -> Iterable[str]:
        """The words of all that is kept."""
        return (word for text in self._held for word in words(text))

    def __bool__(self) -> bool:
        return bool(self._held)


class _Exposure(msgspec.Struct, frozen=True, eq=False, gc=False):
    """Instructions, the step they came in by, and what nothing else in the session named before: their identifiers and words."""

    passage: Passage
    span_id: bytes
    source: str
    targets: tuple[Target, ...]
    own: frozenset[str]
    wish: Wish


class _Steer(msgspec.Struct, frozen=True, gc=False):
    """That a call follows instructions: the reason, how bad it is where the call came to something, why, and what of them it holds."""

    reason: str
    severity: Severity
    why: str
    named: tuple[str, ...]


class InjectionDetector:
    """Finds instructions to the model in one session's untrusted texts, and the calls that follow them.

    The same instructions give one finding however often they come in, and one for each tool that follows them, one more where it
    failed at first. No later step can refute one; what a person names later is theirs from then on. A step costs the same however long
    the session is, and what is held of it is bounded.
    """

    kinds: frozenset[StepKind] = frozenset({"tool", "retrieval", "handoff", "human", "state", "llm"})

    def __init__(self, settings: InjectionSettings) -> None:
        self._settings = settings
        self._trusts = matcher(settings.trusted) if settings.trusted else None
        self._risky = matcher(settings.high_risk)
        self._trusted = _Texts(TEXT_BUDGET)
        self._asked = _Texts(ASKED_BUDGET)
        self._other = _Texts(TEXT_BUDGET)
        self._mentioned: list[bytes] = []
        """What the inputs of model calls named, which hold what came before them."""
        self._mentioned_at: list[int] = []
        """The places of these calls."""
        self._exposures: list[_Exposure] = []
        self._known: set[bytes] = set()
        self._vouched: set[str] = set()
        self._told: set[tuple[bytes, str, bool]] = set()
        self._undo = Undo()

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Take the next step in order and say what it reveals."""
        kind, result = step.kind, step.result
        if kind == "llm":
            if step.mentioned:
                self._mentioned.append(step.mentioned)
                self._mentioned_at.append(place)
            return ()
        if kind in _HEARD:
            self._hear(place, step)
            return ()
        found = self._judge(place, step) if self._exposures and kind != "retrieval" else ()
        self._other.add(place, step.arguments)
        if len(result) < _LEAST_TEXT or len(self._exposures) == PASSAGES:
            self._other.add(place, result)
            return found
        if self._trusts is not None and self._trusts.match(step.tool or step.name):
            self._trusted.add(place, result)
            return found
        rest, passages = read(result, self._settings.least)
        self._other.add(place, rest)
        return [*found, *self._expose(place, step, passages)] if passages else found

    def rewind(self, steps: int) -> None:
        """Forget every step whose place is `steps` or beyond."""
        for texts in (self._trusted, self._asked, self._other):
            texts.rewind(steps)
        while self._mentioned_at and self._mentioned_at[-1] >= steps:
            self._mentioned_at.pop()
            self._mentioned.pop()
        self._undo.rewind(steps)

    def _hear(self, place: int, step: Step) -> None:
        """Take what a trusted text says; what it names of earlier instructions is accounted for from now on."""
        self._trusted.add(place, step.result)
        if step.kind == "human":
            self._asked.add(place, step.result)
        if not self._exposures:
            return
        text = searchable(step.result)
        for sought in {target.sought for each in self._exposures for target in each.targets if holds(text, target)}:
            if sought not in self._vouched:
                self._vouched.add(sought)
                self._undo.note(place, partial(self._vouched.discard, sought))

    def _expose(self, place: int, step: Step, passages: list[Passage]) -> Sequence[Finding]:
        """Hold the instructions that are new, and say so."""
        found: list[Finding] = []
        trusted, other = self._trusted.joined(), self._other.joined()
        mentioned = {*self._mentions(0), *self._mentions(-1)}
        for passage in passages:
            if passage.digest in self._known or len(self._exposures) == PASSAGES:
                continue
            targets = tuple(
                target
                for target in passage.targets
                if not _accounted(target, trusted, other) and digest(target.shown) not in mentioned
            )
            own = frozenset(word for word in passage.words if word not in trusted and word not in other)
            source = _printable(step.tool or step.name, _SHOWN) or step.kind
            exposure = _Exposure(passage, step.span_id, source, targets, own, Wish.of(passage.words))
            self._exposures.append(exposure)
            self._known.add(passage.digest)
            self._undo.note(place, self._unexpose)
            found.append(self._seen(exposure))
        return found

    def _unexpose(self) -> None:
        self._known.discard(self._exposures.pop().passage.digest)

    def _mentions(self, which: int) -> Sequence[int]:
        """What the first or the latest input of a model named."""
        return unpacked(self._mentioned[which]) if self._mentioned else ()

    def _judge(self, place: int, step: Step) -> Sequence[Finding]:
        """Which of the instructions seen so far the call follows; none where it passes them on as they are."""
        if read(step.arguments, self._settings.least)[1]:
            return ()
        call = Call.of(step)
        risky = self._risky.match(call.tool) is not None
        found: list[Finding] = []
        for exposure in self._exposures:
            key = (exposure.passage.digest, call.tool[:_SHOWN], call.failed)
            steer = self._followed(call, exposure, risky) or (self._fulfilled(call, exposure) if risky else None)
            if steer is not None and key not in self._told:
                self._told.add(key)
                self._undo.note(place, partial(self._told.discard, key))
                found.append(self._steered(step, call, exposure, steer))
        return found

    def _followed(self, call: Call, exposure: _Exposure, risky: bool) -> _Steer | None:
        """The call, if it uses what only the instructions name."""
        named = [target.shown for target in call.named(exposure.targets) if target.sought not in self._vouched]
        if not named:
            phrases = call.quoted(exposure.passage, exposure.own)
            trusted = self._trusted.joined() if phrases else ""
            named = [phrase.shown for phrase in phrases if phrase.sought not in trusted]
        if not named:
            return None
        severity = self._settings.high_risk_severity if risky else self._settings.severity
        why = f"called with {_printable(named[0], _SHOWN)}, which only instructions in the result of {exposure.source} name"
        return _Steer("identifier_followed", severity, why, tuple(named))

    def _fulfilled(self, call: Call, exposure: _Exposure) -> _Steer | None:
        """The call, if it does what instructions ask for and the person did not.

        Instructions that name something of their own are followed by what uses it, unless what the call was given cannot be told.
        """
        if exposure.targets and not call.secret:
            return None
        acts, things = fulfilled(call.tool, exposure.wish)
        if not things:
            return None
        asked = Wish.of(self._asked.words())
        if acts & asked.acts and any(map(asked.names, things)):
            return None
        why = f"called, as instructions in the result of {exposure.source} ask for and no person did"
        return _Steer("high_risk_after_exposure", self._settings.high_risk_severity, why, things)

    def _steered(self, step: Step, call: Call, exposure: _Exposure, steer: _Steer) -> Finding:
        """The finding at a call that follows instructions."""
        tool, named = (
            _printable(call.tool, _SHOWN) or "a tool without a name",
            [_printable(each, _SHOWN) for each in steer.named],
        )
        evidence = self._evidence(steer.reason, tool, named[0], exposure) | {
            "calls": [{"span_id": step.span_id.hex(), "arguments": _printable(step.arguments, _QUOTED)}],
            "entities": named[:_ENTITIES],
            "failed": call.failed,
            "asked": "reported" if self._asked else "not reported",
        }
        severity = self._settings.seen_severity if call.failed else steer.severity
        summary = f"{tool} {steer.why}{'; the call failed' if call.failed else ''}"
        return Finding(KIND, f"{tool} {exposure.passage.digest.hex()}", severity, summary, evidence)

    def _seen(self, exposure: _Exposure) -> Finding:
        """The finding at the step by which instructions came in."""
        evidence = self._evidence("instructions_seen", exposure.source, exposure.passage.weight, exposure) | {
            "entities": [_printable(target.shown, _SHOWN) for target in exposure.targets[:_ENTITIES]],
        }
        summary = f"the result of {exposure.source} holds instructions to the model: {_printable(exposure.passage.text, _SHOWN)}"
        subject = f"{exposure.source} {exposure.passage.digest.hex()}"
        return Finding(KIND, subject, self._settings.seen_severity, summary, evidence)

    def _evidence(self, reason: str, tool: str, value: object, exposure: _Exposure) -> dict[str, object]:
        return {
            "reason": reason,
            "tool": tool,
            "value": value,
            "threshold": self._settings.least,
            "window": "session",
            "calls": [],
            "instructions": _printable(exposure.passage.text, _QUOTED),
            "signs": list(exposure.passage.signs),
            "source": {"span_id": exposure.span_id.hex(), "tool": exposure.source},
        }


def _accounted(target: Target, trusted: str, other: str) -> bool:
    """Whether a target, or for a path or address what it lies in, was named by somebody else before."""
    if holds(trusted, target) or holds(other, target):
        return True
    above = target.sought.rpartition("/")[0]
    return len(above) > 1 and holds(trusted, Target(above, above))


def _printable(text: str, most: int) -> str:
    """The beginning of a text on one line, a middle dot for each character that cannot be shown."""
    line = " ".join(text[: 4 * most].split())
    cut = line if len(line) <= most else f"{line[: most - 1]}…"
    return cut if cut.isprintable() else "".join(each if each.isprintable() else "·" for each in cut)
