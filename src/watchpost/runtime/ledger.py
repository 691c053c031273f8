"""What the ledger counts of a session, taken from the fold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from watchpost.model.step import Step
from watchpost.session.session import Session
from watchpost.store.contracts import LedgerRow, LedgerStep

StepFlags = Mapping[tuple[bytes, bytes], tuple[str, ...]]
"""Kinds of the flags at a step, by trace and span id."""


def ledger_rows(session: Session, slots: Iterable[int], flags: StepFlags, seq: int) -> Iterator[LedgerRow]:
    """One row for each of these slots; a slot without steps is gone."""
    workflow, outcome = session.workflow(), session.outcome or ""
    user_id = session.user_id()
    for slot in slots:
        steps = session.slot_steps(slot)
        yield LedgerRow(
            session.project,
            slot,
            session.session_id,
            seq,
            not steps,
            workflow,
            user_id,
            outcome,
            tuple([_counted(session, step, flags) for step in steps]),
        )


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
        flags.get((step.trace_id, step.span_id), ()),
    )
