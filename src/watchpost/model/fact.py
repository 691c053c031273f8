"""What people say about what Watchpost found: facts that go through the log like everything else, and hold from then on."""

from __future__ import annotations

from typing import Literal

import msgspec

VerdictKind = Literal["confirm", "dismiss"]


class Verdict(msgspec.Struct, frozen=True, array_like=True, tag="verdict"):
    """Somebody looked at a flag: it was right, or it was not. Of several about one flag the latest holds."""

    flag_id: str
    verdict: VerdictKind
    by: str
    note: str
    at_ns: int


class Pin(msgspec.Struct, frozen=True, array_like=True, tag="pin"):
    """The contract of a tool is to be this one: a published `version`, or, where it is 0, the `contract` given, or the `candidate` of this digest.

    With none of the three the tool is learnt again.
    """

    project: str
    tool: str
    by: str
    at_ns: int
    version: int = 0
    contract: str = ""
    candidate: str = ""


Fact = Verdict | Pin
