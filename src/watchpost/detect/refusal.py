"""The refusal detector: a model that says it will not, or says that it cannot, do what it was asked.

Either the call's error says so, or the words with which an answer begins do. The words are those with which models turn a request down
as such ("I can't help with that"), not those with which an agent says what did not work, asks for something, or explains a rule:
an answer that speaks of a policy of the business is no refusal of the model.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import re2

from watchpost.detect.alike import shown
from watchpost.detect.phrases import Phrases, beginning, check, chosen
from watchpost.model.flag import Finding, Severity
from watchpost.model.step import Step, StepKind

KIND = "REFUSAL"

_OPENING = 320
"""Characters of an answer that are looked at."""

_NOT = r"(?:cannot|can ?not|can['’]t|could not|couldn['’]t|am unable to|['’]m unable to|am not able to|['’]m not able to|will not|won['’]t|must decline to)"
_THAT = r"(?:that|this|these|those|it|your (?:specific |particular )?(?:request|question)|(?:this|that|such|the)(?: kind of| type of)? (?:request|task|action|content|question|query|instruction)s?|such requests?)"
_END = r"(?:[.,!;:—–-]|$|\n| as | because | since | due | for | but | at this time)"

WORDING: dict[str, tuple[str, ...]] = {
    "en": (
        rf"\bI {_NOT} (?:\w+ly )?(?:help|assist)(?: you)?(?: with| in)? {_THAT}{_END}",
        rf"\bI['’]m (?:unable|not able) to (?:help|assist)(?: you)?(?: with| in)? {_THAT}{_END}",
        rf"\bI(?:['’]m| am)? ?{_NOT} (?:\w+ly )?(?:fulfil|fulfill|comply with|carry out|complete|perform|process|respond to|answer|engage with|do) {_THAT}{_END}",
        rf"\bI {_NOT} (?:create|generate|produce|provide|write) (?:that|this|such|harmful|illegal|explicit|hateful) ?(?:kind of |type of )?(?:content|material|text|code|information)",
        r"\bI must (?:respectfully )?decline(?: (?:this|that|your|the) request)?\b",
        r"\bI (?:have to|need to|must) refuse\b",
        r"\bas an? (?:AI|artificial intelligence)(?: language)?(?: model| assistant)?,? I (?:cannot|can['’]t|am unable|am not able|don['’]t have)",
        r"\bmy capabilities (?:are limited|do not extend)\b",
        r"\b(?:is|are|goes|falls) (?:beyond|outside|outside of) my (?:capabilities|abilities)\b",
        r"\bagainst my (?:programming|guidelines)\b|\bviolates? (?:my|our|the) (?:content|safety|usage) (?:policy|policies|guidelines)\b",
    ),
    "de": (
        r"\b(?:dabei|damit|hierbei) kann ich (?:Ihnen |dir |leider )*nicht (?:helfen|behilflich sein|dienen|weiterhelfen)",
        r"\bich kann (?:Ihnen |dir |leider |dabei |damit |hierbei )*nicht (?:dabei |damit )?(?:helfen|behilflich sein|weiterhelfen)[.,!]",
        r"\bich kann (?:diese|dieser|Ihre|Ihrer|deine|deiner) (?:Anfrage|Bitte|Aufforderung) (?:leider )?nicht (?:erfüllen|nachkommen|bearbeiten|entsprechen|beantworten)",
    ),
    "fr": (
        r"\bje ne peux pas (?:vous |t['’])?(?:aider|assister) (?:avec (?:cela|ça|cette demande|ceci)|à ce sujet|sur ce point)",
        r"\bje ne peux pas (?:répondre|donner suite|accéder|satisfaire) à (?:cette|votre|ta) (?:demande|requête|question)",
        r"\bje (?:suis désolée?|regrette), (?:mais )?je ne (?:peux|suis) pas (?:en mesure de )?(?:vous |t['’])?aider[.,!]",
    ),
    "es": (
        r"\bno puedo (?:ayudarte|ayudarle|ayudar|asistirte|asistirle) con (?:eso|esto|esa|esta|ese|este|tu|su)\b",
        r"\bno puedo (?:cumplir con|atender|responder a|procesar|completar) (?:esa|esta|su|tu) (?:solicitud|petición|pregunta)",
    ),
    "it": (
        r"\bnon posso (?:aiutarti|aiutarla|aiutarvi|assisterti|assisterla) (?:con|in) (?:questo|questa|quello|quella|tale)",
        r"\bnon posso (?:soddisfare|rispondere a|esaudire|elaborare) (?:questa|la tua|la sua|tale) (?:richiesta|domanda)",
    ),
    "pt": (
        r"\bnão posso (?:ajudar|ajudá-lo|ajudá-la|te ajudar|auxiliar) com (?:isso|isto|essa|esta|esse|este)",
        r"\bnão posso (?:atender|responder|cumprir|processar) (?:a |à )?(?:essa|esta|sua|tua) (?:solicitação|pergunta|pedido)",
    ),
    "nl": (r"\b(?:daarmee|hiermee|daarbij) kan ik (?:u |je |jou |helaas )*niet (?:helpen|assisteren|van dienst zijn)",),
    "zh": (
        r"(?:抱歉|对不起|很遗憾)[^。]{0,20}(?:无法|不能|没办法)(?:协助|帮助|帮|满足|回答|提供)[^。]{0,12}(?:请求|要求|问题|这个|此类|您|你)",
    ),
    "ja": (
        r"(?:申し訳|すみません|恐れ入り)[^。]{0,30}(?:お手伝い|お応え|対応|お答え|ご要望に沿う)[^。]{0,12}(?:できません|できかねます|いたしかねます)",
    ),
}
"""How models turn a request down, by language."""

_RULE = re2.compile(
    r"(?i)\b(?:(?:our|airline|company|store|return|refund|exchange|cancellation|fare|booking) polic(?:y|ies)|the policy|eligible|eligibility|not allowed under|per (?:our|the) rules)\b"
)
_NO_RULE = re2.compile(r"(?i)\b(?:content|safety|usage|privacy) (?:and \w+ )?polic(?:y|ies)\b")


class RefusalSettings(msgspec.Struct, frozen=True):
    """The `languages` whose wording is looked for, all by default; none leaves what is reported. `wording` are RE2 patterns beside them."""

    languages: tuple[str, ...] = tuple(WORDING)
    wording: tuple[str, ...] = ()
    enabled: bool = True
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing: raises ValueError naming the field."""
        check(WORDING, self.languages, self.wording)


class Wording:
    """The patterns of some settings, made once for all sessions."""

    def __init__(self, settings: RefusalSettings) -> None:
        self.settings = settings
        self._phrases = Phrases(chosen(WORDING, settings.languages, settings.wording))

    def refuses(self, answer: str) -> str:
        """The words by which an answer refuses, empty where it does not."""
        opening = beginning(answer, _OPENING)
        words = self._phrases.found(opening)
        if words and _RULE.search(opening) is not None and _NO_RULE.search(opening) is None:
            return ""
        return words


class RefusalDetector:
    """Looks at each model call by itself; remembers nothing. No later step can refute what it finds."""

    kinds: frozenset[StepKind] = frozenset({"llm"})

    def __init__(self, wording: Wording) -> None:
        self._wording = wording

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Take the next step and say whether it refuses."""
        del place
        if step.status == "error":
            reported = step.error_type == "llm_refused_request"
            return (self._finding(step, "reported", step.error or step.error_type),) if reported else ()
        if not step.result or step.asked or step.status == "running":
            return ()
        words = self._wording.refuses(step.result)
        return (self._finding(step, "wording", words),) if words else ()

    def rewind(self, steps: int) -> None:
        """Nothing is remembered."""

    def _finding(self, step: Step, reason: str, words: str) -> Finding:
        evidence: dict[str, object] = {
            "reason": reason,
            "model": shown(step.model),
            "value": 1,
            "threshold": 1,
            "window": "step",
            "words": shown(words),
            "begins": shown(step.result),
            "calls": [{"span_id": step.span_id.hex()}],
        }
        who = shown(step.model or step.agent) or "the model"
        return Finding(KIND, who, self._wording.settings.severity, f"{who} refused: {shown(words)}", evidence)
