"""What a field's name says of its value: that it identifies something, that it is to be hidden, or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_NAME_TAIL = 128
_LONGEST = 4

ID_TAILS = frozenset(
    {
        "id",
        "ids",
        "uuid",
        "uuids",
        "guid",
        "sku",
        "isbn",
        "ordernumber",
        "trackingnumber",
        "invoicenumber",
        "serialnumber",
        "itemnumber",
    }
)

SECRET_FIELDS: Mapping[str, str] = {
    "password": "password",
    "passwords": "password",
    "passwd": "password",
    "passphrase": "password",
    "passcode": "password",
    "pwd": "password",
    "secret": "secret",
    "secrets": "secret",
    "secret key": "secret",
    "api key": "secret",
    "api keys": "secret",
    "access key": "secret",
    "private key": "secret",
    "signing key": "secret",
    "encryption key": "secret",
    "subscription key": "secret",
    "credential": "secret",
    "credentials": "secret",
    "token": "token",
    "authorization": "authorization",
    "cookie": "cookie",
    "cookies": "cookie",
    "ssn": "ssn",
    "social security": "ssn",
    "social security number": "ssn",
    "credit card": "card",
    "card number": "card",
    "credit card number": "card",
    "cvv": "cvv",
    "cvc": "cvv",
    "phone": "phone",
    "phone number": "phone",
    "mobile": "phone",
    "mobile number": "phone",
    "telephone": "phone",
}
"""The last words of a field's name, and the kind of value that such a field holds."""

_SINGLE_WORD_TAILS = (
    "password",
    "passwd",
    "apikey",
    "secretkey",
    "privatekey",
    "accesstoken",
    "authtoken",
    "clientsecret",
)

PLAIN_FIELDS = frozenset(
    {
        "pagetoken",
        "nexttoken",
        "continuationtoken",
        "cursortoken",
        "cancellationtoken",
        "synctoken",
        "eostoken",
        "bostoken",
        "padtoken",
        "unktoken",
        "septoken",
        "clstoken",
        "masktoken",
        "stoptoken",
        "endtoken",
        "starttoken",
        "firsttoken",
        "lasttoken",
        "newtoken",
        "pertoken",
        "specialtoken",
        "inputtoken",
        "outputtoken",
    }
)
"""Names that end like a secret's name and hold none: places in a listing and words of a model's vocabulary."""

_VALUE_FORMS: Mapping[str, re.Pattern[str]] = {
    "card": re.compile(r"[0-9][0-9 -]{10,21}[0-9]"),
    "cvv": re.compile(r"[0-9]{3,4}"),
    "phone": re.compile(r"(?!(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2})\+?[0-9(](?:[ ().x/-]{0,3}[0-9]){6,16}"),
    "ssn": re.compile(r"[0-9X*][0-9X* -]{2,12}[0-9]"),
}

FORMED_KINDS = frozenset(_VALUE_FORMS)
"""Kinds of hidden fields whose values are told by their form."""


def words(name: str) -> list[str]:
    """The lower-case words of a name: `user.homePhone_2` has user, home, phone, 2. Only the last 128 characters count."""
    return [word.lower() for word in _WORD.findall(name[-_NAME_TAIL:])]


def is_id_field(name: str) -> bool:
    """Whether a name says that its value identifies something: `id`, `order_id`, `session.id`, `orderId`, `item_ids`, `sku`."""
    last = words(name)[-2:]
    return bool(last) and (last[-1] in ID_TAILS or "".join(last) in ID_TAILS)


def fits_kind(kind: str, value: str) -> bool:
    """Whether a value can be what its field's name promises; only kinds of a known form (card, cvv, phone, ssn) can fail."""
    form = _VALUE_FORMS.get(kind)
    return form is None or form.fullmatch(value.strip()) is not None


def kind_label(name: str) -> str:
    """A field name as the kind in a pseudonym: its words joined by underscores, at most 32 characters, never empty."""
    return ("_".join(words(name)).lstrip("0123456789_") or "field")[:32]


@dataclass(frozen=True)
class FieldNames:
    """Which fields are hidden as a whole, and which are left alone.

    `secret` maps names to kinds and `allowed` holds names; both match every field whose last words are theirs, however
    they are joined: `api key` matches `api_key`, `openai.apiKey` and `X-Api-Key`. An allowed name wins.
    """

    secret: Mapping[str, str] = field(default_factory=lambda: dict(SECRET_FIELDS))
    allowed: frozenset[str] = frozenset()
    _secret: dict[str, str] = field(init=False, repr=False, compare=False)
    _allowed: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_secret", {_tail(name): kind for name, kind in self.secret.items()})
        object.__setattr__(self, "_allowed", frozenset(_tail(name) for name in self.allowed))

    def kind(self, name: str) -> str:
        """The kind of value that a field of this name holds if it is hidden, else empty."""
        parts = words(name)
        if self._allows(parts):
            return ""
        for tail in _tails(parts):
            if tail in PLAIN_FIELDS and tail not in self._secret:
                return ""
            if kind := self._secret.get(tail):
                return kind
        known = next((tail for tail in _SINGLE_WORD_TAILS if parts and parts[-1].endswith(tail)), "")
        kind = ("password" if known.startswith("passw") else "secret") if known else ""
        return kind if kind in self.secret.values() else ""

    def is_allowed(self, name: str) -> bool:
        """Whether nothing in a field of this name may be changed."""
        return bool(self._allowed) and self._allows(words(name))

    def expression(self) -> str:
        """A case-insensitive expression that every hidden name ends with, for `re` and RE2 alike."""
        stems = sorted({*self.secret, *_SINGLE_WORD_TAILS}, key=lambda stem: (-len(stem), stem))
        return "(?i:" + "|".join("[_. -]?".join(map(re.escape, words(stem))) for stem in stems) + ")"

    def _allows(self, parts: list[str]) -> bool:
        return bool(self._allowed) and any(tail in self._allowed for tail in _tails(parts))


def _tail(name: str) -> str:
    return "".join(words(name)[-_LONGEST:])


def _tails(parts: list[str]) -> Iterable[str]:
    """The last words of a name run together, the longest run first."""
    return ("".join(parts[-count:]) for count in range(min(_LONGEST, len(parts)), 0, -1))
