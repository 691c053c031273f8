"""How a session ended: one outcome, from what its steps and its last run show."""

from __future__ import annotations

from collections.abc import Sequence

from watchpost.model.session import Outcome
from watchpost.model.step import Step
from watchpost.session.session import Session
from watchpost.session.trace import Trace


def outcome(session: Session) -> Outcome:
    """The outcome of the session's last run.

    A run that was stopped because it had spent its budget, by what one of its spans says, is `budget_exceeded`. One whose root never
    ended went silent: `timeout`. A run failed if its root did, if its last model call did, or if
    an agent or a span around its steps did and nothing happened after it; what was said of the run later, as an evaluation, is
    no part of it. Then a failed tool call after the last good model call makes it `tool_error`; an error named for a time
    limit `timeout`; any other left no usable output: `bad_output`. All else is `completed`.
    """
    run = last_run(session)
    is_over = run.ended_roots > 0 and not run.open_roots
    steps = [step for step in reversed(session.steps) if step.trace_id == run.trace_id and step.kind != "evaluation"]
    if (not is_over or _failed(run, steps)) and _spent(run):
        return "budget_exceeded"
    if not is_over:
        return "timeout"
    if not _failed(run, steps):
        return "completed"
    for step in steps:
        if step.status == "error" and (step.error_type == "tool_timeout" or _names_time(step.error)):
            return "timeout"
        if step.kind == "tool" and step.status == "error":
            return "tool_error"
        if step.kind == "llm" and step.status == "ok":
            break
    return "bad_output"


def last_run(session: Session) -> Trace:
    """The last trace of more than evaluations; the session has a trace."""
    runs = [trace for trace in session.traces.values() if any(n.kind != "evaluation" for n in trace.nodes.values())]
    return max(runs or session.traces.values(), key=lambda trace: (trace.started_ns, trace.trace_id))


def _spent(run: Trace) -> bool:
    """Whether a span says that a budget stopped it, and no model call went well after that."""
    stopped = [node for node in run.nodes.values() if node.over_budget]
    if not stopped:
        return False
    last = max(node.end_ns or node.start_ns for node in stopped)
    return not any(n.kind == "llm" and n.start_ns >= last and n.end_ns and not n.failed for n in run.nodes.values())


def _failed(run: Trace, latest_first: Sequence[Step]) -> bool:
    last_call = next((step for step in latest_first if step.kind == "llm"), None)
    if last_call is not None and last_call.status == "error":
        return True
    last_start = latest_first[0].start_ns if latest_first else 0
    failed = [node for node in run.nodes.values() if node.failed and node.kind != "llm"]
    if any(not node.parent_id for node in failed):
        return True
    late = [node for node in failed if node.end_ns >= last_start]
    around = _around(run, latest_first) if late else set()
    return any(node.kind not in {"chain", "other"} or node.span_id in around for node in late)


def _around(run: Trace, steps: Sequence[Step]) -> set[bytes]:
    """The spans that have one of these steps beneath them."""
    around: set[bytes] = set()
    for step in steps:
        above = step.parent_id
        while above not in around and (node := run.nodes.get(above)) is not None:
            around.add(above)
            above = node.parent_id
    return around


def _names_time(error: str) -> bool:
    """Whether the exception, with which the text begins, is one of a time limit."""
    exception = error.partition(":")[0].lower()
    return "timeout" in exception or "deadline" in exception
