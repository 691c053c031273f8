"""Redaction of one text: secrets and personal data become keyed pseudonyms, `[email:7f3a9c21]`.

A pseudonym is the kind of the value and the first 8 hexadecimal digits of HMAC-SHA256(key, normalised value). The same value
has the same digits under the same key, whatever its kind and wherever it stands, so that texts can still be compared; without the key
nobody can try out values. Eight digits keep the text readable and leave two given values equal by chance once in 4.3
billion: in a session that names 1,000 different values, once in 8,600 sessions. Longer ones would not protect better.

What the patterns are stands in `patterns`, what fields are hidden in `fields`. Any engine may search the expressions, if it finds what `re`
finds; the server uses RE2.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from watchpost_core.fields import FORMED_KINDS, FieldNames, fits_kind, is_id_field
from watchpost_core.patterns import RULES, Found, Rule

Search = Callable[[int], "tuple[int, int] | None"]
"""The span of the first match at or after a position, None if there is none. Positions count characters."""

Candidates = Callable[[str], Iterable[tuple[Rule, Search]]]
"""The rules that may match somewhere in a text, in the order of precedence, each with its search in that text."""

NUMBER_KINDS = frozenset({"password", "ssn", "card", "cvv", "phone"})
"""Kinds of hidden fields whose value may be a bare number; of the others a number is a count and stays."""

_PSEUDONYM_FORM = r"\[[a-z][a-z0-9_]{0,31}:[0-9a-f]{8}\]"
_PSEUDONYM = re.compile(_PSEUDONYM_FORM)
_PSEUDONYM_LENGTH = 43
_ROUNDS = 8
_WINDOW = 200

_MASK = re.compile(
    r"\s*|[*•]+|[xX]{3,}|[._ -]+|[\W_]{0,12}(?i:redacted|masked|filtered|removed|hidden|omitted)[\W_]{0,12}"
    r"|(?i:none|null|true|false|string|str|number|integer|int|boolean|bool|object|array)|\$?\{[^{}]{0,64}\}|\$[A-Za-z_]\w{0,64}|<[A-Za-z_. -]{0,64}(?: at 0x[0-9a-f]{1,16})?>|%\w?"
    rf"|{_PSEUDONYM_FORM}",
    re.ASCII,
)
"""What stands for a value and is none: pseudonyms, masks, names of types, literals of code, placeholders."""


class Key:
    """What keys the pseudonyms of one project. Equal values of two projects get different pseudonyms."""

    def __init__(self, secret: bytes, project: str) -> None:
        name = b"watchpost redaction\0" + project.encode("utf-8", "surrogatepass")
        self._keyed = hmac.new(hmac.digest(secret, name, "sha256"), digestmod="sha256")

    def digits(self, normal: str) -> str:
        """The first 8 hexadecimal digits of HMAC-SHA256(project's key, normalised value)."""
        digest = self._keyed.copy()
        digest.update(normal.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()[:8]


def pseudonym(kind: str, value: str, key: Key) -> str:
    """What stands in place of a value. Spellings of one e-mail address, card, IBAN, number or IP address count as the same value."""
    normal = _NORMAL.get(kind, str)(value)
    return f"[{kind}:{key.digits(normal)}]"


def is_masked(value: str) -> bool:
    """Whether a value is empty, a pseudonym, a mask or a placeholder, and so nothing to hide."""
    return len(value) <= 96 and _MASK.fullmatch(value) is not None


def _digits(value: str) -> str:
    return re.sub(r"[^0-9]", "", value)


def _address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return value


_NORMAL: Mapping[str, Callable[[str], str]] = {
    "email": str.lower,
    "iban": lambda value: value.replace(" ", ""),
    "card": _digits,
    "ssn": _digits,
    "phone": _digits,
    "ip": _address,
    "authorization": lambda value: re.sub(r"^\s*(?i:bearer|basic|token)\s+", "", value),
}


class TextRedactor:
    """Hides what the rules find in one text.

    Nothing is hidden twice: redacting a redacted text returns it as it is, unless more than eight values stood in it without
    any separator between them. Work grows with the length of the text.
    `is_id` says of a candidate, by text and span, that it is an id of a known format; only numeric rules ask.
    """

    def __init__(self, candidates: Candidates, names: FieldNames, is_id: Callable[[str, int, int], bool]) -> None:
        self._candidates = candidates
        self._names = names
        self._is_id = is_id

    def redact(self, text: str, key: Key, *, in_id_field: bool = False) -> str:
        """The text with pseudonyms; the same object if there is nothing to hide. `in_id_field` leaves numeric rules out."""
        for _ in range(_ROUNDS):
            found = self._find(text, in_id_field=in_id_field)
            if not found:
                break
            text = _replaced(text, found, key)
        return text

    def redact_field(self, kind: str, value: str, key: Key) -> str:
        """The whole value of a hidden field as a pseudonym; as it is if masked or not what a field of this kind holds."""
        if is_masked(value) or not fits_kind(kind, value):
            return value
        return pseudonym(kind, value, key)

    def _find(self, text: str, *, in_id_field: bool) -> list[tuple[Rule, Found]]:
        """Every value to hide, by place, none overlapping another."""
        taken = bytearray(len(text))
        hits: list[tuple[Rule, Found]] = []
        for rule, search in self._candidates(text):
            if rule.numeric and in_id_field:
                continue
            span = search(0)
            while span is not None:
                at = span[0] + 1
                for found in rule.locate(text, *span):
                    at = max(at, found.end)
                    if taken.find(1, found.start, found.end) < 0 and self._hides(rule, text, found):
                        taken[found.start : found.end] = b"\1" * (found.end - found.start)
                        hits.append((rule, found))
                span = search(at)
        hits.sort(key=lambda hit: hit[1].start)
        return hits

    def _hides(self, rule: Rule, text: str, found: Found) -> bool:
        if is_masked(text[found.start : found.end]) or _in_pseudonym(text, found):
            return False
        if rule.numeric or self._names.allowed:
            name = name_before(text, found.start)
            if name and (self._names.is_allowed(name) or (rule.numeric and is_id_field(name))):
                return False
        return not (rule.numeric and self._is_id(text, found.start, found.end))


def _replaced(text: str, found: Sequence[tuple[Rule, Found]], key: Key) -> str:
    pieces: list[str] = []
    known: dict[tuple[str, str], str] = {}
    strings = _Strings(text) if any(rule.numeric for rule, _ in found) else None
    end = 0
    for rule, place in found:
        kind, value = place.kind or rule.kind, text[place.start : place.end]
        if (kind, value) not in known:
            known[kind, value] = pseudonym(kind, value, key)
        quote = place.quote or (_number_quote(text, place, strings) if strings and rule.numeric else "")
        pieces += text[end : place.start], quote, known[kind, value], quote
        end = place.end
    return "".join((*pieces, text[end:]))


def _in_pseudonym(text: str, found: Found) -> bool:
    """Whether a place lies in a pseudonym or begins or ends in one; one with more around the pseudonym is hidden anew."""
    at = text.rfind("[", max(0, found.start - _PSEUDONYM_LENGTH), found.start + 1)
    match = _PSEUDONYM.match(text, at) if at >= 0 else None
    if match is not None and match.end() > found.start:
        return True
    at = text.rfind("[", found.start, found.end)
    match = _PSEUDONYM.match(text, at) if at >= 0 else None
    return match is not None and match.end() > found.end


def name_before(text: str, start: int) -> str:
    """The name of the field whose value, or a member of whose list, begins at `start` in JSON or `name=value`; empty if none."""
    head = text[max(0, start - _WINDOW) : start].rstrip("\"'\\ \t\n")
    if not head.endswith((":", "=")):
        bracket = head.rfind("[")
        if bracket < 0 or any(mark in head[bracket:] for mark in "]{}"):
            return ""
        head = head[:bracket].rstrip()
        if not head.endswith((":", "=")):
            return ""
    head = head[:-1].rstrip("\"'\\ \t\n")
    return head[len(head.rstrip(_NAME)) :]


_NAME = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"


class _Strings:
    """Where the strings of a JSON text are, asked for positions that only grow."""

    def __init__(self, text: str) -> None:
        self.is_json = text[:16].lstrip()[:1] in {"{", "["}
        self._spans = (match.span() for match in _STRING.finditer(text))
        self._last = (-1, -1)

    def hold(self, position: int) -> bool:
        """Whether a position lies in a string."""
        while self._last[1] <= position:
            self._last = next(self._spans, (sys.maxsize, sys.maxsize))
        return self._last[0] <= position


_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)


def _number_quote(text: str, place: Found, strings: _Strings) -> str:
    """The quotation mark that a pseudonym needs to keep JSON whole where it takes the place of a bare number, else empty.

    In JSON within JSON it is that of the field's name, and so has its backslashes.
    """
    if not text[place.start : place.end].isdigit() or not _VALUE_ENDS.match(text, place.end, place.end + 16):
        return ""
    if strings.is_json and not strings.hold(place.start):
        return '"'
    head = text[max(0, place.start - _WINDOW) : place.start].rstrip(" \t\n")
    quoted = _LAST_QUOTE.search(head[:-1].rstrip()) if head.endswith(":") else None
    if quoted is None:
        return ""
    return quoted.group(1) if len(quoted.group(1)) in _QUOTE_LENGTHS else quoted.group(1)[-1]


_VALUE_ENDS = re.compile(r"(?:\s|\\[nrt])*[,}\]]")
_LAST_QUOTE = re.compile(r"[A-Za-z0-9_.-](\\{0,15}[\"'])$")


def field_rule(names: FieldNames) -> Rule:
    """The rule that finds `"password": "x"` in JSON and Python text, at any depth of escaping, `password=x` and `password is x`."""
    stem = names.expression()
    separator = r"(\\{0,15}[\"'])?[ \t]{0,4}([:=]|is[ \t])[ \t]{0,4}(\[\s{0,16})?(\\{0,15}[\"'])?"
    exact = re.compile(f"{stem}{separator}", re.ASCII)

    def locate(text: str, first: int, _last: int) -> Sequence[Found]:
        match = exact.match(text, first)
        if match is None:
            return ()
        head = text[max(0, first - 64) : first]
        before = head[len(head.rstrip(_NAME)) :]
        if head[: len(head) - len(before)].endswith("\\"):
            before = before[1:]
        name_quote, sign, bracket, quote = match.groups()
        name_end = match.start(1) if name_quote else match.start(2)
        kind = names.kind(before + text[first:name_end].rstrip())
        if not kind or _closes(text, match.end(), quote or "", name_quote or ""):
            return ()
        if quote and (name_quote or sign == "="):
            values = _quoted_values(text, match.end(), quote, several=bool(bracket))
            if name_quote or _is_one_string(text, values, '\n"' if quote[-1] == "'" else "\n"):
                return [found._replace(kind=kind) for found in values if fits_kind(kind, text[found.start : found.end])]
        if name_quote:
            return _number_value(text, match.end(), kind, name_quote)
        is_prose = not quote and (sign != "=" or text[match.start(2) - 1] == " ")
        return _bare_value(text, match.end(), kind, is_prose=is_prose)

    return Rule("field", rf"{stem}{separator}[^\s\x00]", locate)


_QUOTE_LENGTHS = frozenset({1, 2, 4, 8, 16})
"""A quotation mark with its backslashes, by how many JSON texts hold the one it stands in."""

_NO_START = frozenset({"", ",", "}", "]", ")", ":", ";", " ", "\n"})
"""What follows a quotation mark that closes an outer string, `"say password="`, and does not open the value."""


def _closes(text: str, start: int, quote: str, name_quote: str) -> bool:
    """Whether one of the quotation marks belongs to an outer string, so that what looks like a field is none.

    A name and its value carry the same number of backslashes, one less than a power of two.
    """
    if name_quote and (len(name_quote) not in _QUOTE_LENGTHS or (quote and len(quote) != len(name_quote))):
        return True
    if not quote or quote == name_quote:
        return False
    return len(quote) not in _QUOTE_LENGTHS or text[start : start + 1] in _NO_START


def _is_one_string(text: str, values: Sequence[Found], foreign: str) -> bool:
    """Whether what `name="` began is a string of code, and no stray quotation mark that would hide all that follows."""
    return all(
        found.end < len(text) and all(text.find(mark, found.start, found.end) < 0 for mark in foreign)
        for found in values
    )


def _quoted_values(text: str, start: int, quote: str, *, several: bool) -> list[Found]:
    """The string that begins at `start`, after its quotation mark, and the further strings of a list."""
    depth, mark = len(quote) - 1, quote[-1]
    values: list[Found] = []
    while True:
        end = _quoted_end(text, start, depth, mark)
        values.append(Found(start, end))
        following = _NEXT[mark].match(text, end) if several else None
        if following is None:
            return [value for value in values if value.end > value.start]
        start = following.end()


def _quoted_end(text: str, start: int, depth: int, mark: str) -> int:
    """Where a string ends whose quotation marks carry `depth` backslashes; the end of the text if it was cut off.

    A mark with fewer belongs to an outer string and ends this one too; a mark with more is part of it, unless the
    surplus is whole pairs of escaped backslashes.
    """
    for match in _MARKS[mark].finditer(text, start):
        slashes = len(match.group()) - 1
        if match.group()[-1] == mark and (slashes < depth or (slashes - depth) % (2 * depth + 2) == 0):
            return match.end() - 1 - min(slashes, depth)
    return len(text)


_MARKS = {mark: re.compile(rf"\\+{mark}?|{mark}") for mark in "\"'"}
_NEXT = {mark: re.compile(rf"\\{{0,15}}{mark}\s{{0,16}},\s{{0,16}}\\{{0,15}}{mark}") for mark in "\"'"}


def _number_value(text: str, start: int, kind: str, quote: str) -> Sequence[Found]:
    """A bare number as the value of a field that holds secret numbers; its pseudonym is quoted as the name is."""
    match = _NUMBER.match(text, start)
    if match is None or kind not in NUMBER_KINDS or not fits_kind(kind, match.group()):
        return ()
    return (Found(start, match.end(), kind, quote),)


_NUMBER = re.compile(r"[0-9]{3,19}(?![0-9.eE])")


def _bare_value(text: str, start: int, kind: str, *, is_prose: bool) -> Sequence[Found]:
    """The value in `password=x`; where prose or code could say the same (`password: x`), only one that is quoted or looks like a secret."""
    match = _BARE.match(text, start)
    if match is None or text[match.end() : match.end() + 1] in {"(", "["}:
        return ()
    value = match.group(1).rstrip(".:!?")
    if not fits_kind(kind, value):
        return ()
    is_doubtful = is_prose and match.start(1) == start and kind not in FORMED_KINDS
    if (len(value) < 4 and kind not in FORMED_KINDS) or (is_doubtful and not _looks_secret(value)):
        return ()
    return (Found(match.start(1), match.start(1) + len(value), kind),)


_BARE = re.compile(r"(?:(?i:bearer|basic|token|digest) {1,3})?(?:\\{0,15}[\"'`])?([^\s\"'`&,;<>(){}\[\]\\\x00]+)")


def _looks_secret(value: str) -> bool:
    digits = sum(character.isdigit() for character in value)
    others = sum(not character.isalnum() and character not in "._-/:" for character in value)
    return len(value) >= 6 and bool(digits or others) and digits + others < len(value)


def re_candidates(rules: Sequence[Rule]) -> Candidates:
    """Candidates by Python's own `re`: for a process without RE2. Every rule is searched for in the whole text."""
    compiled = [(rule, re.compile(rule.expression, re.ASCII)) for rule in rules]

    def candidates(text: str) -> Iterable[tuple[Rule, Search]]:
        return [(rule, _search_in(text, pattern)) for rule, pattern in compiled]

    return candidates


def _search_in(text: str, pattern: re.Pattern[str]) -> Search:
    def search(start: int) -> tuple[int, int] | None:
        match = pattern.search(text, start)
        return match.span() if match else None

    return search


def rules_for(kinds: Iterable[str], names: FieldNames) -> list[Rule]:
    """The rules of these kinds, and the rule of hidden fields."""
    wanted = set(kinds)
    return [field_rule(names), *(rule for rule in RULES if rule.kind in wanted)]
