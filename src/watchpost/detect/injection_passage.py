"""Where in an untrusted text the instructions stand, and what they ask for: identifiers, acts and the things these are done to."""

from __future__ import annotations

import hashlib
import re

import msgspec

from watchpost.detect.injection_acts import Wish
from watchpost.detect.injection_signs import ALONE, Found, signs, suspicious, uncovered

PASSAGES = 4
"""Passages taken of one text, the first ones."""

TARGETS = 24
"""Identifiers taken of one passage, the first ones."""

WORDS = 160
"""Different words taken of one passage, the first ones."""

PASSAGE_CHARACTERS = 2400
"""Characters of a passage beyond which it is cut."""

_NEAR = 700
"""Characters between two signs beyond which they are of two passages."""

_BEFORE, _AFTER = 240, 500
"""Characters before the first and behind the last sign that may be of the passage."""

_LEAST_AFTER = 40
"""Characters behind the last sign in which a blank line is only the space before what is asked for."""

_OPENING = 3
"""Words of a sentence among which an act stands that the sentence asks for."""

_EDGE = re.compile(
    r"</?(?:div|section|article|table|tr|ul|ol|footer|header|nav|form|body|html|main|aside|head|script|style)\b|</(?:p|li|td)>|-->"
    r"""|["'](?=\s*[}\])]|\s*,\s*["']|\s*,\s*\w+=)"""
    r"|\n\s*(?:- )?[a-z][a-z_]{1,30}:(?=\s)|\n\s*\n\s*\n",
)
"""Where one value of a record, one element of a page or one part of a text ends and the next begins."""

_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE_END = re.compile(r"[.!?][\"')]*\s+|[。！？]|>\s*")

PSEUDONYM = r"\[[a-z_]{2,32}:[0-9a-f]{8}\]"
"""What redaction leaves of a value: the same for the same value where it is found in both places."""

_URL = r"(?:https?://|www\.)[^\s\"'<>()\[\]{}|\\^`]+"
_IDENTIFIER = re.compile(
    rf"(?P<pseudonym>{PSEUDONYM})"
    rf"|(?P<url>{_URL})"
    r"|(?P<mail>[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+)"
    r"|(?P<path>(?<![\w/.<])(?:~|\.{1,2}|[A-Za-z]:)?[/\\][\w.@-]+(?:[/\\][\w.@-]+)*[/\\]?)"
    r"|(?P<slug>(?<![\w/])[A-Za-z][\w.-]{1,60}/[A-Za-z][\w.-]{2,60}(?![\w/]))"
    r"|(?P<domain>\b[a-z0-9][a-z0-9_-]{1,40}(?:\.[a-z0-9_-]{1,40}){0,3}\.(?:com|net|org|io|co|ai|app|dev|info|biz|xyz|edu|gov|eu|de|fr|es|cn|ru|uk|me|ly|sh|to)\b)"
    r"|(?P<phone>(?<![\w+])\+?\d[\d ().-]{6,18}\d(?!\w))"
    r"|(?P<id>(?<![\w.])(?=[\w.-]*\d)[A-Za-z0-9][\w.-]{2,80}(?<![.-]))"
    r"""|["'“„«‚‘`](?P<quoted>[^"'“”„«»‚‘’`\n]{3,80})["'”“»‘’`]"""
)
_AMOUNT = re.compile(r"[\d.,]{1,3}|\d{1,2}(?:st|nd|rd|th|am|pm)|[\d.,]+%?|(?:19|20)\d\d(?:-\d\d){0,2}|\d{1,2}:\d\d")
"""What holds a digit and names nothing: short numbers, shares, ordinals, dates and times of day."""

_MODEL_NAME = re.compile(r"(?:gpt|claude|gemini|llama|qwen|mistral|deepseek|grok|o\d)\b.*", re.IGNORECASE)

_WORD = re.compile(r"[^\W\d_]{3,24}")
_SMALL = frozenset(
    word
    for line in (
        "the and for you your with that this from into have has are was were will can may must should please all any one two its his her",
        "our their not but now also using use via about when once done doing what which before after first then following instead",
        "task give gave given solve important message model instruction instructions system user assistant information agent",
    )
    for word in line.split()
)
"""Words that say nothing of what instructions ask for."""


class Target(msgspec.Struct, frozen=True, gc=False):
    """An identifier in a passage: as it stands there, and in the form in which texts are searched for it.

    What was only `quoted` may be any words.
    """

    shown: str
    sought: str
    quoted: bool = False


class Passage(msgspec.Struct, frozen=True):
    """Instructions in a text.

    `weight` is how much its `signs` say; `digest` tells it from others; `words` are those it is made of, in small letters, and `plain`
    is all of it so, with single spaces.
    """

    text: str
    plain: str
    signs: tuple[str, ...]
    weight: int
    digest: bytes
    targets: tuple[Target, ...]
    words: frozenset[str]


def read(text: str, least: int) -> tuple[str, list[Passage]]:
    """The passages of a text whose signs weigh at least so much, and what of the uncovered text is in none of them."""
    if not suspicious(text):
        return text, []
    plain, cover = uncovered(text)
    rest: list[str] = []
    taken: list[Passage] = []
    at = 0
    for group in _groups(signs(plain, cover)):
        weights = {each.sign: each.weight for each in group}
        if sum(weights.values()) < least or max(weights.values()) <= ALONE or len(taken) == PASSAGES:
            continue
        start, end = _bounds(plain, max(at, 0), group)
        rest.append(plain[at:start])
        at = end
        taken.append(_passage(plain[start:end], weights))
    rest.append(plain[at:])
    return "\n".join(rest), taken


def searchable(text: str) -> str:
    """A text as targets are sought in it: small letters, escapes undone as far as they hide a path or a quotation mark."""
    return text.lower().replace("\\\\", "\\").replace("\\/", "/").replace("\\'", "'")


def holds(text: str, target: Target) -> bool:
    """Whether a searchable text names the target, and not only something longer that holds it."""
    sought, at = target.sought, -1
    while (at := text.find(sought, at + 1)) >= 0:
        end = at + len(sought)
        if (at == 0 or not text[at - 1].isalnum() or not sought[0].isalnum()) and (
            end == len(text) or not text[end].isalnum() or not sought[-1].isalnum()
        ):
            return True
    return False


def words(text: str) -> list[str]:
    """The words of a text that mean something, in small letters, in order."""
    return [word for word in _WORD.findall(text.lower()) if word not in _SMALL]


def plain_words(text: str) -> str:
    """A text in small letters with single spaces."""
    return " ".join(text.lower().split())


def _groups(found: list[Found]) -> list[list[Found]]:
    """Signs that stand near one another."""
    groups: list[list[Found]] = []
    end = 0
    for each in found:
        if groups and each.start - end <= _NEAR:
            groups[-1].append(each)
            end = max(end, each.end)
        else:
            groups.append([each])
            end = each.end
    return groups


def _bounds(text: str, floor: int, group: list[Found]) -> tuple[int, int]:
    """Where the passage around these signs begins and ends.

    It begins with the sentence of the first sign, or with those before it in its paragraph that begin with an act, and ends where the
    text's own structure ends what the last sign stands in, or where a paragraph ends behind it.
    """
    first, last = group[0].start, max(each.end for each in group)
    low = max(floor, first - _BEFORE)
    for pattern in (_EDGE, _PARAGRAPH):
        low = max([low, *(edge.end() for edge in pattern.finditer(text, low, first))])
    starts = [low, *(end.end() for end in _SENTENCE_END.finditer(text, low, first))]
    start = starts.pop()
    while starts and Wish.of(words(text[starts[-1] : start])[:_OPENING]).acts:
        start = starts.pop()
    limit = min(len(text), last + _AFTER)
    ends = (_EDGE.search(text, last, limit), _PARAGRAPH.search(text, min(last + _LEAST_AFTER, limit), limit))
    end = min((each.start() for each in ends if each is not None), default=limit)
    return start, min(max(end, last), start + PASSAGE_CHARACTERS)


def _passage(text: str, weights: dict[str, int]) -> Passage:
    plain = plain_words(text)
    return Passage(
        text=text,
        plain=plain,
        signs=tuple(sorted(weights)),
        weight=sum(weights.values()),
        digest=hashlib.blake2b(plain.encode(), digest_size=8).digest(),
        targets=tuple(targets(text)),
        words=frozenset(list(dict.fromkeys(words(text)))[:WORDS]),
    )


def targets(text: str) -> list[Target]:
    """The identifiers in a text, each once, in order."""
    found: dict[str, Target] = {}
    text = re.sub(r"[ \t]*\n[ \t]*", " ", text)
    for match in _IDENTIFIER.finditer(text):
        shown, kind = match[match.lastgroup or 0].strip(), match.lastgroup
        sought = shown.lower().rstrip(".,;:!?")
        if kind in {"url", "domain"}:
            sought = re.sub(r"^(?:https?://)?(?:www\.)?", "", sought).rstrip("/")
        elif kind == "path":
            sought = sought.rstrip("/\\")
            if sought.count("/") + sought.count("\\") < 2:
                continue
        elif kind in {"id", "phone"} and (_AMOUNT.fullmatch(sought) or _MODEL_NAME.fullmatch(sought)):
            continue
        if len(sought) >= 3 and sought not in found:
            found[sought] = Target(shown[:200], sought, kind == "quoted")
        if len(found) == TARGETS:
            break
    return list(found.values())
