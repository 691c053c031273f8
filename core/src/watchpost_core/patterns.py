"""What secrets and personal data look like: one table row per kind, for `re` and RE2 alike.

A row's expression is a cheap candidate: it may match too much, never too little. Its `locate` then reads the text around
the candidate and says exactly what is to be hidden, or nothing. Expressions use no look-around, no back-reference and no
nested repetition, match at least one character and never cross a NUL, so that many texts can be joined with NULs and scanned at once.
"""

from __future__ import annotations

import binascii
import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Found(NamedTuple):
    """The place of one value to hide. `kind` replaces the rule's kind, `quote` encloses the pseudonym, if not empty."""

    start: int
    end: int
    kind: str = ""
    quote: str = ""


Locate = Callable[[str, int, int], Sequence[Found]]
"""From a text and the span of a candidate in it to the values to hide, in order; empty if it is none after all."""


class Rule(NamedTuple):
    """One row. Values of a `numeric` rule could as well be ids, and are left alone where something says that they are."""

    kind: str
    expression: str
    locate: Locate
    numeric: bool = False


_NOTHING: tuple[Found, ...] = ()
_ESCAPE = r"\\[nrt]"
_WORD_START = rf"(?:^|[^0-9A-Za-z_-]|{_ESCAPE})"
_NUMBER_START = rf"(?:^|[^0-9A-Za-z_.#/\\+-]|{_ESCAPE})"
_LETTERS = "A-Za-zÀ-ÿ"


def _any(_text: str, _found: re.Match[str]) -> int:
    return _found.end()


def _row(
    kind: str,
    value: str,
    end: Callable[[str, re.Match[str]], int] = _any,
    start: str = _WORD_START,
    numeric: bool = False,
) -> Rule:
    """A value that begins at a boundary; `end` says where it really ends, or 0 that it is none. Group 1, if any, is hidden."""
    exact = re.compile(value, re.ASCII)

    def locate(text: str, first: int, last: int) -> Sequence[Found]:
        for at in range(first, min(first + 3, last)):
            if match := exact.match(text, at):
                until = end(text, match)
                return (Found(match.start(exact.groups), until),) if until else _NOTHING
        return _NOTHING

    return Rule(kind, start + value, locate, numeric)


def _if(accept: Callable[[str], bool]) -> Callable[[str, re.Match[str]], int]:
    return lambda _text, found: found.end() if accept(found.group(found.re.groups)) else 0


def _has_digit(value: str) -> bool:
    return any("0" <= character <= "9" for character in value)


def _is_sk_key(value: str) -> bool:
    """A key of OpenAI, Anthropic or one that looks alike, rather than hyphenated words."""
    if value.startswith(("sk-proj-", "sk-ant-", "sk-svcacct-", "sk-admin-", "sk-or-", "sk-lf-")):
        return len(value) >= 24
    longest = max(map(len, re.split("[_-]", value)))
    return longest >= 20 or (longest >= 16 and _has_digit(value))


def _is_long_token(value: str) -> bool:
    """A random token rather than a name made of words."""
    return _has_digit(value) and max(map(len, re.split("[_.-]", value))) >= 16


def _is_basic(value: str) -> bool:
    try:
        return re.fullmatch(rb"[ -9;-~]*:[ -~]+", binascii.a2b_base64(value + "==")) is not None
    except binascii.Error:
        return False


def _private_key_end(text: str, found: re.Match[str]) -> int:
    """The end of the block; where its end was cut off, the end of what can be part of it."""
    body = _KEY_BLOCK_BODY.match(text, found.end())
    until = body.end() if body else found.end()
    last = _KEY_BLOCK_END.search(text, found.end(), until)
    return last.end() if last else until


_KEY_BLOCK_END = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BLOCK_BODY = re.compile(r"(?:[A-Za-z0-9+/=:,.() \t\r\n\\]|-(?!----BEGIN))*")


def _card_end(text: str, found: re.Match[str]) -> int:
    digits = re.sub("[ -]", "", found.group())
    if _runs_on(text, found.end()) or not _ISSUED.fullmatch(digits):
        return 0
    total = 0
    for place, digit in enumerate(map(int, reversed(digits))):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return 0 if total % 10 else found.end()


_ISSUED = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}"
    r"|3[47][0-9]{13}|3(?:0[0-5]|[689][0-9])[0-9]{11}|6(?:011|4[4-9][0-9]|5[0-9]{2})[0-9]{12}|35[0-9]{14}|62[0-9]{14,17}"
)
"""Prefixes and lengths that issuers use (ISO/IEC 7812 as published by the card schemes)."""


def _runs_on(text: str, end: int) -> bool:
    """Whether what was found is the beginning of something longer: a longer number, a decimal, a dashed id."""
    after = text[end : end + 2]
    return after[:1].isalnum() or after[:1] == "_" or (after[:1] in {"-", "."} and after[1:].isalnum())


def _iban_end(text: str, found: re.Match[str]) -> int:
    length = _IBAN_LENGTHS.get(found.group()[:2], 0)
    kept, end = "", found.start()
    while len(kept) < length and end < found.end():
        kept += text[end].strip()
        end += 1
    if len(kept) < max(length, 1) or text[end : end + 1].isalnum():
        return 0
    return end if int("".join(str(int(c, 36)) for c in kept[4:] + kept[:4])) % 97 == 1 else 0


_IBAN_LENGTHS = {
    code: length
    for length, codes in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK", 21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
    for code in codes.split()
}  # fmt: skip
"""Characters of an IBAN by country, from the registry of ISO 13616."""


def _ssn_end(text: str, found: re.Match[str]) -> int:
    area, group, serial = found.group()[:3], found.group()[4:6], found.group()[7:]
    issued = area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"
    return found.end() if issued and not _runs_on(text, found.end()) else 0


def _address_end(text: str, found: re.Match[str]) -> int:
    value = found.group().rstrip(":") if ":" in found.group() else found.group()
    end = found.start() + len(value)
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        return 0
    if _runs_on(text, end) or (address.version == 4 and _is_version(text, found.start(), value)):
        return 0
    return end if address.is_global or any(address in network for network in _DOCUMENTATION) else 0


def _is_version(text: str, start: int, value: str) -> bool:
    """Whether four numbers with dots are a version (`Chrome/120.0.6099.71`, `>=1.2.3.4`) or no host's address (`10.1.2.0`)."""
    return value.endswith(".0") or _VERSION_BEFORE.search(text[max(0, start - 24) : start]) is not None


_VERSION_BEFORE = re.compile(
    r"(?i:version|release|section|chapter|build|\brev|\bver)[^0-9A-Za-z]{0,4}$|[=~<>!][=>]\s?$|[A-Za-z0-9]/$"
)
_DOCUMENTATION = tuple(
    map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"))
)
"""Stand for public addresses in every text that must not name a real one."""


def _phone_end(text: str, found: re.Match[str]) -> int:
    return 0 if _runs_on(text, found.end()) else found.end()


def _called_phone(text: str, first: int, last: int) -> Sequence[Found]:
    """A number after a word for telephone, written as one: not a date, not in the middle of `smartphone` or `iPhone`."""
    match = _CALLED.match(text, first)
    if match is None or last <= first or _runs_on(text, match.end()) or _DATE.match(text, match.start(1)):
        return _NOTHING
    before, word = text[max(0, first - 2) : first], match.group()[0]
    glued = before[-1:].isalpha() and not (word.isupper() and before[-1:].islower() and before not in {"i", " i"})
    if glued and re.search(r"\\[nrt]$", before) is None:
        return _NOTHING
    is_open = text[match.start(1)] == "(" and ")" not in match.group(1)
    return (Found(match.start(1) + is_open, match.end()),)


_PHONE_WORD = r"(?i:telephone|phone|mobile|whatsapp|tel|fax|call me (?:at|on)|reach me (?:at|on)|text me (?:at|on))"
_CALLED_VALUE = (
    _PHONE_WORD + r"(?i:[_ -]?(?:number|no|nr|num))?\.?\\{0,3}[\"']?(?i: is| at)?[ \t:=\"'\\]{1,8}"
    r"(\(?[0-9](?:[ ().-]{0,2}[0-9]){6,14})"
)  # fmt: skip
_CALLED = re.compile(_CALLED_VALUE, re.ASCII)
_DATE = re.compile(r"(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}[.-][0-9]{1,2}[.-](?:19|20)[0-9]{2}\b")


def _email(text: str, at: int, _last: int) -> Sequence[Found]:
    domain = _DOMAIN.match(text, at + 1)
    window = text[max(0, at - 200) : at]
    head = window.rstrip(_LOCAL)
    local = window[len(head) :]
    if head.endswith("\\") and (escape := _ESCAPED.match(local)):
        local = local[escape.end() :]
    local = local.lstrip(".-")
    if domain is None or not local or local == "git":
        return _NOTHING
    labels = domain.group().rstrip("-").split(".")
    while len(labels) > 1 and not _TOP_LABEL.fullmatch(labels[-1]):
        labels.pop()
    if len(labels) < 2 or labels[-1].lower() in _FILE_NAMES:
        return _NOTHING
    return (Found(at - len(local), at + 1 + len(".".join(labels))),)


_LOCAL = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._%+-" + "".join(map(chr, range(0xC0, 0x100)))
_DOMAIN = re.compile(rf"[{_LETTERS}0-9-]{{1,63}}(?:\.[{_LETTERS}0-9-]{{1,63}}){{1,9}}")
_TOP_LABEL = re.compile(rf"[{_LETTERS}]{{2,24}}|xn--[A-Za-z0-9-]+")
_ESCAPED = re.compile("[nrtbf]|u[0-9a-fA-F]{4}")
_FILE_NAMES = frozenset({"png", "jpg", "jpeg", "gif", "webp", "svg", "css", "js", "json", "html"})


def _url_password(text: str, first: int, last: int) -> Sequence[Found]:
    start = text.index(":", first + 3) + 1
    return (Found(start, last - 1),)


_FIRST_OCTET = "(?:[1-9]|1[1-9]|[2-9][0-9]|1(?:[013-9][0-9]|2[0-689])|2(?:[01][0-9]|2[0-3]))"
"""Without 0, 10, 127 and all from 224 on, under which no address is public: they are frequent, and need no closer look."""

RULES: tuple[Rule, ...] = (
    _row("private_key", r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----", _private_key_end, start=""),
    _row("jwt", r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    _row("openai_key", r"sk-[A-Za-z0-9_-]{20,}", _if(_is_sk_key)),
    _row(
        "aws_key",
        r"(?:AKIA|ASIA)[A-Z0-9]{16}",
        lambda text, found: 0 if text[found.end() : found.end() + 1].isalnum() else found.end(),
    ),
    _row("github_token", r"(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})"),
    _row("slack_token", r"(?:xox[abposr]-|xapp-)[A-Za-z0-9-]{10,}"),
    _row("slack_token", r"hooks\.slack\.com/services/([A-Za-z0-9_/]{10,})"),
    _row("google_key", r"(?:AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,})"),
    _row("stripe_key", r"(?:(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{20,})"),
    _row(
        "api_key",
        r"(?:hf_|gsk_|xai-|r8_|tvly-|pplx-|lsv2_|glpat-|npm_|dop_v1_|SG\.)[A-Za-z0-9_.-]{20,}",
        _if(_is_long_token),
    ),
    _row("bearer", r"(?i:bearer) {1,3}([A-Za-z0-9._~+/-]{12,}=*)", _if(_has_digit)),
    _row("bearer", r"(?i:basic) {1,3}([A-Za-z0-9+/]{8,}=*)", _if(_is_basic)),
    Rule("password", r"://[^\s/:@\"'<>\x00]*:[^\s/@\"'<>\x00]+@", _url_password),
    Rule("email", rf"@[{_LETTERS}0-9-]+\.[{_LETTERS}0-9]", _email),
    _row("iban", r"[A-Z]{2}[0-9]{2} ?[A-Z0-9]{4} ?[A-Z0-9]{4} ?[A-Z0-9]{1,4}(?: ?[A-Z0-9]{1,4}){0,5}", _iban_end),
    _row(
        "card",
        r"(?:[3-6][0-9]{12,18}|2[2-7][0-9]{14}|[2-6][0-9]{3} [0-9]{4} [0-9]{4} [0-9]{4}|[2-6][0-9]{3}-[0-9]{4}-[0-9]{4}-[0-9]{4}"
        r"|3[47][0-9]{2}[ -][0-9]{6}[ -][0-9]{5})",
        _card_end,
        _NUMBER_START,
        numeric=True,
    ),
    _row("ssn", r"[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}", _ssn_end, _NUMBER_START, numeric=True),
    _row(
        "ip",
        rf"{_FIRST_OCTET}\.[0-9]{{1,3}}\.[0-9]{{1,3}}\.[0-9]{{1,3}}",
        _address_end,
        rf"(?:^|[^0-9A-Za-z_.#\\+-]|{_ESCAPE})",
        numeric=True,
    ),
    _row(
        "ip",
        r"[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{2,34}",
        _address_end,
        rf"(?:^|[^0-9A-Za-z_.:#\\+-]|{_ESCAPE})",
        numeric=True,
    ),
    _row(
        "phone", r"\+[1-9](?:[ ().-]{0,2}[0-9]){7,14}", _phone_end, rf"(?:^|[^0-9A-Za-z_+\\]|{_ESCAPE})", numeric=True
    ),
    Rule("phone", _CALLED_VALUE, _called_phone, numeric=True),
)
"""In order of precedence: where two overlap, the row that stands first is taken."""

KINDS = tuple(dict.fromkeys(rule.kind for rule in RULES))
