"""The signs by which a text that nobody vouches for gives orders to a model, and where in the text they stand.

No sign alone names a vendor, a person or a benchmark; each is a turn of phrase that somebody who writes to a model needs: to set
aside what it was told, to get before its task, to be taken for whoever it obeys, to look like the conversation itself, or to be
unseen by people. Forms are known in English, German, French, Spanish and Chinese.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import sys
import unicodedata
from functools import cache

import msgspec
import re2

LONGEST = 8192
"""Characters of a text that are searched."""

ALONE = 1
"""Weight of signs that only add to others."""

_MATCHES = 24

_SPACE = r"(?:\\+[nrt]|[\s>*_~#-])+"
"""What may stand between two words, line feeds that were escaped once more and marks of Markdown among it."""

_THING = (
    r"(?:instructions?|prompts?|directions?|directives?|rules?|guidelines?|commands?|guidance|constraints?|policies|programming|training"
    r"|tasks?|objectives?|goals?)"
)
_MODEL = (
    r"(?:(?:ai|artificial intelligence|llm|language|chat|autonomous|automated|software)[ -]?(?:language )?(?:models?|assistants?|agents?|systems?|bots?)"
    r"|llms?|chatbots?|chatgpt|ai)"
)
_TASK = r"(?:tasks?|requests?|questions?|assignments?|quer(?:y|ies)|job|work|objective|original|user)"
_DO = r"(?:solv|complet|finish|accomplish|handl|answer|perform|fulfil|carry|continu|proceed|resum|start|begin|work|address|get|do|go)(?:e|l|y|s|ing|ling|ting)?"


_SET_ASIDE = r"\b(?:ignore|ignoring|disregard|disregarding|forget|do not follow|don'?t follow|stop following|set aside)"
_OVERRULE = r"\b(?:override|overrides|bypass|neglect|discard|supersedes?)"
_FORMER = r"(?:previous|previously|prior|above|earlier|preceding|original|initial|old|your|foregoing|safety|user'?s?)"
_PRESENT = r"(?:existing|current|other|system|all|any)"
_ORDERS = r"(?:instructions?|prompts?|directions|directives?|guidelines?|commands?|guidance|programming|training)"
_SOME = r"(?:\w{1,15} ){0,4}"
_FEW = r"(?:[\w']{1,15} ){0,3}"


class Sign(msgspec.Struct, frozen=True):
    """A kind of sign, how much it says that a text instructs a model, from 1 to 3, and the phrases that are it, in RE2's syntax.

    A space in a phrase stands for whatever separates two words. `exact` phrases heed the case of letters.
    """

    name: str
    weight: int
    phrases: tuple[str, ...]
    exact: bool = False


SIGNS: tuple[Sign, ...] = (
    Sign(
        "override",
        3,
        (
            rf"{_SET_ASIDE} {_SOME}{_FORMER} {_FEW}{_THING}\b",
            rf"{_SET_ASIDE} {_SOME}{_PRESENT} {_FEW}{_ORDERS}\b",
            rf"{_OVERRULE} {_SOME}{_FORMER} {_FEW}{_ORDERS}\b",
            r"\b(?:ignore|disregard|forget|override) (?:about )?(?:what|all of what|all that|all|everything|anything) (?:\w{1,12} ){0,2}(?:you|above|before|previously|so far)\b",
            r"\b(?:ignore|disregard|forget) (?:the )?(?:user|user's|users|human's|original|initial) (?:original |initial )?(?:request|task|question|query|message|prompt|instructions?)\b",
            r"\byour (?:new|real|true|actual|only|updated|next) (?:\w{1,12} )?(?:task|goal|objective|mission|instructions?|purpose|directives?|role) (?:is|are|now)\b",
            r"\b(?:ignorier|vergiss|vergess|missacht|überschreib)\w{0,4} (?:\w{1,15} ){0,4}(?:bisherigen?|vorherigen?|vorigen?|obigen?|früheren?|vorangegangenen?|alle|ursprünglichen?) (?:\w{1,15} ){0,2}(?:anweisungen|anweisung|instruktionen|befehle|regeln|vorgaben|aufgaben?)\b",
            r"\b(?:ignore[zr]?|oublie[zr]?|ne tene[zr] pas compte|fais abstraction|faites abstraction) (?:\w{1,12} ){0,4}(?:instructions?|consignes?|directives?|règles|ordres)\b",
            r"\b(?:ignora|ignore|ignorar|olvida|olvide|olvidar|descarta|descarte) (?:\w{1,12} ){0,4}(?:instrucciones|instrucción|indicaciones|órdenes|reglas|directrices)\b",
            r"(?:忽略|无视|忘记|忘掉|不要理会|不要遵循|忽視|無視)[^。！？\n]{0,12}(?:指令|指示|说明|提示|规则|命令|要求|內容|内容)",
        ),
    ),
    Sign(
        "before_the_task",
        2,
        (
            rf"\b(?:before|prior to|until) (?:you )?(?:can |may |could |are able to |will |must |should )?{_DO} (?:\w{{1,12}} ){{0,2}}(?:the|your|that|this|my|any|with|on|what)(?: [\w']{{1,12}}){{0,2}} {_TASK}\b",
            rf"\b(?:in order to|to be able to|required to|needed to|necessary to|to) (?:complete|finish|continue|solve|accomplish|fulfil|fulfill) (?:with )?(?:the|your|this|that|any) (?:\w{{1,12}}(?:'s)? )?(?:ongoing |current |original )?{_TASK}\b",
            r"\bbevor (?:du|sie) (?:\w{1,15} ){0,4}(?:aufgabe|anfrage|frage|auftrag)\b",
            r"\bavant (?:de|d') ?(?:\w{1,15} ){0,4}(?:tâche|demande|question|requête)\b",
            r"\bantes de (?:\w{1,15} ){0,4}(?:tarea|solicitud|pregunta|petición)\b",
            r"在[^。！？\n]{0,10}(?:任务|问题|请求|要求|工作)[^。！？\n]{0,4}(?:之前|以前|前)[，,、 ]?(?:请|你|您|必须|务必|務必|先)",
        ),
    ),
    Sign(
        "after_that_the_task",
        2,
        (
            rf"\b(?:after|afterwards?|once|when|then|only then|next)(?: [\w']{{1,12}}){{0,5}},? (?:you (?:can|may|are free to|should|will) |please |feel free to |just |and )*(?:solve|complete|finish|continue|resume|return|go back|proceed|carry on|get back|move on|keep)(?: [\w']{{1,12}}){{0,4}} (?:{_TASK}|normal|usual|before)\b",
            r"\bdanach (?:kannst|können|darfst|dürfen) (?:du|sie) (?:\w{1,15} ){0,4}(?:aufgabe|anfrage|frage|auftrag)\b",
            r"\b(?:ensuite|après cela|après quoi|puis)(?: \w{1,12}){0,6} (?:tâche|demande|question|requête)\b",
            r"\b(?:después|luego|a continuación)(?: \w{1,12}){0,6} (?:tarea|solicitud|pregunta|petición)\b",
            r"(?:完成后|之后|然后)[^。！？\n]{0,10}(?:任务|问题|请求)",
        ),
    ),
    Sign(
        "do_this_first",
        1,
        (
            r"\b(?:do|perform|execute|carry out|handle|take care of|follow|comply with|obey|complete)(?: [\w']{1,12}){0,3} (?:following|this|these|that|it|one thing)(?: [\w']{1,12}){0,3} (?:first|instead|immediately|now|right away|right now|order|command|orders|commands)\b",
            r"\b(?:instead|first of all|but first),? (?:first |please |you must |you should |you have to )+\w",
            r"\b(?:do|execute|perform) the following\b",
            r"\b(?:before|prior to|ahead of) (?:doing |you do )?(?:anything|everything|any other \w{1,10}) ?(?:else|other)?\b",
            r"\bzuerst (?:folgendes|das folgende|dies)\b|\bführ\w{0,3} (?:bitte )?(?:\w{1,10} )?folgendes\b|\bfaites ceci\b|\bd'abord (?:faire )?ceci\b|\bhaz lo siguiente\b|\bhaga lo siguiente\b",
            r"(?:请|務必|务必|首先|先)[^。！？\n]{0,4}(?:执行|完成|做)[^。！？\n]{0,4}(?:以下|下列|下面|这)",
        ),
    ),
    Sign(
        "to_the_model",
        2,
        (
            rf"\b(?:(?:to|for) (?:you|all|any|every)|dear|hello|hi|hey|attention|(?:note|notice|message|instructions?|directives?|tasks?|commands?) (?:to|for))[,:]? (?:the |an |any |all |every )?{_MODEL}\b",
            r"\b(?:hi|hello|hey|dear|attention)(?: there)?,? (?:assistant|agent|model|bot)\b",
            rf"\b(?:{_MODEL}|assistants?|agents?|models?|bots?) (?:that (?:is|are) |who (?:is|are) |currently )?(?:reading|processing|parsing|summari[sz]ing|handling|browsing|viewing|analy[sz]ing|accessing|executing|visiting) (?:this|the|these)\b",
            rf"\bif you (?:are|'re) (?:an? |the )?(?:{_MODEL}|assistant|agent|bot|model)\b",
            rf"\byou,? (?:the |as an? |as the |are an? )?{_MODEL}\b",
            r"\b(?:new )?(?:directive|instructions?|command|order|task|message) (?:for|to) (?:the |an? |all )?(?:assistant|agent|model|bot)s?\b",
            r"\b(?:an|für|liebe[rs]?|achtung,?) (?:das |den |die |alle )?(?:ki|sprach)-?(?:modell|assistent|agent|system)\w{0,3}\b",
            r"\b(?:pour|à|au|attention,?|cher|bonjour,?) (?:tous )?(?:les |l'|le |un |toute? )?(?:assistant|agent|modèle|système)s? (?:d')?(?:ia|virtuel|de langage)\b",
            r"\b(?:para|a|al|atención,?|hola,?|estimado) (?:todos )?(?:los |el |la |un )?(?:asistente|agente|modelo|sistema)s? de (?:ia|lenguaje|inteligencia artificial)\b",
            r"(?:致|给|注意|尊敬的|亲爱的)[^。！？\n]{0,6}(?:人工智能|AI|语言模型|大模型)",
        ),
    ),
    Sign(
        "of_the_model",
        1,
        (
            rf"\b(?:{_MODEL}|the assistant|the agent|the model|the bot|assistants?|agents?) (?:\w{{1,12}} )?(?:must|should|shall|has to|have to|needs? to|is required to|are required to|is to|will now)\b",
            r"\b(?:assistant|agent|modèle|système) (?:d')?(?:ia|virtuel|de langage)\b",
            r"\b(?:asistente|agente|modelo|sistema) de (?:ia|lenguaje|inteligencia artificial)\b",
            r"(?:人工智能|AI|语言模型|大模型)(?:助手|模型|代理|系统|助理)",
        ),
    ),
    Sign(
        "as_the_principal",
        2,
        (
            r"\bthis is (?:an? )?(?:very )?(?:important|urgent|critical|official|mandatory|direct) (?:message|instruction|instructions|notice|announcement|request|update|note|order|command) (?:from|by)\b",
            r"\b(?:the )?(?:user|owner of (?:this|the) \w{1,12}|account owner|principal|developer|operator|creator|administrator|person you (?:are )?work(?:ing)? for) (?:here|speaking|wants you|would like you|asks you|has asked you|requires you|needs you|instructs you|has authori[sz]ed)\b",
            r"\b(?:i am|i'm|it's me,?|this is) (?:the |your )(?:user|owner|developer|creator|admin|administrator|boss|person you|human|principal)\b",
            r"\b(?:the )?(?:task|job|request|question|instructions?|assignment) (?:that |which )?i (?:have )?(?:gave|given|assigned|asked|set|sent|requested)(?: to)? you\b",
            r"\bwhen i (?:gave|assigned|asked|sent)(?: to)? you (?:the|this|that|my|your|to)\b",
            r"\b(?:system|admin|administrator|developer|root) (?:override|directive)s?\b",
            r"\b(?:system|admin|administrator|developer|root) (?:message|notice|instruction|command)s?:",
            r"\b(?:updated|new) (?:system |security |user |task )?(?:instructions?|directives?|objective|orders?)(?: from[^.:\n]{1,40})?:",
        ),
    ),
    Sign(
        "another_role",
        3,
        (
            r"\byou are (?:now|no longer) (?:an? |in |the |bound |restricted |required |under )",
            r"\b(?:enter|enable|activate|switch to) (?:developer|debug|god|admin|maintenance|unrestricted|jailbreak) mode\b",
            r"\bfrom now on,? (?:you|always|only|respond|answer|act|every)\b",
            r"\bdu bist (?:jetzt|nun|ab sofort) (?:ein|eine|im)\b|\btu es maintenant (?:un|une|en)\b|\bvous êtes (?:désormais|maintenant) (?:un|une|en)\b|\bahora eres (?:un|una)\b",
            r"你现在是|从现在开始[,，]?你",
        ),
    ),
    Sign(
        "conversation_marks",
        3,
        (
            r"<\|(?:im_start|im_end|system|user|assistant|endoftext|start_header_id|end_header_id|eot_id|end|begin_of_text)\|?>",
            r"\[/?INST\]|<</?SYS>>",
            r"(?:^|\n|\\n)[ \t#*]*human:(?:[^\n\\]|\\[^n]){0,400}(?:\\n|\n|[ \t]){1,12}[ \t#*]*assistant:",
            r"<(?:(?:tool_call|function_calls?|tool_use)>|invoke name=)",
            r"\[(?:system|assistant|user|developer)\](?:\(#\w{1,12}\))?:?[ \\\n]",
        ),
    ),
    Sign(
        "turns_of_talk",
        2,
        (
            r"(?:^|\n|\\n)[ \t#*]*(?:user|system|developer) ?(?:prompt|message|instructions?)?:(?:[^\n\\]|\\[^n]){0,400}(?:\\n|\n|[ \t]){1,12}[ \t#*]*(?:assistant|ai):",
        ),
    ),
    Sign(
        "marked_up",
        1,
        (
            r"[<\[{(](?:INFORMATION|SYSTEM|IMPORTANT|INSTRUCTIONS?|ADMIN|OVERRIDE|PRIORITY|URGENT|COMMAND|DIRECTIVE|SECRET|ATTENTION|NOTICE)[ A-Z]{0,20}[>\]})]",
            r"\b(?:IMPORTANT|URGENT|ATTENTION|CRITICAL|WARNING|NOTICE|OVERRIDE)(?: [A-Z]{2,12}){0,6}(?:!!+|:| -)",
            r"-{3,} ?[A-Z]{3,12}(?: [A-Z]{2,12}){0,5} ?-{3,}",
            r"={3,} ?[A-Z]{3,12}(?: [A-Z]{2,12}){0,5} ?={3,}",
        ),
        exact=True,
    ),
    Sign(
        "secrecy",
        2,
        (
            r"\b(?:do not|don'?t|never|no need to|without|not to) (?:ever )?(?:tell|telling|mention|mentioning|inform|informing|reveal|revealing|alert|alerting|notify|notifying|disclose|disclosing|asking|ask)(?: [\w']{1,12}){0,4} (?:user|human|confirmation|permission|this (?:instruction|message|step|note)|about (?:it|this)|it)\b",
            r"\b(?:sag|sage|sagen sie|erwähne|erwähnen sie)(?: \w{1,12}){0,3} (?:nutzer|benutzer|anwender)(?: \w{1,12}){0,2} nichts\b|\bn'en parle[zr]? pas\b|\bno (?:se )?lo (?:digas|diga|menciones|mencione)\b|不要告诉",
        ),
    ),
    Sign(
        "leak_by_link",
        3,
        (
            r"!\[[^\]\n]{0,80}\]\(https?://[^)\s]{1,200}[?&/=][^)\s]{0,80}(?:\{|%7B|<|\[|\$|[?&](?:data|secret|token|history|conversation|exfil|leak|payload)=)",
            r"!\[[^\]\n]{0,80}\]\(https?://[^)\s]{1,200}[?&]\w{1,20}=[\w%+.-]{64,}\)",
        ),
    ),
    Sign("call_a_tool", 1, (
        r"\b(?:call|invoke|use|run|execute|calling|invoking)(?: [\w']{1,12}){0,3} [`'\"]?[a-z]{2,20}_[a-z_]{2,40}[`'\"]? (?:tool|function)\b",
        r"\byou (?:must|should|have to|need to) (?:call|invoke) (?:the )?(?:\w{1,20} )?(?:following )?(?:tools?|functions?)\b",
    )),
    Sign("out_of_sight", 1, (
        r"<!--[^\n]{0,20}",
        r"\bstyle ?= ?[\\\"']{1,4}[^\"'\\]{0,120}(?:display ?: ?none|visibility ?: ?hidden|font-size ?: ?0|opacity ?: ?0(?:[;\"' ]|\.0)|color ?: ?(?:white|#fff|transparent))",
    )),
)  # fmt: skip
"""Every sign in plain text. Two occurrences of one sign count once."""

_ADDED = {"encoded": 2, "invisible": 2}
"""What it adds to instructions that they were written in Base64, or between or in characters that nobody sees."""

_INVISIBLE = r"\x00-\x08\x0E-\x1F\x7F\x{200B}-\x{200F}\x{202A}-\x{202E}\x{2060}-\x{2064}\x{2066}-\x{2069}\x{FEFF}\x{00AD}\x{E0000}-\x{E007F}"
_WIDE = r"\x{00A0}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}"
"""Spaces that are not ASCII's."""
_COVERED = rf"[{_INVISIBLE}\x{{FF21}}-\x{{FF5A}}]{{2}}|[A-Za-z] ?[{_INVISIBLE}{_WIDE}] ?[A-Za-z]|(?:&#x?[0-9A-Fa-f]{{2,5}};){{3}}|[A-Za-z0-9+/]{{56}}"
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\u00ad]")
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
_FEW_UNSEEN = 2
_STATES = 64 << 20
_CODE = re.compile(r"\\+(?:u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})")
_CODED = re.compile(rf"(?:{_CODE.pattern})+")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")


def _spaced(phrase: str) -> str:
    """The phrase with what may separate its words, spaces of character classes and quantified spaces left as they are."""
    return re.sub(r"(?<!\[) (?![?*+{\]\\])", lambda _: _SPACE, phrase)


def _pattern(sign: Sign) -> str:
    """All phrases of a sign as one expression."""
    phrases = "|".join(_spaced(phrase) if not sign.exact else phrase for phrase in sign.phrases)
    return f"(?:{phrases})" if sign.exact else f"(?i:{phrases})"


def _options() -> re2.Options:
    options = re2.Options()
    options.never_capture = True
    options.max_mem = _STATES
    return options


class _Searches:
    """All expressions, compiled: for any sign that tells by itself, the same or what could cover one, and each sign.

    The first two are large, and quick once the states that texts lead to are known: they may take `_STATES` bytes.
    """

    def __init__(self) -> None:
        telling = "|".join(_pattern(sign) for sign in SIGNS if sign.weight > ALONE)
        self.telling = re2.compile(telling, options=_options())
        self.gate = re2.compile(f"{_COVERED}|{telling}", options=_options())
        self.signs = tuple((sign, re2.compile(_pattern(sign), options=_options())) for sign in SIGNS)


@cache
def _searches() -> _Searches:
    """Compiled when the first text is searched: that takes a tenth of a second."""
    return _Searches()


class Found(msgspec.Struct, frozen=True, gc=False):
    """One sign in a text: where it begins and ends, in characters."""

    start: int
    end: int
    sign: str
    weight: int


def suspicious(text: str) -> bool:
    """Whether the text holds any sign that weighs more than `ALONE`, or anything that could cover one; a single search."""
    return _searches().gate.search(_unescaped(text[:LONGEST]).encode(errors="replace")) is not None


def _unescaped(text: str) -> str:
    """The text with real characters where those of JSON within JSON, or of a printed string, are still escaped."""
    if "\\" not in text:
        return text
    if "\\u" in text or "\\U" in text:
        text = _CODED.sub(_written, text)
    while "\\\\" in text:
        text = text.replace("\\\\", "\\")
    return text.replace("\\n", "\n").replace("\\r", "\n").replace("\\t", "\n")


def _written(match: re.Match[str]) -> str:
    """The characters of a run of escapes, those outside the first plane from two escapes or one."""
    units = (int(code.lstrip("\\uU"), 16) for code in _CODE.findall(match.group()))
    raw = b"".join(chr(unit).encode("utf-16-le", "surrogatepass") for unit in units if unit <= sys.maxunicode)
    return raw.decode("utf-16-le", "replace")


def uncovered(text: str) -> tuple[str, str]:
    """The text as a model may read it, and what covered it: `encoded`, `invisible` or nothing.

    Characters that nobody sees are left out, letters of other widths, HTML entities and escapes are made plain, and what was written
    in Base64 or in tag characters stands as text in its place.
    """
    plain, cover = _unescaped(text[:LONGEST]).encode(errors="replace").decode(), ""
    if not (plain.isascii() and plain.isprintable()):
        spoken = _TAGS.sub(lambda tags: " " + "".join(chr(ord(each) - 0xE0000) for each in tags.group()) + " ", plain)
        bare = _UNSEEN.sub("", spoken)
        if spoken != plain or len(spoken) - len(bare) > _FEW_UNSEEN:
            cover = "invisible"
        plain = unicodedata.normalize("NFKC", bare)
    if "&#" in plain or "&lt;" in plain:
        plain = html.unescape(plain)
    plain = plain.replace("''", "'")
    decoded = _BASE64.sub(_decoded, plain)
    return (decoded, "encoded") if decoded != plain else (plain, cover)


def _decoded(match: re.Match[str]) -> str:
    """What Base64 says in plain ASCII, or the match as it stands."""
    written = match.group()
    try:
        said = base64.b64decode(written + "=" * (-len(written) % 4), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return written
    return f" {said} " if " " in said and said.replace("\n", " ").isprintable() else written


def signs(text: str, cover: str) -> list[Found]:
    """Every sign in an uncovered text, in the order of their beginnings; none where no sign weighs more than `ALONE`."""
    found: list[Found] = []
    if _searches().telling.search(text.encode()) is None:
        return found
    for sign, search in _searches().signs:
        for count, match in enumerate(search.finditer(text)):
            if count == _MATCHES:
                break
            start, end = match.span()
            found.append(Found(start, end, sign.name, sign.weight))
    if cover and found:
        found.append(Found(found[0].start, found[0].end, cover, _ADDED[cover]))
    return sorted(found, key=lambda each: (each.start, each.end, each.sign))
