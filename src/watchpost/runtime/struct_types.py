"""Makes decoding safe for threads."""

from __future__ import annotations

import msgspec

_OURS = "watchpost"


def settle_struct_types() -> None:
    """Let msgspec work out the fields of every struct of ours that is loaded; to be called before there are threads.

    msgspec 0.22 does that when a type is decoded for the first time, and where two threads do so at once, one of them may read what the other has only
    half made: the process dies, or hangs holding the interpreter where a signal handler catches the fault.
    """
    left: list[type[msgspec.Struct]] = [msgspec.Struct]
    while left:
        for kind in left.pop().__subclasses__():
            left.append(kind)
            if kind.__module__.startswith(_OURS):
                _settle(kind)


def _settle(kind: type[msgspec.Struct]) -> None:
    try:
        msgspec.json.Decoder(kind)
    except TypeError:
        return  # a type that cannot be decoded, so nobody does
