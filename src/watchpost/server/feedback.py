"""What people and judges say of a run, as telemetry of our own: an evaluation that stands in the run, or waits for it."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Literal, Protocol

import msgspec
from starlette.concurrency import run_in_threadpool

from watchpost.model.session import Summary, session_key
from watchpost.model.step import FEEDBACK_SCOPE
from watchpost.model.telemetry import Attributes, Delivery, Parcel, Span
from watchpost.query.measures import MOST_SCORE
from watchpost.server.json_body import fault_of
from watchpost.server.problem import NotFoundError, ParameterError
from watchpost.server.unpriced import since_ns
from watchpost.store.contracts import Member

MOST = 1000
"""Pieces of feedback in one request."""

WAIT_S = 2.0
"""How long an answer waits until feedback is counted."""

NAME_LENGTH = 200
SESSION_LENGTH = 1024
COMMENT_LENGTH = 10_000

FeedbackKind = Literal["thumbs_up", "thumbs_down", "score", "correction", "escalation", "ticket", "comment"]
"""What somebody says: they were content, or not; so many points; that the answer was wrong; that a person had to take over; that they opened a ticket; or words alone."""

_TRACE = re.compile(r"[0-9a-fA-F]{32}")
_SPAN = re.compile(r"[0-9a-fA-F]{16}")
_DECODER = msgspec.json.Decoder(object)


class FeedbackGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One piece of feedback, about a `session` (its key), or a `session_id`, or a `trace_id` and perhaps one step of it.

    `project` is that of the session id or trace. `span_id` and `step_id` are two names for the same. `score` and `label` go with the kind
    `score`. `evaluator` is who or what judges by a scale of its own, `by` the person. `at` is when it was said, in ISO 8601, now where it is
    empty. The same `id` again replaces what it said before; without one the same words about the same are said once.
    """

    kind: FeedbackKind
    session: str = ""
    project: str = "default"
    session_id: str = ""
    trace_id: str = ""
    span_id: str = ""
    step_id: str = ""
    score: float | None = None
    label: str = ""
    comment: str = ""
    by: str = ""
    evaluator: str = ""
    at: str = ""
    id: str = ""


class FeedbackAnswer(msgspec.Struct, frozen=True):
    """Where a piece of feedback is kept: as the step `step_id` of a trace.

    `session` is the key of its session, null while nothing of that has come: then the feedback is counted as soon as it does.
    """

    trace_id: str
    step_id: str
    project: str
    session: str | None


class FeedbacksAnswer(msgspec.Struct, frozen=True):
    """One answer for each piece of feedback, in their order."""

    feedback: list[FeedbackAnswer]


class Whereabouts(Protocol):
    """Which sessions and traces there are."""

    def session(self, key: str) -> Summary | None:
        """The summary of a key, also of one that was merged away; None for a key never seen."""
        ...

    def members_of_traces(self, traces: Sequence[tuple[str, bytes]]) -> list[Member]:
        """The live memberships of the given (project, trace id) pairs."""
        ...


class Desk(Protocol):
    """Where telemetry of our own is written down."""

    async def report(self, parcel: Parcel) -> int:
        """Return only when the parcel is durable, with its log sequence. Raises `OverloadedError` for what is to be sent again later."""
        ...

    async def settled(self, seq: int, timeout_s: float) -> bool:
        """Return true as soon as all up to a log sequence holds, and false where that is not so in time."""
        ...


class Feedback:
    """Takes feedback. `redact` hides in it what is hidden in all telemetry; it is called from one thread."""

    def __init__(
        self, whereabouts: Whereabouts, desk: Desk, redact: Callable[[Delivery], Delivery], now_ns: Callable[[], int]
    ) -> None:
        self._whereabouts = whereabouts
        self._desk = desk
        self._redact = redact
        self._now_ns = now_ns

    async def give(self, given: Sequence[FeedbackGiven]) -> tuple[list[FeedbackAnswer], bool]:
        """Write feedback down: where each is, and whether all of it is counted already.

        Raises `ParameterError` or `NotFoundError`, and then nothing of it is kept; else as `Desk.report` does, and then it may be sent again as it is.
        """
        parcels = await run_in_threadpool(self.parcels, given, self._now_ns())
        holds = await self._desk.settled(await self.write(parcels), WAIT_S)
        answers = await run_in_threadpool(self.answers, parcels)
        return answers, holds and all(answer.session for answer in answers)

    async def write(self, parcels: Sequence[Parcel]) -> int:
        """Return when all of these parcels are durable, with the log sequence of the last; raises as `Desk.report` does."""
        redacted = self._redact(Delivery(self._now_ns(), tuple(parcels))).parcels
        seq = 0
        for project, same in groupby(redacted, lambda parcel: parcel.project):
            spans = tuple(span for parcel in same for span in parcel.spans)
            seq = await self._desk.report(Parcel(project, {}, FEEDBACK_SCOPE, spans))
        return seq

    def parcels(self, given: Sequence[FeedbackGiven], now_ns: int) -> tuple[Parcel, ...]:
        """One parcel of one span for each; raises `ParameterError` and `NotFoundError`."""
        checked = [_checked(each, f"{place}." if len(given) > 1 else "") for place, each in enumerate(given)]
        return tuple(self._parcel(each, now_ns) for each in checked)

    def answers(self, parcels: Sequence[Parcel]) -> list[FeedbackAnswer]:
        """Where the feedback of these parcels is now."""
        at = [(parcel.project, parcel.spans[0].trace_id) for parcel in parcels]
        sessions: dict[tuple[str, bytes], str] = {}
        for member in self._whereabouts.members_of_traces(sorted(set(at))):
            summary = self._whereabouts.session(session_key(member.project, member.session_id))
            if summary is not None:
                sessions[member.project, member.trace_id] = summary.moved_to or summary.key
        return [
            FeedbackAnswer(ref[1].hex(), parcel.spans[0].span_id.hex(), ref[0], sessions.get(ref))
            for ref, parcel in zip(at, parcels, strict=True)
        ]

    def _parcel(self, given: FeedbackGiven, now_ns: int) -> Parcel:
        project, session_id = given.project, given.session_id
        if given.session:
            project, session_id = self._session(given.session)
        trace_id, own_session = _place(project, session_id, given.trace_id)
        at_ns = max(since_ns(given.at, "at"), 1) if given.at else now_ns
        about = bytes.fromhex(given.span_id or given.step_id)
        span = Span(
            trace_id,
            _span_id(project, trace_id, about, given),
            about,
            f"feedback {given.kind}",
            at_ns,
            at_ns,
            1,
            1,
            "",
            _attributes(given, own_session),
        )
        return Parcel(project, {}, FEEDBACK_SCOPE, (span,))

    def _session(self, key: str) -> tuple[str, str]:
        summary = self._whereabouts.session(key)
        if summary is not None and summary.moved_to:
            summary = self._whereabouts.session(summary.moved_to)
        if summary is None:
            raise NotFoundError(f"no session has the key {key}")
        return summary.project, summary.session_id


def read(body: bytes) -> list[FeedbackGiven]:
    """Feedback in JSON, one piece or an array of at most `MOST`; raises `ParameterError` naming the field."""
    try:
        found = _DECODER.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ParameterError("body", str(error)) from error
    if not isinstance(found, list):
        return [_converted(found, "")]
    if not 1 <= len(found) <= MOST:
        raise ParameterError("body", f"holds {len(found)} pieces of feedback: from 1 to {MOST} are taken at once")
    return [_converted(each, f"{place}.") for place, each in enumerate(found)]


def _converted(value: object, place: str) -> FeedbackGiven:
    try:
        return msgspec.convert(value, FeedbackGiven)
    except msgspec.ValidationError as error:
        raise fault_of(error, place) from error


def _checked(given: FeedbackGiven, place: str) -> FeedbackGiven:
    """Feedback without needless white space; raises `ParameterError` where it says nothing, too much, or of nothing."""
    cleaned = msgspec.structs.replace(
        given,
        comment=given.comment.replace("\r\n", "\n").strip(),
        **{name: getattr(given, name).strip() for name in ("label", "by", "evaluator", "id")},
    )
    fault = _fault(cleaned)
    if fault is not None:
        raise ParameterError(place + fault[0], fault[1])
    return cleaned


def _fault(given: FeedbackGiven) -> tuple[str, str] | None:
    """The field at fault, and what is wrong with it."""
    named = [name for name in ("session", "session_id", "trace_id") if getattr(given, name)]
    if len(named) != 1:
        return (
            (named[-1], f"goes without {named[0]}: name one")
            if named
            else ("session", "or session_id or trace_id must say what it is about")
        )
    for name, form in (("trace_id", _TRACE), ("span_id", _SPAN), ("step_id", _SPAN)):
        if getattr(given, name) and not form.fullmatch(getattr(given, name)):
            return name, "is no id of 32 hexadecimal digits" if form is _TRACE else "is no id of 16 hexadecimal digits"
    step = "span_id" if given.span_id else "step_id" if given.step_id else ""
    if step and not given.trace_id:
        return step, "is one of a trace: name its trace_id"
    if given.span_id and given.step_id and given.span_id.lower() != given.step_id.lower():
        return "step_id", "is another one than span_id, which means the same"
    return _fault_of_words(given)


def _fault_of_words(given: FeedbackGiven) -> tuple[str, str] | None:
    said, is_score = ("score" if given.score is not None else "label" if given.label else ""), given.kind == "score"
    if is_score and not said:
        return "score", "or label must be given with the kind score"
    if said and not is_score:
        return said, "goes with the kind score"
    if given.score is not None and not (math.isfinite(given.score) and abs(given.score) <= MOST_SCORE):
        return "score", f"must be from {-MOST_SCORE} to {MOST_SCORE}"
    empty = "project" if not given.project else "comment" if given.kind == "comment" and not given.comment else ""
    return (empty, "is empty") if empty else _fault_of_text(given)


def _fault_of_text(given: FeedbackGiven) -> tuple[str, str] | None:
    lengths = {"session": SESSION_LENGTH, "session_id": SESSION_LENGTH, "comment": COMMENT_LENGTH}
    for name in ("session", "project", "session_id", "label", "by", "evaluator", "id", "comment"):
        text, most = str(getattr(given, name)), lengths.get(name, NAME_LENGTH)
        if len(text) > most:
            return name, f"is longer than {most} characters"
        if not all(char.isprintable() or (name == "comment" and char in "\n\t") for char in text):
            return name, "holds characters that cannot be printed"
    return None


def _place(project: str, session_id: str, trace_id: str) -> tuple[bytes, str]:
    """The trace that feedback stands in, and the session id that it carries there.

    About a trace it stands in that. So it does about a session that is named after its trace; about any other all of it is one trace of its own.
    """
    if trace_id or (_TRACE.fullmatch(session_id) and session_id.islower() | session_id.isdecimal()):
        return bytes.fromhex(trace_id or session_id), ""
    seed = f"feedback\0{project}\0{session_id}".encode()
    return hashlib.blake2b(seed, digest_size=16).digest(), session_id


def _span_id(project: str, trace_id: bytes, about: bytes, given: FeedbackGiven) -> bytes:
    """Of what has an id from that alone; else from all that was said."""
    said = (
        (given.id,)
        if given.id
        else ("", given.kind, given.score, given.label, given.comment, given.by, given.evaluator, given.at)
    )
    seed = msgspec.json.encode((project, trace_id.hex(), "" if given.id else about.hex(), said))
    return hashlib.blake2b(seed, digest_size=8).digest()


def _attributes(given: FeedbackGiven, own_session: str) -> Attributes:
    told: dict[str, object] = {
        "session.id": own_session,
        "gen_ai.evaluation.score.value": given.score,
        "gen_ai.evaluation.score.label": given.label if given.kind == "score" else given.kind,
        "watchpost.output": given.comment,
        "watchpost.feedback.by": given.by,
        "watchpost.feedback.id": given.id,
    }
    return {
        "watchpost.step.kind": "evaluation",
        "watchpost.feedback.kind": given.kind,
        "gen_ai.evaluation.name": given.evaluator or "user",
        **{name: value for name, value in told.items() if value not in {None, ""}},
    }
