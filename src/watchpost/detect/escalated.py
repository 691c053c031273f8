"""The escalation: a session is handed to a person, or a person asks for one.

A tool or a handoff counts whose name says that it hands over to people ("transfer_to_human_agents", "escalate_to_support"), not one that asks
a person something and goes on. Each way of escalating is one finding in a session, at the step where it first happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache, partial

import msgspec
import re2

from watchpost.detect.alike import shown
from watchpost.detect.phrases import Phrases, check, chosen
from watchpost.detect.turns import Turns
from watchpost.detect.undo import Undo
from watchpost.model.flag import Finding, Severity
from watchpost.model.step import Step, StepKind

KIND = "ESCALATED"

_PEOPLE = r"(?:humans?|person|people|operator|representatives?|live_?agents?|supervisor|manager|staff|support_?(?:team|staff|agents?|desk)|customer_?(?:service|support|care)|helpdesk|on_?call)"
_HANDS_OVER = re2.compile(
    rf"(?i)(?:transfer|hand_?off|hand_?over|escalat|forward|connect|route|reassign|redirect|refer|talk|speak)\w*?_?(?:to|with)?_?(?:a_|an_|the_|our_)?{_PEOPLE}\w*"
    rf"|{_PEOPLE}_?(?:agent_?)?(?:hand_?off|hand_?over|transfer|escalation|takeover)|escalate(?:_\w+)?|(?:request|call|page|notify)_(?:a_)?(?:human|live_?agent|supervisor|on_?call)"
)
_SEPARATORS = str.maketrans({"-": "_", " ": "_", ".": "_", ":": "_", "/": "_"})

_WHO = r"(?:(?:a|an|the|your|another|some|any|real|live|actual|human|customer|service|support|more senior)[ -])*(?:human(?: being)?|person|people|agent|representative|rep|supervisor|manager|operator|colleague|someone|somebody|anyone)"

WORDING: dict[str, tuple[str, ...]] = {
    "en": (
        rf"\b(?:speak|talk|chat|escalate(?: this| it| the \w+| my \w+)?) (?:to|with) {_WHO}\b",
        rf"\b(?:connect|transfer|forward|put|redirect|pass|escalate|refer) (?:me|us|this|it|my \w+|the \w+) (?:through |over |on )?(?:to|with) {_WHO}\b",
        rf"\b(?:connecting|transferring|putting) me (?:through )?(?:to|with) {_WHO}\b|\b(?:need|want|get me|give me|prefer|like|talking to|speaking (?:to|with)) (?:a|an|to a) (?:real|live|actual|human)(?: (?:human|person|agent|representative|being|operator))?\b",
        r"\b(?:anyone|anybody|someone|somebody) else (?:I can|I could|to|who) \b|\bperhaps (?:speak|talk) (?:to|with) a supervisor\b|\bescalate (?:this|it|my (?:case|issue|request|complaint))\b",
    ),
    "de": (
        r"\b(?:mit (?:einem|einer|jemandem|dem|der|ihrem) (?:\w+ )?(?:menschen|mitarbeiter|mitarbeiterin|person|vorgesetzten|berater|kollegen|verantwortlichen)|mit jemandem) (?:sprechen|reden|verbinden|telefonieren|verbunden)",
        r"\bverbinden sie mich\b|\b(?:einen|echten) (?:echten )?(?:menschen|mitarbeiter) (?:sprechen|haben|bitte)\b",
    ),
    "fr": (
        r"\bparler (?:à|avec) (?:un|une|quelqu['’]un|votre) ?(?:humain|personne|conseiller|conseillère|agent|responsable|vraie personne)?",
        r"\b(?:transférez|passez|mettez)-moi (?:à |en relation avec |avec )?(?:un|une|quelqu)",
    ),
    "es": (
        r"\bhablar con (?:un|una|alguien|su|tu) ?(?:persona|humano|agente|supervisor|representante|encargado)?",
        r"\b(?:páseme|pásame|transfiérame|comuníqueme|conécteme) con\b",
    ),
    "it": (
        r"\bparlare con (?:un|una|qualcuno|il) ?(?:operatore|persona|umano|responsabile|supervisore)?",
        r"\b(?:mi passi|passatemi|trasferiscimi)\b",
    ),
    "pt": (
        r"\bfalar com (?:um|uma|alguém|seu) ?(?:atendente|pessoa|humano|supervisor|gerente|representante)?",
        r"\b(?:me transfira|me passe|transfira-me) (?:para|a)\b",
    ),
    "nl": (
        r"\b(?:spreken|praten) met (?:een|iemand) ?(?:mens|medewerker|persoon|leidinggevende)?|\bmet (?:een|iemand) ?(?:mens|medewerker|persoon|leidinggevende)? (?:spreken|praten)",
    ),
    "zh": (r"(?:转(?:接)?人工|人工客服|找(?:你们)?(?:经理|主管)|(?:和|跟)(?:真人|人工|客服人员)(?:说|谈|聊|沟通))",),
    "ja": (
        r"(?:(?:人間|担当者|オペレーター|責任者|上司|スタッフ)(?:に|と)(?:代わ|繋|つな|話|変わ)|オペレーターをお願い)",
    ),
}
"""How people ask for a person, by language."""


class EscalatedSettings(msgspec.Struct, frozen=True):
    """The `tools`, by name or shell pattern, that hand over beside those whose name says so; `languages` and `wording` as of corrections."""

    tools: tuple[str, ...] = ()
    languages: tuple[str, ...] = tuple(WORDING)
    wording: tuple[str, ...] = ()
    enabled: bool = True
    severity: Severity = "info"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        check(WORDING, self.languages, self.wording)


def phrases(settings: EscalatedSettings) -> Phrases:
    """What is looked for by some settings."""
    return Phrases(chosen(WORDING, settings.languages, settings.wording))


class EscalatedDetector:
    """Looks at what is called and said. No later step can refute what it finds."""

    kinds: frozenset[StepKind] = frozenset({"human", "llm", "tool", "handoff"})

    def __init__(self, settings: EscalatedSettings, wording: Phrases) -> None:
        self._settings = settings
        self._wording = wording
        self._turns = Turns()
        self._found: frozenset[str] = frozenset()
        self._undo = Undo()

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Take the next step and say whether it escalates."""
        is_call = step.kind in {"tool", "handoff"}
        turn = None if is_call else self._turns.see(place, step)
        reason = "handed_over" if is_call else "asked_for"
        if reason in self._found or (turn is None and not is_call):
            return ()
        called = step.tool or step.name
        if turn is not None:
            words = self._wording.found(turn.words)
            said = f"the user asked for a person: {shown(words)}"
        else:
            words = called if step.status != "error" and step.ran and self._hands_over(called) else ""
            said = f"the session was handed to a person by {shown(called)}"
        if not words:
            return ()
        self._undo.note(place, partial(setattr, self, "_found", self._found))
        self._found |= {reason}
        evidence: dict[str, object] = {
            "reason": reason,
            "tool": shown(called) if is_call else "",
            "value": 1,
            "threshold": 1,
            "window": "session",
            "words": shown(words),
        }
        return (Finding(KIND, reason, self._settings.severity, said, evidence),)

    def rewind(self, steps: int) -> None:
        """Forget every step whose place is `steps` or beyond."""
        self._turns.rewind(steps)
        self._undo.rewind(steps)

    def _hands_over(self, called: str) -> bool:
        return _says_so(called) or any(fnmatchcase(called, each) for each in self._settings.tools)


@lru_cache(maxsize=4096)
def _says_so(called: str) -> bool:
    """Whether a name says that it hands over to people."""
    return len(called) <= 128 and _HANDS_OVER.fullmatch(called.translate(_SEPARATORS)) is not None
