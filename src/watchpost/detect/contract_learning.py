"""Learning what tools answer, from sessions that went well.

A response that differs from what is known, in a session that did not go well or was flagged, teaches nothing: it is a candidate, which a
person can look at and pin. So nobody teaches a tool new fields but by sessions in which nothing is found to be wrong.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import msgspec

from watchpost.detect.contract import Guard, is_error
from watchpost.detect.contract_tally import Enough, Tally
from watchpost.detect.learner import Ended
from watchpost.model.knowledge import Content, Contract, Field
from watchpost.model.step import TEXT_KEPT, Step
from watchpost_core.shape import Node, member, parts, shape_of

KIND = "contract"
"""The kind of knowledge that contracts are."""

TOOLS = 2000
"""Tools of a project that are learnt; others are left alone."""

VARIANTS = 8
"""Variants of a tool's responses that are kept apart; what is beyond is counted to the nearest."""

ERRORS = 16
CANDIDATES = 16
"""Error shapes and candidates that are kept of a tool: of candidates those of most sessions."""

LEARNT = 300
"""After so many sessions a tool is known, and it is learnt no more until a sound session has something new, and then for as many again."""

_EMPTY = frozenset({"", "{}", "[]", "[[]]", "[{}]"})
_ALL = Enough(responses=0, sessions=0, quiet=0.0, null_sessions=0, again=0)


class Candidate(msgspec.Struct):
    """A shape that was seen only in sessions that teach nothing: how many, and the first and the last step that had it, as `trace:span`."""

    digest: str
    shape: str
    sessions: int
    first: str
    last: str


class Draft(msgspec.Struct):
    """What was gathered of one tool; it is learnt `until` a session, a variant was last new in `varied_at`, both counted from 1."""

    sessions: int = 0
    responses: int = 0
    until: int = LEARNT
    varied_at: int = 0
    variants: list[Tally] = []
    errors: list[str] = []
    candidates: list[Candidate] = []


def response_shape(step: Step) -> str:
    """The shape of a tool call's response; empty where it is empty, has none, or was cut short."""
    if step.shape:
        return step.shape
    result = step.result
    line = shape_of(result) if result and len(result) < TEXT_KEPT else ""
    return "" if line in _EMPTY else line


def digest_of_shape(line: str) -> str:
    """16 hexadecimal digits that name a shape."""
    return hashlib.blake2b(line.encode(), digest_size=8).hexdigest()


def read_candidates(body: bytes) -> list[Candidate]:
    """The candidates in a draft, as `ContractLearner.draft` gave it."""
    return msgspec.json.decode(body, type=Draft).candidates


class ContractLearner:
    """The contracts of one project's tools.

    A contract is published when one variant of the responses is known well enough to judge by it and for as long no other variant was
    new, and again when it means something else. What one session teaches costs as much as its different shapes have fields.
    """

    def __init__(self, enough: Enough | None = None) -> None:
        self._enough = enough or Enough()
        self._drafts: dict[str, Draft] = {}
        self._looked_at: dict[str, tuple[Content | None, float]] = {}
        """What was to hold about a tool when it was last asked, and the session of the tool before which nothing else may, unless it has something new."""
        self._seen: dict[str, Guard] = {}
        """What all responses so far had in common, for tools of which that is asked."""

    def learn(self, session: Ended) -> Iterable[str]:
        """Take an ended session in; the tools whose drafts changed."""
        seen: dict[str, Counter[str]] = {}
        failed: dict[str, set[str]] = {}
        steps: dict[tuple[str, str], tuple[Step, Step]] = {}
        for step in session.steps:
            tool = step.tool or step.name
            if step.kind != "tool" or not tool or step.status == "running" or not (line := response_shape(step)):
                continue
            if step.status == "error":
                failed.setdefault(tool, set()).add(line)
                continue
            seen.setdefault(tool, Counter())[line] += 1
            first, _ = steps.get((tool, line), (step, step))
            steps[tool, line] = (first, step)
        if session.sound:
            return [
                tool
                for tool in {**seen, **failed}
                if self._teach(tool, seen.get(tool, Counter()), failed.get(tool, ()))
            ]
        return [
            tool for tool, lines in seen.items() if self._remember(tool, {line: steps[tool, line] for line in lines})
        ]

    def unname(self, trace_ids: Collection[str]) -> list[str]:
        """Let no candidate name a step of these traces; the tools whose drafts changed."""
        changed: dict[str, None] = {}
        for tool, draft in self._drafts.items():
            for candidate in draft.candidates:
                for end in ("first", "last"):
                    if getattr(candidate, end).partition(":")[0] in trace_ids:
                        setattr(candidate, end, ":")
                        changed[tool] = None
        return list(changed)

    def load(self, name: str, body: bytes) -> None:
        """Go on from a draft as `draft` gave it."""
        self._looked_at.pop(name, None)
        self._drafts[name] = msgspec.json.decode(body, type=Draft)

    def draft(self, name: str) -> bytes:
        """What was gathered about a tool."""
        return msgspec.json.encode(self._drafts.get(name, Draft()))

    def content(self, name: str, held: Content | None) -> Content | None:
        """The contract of a tool as it is to hold; `held` where that means the same, or where too little is known.

        It is put together only where something new came since this was last asked, or as many sessions as could change what it says.
        """
        draft = self._drafts.get(name)
        if draft is None or not draft.variants:
            return held
        if draft.sessions < self._enough.wait(draft.varied_at):
            return held
        before, due = self._looked_at.get(name, (None, 0))
        if draft.sessions < due and before is held:
            return held
        content = self._content(draft, held)
        self._looked_at[name] = (content, draft.sessions + min(each.lasts(self._enough) for each in draft.variants))
        return content

    def _content(self, draft: Draft, held: Content | None) -> Content | None:
        contract = _contract(draft, self._enough)
        if not any(fields[""].settled for fields in (contract.fields, *contract.variants)):
            return held
        return held if isinstance(held, Contract) and _meaning(held) == _meaning(contract) else contract

    def candidates(self, name: str) -> list[Candidate]:
        """The shapes of a tool that nothing was learnt from."""
        draft = self._drafts.get(name)
        return list(draft.candidates) if draft is not None else []

    def adopt(self, name: str, digest: str) -> Contract | None:
        """Take a candidate for a variant that the tool has from now on; the contract with it, None where there is no such candidate."""
        draft = self._drafts.get(name)
        chosen = next((each for each in draft.candidates if each.digest == digest), None) if draft else None
        if draft is None or chosen is None:
            return None
        node: Node = json.loads(chosen.shape)
        if len(draft.variants) >= VARIANTS:
            _variant_for(draft, node).add(node, 1, draft.sessions)
        else:
            nearest = _nearest(draft.variants, node) or Tally(draft.responses, draft.sessions, draft.responses)
            like = msgspec.json.decode(msgspec.json.encode(nearest), type=Tally)
            like.become(node)
            draft.variants.append(like)
        draft.candidates.remove(chosen)
        self._seen.pop(name, None)
        self._looked_at.pop(name, None)
        contract = _contract(draft, self._enough)
        return contract if contract.fields[""].settled else _contract(draft, _ALL)

    def _teach(self, tool: str, lines: Mapping[str, int], failed: Iterable[str]) -> bool:
        draft = self._drafts.get(tool)
        if draft is None:
            if len(self._drafts) >= TOOLS:
                return False
            draft = self._drafts[tool] = Draft()
        if draft.sessions >= draft.until:
            if not any(self._is_new(tool, draft, line) for line in lines):
                return False
            draft.until = draft.sessions + LEARNT
        self._seen.pop(tool, None)
        changed, is_new = False, False
        if lines:
            draft.sessions += 1
            changed = True
        for line, responses in sorted(lines.items()):
            node: Node = json.loads(line)
            if is_error(node):
                is_new |= _keep_error(draft, line)
                continue
            draft.responses += responses
            is_new |= _variant_for(draft, node).add(node, responses, draft.sessions)
        for line in sorted(failed):
            is_new |= _keep_error(draft, line)
        if is_new:
            self._looked_at.pop(tool, None)
        return changed or is_new

    def _remember(self, tool: str, steps: Mapping[str, tuple[Step, Step]]) -> bool:
        """Keep the shapes that nothing is known of as candidates."""
        draft = self._drafts.get(tool)
        if draft is None and len(self._drafts) >= TOOLS:
            return False
        held = draft or Draft()
        changed = False
        for line, (first, last) in sorted(steps.items()):
            if not self._is_new(tool, held, line):
                continue
            _keep_candidate(held, line, first, last)
            changed = True
        if changed:
            self._drafts[tool] = held
        return changed

    def _is_new(self, tool: str, draft: Draft, line: str) -> bool:
        """Whether a response of this shape differs from all that was learnt, and is no error."""
        if not draft.variants:
            return not is_error(json.loads(line))
        if tool not in self._seen:
            self._seen[tool] = Guard(_contract(draft, _ALL))
        return bool(self._seen[tool].compare(line))


def _keep_error(draft: Draft, line: str) -> bool:
    if line in draft.errors or len(draft.errors) >= ERRORS:
        return False
    draft.errors.append(line)
    return True


def _keep_candidate(draft: Draft, line: str, first: Step, last: Step) -> None:
    digest = digest_of_shape(line)
    held = next((each for each in draft.candidates if each.digest == digest), None)
    if held is not None:
        held.sessions += 1
        held.last = _named(last)
        return
    if len(draft.candidates) >= CANDIDATES:
        draft.candidates.remove(min(draft.candidates, key=lambda each: each.sessions))
    draft.candidates.append(Candidate(digest, line, 1, _named(first), _named(last)))


def _named(step: Step) -> str:
    return f"{step.trace_id.hex()}:{step.span_id.hex()}"


def _variant_for(draft: Draft, node: Node) -> Tally:
    """The variant that a response belongs to, a new one where it is like none."""
    nearest = _nearest(draft.variants, node)
    if nearest is None:
        if len(draft.variants) < VARIANTS:
            draft.varied_at = draft.sessions
            draft.variants.append(Tally())
            return draft.variants[-1]
        nearest = draft.variants[0]
    return nearest


def _nearest(variants: Iterable[Tally], node: Node) -> Tally | None:
    """The variant whose usual names are most like those of a response, if half of all of them are the same."""
    kind, names = _make(node)
    best, most = None, 0.5
    for variant in variants:
        held = variant
        while held.items is not None and "a" in held.types:
            held = held.items
        known = {name for name, each in held.names.items() if each.seen * 2 >= held.objects}
        if kind not in variant.types:
            continue
        if held.any_name is not None or "*" in names or not (known or names):
            return variant
        share = len(known & names) / len(known | names)
        if share >= most:
            best, most = variant, share + 1e-9
    return best


def _make(node: Node) -> tuple[str, frozenset[str]]:
    """Whether a response is an object or a list, and the names in it, or in the items of the list."""
    _, members, items = parts(node)
    kind = "o" if members is not None else "a"
    while items:
        _, members, items = parts(items[0])
    return kind, frozenset(member(key)[0] for key in members or ())


def _contract(draft: Draft, enough: Enough) -> Contract:
    variants = [dict(each.fields(enough)) for each in draft.variants]
    variants.sort(key=lambda fields: (-fields[""].seen, sorted(fields)))
    first, *others = variants
    return Contract(first, tuple(sorted(draft.errors)), draft.responses, draft.sessions, tuple(others))


def _meaning(contract: Contract) -> tuple[tuple[str, ...], set[tuple[tuple[str, Field], ...]]]:
    """What a contract says, without how often it was seen."""
    return contract.errors, {
        tuple(sorted((path, msgspec.structs.replace(field, seen=0)) for path, field in fields.items()))
        for fields in (contract.fields, *contract.variants)
    }
