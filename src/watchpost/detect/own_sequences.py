"""The sequences that a user writes in the settings, each of which is a detector of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from watchpost.detect.catalogue import DetectorSettingsError
from watchpost.detect.detector import Make
from watchpost.detect.sequence import SequenceDetector
from watchpost.detect.sequence_pattern import OwnSequence, explain
from watchpost.detect.sequence_text import parse
from watchpost.model.flag import Severity

_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


class SequenceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sequence: the kind of its flags, upper-case, what it is in the sequence language, and what its flags say, by default its meaning in English."""

    name: str
    pattern: str
    summary: str = ""
    severity: Severity = "warning"

    def __post_init__(self) -> None:
        """Refuse a name that can be no kind of flag: raises ValueError."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name must be upper-case letters, digits and underscores, not {self.name!r}")


def own_sequence(given: Mapping[str, object]) -> OwnSequence:
    """One sequence of the settings. Raises `DetectorSettingsError` naming the sequence, and the place in the pattern where that is at fault."""
    try:
        chosen = msgspec.convert(given, SequenceSettings)
        steps = parse(chosen.pattern)
    except ValueError as error:
        raise DetectorSettingsError(f"sequences.{given.get('name', '?')}: {error}") from error
    return OwnSequence(chosen.name, chosen.severity, chosen.summary or explain(steps), steps)


def sequence_makes(given: Sequence[Mapping[str, object]]) -> tuple[Make, ...]:
    """A detector for each sequence of the settings. Raises `DetectorSettingsError`, also where two have one name."""
    sequences = [own_sequence(each) for each in given]
    names = [each.name for each in sequences]
    for name in names:
        if names.count(name) > 1:
            raise DetectorSettingsError(f"sequences.{name}: there are two of this name")
    return tuple(_make(each) for each in sequences)


def _make(sequence: OwnSequence) -> Make:
    return Make(lambda _: SequenceDetector(sequence))
