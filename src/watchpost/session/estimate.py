"""What agents report in total, set beside what the calls beneath them told."""

from __future__ import annotations

from collections.abc import Iterable

from watchpost.model.step import Step, Tokens
from watchpost.session.trace import Trace


def is_silent(step: Step) -> bool:
    """Whether a model call went well and told no tokens."""
    return step.kind == "llm" and step.status == "ok" and step.tokens.input is None and step.tokens.output is None


def untold(trace: Trace, *, unseen: bool) -> Tokens:
    """What the totals of agents say beyond the calls of a trace, of which some told nothing.

    A total counts where a call beneath it is silent, or anywhere if the session has `unseen` calls only, and only as far as it exceeds
    what is known beneath: an agent's total may hold that of an agent beneath or may not, so that this is the least
    that was used. A total above what calls told where all did says nothing: agents go on counting from run to run.
    """
    known: dict[bytes, list[int]] = {}
    asked = set(trace.usage) if unseen else set()
    for step in trace.placed.values():
        if step.kind != "llm":
            continue
        above = _reporting(trace, step.parent_id)
        if is_silent(step):
            asked.update(above)
        for span_id in above:
            _add(known.setdefault(span_id, [0] * 5), _counts(step.tokens))
    lines = {span_id: _reporting(trace, span_id) for span_id in asked}
    found: list[list[int]] = [[], [], [], [], []]
    for span_id in sorted(asked, key=lambda each: (-len(lines[each]), each)):
        below = known.get(span_id, [0] * 5)
        counts = _counts(trace.usage[span_id])
        beyond = [None if count is None else max(count - least, 0) for count, least in zip(counts, below, strict=True)]
        for column, count in zip(found, beyond, strict=True):
            column.extend(() if count is None else (count,))
        for above_it in lines[span_id][1:]:
            _add(known.setdefault(above_it, [0] * 5), beyond)
    return Tokens(*[sum(column) if column else None for column in found])


def _reporting(trace: Trace, span_id: bytes) -> list[bytes]:
    """The span and those above it that report a total, from the innermost on."""
    return list(dict.fromkeys(node.span_id for node in trace.upward(span_id) if node.span_id in trace.usage))


def _counts(tokens: Tokens) -> tuple[int | None, ...]:
    return tokens.input, tokens.output, tokens.cached, tokens.cache_write, tokens.reasoning


def _add(sums: list[int], counts: Iterable[int | None]) -> None:
    for place, count in enumerate(counts):
        sums[place] += count or 0
