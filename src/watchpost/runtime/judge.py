"""Which flags stand in a session: what detectors find in it, by the knowledge it is pinned to, and what it teaches once it has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from watchpost.detect import pinning
from watchpost.detect.attendance import KIND, Attendance
from watchpost.detect.detector import Make, Surroundings
from watchpost.detect.escalated import KIND as ESCALATED
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.learner import Ended
from watchpost.detect.run import DetectorRun
from watchpost.model.fact import Pin
from watchpost.model.flag import Finding, Flag, FlagState, flag_id
from watchpost.model.knowledge import Draft, Lesson
from watchpost.model.session import Summary
from watchpost.model.step import Step
from watchpost.query.measures import SIGNALS
from watchpost.runtime.run_watch import RunWatch
from watchpost.session.session import Session, slot_of
from watchpost.session.sessions import TraceRef
from watchpost.session.timers import SessionRef
from watchpost.store.state import SessionPin

COSTLY = frozenset({"BUDGET_WARNING", "SLA_BREACHED"})
"""Flags that say what a session cost, and nothing against what its tools answered: it may still teach."""

HARMLESS = COSTLY | frozenset(SIGNALS)
"""With those that say what its user did: people rephrase, correct and ask for a person also where every tool answers as ever."""


class JudgeSource(Protocol):
    """What was said of sessions before they left memory."""

    def flags_of_traces(self, traces: Sequence[TraceRef]) -> list[Flag]:
        """Every flag raised at a span of these traces."""
        ...

    def pins(self, sessions: Sequence[SessionRef]) -> list[SessionPin]:
        """The pins of those of these sessions that have one."""
        ...


class Learnt(msgspec.Struct, frozen=True):
    """What is to be written with a batch, beside flags."""

    pins: Sequence[SessionPin] = ()
    lessons: Sequence[Lesson] = ()
    drafts: Sequence[Draft] = ()


class _Watch(msgspec.Struct, eq=False):
    """What detectors see in a session, the flags that came of it, one for each finding, and the knowledge they go by; `kept` once that is stored."""

    run: DetectorRun
    pin: SessionPin
    kept: bool
    flags: list[Flag] = []


class Judge:
    """Holds the detectors of every session held. What it says depends on the steps, the pinned knowledge and nothing else."""

    def __init__(
        self,
        detectors: Sequence[Make],
        knowledge: KnowledgeBase,
        source: JudgeSource,
        are_dismissed: Callable[[Sequence[str]], bool],
        runs: RunWatch | None = None,
    ) -> None:
        """`are_dismissed` says of flags, by id, whether people dismissed each of them; `runs` looks at what takes too long, if anybody is to."""
        self._detectors = detectors
        self._are_dismissed = are_dismissed
        self._knowledge = knowledge
        self._source = source
        self._watches: dict[str, _Watch] = {}
        self._flags: dict[TraceRef, dict[str, Flag]] = {}
        self._pinned: list[SessionPin] = []
        self._runs = runs
        self._reminders: dict[SessionRef, int] = {}

    def recall(self, traces: Sequence[TraceRef]) -> None:
        """Know again what was flagged in traces that came back into memory."""
        for flag in self._source.flags_of_traces(traces) if traces else ():
            self._flags.setdefault((flag.project, flag.trace_id), {})[flag.id] = flag

    def judge(self, changed: Sequence[Session], now_ns: int) -> list[tuple[Session, list[Flag]]]:
        """Which flags are new, changed or withdrawn, for each changed session that has or had any; sound ones that ended teach.

        One that is new and has ended at once, as recorded ones have, teaches before the next one that is new begins.
        The flags of a sealed session stay as they were raised, and it teaches nothing: what they rest on can no longer be read.
        """
        judged: list[tuple[Session, list[Flag]]] = []
        pins = self._pins([_ref(session) for session in changed if session.key not in self._watches])
        for session in changed:
            if session.is_sealed:
                if moved := _moved(session, self._known(session)):
                    judged.append((session, self._remembered(moved)))
                continue
            watch = self._watches.get(session.key) or self._watch(session, pins)
            if session.steps and not watch.kept:
                watch.kept = True
                self._pinned.append(watch.pin)
            standing, known = self._standing(session, watch, now_ns), self._known(session)
            if standing or known:
                news = _news(session, standing, known)
                judged.append((session, self._remembered(news)))
                for flag in news:
                    step = session.traces[flag.trace_id].placed.get(flag.span_id)
                    if step is not None:
                        session.slots.add(slot_of(step.start_ns))
            if session.state == "ended" and not watch.pin.taught and session.steps:
                self._teach(session, watch, sound=self._is_sound(session, standing), now_ns=now_ns)
        return judged

    def pin(self, said: Pin) -> None:
        """Let the contract that somebody chose for a tool hold for sessions that are new from now on."""
        pinning.apply(said, self._knowledge)

    def review(self, sessions: Iterable[Session], now_ns: int) -> None:
        """Let sessions that ended, and that were not sound before people dismissed their flags, teach as sound ones."""
        for session in sessions:
            if session.state != "ended" or not session.steps or session.is_sealed:
                continue
            watch = self._watches.get(session.key) or self._watch(session, self._pins([_ref(session)]))
            if (
                watch.pin.taught
                and not watch.pin.sound
                and self._is_sound(session, self._standing(session, watch, now_ns))
            ):
                self._teach(session, watch, sound=True, now_ns=now_ns)

    def kinds(self, session: Session) -> Mapping[tuple[bytes, bytes], tuple[str, ...]]:
        """The kinds of the flags that stand at each step of a session, by trace and span id."""
        kinds: dict[tuple[bytes, bytes], tuple[str, ...]] = {}
        for flag in self._known(session).values():
            if flag.state != "withdrawn":
                at = (flag.trace_id, flag.span_id)
                kinds[at] = tuple(sorted({*kinds[at], flag.kind})) if at in kinds else (flag.kind,)
        return kinds

    def reminders(self) -> list[tuple[SessionRef, int]]:
        """When the sessions judged since this was last asked are to be judged again though nothing comes; 0 is never."""
        reminders, self._reminders = self._reminders, {}
        return list(reminders.items())

    def first_looks(self, summaries: Sequence[Summary]) -> list[tuple[SessionRef, int]]:
        """When sessions that run, and are not held, are to be judged at the earliest though nothing comes."""
        if self._runs is None:
            return []
        refs = [(summary.project, summary.session_id) for summary in summaries]
        pins = self._pins(refs)
        looks: list[tuple[SessionRef, int]] = []
        for summary, ref in zip(summaries, refs, strict=True):
            version = pins[ref].knowledge if ref in pins else self._knowledge.version(summary.project)
            knowledge = self._knowledge.at(summary.project, version)
            around = Surroundings(summary.project, summary.workflow, knowledge)
            looks.append((ref, self._runs.first_look_ns(summary, around)))
        return looks

    def learnt(self) -> Learnt:
        """What was pinned and learnt since this was last asked."""
        pins, self._pinned = self._pinned, []
        return Learnt(pins, *self._knowledge.news())

    def forget(self, sessions: Iterable[Session]) -> None:
        """Let go of sessions that leave memory."""
        for session in sessions:
            self._watches.pop(session.key, None)
            for trace_id in session.traces:
                self._flags.pop((session.project, trace_id), None)

    def unlearn(self, traces: Iterable[TraceRef]) -> None:
        """Let nothing that was learnt name these traces."""
        by_project: dict[str, set[str]] = {}
        for project, trace_id in traces:
            by_project.setdefault(project, set()).add(trace_id.hex())
        for project, ids in by_project.items():
            self._knowledge.unname(project, ids)

    def _pins(self, refs: Sequence[SessionRef]) -> Mapping[SessionRef, SessionPin]:
        """The pins of those of these sessions that were judged before."""
        return {(pin.project, pin.session_id): pin for pin in self._source.pins(refs)} if refs else {}

    def _watch(self, session: Session, pins: Mapping[SessionRef, SessionPin]) -> _Watch:
        """Give a session its detectors, and pin it to what is known now if it has no pin."""
        ref = _ref(session)
        pin = pins.get(ref)
        if pin is None:
            pin = SessionPin(*ref, self._knowledge.version(session.project), taught=False)
        run = DetectorRun(self._detectors, self._surroundings(session, pin))
        watch = self._watches[session.key] = _Watch(run, pin, kept=ref in pins)
        session.changed_from = 0
        return watch

    def _surroundings(self, session: Session, pin: SessionPin) -> Surroundings:
        knowledge = self._knowledge.at(session.project, pin.knowledge)
        return Surroundings(session.project, session.workflow(), knowledge)

    def _standing(self, session: Session, watch: _Watch, now_ns: int) -> Sequence[Flag]:
        """All flags that stand in a session at a time."""
        flags = self._find(session, watch)
        if self._runs is None:
            return flags
        escalated = any(flag.kind == ESCALATED for flag in flags)
        found, look_again_ns = self._runs.findings(session, watch.run.surroundings, now_ns, escalated=escalated)
        self._reminders[_ref(session)] = look_again_ns
        return [*flags, *(_flag(session, step, finding) for step, finding in found)] if found else flags

    def _find(self, session: Session, watch: _Watch) -> Sequence[Flag]:
        """The flags of what detectors find in a session; what stands as it stood is the flag it was."""
        surroundings, flags = watch.run.surroundings, watch.flags
        if (workflow := session.workflow()) != surroundings.workflow:
            surroundings = msgspec.structs.replace(surroundings, workflow=workflow)
        findings = watch.run.findings
        kept = watch.run.update(session.steps, session.changed_from, surroundings)
        session.changed_from = len(session.steps)
        if not findings and not flags:
            return ()
        flags[kept:] = [
            _flag(session, _step_of(session, place, finding), finding) for place, finding in findings[kept:]
        ]
        for number, (_, finding) in enumerate(findings[:kept]):
            if flags[number].state != (state := _state(session, finding)):
                flags[number] = msgspec.structs.replace(flags[number], state=state)
        return flags

    def _known(self, session: Session) -> Mapping[str, Flag]:
        """The flags raised so far, withdrawn ones too, at the spans of a session, by id."""
        held = [flags for trace_id in session.traces if (flags := self._flags.get((session.project, trace_id)))]
        return held[0] if len(held) == 1 else {flag.id: flag for flags in held for flag in flags.values()}

    def _remembered(self, news: list[Flag]) -> list[Flag]:
        """The same, known from now on."""
        for flag in news:
            self._flags.setdefault((flag.project, flag.trace_id), {})[flag.id] = flag
        return news

    def _is_sound(self, session: Session, standing: Sequence[Flag]) -> bool:
        """Whether a session that ended is an example of how things should be: completed, and every flag that speaks against it was wrong."""
        spoiling = [flag.id for flag in standing if flag.kind not in HARMLESS]
        return session.outcome == "completed" and (not spoiling or self._are_dismissed(spoiling))

    def _teach(self, session: Session, watch: _Watch, *, sound: bool, now_ns: int) -> None:
        workflow = session.workflow()
        attendance = self._knowledge.learner(session.project, KIND)
        is_enough = isinstance(attendance, Attendance) and not attendance.is_wanted(workflow, session.session_id)
        if not sound or not is_enough:
            self._knowledge.learn(session.project, Ended(workflow, session.steps, sound), now_ns)
        watch.pin = msgspec.structs.replace(watch.pin, taught=True, sound=sound)
        self._pinned.append(watch.pin)


def _ref(session: Session) -> SessionRef:
    return session.project, session.session_id


def _news(session: Session, standing: Sequence[Flag], known: Mapping[str, Flag]) -> list[Flag]:
    """What differs between the flags that stand in a session and those known before, withdrawn where none stands any more."""
    ids = {flag.id for flag in standing}
    return [flag for flag in standing if known.get(flag.id) != flag] + [
        msgspec.structs.replace(flag, state="withdrawn", session_id=session.session_id)
        for flag in known.values()
        if flag.id not in ids and flag.state != "withdrawn"
    ]


def _moved(session: Session, known: Mapping[str, Flag]) -> list[Flag]:
    """The flags that stand in a session and were raised when their trace was in another one."""
    return [
        msgspec.structs.replace(flag, session_id=session.session_id)
        for flag in known.values()
        if flag.session_id != session.session_id and flag.state != "withdrawn"
    ]


def _step_of(session: Session, place: int, finding: Finding) -> Step:
    """The step that a finding at a place stands at."""
    trace = session.traces.get(finding.at[:16])
    return (trace.placed.get(finding.at[16:]) if trace is not None else None) or session.steps[place]


def _state(session: Session, finding: Finding) -> FlagState:
    return "provisional" if finding.refutable and session.state != "ended" else "confirmed"


def _flag(session: Session, step: Step, finding: Finding) -> Flag:
    return Flag(
        flag_id(session.project, finding.kind, finding.subject, step.trace_id, step.span_id),
        session.project,
        session.session_id,
        finding.kind,
        finding.subject,
        step.trace_id,
        step.span_id,
        finding.severity,
        _state(session, finding),
        finding.summary,
        finding.evidence,
        step.end_ns or step.start_ns,
    )
