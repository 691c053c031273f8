"""React and apply over a memory store, for runs of one agent, what people say of them, and what is demanded of them."""

from __future__ import annotations

from collections.abc import Sequence

from memory_store import MemoryStore

from watchpost.detect.catalogue import learners, makes
from watchpost.detect.context_drift import ContextDriftSettings
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.run_time import RunTimeSettings
from watchpost.detect.sla import Sla, sla_makes
from watchpost.ingest.price import Pricing
from watchpost.model.flag import Flag
from watchpost.model.session import Summary, session_key
from watchpost.model.telemetry import Attributes, Delivery, Parcel, Span
from watchpost.rules.precision import PrecisionSettings
from watchpost.runtime.appraisal import Appraisal
from watchpost.runtime.checkpoints import Checkpoints
from watchpost.runtime.judge import Judge
from watchpost.runtime.react import Reactor
from watchpost.runtime.releases import Releases
from watchpost.runtime.reviews import Reviews
from watchpost.runtime.run_watch import RunWatch
from watchpost.runtime.success import Success
from watchpost.server.feedback import Feedback, FeedbackGiven
from watchpost.session.session import Quiet
from watchpost.session.sessions import Sessions
from watchpost.store.contracts import LedgerStep

SECOND = 10**9
BASE = 1_790_000_000 * SECOND
QUIET = Quiet(30 * SECOND, 600 * SECOND)


def trace_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def a_span(  # noqa: PLR0917 - as a line of a table
    trace: int, number: int, kind: str, start_s: float, end_s: float | None, parent: int = 0, **said: object
) -> Span:
    """A span of a trace in seconds from `BASE`; one without an end goes on. Two underscores stand for a dot."""
    attributes: Attributes = {"watchpost.step.kind": kind}
    attributes |= {name.replace("__", "."): value for name, value in said.items()}
    return Span(
        trace_id(trace),
        number.to_bytes(8, "big"),
        parent.to_bytes(8, "big") if parent else b"",
        f"{kind} {number}",
        BASE + int(start_s * SECOND),
        0 if end_s is None else BASE + int(end_s * SECOND),
        1,
        1,
        "",
        attributes,
    )


def a_run(trace: int, session: str = "", *, said: object = "Done.", **usage: object) -> list[Span]:
    """A root, what a person says, a call of a tool and an answer, all in ten seconds."""
    named: dict[str, object] = {"session__id": session} if session else {}
    return [
        a_span(trace, 1, "workflow", 0, 10, 0, workflow__name="shop", **named),
        a_span(trace, 2, "human", 1, 1, 1, watchpost__output="Refund order A1."),
        a_span(trace, 3, "tool", 2, 3, 1, gen_ai__tool__name="refund", watchpost__output='{"ok": true}'),
        a_span(trace, 4, "llm", 4, 9, 1, gen_ai__request__model="gpt-4o", watchpost__output=said, **usage),
    ]


class Nowhere:
    """No session is known."""

    def session(self, key: str) -> Summary | None:
        del key
        return None

    def members_of_traces(self, traces: Sequence[tuple[str, bytes]]) -> list[object]:
        del traces
        return []


class Machine:
    """By a clock that the test sets, in seconds from `BASE`."""

    def __init__(self, successes: Sequence[Success] = (), slas: tuple[Sla, ...] = ()) -> None:
        self.store = MemoryStore()
        self.successes = successes
        self.slas = slas
        self.log: list[tuple[int, Delivery]] = []
        self.number = 0
        self.reactor = self._start()

    def _start(self) -> Reactor:
        sessions = Sessions(QUIET)
        cursor = self.store.cursor()
        awake = self.store.open_sessions(cursor.batch)
        for summary in awake:
            sessions.wake(summary)
        reviews = Reviews(PrecisionSettings(), self.store)
        judge = Judge(
            (*makes({}), *sla_makes(self.slas)),
            KnowledgeBase(learners({}), self.store.lessons.values()),
            self.store,
            reviews.are_dismissed,
            RunWatch(RunTimeSettings(), QUIET, self.slas),
        )
        sessions.remind(judge.first_looks(awake))
        return Reactor(
            sessions,
            pricing=Pricing(),
            judge=judge,
            checkpoints=Checkpoints(ContextDriftSettings()),
            appraisal=Appraisal(self.successes, self.slas),
            reviews=reviews,
            releases=Releases(self.store),
            source=self.store,
            seq=cursor.seq,
        )

    def at(self, second: float, *came: Parcel) -> list[Flag]:
        """One batch at a second; the flags that it changed."""
        now_ns = BASE + int(second * SECOND)
        for parcel in came:
            self.log.append((len(self.log) + 1, Delivery(now_ns, (parcel,))))
        self.number += 1
        reaction = self.reactor.react(self.number, self.log[self.store.cursor().seq :], now_ns)
        self.store.write(reaction.telemetry)
        self.store.commit(reaction.state)
        return list(reaction.state.flags)

    def lose(self, what: str) -> None:
        """Nothing, all that is held in memory, or the process."""
        if what == "memory":
            self.reactor.evict(0, self.number)
        elif what == "process":
            self.reactor = self._start()

    def session(self, session_id: str) -> Summary:
        """As the index has it."""
        return self.store.summaries[session_key("default", session_id)]

    @property
    def sessions(self) -> list[Summary]:
        """All that a list of sessions shows."""
        return [summary for summary in self.store.summaries.values() if not summary.moved_to]

    def counted(self) -> dict[str, list[LedgerStep]]:
        """What the ledger counts, by session."""
        found: dict[str, list[LedgerStep]] = {}
        for row in self.store.ledger.values():
            if not row.gone:
                found.setdefault(row.session_id, []).extend(row.steps)
        return {name: sorted(steps, key=lambda step: (step.start_ns, step.span_id)) for name, steps in found.items()}


def parcel(*spans: Span) -> Parcel:
    return Parcel("default", {"service.name": "s"}, "", spans=spans)


def feedback(second: float = 20, **given: object) -> Parcel:
    """What one piece of feedback becomes."""
    desk = Feedback(Nowhere(), None, lambda delivery: delivery, lambda: 0)  # type: ignore[arg-type] # only what it makes is asked for
    said = FeedbackGiven(**{"kind": "thumbs_down", **given})  # type: ignore[arg-type] # names are checked at run time
    (made,) = desk.parcels([said], BASE + int(second * SECOND))
    return made
