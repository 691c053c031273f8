"""The hallucination detector: a model that names an id which nothing told it.

Told is what stands in the results of tools and retrievals, in what people said, in system prompts, and in the input of model calls. What a
model said by itself, and what it passed to a tool, makes no id known.

An id is judged where it is written as ids are: by a format that was configured, by one learnt in the project, by one that ids have in
this session's tool results; and, where it is the whole value of a tool argument named as an id, by the look of one. Where neither the
input of a model call nor anything a person said was reported, nothing can be told, and nothing is flagged.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Protocol

import msgspec
import re2
from rapidfuzz.distance import Levenshtein

from watchpost.detect.alike import shown
from watchpost.detect.detector import Surroundings
from watchpost.detect.heard import Heard
from watchpost.detect.id_form import (
    claims,
    cleaned,
    form_of,
    id_arguments,
    is_example,
    is_telling,
    label,
    looks_like_id,
)
from watchpost.detect.shown_ids import ShownIds
from watchpost.detect.undo import Undo
from watchpost.model.flag import Finding, Severity
from watchpost.model.step import Step, StepKind
from watchpost_core.fields import words

KIND = "ENTITY_HALLUCINATION"

MOST_FINDINGS = 10
"""Ids that are flagged at one step."""

_NEAR = 2
"""Characters in which a typo may differ."""

_WHOLLY_GENERAL = frozenset({"id", "uuid", "guid"})
_NEAREST = 8
"""Known ids that evidence shows at most."""

_OF_THE_RUN = (
    "request_id", "correlation_id", "trace_id", "span_id", "session_id", "conversation_id", "thread_id", "run_id", "call_id",
    "tool_call_id", "message_id", "client_request_id", "input_id", "element_id",
)  # fmt: skip


class HallucinationSettings(msgspec.Struct, frozen=True):
    r"""Which ids are judged, and how much they matter.

    `formats` names patterns (RE2) that all of an id matches: `{order = "ORD-\\d+"}`. `creates` names tools, or shell patterns of them,
    whose own ids the caller makes up: `order_id` of `create_order`, and plain `id` and `uuid`. `ignored_fields` are arguments whose ids the
    program gives and not the model. An id in the arguments of a call has `severity`, one in words alone `words_severity`. `words` says
    whether a model's words are looked at, `look` whether an argument is judged by its look alone;
    a bare number of fewer digits than `shortest_number` only where tools have shown numbers for ids of its kind.
    """

    enabled: bool = True
    formats: dict[str, str] = {}
    creates: tuple[str, ...] = ("create*", "*_create", "register*")
    ignored_fields: tuple[str, ...] = _OF_THE_RUN
    words: bool = True
    look: bool = True
    shortest_number: int = 2
    severity: Severity = "high"
    words_severity: Severity = "warning"

    def __post_init__(self) -> None:
        """Refuse what cannot be used: raises ValueError naming the field."""
        if self.shortest_number < 1:
            raise ValueError(f"shortest_number must be at least 1, not {self.shortest_number}")
        for name, pattern in self.formats.items():
            try:
                matcher = _compiled(pattern)
            except (re2.error, UnicodeEncodeError) as error:
                raise ValueError(f"formats.{name} is no pattern: {error}") from error
            if matcher.fullmatch(""):
                raise ValueError(f"formats.{name} must not match an empty text")


class _Format(msgspec.Struct, frozen=True):
    """A format an id was judged by: its pattern, who says so, and the fields known to hold such ids."""

    pattern: str
    source: str
    name: str = ""
    fields: tuple[str, ...] = ()


class _Claim(msgspec.Struct, frozen=True):
    """An id that a model named; `field` is the argument that it stood in, empty for words."""

    value: str
    tool: str = ""
    field: str = ""


class HallucinationDetector:
    """Finds ids that nothing told the model.

    An id is flagged once in words and once in a call's arguments. A span that comes late may tell it, so a finding is refutable.
    A step costs what it says and not what was said before, save that each text is turned into digests once; what is held grows by a
    bounded amount with each step.
    """

    kinds: frozenset[StepKind] = frozenset({"llm", "tool", "handoff", "human", "state", "retrieval"})

    def __init__(self, settings: HallucinationSettings, surroundings: Surroundings) -> None:
        self._settings = settings
        self._formats = _formats(settings, surroundings)
        self._ignored = _labels(settings.ignored_fields)
        self._heard = Heard()
        self._shown = ShownIds()
        self._undo = Undo()
        self._informed_at: int | None = None
        """The place of the first human step, or model call whose input was reported."""
        self._hidden_address = False
        """Whether the latest person to speak gave an address that was hidden: its first part may be an id."""
        self._settled: dict[str, bool] = {}
        """Each id that was flagged or found excused, and whether that was in a call."""

    def see(self, place: int, step: Step) -> Sequence[Finding]:
        """Take the next step in order and say which ids it makes up."""
        kind = step.kind
        if kind == "llm":
            return self._answer(place, step)
        found: Sequence[Finding] = ()
        result = step.result
        if step.arguments and self._informed_at is not None and self._heard.is_whole:
            found = self._call(place, step)
        if result or step.mentioned:
            self._heard.add(place, result, step.mentioned, every_word=kind == "human")
            if result and kind in {"tool", "retrieval"}:
                self._shown.add(place, step)
        if kind == "human":
            if self._informed_at is None:
                self._informed_at = place
            self._hide(place, "[email:" in result)
        return found

    def rewind(self, steps: int) -> None:
        """Forget every step whose place is `steps` or beyond."""
        self._undo.rewind(steps)
        if self._informed_at is not None and self._informed_at >= steps:
            self._informed_at = None
        self._heard.rewind(steps)
        self._shown.rewind(steps)

    def _answer(self, place: int, step: Step) -> Sequence[Finding]:
        """What a model call says by itself, once its input is known."""
        if step.informed:
            if self._informed_at is None:
                self._informed_at = place
            if step.mentioned:
                self._heard.add(place, "", step.mentioned)
        if (
            not step.result
            or not self._settings.words
            or self._informed_at is None
            or not self._heard.is_whole
            or not (claimed := claims(step.result))
        ):
            return ()
        found: list[Finding] = []
        for value in claimed:
            if len(found) >= MOST_FINDINGS or value.lower() in self._settled or self._heard.names(value):
                continue
            written = self._format_of(value)
            if written is not None and not is_example(value):
                found.append(self._finding(place, _Claim(value), written))
        return found

    def _call(self, place: int, step: Step) -> Sequence[Finding]:
        """What the arguments of a call name."""
        if not (told_ids := id_arguments(step.arguments)):
            return ()
        tool = step.tool or step.name
        found: list[Finding] = []
        for field, told in told_ids:
            value = cleaned(told)
            if not value or len(found) >= MOST_FINDINGS or not self._is_unheard(value):
                continue
            if _is_told(tool, field, self._settings.creates, self._ignored):
                written = self._format_of(value) or self._look_of(field, value)
                if written is not None and self._hidden_address and value.islower():
                    self._settle(place, value, in_call=True)
                elif written is not None:
                    found.append(self._finding(place, _Claim(value, tool, field), written))
        return found

    def _hide(self, place: int, hidden: bool) -> None:
        before = self._hidden_address
        if hidden != before:
            self._hidden_address = hidden
            self._undo.note(place, lambda: self._unhide(before))

    def _unhide(self, before: bool) -> None:
        self._hidden_address = before

    def _is_unheard(self, value: str) -> bool:
        """Whether nothing told this id. One that was flagged in words must have been told by somebody else since."""
        in_call = self._settled.get(value.lower())
        if in_call is not None:
            return not in_call and not self._heard.names(value, in_texts=True)
        return not self._heard.names(value)

    def _format_of(self, value: str) -> _Format | None:
        """The format by which a value is an id: configured, learnt, or shown in this session."""
        for matcher, written in self._formats:
            if matcher.fullmatch(value) or matcher.fullmatch(f"#{value}"):
                return written
        form = form_of(value)
        return _Format(form, "session") if is_telling(value) and self._shown.of(form) else None

    def _look_of(self, field: str, value: str) -> _Format | None:
        """The format of an argument that is an id by its look; of a short number, if its kind has been shown with numbers."""
        if not self._settings.look:
            return None
        is_id = looks_like_id(value)
        if value.isdigit():
            is_id = len(value) >= self._settings.shortest_number or self._shown.numbered(label(field))
        if is_id:
            return _Format(form_of(value), "look")
        return None

    def _finding(self, place: int, claim: _Claim, written: _Format) -> Finding:
        """Mark an id as flagged, and say what is known of where it should have come from."""
        value = claim.value
        self._settle(place, value, in_call=bool(claim.field))
        alike = self._shown.of(written.pattern if written.source == "session" else form_of(value))
        near = sorted(
            {
                (Levenshtein.distance(value.lower(), each.value.lower(), score_cutoff=_NEAR), each.value)
                for each in alike
            }
        )
        nearest = [each for distance, each in near if distance <= _NEAR]
        where = f"passed to {shown(claim.tool)} as {claim.field}" if claim.field else "named in the answer"
        return Finding(
            KIND,
            shown(value),
            self._settings.severity if claim.field else self._settings.words_severity,
            f"{shown(value)}, {where}, stands in nothing the model was told",
            {
                "reason": "unknown_id_in_call" if claim.field else "unknown_id_in_words",
                "tool": shown(claim.tool),
                "argument": claim.field,
                "value": shown(value),
                "format": shown(written.pattern),
                "format_from": written.source,
                "format_name": shown(written.name),
                "expected_from": list(
                    dict.fromkeys([*(f"{shown(each.tool)} {each.field}".strip() for each in alike), *written.fields])
                )[:_NEAREST],
                "nearest": nearest[0] if nearest else "",
                "known": [each.value for each in alike][-_NEAREST:],
                "entities": [shown(value)],
            },
            refutable=True,
        )

    def _settle(self, place: int, value: str, *, in_call: bool) -> None:
        """Judge an id no more, or in calls alone."""
        key = value.lower()
        before = self._settled.get(key)
        self._settled[key] = in_call
        self._undo.note(place, lambda: self._unsettle(key, before))

    def _unsettle(self, key: str, before: bool | None) -> None:
        if before is None:
            del self._settled[key]
        else:
            self._settled[key] = before


@lru_cache(maxsize=64)
def _labels(fields: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(label, fields))


@lru_cache(maxsize=4096)
def _is_told(tool: str, field: str, creates: tuple[str, ...], ignored: frozenset[str]) -> bool:
    """Whether a model is told what this argument holds: it does not come from the program, and is no new id of what the tool creates."""
    kind = label(field)
    if kind in ignored:
        return False
    if any(fnmatchcase(tool, pattern) for pattern in creates):
        return kind not in _WHOLLY_GENERAL and kind.partition("_")[0] not in words(tool)
    return True


class _Matcher(Protocol):
    def fullmatch(self, text: str) -> object:
        """Something true if all of the text matches."""
        ...


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> _Matcher:
    options = re2.Options()
    options.log_errors = False
    matcher: _Matcher = re2.compile(pattern, options=options)
    return matcher


def _formats(settings: HallucinationSettings, surroundings: Surroundings) -> Sequence[tuple[_Matcher, _Format]]:
    learnt = surroundings.knowledge.formats
    if not settings.formats and not learnt:
        return ()
    known = [_Format(pattern, "configured", name) for name, pattern in settings.formats.items()]
    known += [_Format(held.pattern, "learnt", name, held.fields) for name, held in learnt.items()]
    return [(_compiled(each.pattern), each) for each in known]
