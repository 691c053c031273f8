"""What people say of flags: taken in the order of the log, kept, and heeded from then on."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from watchpost.model.fact import Verdict, VerdictKind
from watchpost.model.flag import Flag
from watchpost.query.flags import VerdictCount
from watchpost.rules.precision import Precision, PrecisionSettings
from watchpost.session.timers import SessionRef
from watchpost.store.state import StoredVerdict, VerdictReader


class Given(msgspec.Struct, frozen=True):
    """A verdict and where the log holds it: the sequence of its delivery and its place in it."""

    seq: int
    place: int
    verdict: Verdict


class Reviewed(msgspec.Struct, frozen=True):
    """What is to be written, and the sessions of which a flag was dismissed."""

    verdicts: Sequence[StoredVerdict] = ()
    sessions: Sequence[SessionRef] = ()


class Reviews:
    """Knows every verdict taken so far: those that the source holds, and those on their way there."""

    def __init__(self, settings: PrecisionSettings, source: VerdictReader) -> None:
        self._source = source
        self._precision = Precision(settings, source.verdict_counts(""))
        self._taken: dict[str, VerdictKind] = {}

    def take(self, given: Sequence[Given]) -> Reviewed:
        """Let verdicts hold from now on; those about flags that the source does not know are passed over."""
        if not given:
            return Reviewed()
        flags = {flag.id: flag for flag in self._source.flags_by_id([each.verdict.flag_id for each in given])}
        held = self._held(list(flags))
        stored: list[StoredVerdict] = []
        sessions: dict[SessionRef, None] = {}
        for each in given:
            flag = flags.get(each.verdict.flag_id)
            if flag is None:
                continue
            kind = each.verdict.verdict
            if flag.id in held:
                self._count(flag, held[flag.id], -1)
            self._count(flag, kind, 1)
            held[flag.id] = self._taken[flag.id] = kind
            stored.append(StoredVerdict(each.seq, each.place, flag.project, flag.kind, flag.tool, each.verdict))
            if kind == "dismiss":
                sessions[flag.project, flag.session_id] = None
        return Reviewed(stored, list(sessions))

    def are_dismissed(self, flag_ids: Sequence[str]) -> bool:
        """Whether the verdict that holds about each of these flags is that it was wrong."""
        held = self._held(flag_ids)
        return all(held.get(flag_id) == "dismiss" for flag_id in flag_ids)

    def is_muted(self, flag: Flag) -> bool:
        """Whether nobody is to be told of a flag, because its detector is wrong too often."""
        return self._precision.standing(flag.project, flag.kind, flag.tool).is_muted

    def _held(self, flag_ids: Sequence[str]) -> dict[str, VerdictKind]:
        """The verdict that holds about each of these flags that has one."""
        asked = [flag_id for flag_id in flag_ids if flag_id not in self._taken]
        held = {verdict.flag_id: verdict.verdict for verdict in self._source.verdicts(asked)} if asked else {}
        return held | {flag_id: self._taken[flag_id] for flag_id in flag_ids if flag_id in self._taken}

    def _count(self, flag: Flag, kind: VerdictKind, many: int) -> None:
        confirmed, dismissed = (many, 0) if kind == "confirm" else (0, many)
        self._precision.add(VerdictCount(flag.project, flag.kind, flag.tool, confirmed, dismissed))
