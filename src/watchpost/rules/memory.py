"""What rules keep of the ledger and of the index of sessions, so that a row that replaces another takes back what that one added.

Rows of which nothing counts for any rule are not kept. The oldest slots are let go once their time has left the longest window, or earlier
where more is held than may be; from when on all is held, `since_ns` says, and windows that reach further back are not answered from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from watchpost.model.ledger import LedgerRow
from watchpost.model.session import Summary, session_key
from watchpost.query.measures import Group
from watchpost.rules.pieces import Calls, Pieces, SessionPieces, StepPieces, calls_of
from watchpost.rules.tally import CELL_NS, Piece
from watchpost.rules.tape import OTHERS, Tape

SLOT_S = 600
_SLOT_NS = SLOT_S * 10**9

_AHEAD_NS = 3600 * 10**9
"""A slot that begins later than this from now does not count: its sender's clock is wrong."""

Added = tuple[tuple[Tape, tuple[Piece, ...]], ...]
Who = tuple[str, str]


class Memory:
    """Feeds tapes. All that was decided since `since_ns` must come in, in the order in which it was decided."""

    def __init__(self, tapes: Iterable[Tape], *, since_ns: int, most: int) -> None:
        self.since_ns = since_ns
        self._tapes = tuple(tapes)
        self._most = most
        self._steps = StepPieces(self._tapes)
        self._sessions = SessionPieces(self._tapes)
        self.longest_ns = max((n for tape in self._tapes for n in tape.windows), default=0) * CELL_NS
        """The longest window that is looked at."""
        self._slots: dict[int, dict[Who, Added]] = {}
        self._calls: dict[int, dict[Who, LedgerRow]] = {}
        self._ended: dict[str, tuple[int, str, Added]] = {}
        self._ended_in: dict[int, set[str]] = {}
        self._held = 0
        self._from = 0

    @property
    def held(self) -> int:
        """Rows and sessions that are kept."""
        return self._held

    def take_row(self, row: LedgerRow) -> None:
        """Count a row in place of the one before of its project, slot and session."""
        if row.slot < self._from:
            return
        self._replace_row(row)
        if self._steps.looks_back:
            who = row.project, row.session_id
            self._calls.setdefault(row.slot, {})[who] = row
            after = self._calls.get(row.slot + SLOT_S, {}).get(who)
            if after is not None:
                self._replace_row(after)

    def take_session(self, session: Summary) -> None:
        """Count a session in place of what was known of it before."""
        slot = session.ended_ns // _SLOT_NS * SLOT_S
        pieces: Pieces = {}
        if self._from <= slot:
            pieces = self._sessions.read(session)
        before = self._ended.get(session.key)
        if before is None and not pieces:
            return
        added = _exchange(before[2] if before else (), pieces, session.session_id)
        if before is not None:
            self._drop_session(session.key, before[0])
        self._keep_session(session.key, slot, session.session_id, added)

    def rename(self, aliases: Mapping[Who, str]) -> None:
        """Let what sessions added stand for others, of no user, of which nothing more will come."""
        for calls in self._calls.values():
            for who in aliases.keys() & calls.keys():
                del calls[who]
        for held in self._slots.values():
            for who in aliases.keys() & held.keys():
                added = _of_nobody(held.pop(who), who[1], aliases[who])
                self._held += bool(added) - 1
                if added:
                    held[who[0], aliases[who]] = added
        for (project, session_id), alias in aliases.items():
            key = session_key(project, session_id)
            if key in self._ended:
                slot, _, added = self._ended[key]
                self._drop_session(key, slot)
                self._keep_session(session_key(project, alias), slot, alias, _of_nobody(added, session_id, alias))

    def move(self, end_ns: int) -> None:
        """Let all windows end at a multiple of `CELL_NS`, and let go of what can count no more."""
        for tape in self._tapes:
            tape.move(end_ns // CELL_NS)
        oldest = (end_ns - self.longest_ns) // _SLOT_NS * SLOT_S
        gone = [slot for slot in {*self._slots, *self._calls, *self._ended_in} if slot < oldest - SLOT_S]
        for slot in gone:
            self._release(slot)
        self._from = max(self._from, oldest - SLOT_S)
        for slot in [each for each in {*self._slots, *self._ended_in} if each * 10**9 > end_ns + _AHEAD_NS]:
            self._take_back(slot)
        while self._held > self._most and (slots := {*self._slots, *self._ended_in}):
            oldest = min(slots)
            self._take_back(oldest)
            self._from = oldest + SLOT_S
            self.since_ns = max(self.since_ns, self._from * 10**9)

    def _replace_row(self, row: LedgerRow) -> None:
        who = row.project, row.session_id
        held = self._slots.get(row.slot)
        before = held.get(who, ()) if held else ()
        pieces: Pieces = {} if row.gone else self._steps.read(row, self._before(row))
        if not before and not pieces:
            return
        added = _exchange(before, pieces, row.session_id)
        if held is None:
            held = self._slots[row.slot] = {}
        self._held += bool(added) - bool(before)
        if added:
            held[who] = added
        else:
            held.pop(who, None)

    def _before(self, row: LedgerRow) -> Calls:
        if not self._steps.looks_back:
            return {}
        earlier = self._calls.get(row.slot - SLOT_S, {}).get((row.project, row.session_id))
        return {} if earlier is None or earlier.gone else calls_of(earlier.steps)

    def _keep_session(self, key: str, slot: int, session_id: str, added: Added) -> None:
        if added:
            self._held += 1
            self._ended[key] = slot, session_id, added
            self._ended_in.setdefault(slot, set()).add(key)

    def _drop_session(self, key: str, slot: int) -> None:
        del self._ended[key]
        self._ended_in[slot].discard(key)
        self._held -= 1

    def _release(self, slot: int) -> None:
        """Forget what a slot added; its cells are gone from every window."""
        self._held -= len(self._slots.pop(slot, {}))
        self._calls.pop(slot, None)
        for key in self._ended_in.pop(slot, set()):
            del self._ended[key]
            self._held -= 1

    def _take_back(self, slot: int) -> None:
        """Take back what a slot added, and forget it."""
        for who, added in self._slots.get(slot, {}).items():
            _exchange(added, {}, who[1])
        for key in self._ended_in.get(slot, set()):
            _exchange(self._ended[key][2], {}, self._ended[key][1])
        self._release(slot)


def _exchange(before: Added, pieces: Pieces, session: str) -> Added:
    """Take back what was added and add what is to be; what is in both stays."""
    after = {tape: tuple(each.values()) for tape, each in pieces.items()}
    for tape, old in before:
        new = after.get(tape, ())
        if new != old:
            stays = {*old} & {*new}
            tape.add([piece for piece in old if piece not in stays], session, -1)
            tape.add([piece for piece in new if piece not in stays], session)
    known = {tape for tape, _ in before}
    for tape, new in after.items():
        if tape not in known:
            tape.add(new, session)
    return tuple(after.items())


def _of_nobody(added: Added, session: str, alias: str) -> Added:
    """Let what a session added stand for another that has no user."""
    moved: list[tuple[Tape, tuple[Piece, ...]]] = []
    for tape, pieces in added:
        tape.add(pieces, session, -1)
        if any(name == "user_id" and "" not in values for name, values in tape.filters):
            continue
        left = tuple((piece[0], _group_of_nobody(tape, piece[1]), *piece[2:]) for piece in pieces)
        tape.add(left, alias)
        moved.append((tape, left))
    return tuple(moved)


def _group_of_nobody(tape: Tape, group: Group) -> Group:
    """Where in a group's place it counts that has no user; what counts among all others stays there."""
    if "user_id" not in tape.by or group[1:] == (OTHERS,) * len(tape.by):
        return group
    place = 1 + tape.by.index("user_id")
    return tape.settle((*group[:place], "", *group[place + 1 :]))
