"""The tool calls of one session, grouped by what they ask.

Two argument texts are alike if they name the same numbers and ids and their canonical texts are alike enough. What a call
tells is looked at only when its tool is called again, and what it names only when that is in other words: most tools are called
once in a session.
"""

from __future__ import annotations

import hashlib

import msgspec
from rapidfuzz import fuzz

from watchpost_core.similarity import canonical, entities

CANDIDATES = 32
"""A call is compared with this many of the latest different calls of its tool that name the same entities."""

TEXT_LIMIT = 2048
"""Longer canonical arguments are kept as a digest only, and are alike to the very same arguments alone; longer results too."""

TEXT_BUDGET = 8_000_000
"""Characters of canonical arguments kept per session; calls past it are kept as a digest only."""

SHOWN_CALLS = 5
SHOWN_CHARACTERS = 200
SHOWN_ENTITIES = 20
"""What evidence holds at most."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """One call; `same` says that its arguments are the same as those of its cluster's first call.

    `arguments` are as they came, `is_long` ones as evidence shows them.
    """

    span_id: bytes
    arguments: str
    same: bool
    is_long: bool

    @property
    def shown(self) -> str:
        """The arguments as evidence shows them."""
        return self.arguments if self.is_long else shown(canonical(self.arguments))


class Cluster(msgspec.Struct, eq=False, gc=False):
    """Calls of one tool with alike arguments; `calls` holds the first few of `count`.

    `told` is the canonical arguments of the first call, or a digest where they are not kept; None of a tool that was called once, whose
    call nobody has looked at yet. `first` is the first cluster of
    the tool about the same entities, None where that is this one; this one knows what it is `about` once it had to be
    compared. `opened` is the number of its first call among the session's, from 0. `answers` is how many results its calls were the first to bring.
    `digest` and `held_entities` are there only where they cannot be had from the rest. `flagged` says that the loop
    these calls are part of has been reported.
    """

    name: str
    told: str | bytes | None
    first: Cluster | None
    about: str | bytes | None
    digest: bytes
    held_entities: tuple[str, ...]
    opened: int = 0
    answers: int = 0
    count: int = 0
    calls: tuple[Call, ...] = ()
    flagged: bool = False

    @property
    def tool(self) -> str:
        """The tool as evidence shows it."""
        return shown(self.name)

    @property
    def entities(self) -> tuple[str, ...]:
        """The first few of what its first call names, as evidence shows them."""
        return self.held_entities if isinstance(self.told, bytes) else _held(entities(self._text))

    @property
    def subject(self) -> str:
        """The tool and which of its calls: the same for the same call in every session."""
        told = self.told if isinstance(self.told, bytes) else b""
        digest = self.digest or told or digest_of(self.name, self._text)
        return f"{self.tool} {digest[:4].hex()}"

    @property
    def _text(self) -> str:
        """The canonical arguments of the first call."""
        return self.told if isinstance(self.told, str) else canonical(self.calls[0].arguments)


class AlikeCalls:
    """All clusters of a session. Each call joins one; the latest call can be taken back.

    A call costs at most `CANDIDATES` comparisons of texts of at most `TEXT_LIMIT` characters, however many there were.
    """

    def __init__(self, least: float) -> None:
        """Group texts that are at least `least` alike, above 0 and up to 1."""
        self._percent = least * 100
        self._kept = 0
        self._first: dict[str, Cluster] = {}
        """The first cluster of each tool."""
        self._unread = 0
        """How many of them nobody has looked at yet."""
        self._others: dict[tuple[str, str | bytes], Cluster] = {}
        """Each first cluster of a tool about other entities, by them."""
        self._further: dict[Cluster, list[Cluster]] = {}
        """The other clusters about the same entities as a first one."""
        self._exact: dict[tuple[str, str | bytes], Cluster] = {}
        """Every cluster but the first of each tool, by what its first call told."""

    def join(self, tool: str, arguments: str, span_id: bytes) -> tuple[Cluster, Call]:
        """Count a call of a tool with these arguments, to a new cluster if none is alike."""
        name = tool if len(tool) <= SHOWN_CHARACTERS else f"{tool[:SHOWN_CHARACTERS]} {digest_of(tool).hex()}"
        held = self._first.get(name)
        if len(arguments) <= TEXT_LIMIT:
            if held is None and name is tool and self._has_room():
                new = self._first[name] = Cluster(name, None, None, None, b"", ())
                self._unread += 1
                return new, _counted(new, Call(span_id, arguments, same=True, is_long=False))
            if held is not None and held.calls[0].arguments == arguments and not held.calls[0].is_long:
                return held, _counted(held, Call(span_id, arguments, same=True, is_long=False))
        if not self._has_room() and self._unread:
            for each in self._first.values():
                self._read(each)
        elif held is not None:
            self._read(held)
        return self._told(tool, name, arguments, span_id)

    def _has_room(self) -> bool:
        """Whether the budget holds one more text whatever the calls tell that nobody has looked at: each is one text at most."""
        return self._kept + (self._unread + 2) * TEXT_LIMIT <= TEXT_BUDGET

    def _read(self, cluster: Cluster) -> None:
        """Look at what the first call of a tool tells, if nobody has."""
        if cluster.told is not None:
            return
        self._unread -= 1
        text = canonical(cluster.calls[0].arguments)
        if len(text) <= TEXT_LIMIT:
            cluster.told = text
            self._kept += len(text)
        else:
            named = entities(text)
            cluster.told = digest_of(cluster.name, text)
            cluster.about, cluster.held_entities = _about(named), _held(named)

    def _told(self, tool: str, name: str, arguments: str, span_id: bytes) -> tuple[Cluster, Call]:
        """Count a call whose tool was called before, or whose text may be too long to be kept."""
        text = canonical(arguments)
        told: str | bytes = text
        same = self._same(name, text) if len(text) <= TEXT_LIMIT else None
        if same is None and len(text) > min(TEXT_LIMIT, TEXT_BUDGET - self._kept):
            told = digest_of(tool, text)
            same = self._same(name, told)
        if same is not None:
            return same, _counted(same, _call(span_id, arguments, text, same=True))
        named = entities(text) if name in self._first or told is not text else None
        about = None if named is None else _about(named)
        first = self._find(name, about)
        near = None if first is None else self._near(first, text)
        if near is not None:
            return near, _counted(near, _call(span_id, arguments, text, same=False))
        digest = b"" if name is tool else digest_of(tool, text)
        new = Cluster(name, told, first, about, digest, () if named is None or told is text else _held(named))
        self._add(new, told)
        return new, _counted(new, _call(span_id, arguments, text, same=True))

    def leave(self, cluster: Cluster) -> None:
        """Take back the latest call, which joined this cluster."""
        cluster.count -= 1
        cluster.calls = cluster.calls[: cluster.count]
        if cluster.count:
            return
        self._kept -= len(cluster.told) if isinstance(cluster.told, str) else 0
        if self._first[cluster.name] is cluster:
            del self._first[cluster.name]
            self._unread -= cluster.told is None
            return
        if cluster.told is not None:
            del self._exact[cluster.name, cluster.told]
        if cluster.first is not None:
            further = self._further[cluster.first]
            further.pop()
            if not further:
                del self._further[cluster.first]
        elif cluster.about is not None:
            del self._others[cluster.name, cluster.about]

    def _same(self, name: str, told: str | bytes) -> Cluster | None:
        """The cluster whose first call told just this."""
        first = self._first.get(name)
        return first if first is None or first.told == told else self._exact.get((name, told))

    def _find(self, name: str, about: str | bytes | None) -> Cluster | None:
        """The first cluster of a tool about these entities."""
        first = self._first.get(name)
        if first is None or about is None:
            return None
        if first.about is None and isinstance(first.told, str):
            first.about = _about(entities(first.told))
        return first if first.about == about else self._others.get((name, about))

    def _near(self, first: Cluster, text: str) -> Cluster | None:
        """The latest cluster about the same entities as `first` whose arguments are like these."""
        if len(text) > TEXT_LIMIT:
            return None
        further = self._further.get(first, ())
        for cluster in (*reversed(further[-CANDIDATES:]), first)[:CANDIDATES]:
            told = cluster.told
            if told and isinstance(told, str) and fuzz.ratio(text, told, score_cutoff=self._percent) >= self._percent:
                return cluster
        return None

    def _add(self, cluster: Cluster, told: str | bytes) -> None:
        """Let a new cluster be found from now on."""
        self._kept += len(told) if isinstance(told, str) else 0
        if cluster.name not in self._first:
            self._first[cluster.name] = cluster
            return
        self._exact[cluster.name, told] = cluster
        if cluster.first is not None:
            self._further.setdefault(cluster.first, []).append(cluster)
        elif cluster.about is not None:
            self._others[cluster.name, cluster.about] = cluster


def _call(span_id: bytes, arguments: str, text: str, *, same: bool) -> Call:
    is_long = len(arguments) > TEXT_LIMIT
    return Call(span_id, shown(text) if is_long else arguments, same=same, is_long=is_long)


def _counted(cluster: Cluster, call: Call) -> Call:
    cluster.count += 1
    if cluster.count <= SHOWN_CALLS:
        cluster.calls += (call,)
    return call


def _about(named: tuple[str, ...]) -> str | bytes:
    """One value for these entities, of which none holds a line feed."""
    joined = "\n".join(named)
    return joined if len(joined) <= SHOWN_CHARACTERS else digest_of(joined)


def _held(named: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(shown(each) for each in named[:SHOWN_ENTITIES])


def shown(text: str) -> str:
    """The text, cut to `SHOWN_CHARACTERS`, as valid Unicode."""
    cut = text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"
    return cut if cut.isascii() else cut.encode(errors="replace").decode()


def digest_of(*parts: str) -> bytes:
    """16 bytes that tell these texts, in this order, from any others."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part.encode(errors="surrogatepass")
        state.update(len(raw).to_bytes(8, "big"))
        state.update(raw)
    return state.digest()
