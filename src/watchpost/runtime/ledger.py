"""What the ledger counts of a session, taken from the fold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from watchpost.model.step import Step
from watchpost.session.session import Session, slot_of
from watchpost.store.contracts import LedgerRow, LedgerStep

StepFlags = Mapping[tuple[bytes, bytes], tuple[str, ...]]
"""Kinds of the flags at a step, by trace and span id."""


class Title(msgspec.Struct, frozen=True):
    """What every row of a session says of it; a row that says otherwise is out of date."""

    workflow: str
    user_id: str
    outcome: str
    service: str
    org_id: str
    feature: str
    release: str


def title_of(session: Session) -> Title:
    """What rows say of a session now."""
    return Title(
        session.workflow(),
        session.user_id(),
        session.outcome or "",
        session.service(),
        session.org_id(),
        session.feature(),
        session.release(),
    )


def slots_of(session: Session) -> set[int]:
    """Every slot that holds a step of a session."""
    steps = session.steps
    if steps and slot_of(steps[0].start_ns) == (last := slot_of(steps[-1].start_ns)):
        return {last}
    return {slot_of(step.start_ns) for step in steps}


def ledger_rows(session: Session, title: Title, slots: Iterable[int], flags: StepFlags, seq: int) -> list[LedgerRow]:
    """One row for each of these slots; a slot without steps is gone, and so is every one of a session that is only awaited."""
    rows: list[LedgerRow] = []
    for slot in slots:
        steps = [] if session.is_awaited else session.slot_steps(slot)
        rows.append(
            LedgerRow(
                session.project,
                slot,
                session.session_id,
                seq,
                not steps,
                title.workflow,
                title.user_id,
                title.outcome,
                tuple([_counted(session, step, flags) for step in steps]),
                title.service,
                title.org_id,
                title.feature,
                title.release,
            )
        )
    return rows


def _counted(session: Session, step: Step, flags: StepFlags) -> LedgerStep:
    tokens = step.tokens
    return LedgerStep(
        step.trace_id,
        step.span_id,
        step.parent_id,
        step.start_ns,
        (step.end_ns - step.start_ns) // 1000 if step.end_ns >= step.start_ns else None,
        step.kind,
        step.name,
        step.agent or session.traces[step.trace_id].agent(step.span_id),
        step.model,
        step.tool,
        step.status,
        step.error_type,
        tokens.input,
        tokens.output,
        step.cost_nano,
        flags.get((step.trace_id, step.span_id), ()) if flags else (),
        tokens.cached,
        tokens.reasoning,
        step.first_token_us,
        step.prompt,
        step.judged.evaluator,
        step.judged.score,
        step.judged.label,
    )
