"""The user's correction: a person tells the agent that it was wrong, or that it misunderstood.

Only words that say so count ("that's not what I asked", "no, I meant"), not those by which a person changes their own mind or adds to what
they said: "actually, let's make it two" corrects nobody. It needs an answer of the agent before it. Words that stand only in prompts count
as `turns` says.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from watchpost.detect.alike import shown
from watchpost.detect.phrases import Phrases, check, chosen
from watchpost.detect.turns import Turns
from watchpost.model.flag import Finding, Severity
from watchpost.model.step import Step, StepKind

KIND = "USER_CORRECTED"

_IT = r"(?:that|this|it|(?:the|your) (?:answer|response|result|information|address|name|number|date|amount|total|price|order))"

WORDING: dict[str, tuple[str, ...]] = {
    "en": (
        rf"\b{_IT}(?:['’]s| is| was|['’]re| are)n?['’]?t? (?:just |simply |also |still )?(?:not (?:correct|right|true|accurate|it\b|the one\b)|wrong|incorrect|inaccurate|mistaken)\b",
        rf"\b{_IT} (?:isn|wasn|aren)['’]t (?:correct|right|true|accurate|the one\b)",
        r"\b(?:not|isn['’]t|wasn['’]t) (?:at all )?what I (?:asked|meant|mean|wanted|said|requested|ordered|was asking|am asking)\b",
        r"\byou(?:['’]ve| have)? (?:got|have|had|did|done) (?:that|it|this|me|the \w+|my \w+) (?:all )?wrong\b",
        r"\byou (?:have |['’]ve )?(?:misunderstood|misread|misheard)\b|\byou(?:['’]re| are) (?:wrong|mistaken)\b|\byou made (?:a|an) (?:mistake|error)\b",
        r"\bI meant\b(?: to say)?|\bwhat I mean(?:t)? (?:is|was)\b|(?:^|[.!?,;] *)no[,.!—-]+ ?I mean\b",
        r"\bthere (?:might|may|must|could|seems to|appears to|has to) (?:be|have been) (?:a|an|some) (?:mix[- ]?up|misunderstanding|confusion|mistake|error)\b",
        r"\bthere(?:['’]s| is| was| has been) (?:a|an|some) (?:mix[- ]?up|misunderstanding)\b|\bwe(?:['’]re| are| might be| seem to be)? (?:encountering some confusion|going in circles|here going in circles)\b",
        r"\b(?:has|have|with|is|contains) (?:a|an) (?:small |slight |little )?(?:mistake|error|typo)\b",
        r"\bI (?:didn['’]t|did not|never) (?:ask(?:ed)?|sa(?:y|id)|want(?:ed)?|order(?:ed)?|request(?:ed)?|agreed?|authori[sz]ed?|mean(?:t)?)\b",
        r"\bI (?:have |['’]ve )?already (?:told|said|gave|given|asked|answered|explained|provided|mentioned)\b",
        r"\b(?:actually|no)[,.]? I (?:was (?:looking|asking|trying)|wanted|asked|said) [^.?!]{0,80}\b(?:not|instead|which)\b",
        r"(?:^|\boh |[.!?] *)no[,.!]* (?:not (?:that|this)(?: one)?\b|that['’]s (?:not|wrong)|the other one\b|I (?:said|asked|wanted)\b)",
    ),
    "de": (
        r"\b(?:das|dies|die (?:antwort|adresse|angabe)) (?:ist|war|stimmt)(?: so| leider| aber| doch)* (?:falsch|nicht richtig|nicht korrekt|nicht|nicht das, was ich)\b",
        r"\b(?:ich meinte|ich habe (?:das |doch |aber )*nicht (?:gesagt|gefragt|gemeint|bestellt|gewollt))\b|\bnein,? ich (?:meine|wollte|sagte)\b",
        r"\b(?:du hast|sie haben) (?:mich |das |da )*(?:falsch verstanden|missverstanden)\b|\bnicht (?:das )?,? ?was ich (?:wollte|gefragt habe|gemeint habe|meinte)\b",
        r"\b(?:das )?habe ich (?:doch |ihnen |dir )*(?:schon|bereits) (?:gesagt|geschrieben|angegeben)\b",
    ),
    "fr": (
        r"\b(?:c['’]est|c['’]était) (?:faux|incorrect|inexact)\b|\bce n['’]est pas (?:correct|exact|juste|bon|ce que j)",
        r"\bje voulais dire\b|\bje n['’]ai (?:pas|jamais) (?:demandé|dit|voulu|commandé)\b|\bnon,? je (?:parle|parlais|voulais)\b",
        r"\b(?:vous m['’]avez|tu m['’]as) mal compris\b|\bje (?:vous |te )?l['’]ai déjà dit\b",
    ),
    "es": (
        r"\b(?:eso|esto) (?:no es (?:correcto|cierto|lo que)|está mal|es incorrecto)\b|\bno es lo que (?:pedí|quería|dije|pregunté)\b",
        r"\b(?:quise decir|me refería a|quería decir)\b|\byo no (?:pedí|dije|quería)\b|\bme (?:ha |has )?(?:entendido|entendiste) mal\b|\bya (?:te|le|se) lo (?:dije|he dicho)\b",
    ),
    "it": (
        r"\b(?:questo |quello )?(?:non è (?:corretto|giusto|quello che)|è sbagliato|è errato)\b",
        r"\b(?:intendevo|volevo dire)\b|\bnon ho (?:chiesto|detto|ordinato)\b|\bmi ha[i]? (?:capito male|frainteso)\b|\b(?:gliel|te l)['’]ho già detto\b",
    ),
    "pt": (
        r"\b(?:isso|isto) (?:não (?:está|é) (?:certo|correto|o que)|está errado)\b|\bnão (?:é|foi) (?:isso )?o que eu (?:pedi|quis|disse|perguntei)\b",
        r"\beu quis dizer\b|\beu não (?:pedi|disse|queria)\b|\bvocê (?:me )?entendeu (?:mal|errado)\b|\b(?:eu )?já (?:te |lhe )?disse\b",
    ),
    "nl": (
        r"\b(?:dat|dit) (?:is|klopt|was) (?:niet(?: (?:goed|juist|wat ik))?|fout|onjuist)\b",
        r"\bik bedoelde\b|\bik heb (?:dat )?niet (?:gevraagd|gezegd)\b|\b(?:je|u) (?:hebt|heeft) (?:me|mij) verkeerd begrepen\b",
    ),
    "zh": (
        r"(?:不对|错了|不是这个|不是我(?:要|想|说|问)的|我(?:的)?意思是|你(?:理解|弄|搞)错|我没(?:有)?(?:说|要|问)|我已经说过)",
    ),
    "ja": (
        r"(?:違います|間違って|間違いです|そうではなく|そうじゃなく|という意味です|と言ったのは|頼んでいません|言っていません|さっき言いました)",
    ),
}
"""How people say that an agent was wrong, by language."""


class CorrectedSettings(msgspec.Struct, frozen=True):
    """The `languages` whose wording is looked for, all by default. `wording` are RE2 patterns beside them."""

    languages: tuple[str, ...] = tuple(WORDING)
    wording: tuple[str, ...] = ()
    enabled: bool = True
    severity: Severity = "info"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        check(WORDING, self.languages, self.wording)


def phrases(settings: CorrectedSettings) -> Phrases:
    """What is looked for by some settings."""
    return Phrases(chosen(WORDING, settings.languages, settings.wording))


class CorrectedDetector:
    """Looks at what people say once the agent has answered. No later step can refute what it finds."""

    kinds: frozenset[StepKind] = frozenset({"human", "llm"})

    def __init__(self, settings: CorrectedSettings, wording: Phrases) -> None:
        self._settings = settings
        self._wording = wording
        self._turns = Turns()

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Take the next step and say whether a person corrects the agent in it."""
        answered = self._turns.answered
        turn = self._turns.see(place, step)
        words = self._wording.found(turn.words) if turn is not None and answered else ""
        if turn is None or not words:
            return ()
        evidence: dict[str, object] = {
            "reason": "wording",
            "value": 1,
            "threshold": 1,
            "window": "step",
            "words": shown(words),
            "begins": shown(turn.words),
            "calls": [{"span_id": (turn.answered or answered).hex()}],
        }
        return (
            Finding(KIND, "user", self._settings.severity, f"the user corrected the agent: {shown(words)}", evidence),
        )

    def rewind(self, steps: int) -> None:
        """Forget every step whose place is `steps` or beyond."""
        self._turns.rewind(steps)
