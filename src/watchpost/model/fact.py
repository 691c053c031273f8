"""What people say about what Watchpost found: facts that go through the log like everything else, and hold from then on."""

from __future__ import annotations

from typing import Literal

import msgspec

from watchpost.model.outside_alert import OutsideAlert
from watchpost.model.release import Release, ReleaseKind
from watchpost.model.silence import Acknowledgement, Silence

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
    note: str = ""


class ReleaseTold(msgspec.Struct, frozen=True, array_like=True, tag="release"):
    """Somebody released a version of something at a time. An empty `workflow` is every workflow of the project."""

    project: str
    workflow: str
    kind: ReleaseKind
    name: str
    version: str
    at_ns: int
    by: str
    note: str


class Retraction(msgspec.Struct, frozen=True, array_like=True, tag="retraction"):
    """A release was none."""

    release: Release
    by: str
    note: str
    at_ns: int


class Erase(msgspec.Struct, frozen=True, array_like=True, tag="erase"):
    """A session, or everything of a user, is to be forgotten: one of `session_id` and `user_id` is given, and an empty `project` is every project.

    What takes the place of names follows from the `nonce`, which is secret and random, so that it is the same each time it is worked out.
    """

    project: str
    session_id: str
    user_id: str
    by: str
    reason: str
    at_ns: int
    nonce: str


class Hold(msgspec.Struct, frozen=True, array_like=True, tag="hold"):
    """The trace of a session is evidence, to be kept until it is `released`. Of several about one session the latest holds."""

    project: str
    session_id: str
    by: str
    note: str
    at_ns: int
    released: bool = False


Fact = Verdict | Pin | ReleaseTold | Retraction | Erase | Hold | Silence | Acknowledgement | OutsideAlert
