"""Sessions as the API shows them, and as they must be shown by the truth about the spans that are known."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import msgspec
from killable_server import ApiSession, KillableServer
from random_world import Arrival
from world import Ending, Spec, has_failed, span_id, trace_id, truth

Known = dict[Spec, bool]
"""Spans, and whether their end is known or only their start."""


@dataclasses.dataclass(frozen=True)
class SeenStep:
    """One step; `flags` are the kinds of those that stand at it, of loops alone: the only ones that `truth` knows."""

    trace_id: str
    step_id: str
    parent_id: str | None
    kind: str
    name: str
    tool: str
    status: str
    input_tokens: int | None
    flags: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class SeenSession:
    """One session; `totals` are steps, model calls, tool calls, tool errors, tokens in and out, `flags` (trace id, step id, number of the step)."""

    steps: tuple[SeenStep, ...]
    totals: tuple[int | None, ...]
    flags: tuple[tuple[str, str, int | None], ...]


Seen = dict[str, SeenSession]
"""By session id."""


def known_of(arrivals: Iterable[Arrival]) -> Known:
    """What these arrivals tell."""
    known: Known = {}
    for arrival in arrivals:
        known[arrival.spec] = known.get(arrival.spec, False) or arrival.ended
    return known


def expected(known: Known) -> Seen:
    """What must be seen of these spans."""
    by_place = {
        (spec.trace, spec.span): dataclasses.replace(spec, failed=spec.failed and ended)
        for spec, ended in known.items()
    }
    running = {(spec.trace, spec.span) for spec, ended in known.items() if not ended}
    return {ending.session_id: _wanted(ending, by_place, running) for ending in truth(by_place.values()).values()}


def _wanted(ending: Ending, by_place: dict[tuple[int, int], Spec], running: set[tuple[int, int]]) -> SeenSession:
    steps: list[SeenStep] = []
    flags: list[tuple[str, str, int | None]] = []
    for number, (trace, span, kind) in enumerate(ending.steps, 1):
        spec = by_place[trace, span]
        failed = has_failed(spec, {other.span: other for other in by_place.values() if other.trace == trace})
        status = "error" if failed else "running" if (trace, span) in running else "ok"
        is_loop = (trace, span) in ending.loops
        steps.append(
            SeenStep(
                trace_id(trace).hex(),
                span_id(trace, span).hex(),
                None if spec.parent is None else span_id(trace, spec.parent).hex(),
                kind,
                f"{spec.kind} {span}",
                _tool(spec, kind),
                status,
                spec.tokens if spec.kind == "llm" else None,
                ("LOOP_DETECTED",) if is_loop else (),
            )
        )
        if is_loop:
            flags.append((trace_id(trace).hex(), span_id(trace, span).hex(), number))
    output = sum(step.input_tokens is not None for step in steps) or None
    totals = (len(steps), ending.llm_calls, ending.tool_calls, ending.tool_errors, ending.input_tokens, output)
    return SeenSession(tuple(steps), totals, tuple(sorted(flags)))


def _tool(spec: Spec, kind: str) -> str:
    """What a step is about: the tool that was called, the agent that another one let work."""
    if spec.kind == "agent" and kind == "handoff":
        return f"agent {spec.span}"
    return spec.tool if spec.kind == "tool" else ""


def seen(server: KillableServer) -> Seen:
    """What the API shows, over all pages; fails the test for what can never be."""
    sessions = server.sessions()
    found = {session.session_id: _shown(server, session) for session in sessions}
    assert len(found) == len(sessions), "a session is listed twice"
    return found


def _shown(server: KillableServer, session: ApiSession) -> SeenSession:
    listed = server.steps(session.key)
    assert [step.number for step in listed] == list(range(1, len(listed) + 1))
    standing = [flag for flag in session.flags if flag.kind == "LOOP_DETECTED" and flag.state != "withdrawn"]
    assert {flag.state for flag in standing} <= {"confirmed"}
    steps = tuple(
        SeenStep(
            step.trace_id,
            step.step_id,
            step.parent_id,
            step.kind,
            step.name,
            step.tool,
            step.status,
            step.input_tokens,
            tuple(each.kind for each in step.flags if each.kind == "LOOP_DETECTED" and each.state != "withdrawn"),
        )
        for step in listed
    )
    flags = sorted((flag.trace_id, flag.step_id, flag.step) for flag in standing)
    return SeenSession(steps, msgspec.structs.astuple(session.totals), tuple(flags))


def difference(found: Seen, wanted: Seen) -> str:
    """Where the two differ, session by session."""
    lines = []
    for session_id in sorted(found.keys() | wanted.keys()):
        one, other = found.get(session_id), wanted.get(session_id)
        if one is None or other is None:
            lines.append(f"{session_id}: {'is not shown' if one is None else 'is shown and should not be'}")
        elif one != other:
            lines.append(f"{session_id}: totals {one.totals}, should be {other.totals}")
            lines.append(f"  steps only shown: {sorted(map(str, set(one.steps) - set(other.steps)))[:3]}")
            lines.append(f"  steps not shown: {sorted(map(str, set(other.steps) - set(one.steps)))[:3]}")
            lines.append(f"  flags only shown: {sorted(map(str, set(one.flags) - set(other.flags)))}")
            lines.append(f"  flags not shown: {sorted(map(str, set(other.flags) - set(one.flags)))}")
    return "\n".join(lines)
