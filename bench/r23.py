"""How often the detectors of tool, model and budget faults are wrong on real runs, and what they find of faults put into them.

The faults, each put into a real run that went well by a seeded generator, at a place it chooses: a tool that fails from some call on and is
asked again (`retry storm`); two agents that hand over to each other (`ping-pong`); an answer that was to be JSON and lost a comma, a
bracket or a quote (`broken answer`); arguments of a call that did (`broken arguments`); a tool that finds nothing, again (`empty`); a call of a
tool that does not exist, in the words of several frameworks (`unknown tool`); a refusal in several languages (`refusal`); a call a hundred
times slower than others of its tool (`slow call`), where norms were learnt from runs before; quotes older than declared (`stale data`); and
budgets set so that the run crosses them (`budget`), right by construction. The detectors have their default settings save for what is declared
here; those that look at nothing until it is declared have no false flags to count. The runs know no times: those of `slow call` are drawn from a log-normal distribution.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from rates import Rate, Sheet, by_file
from real_runs import Run
from watchpost.detect.catalogue import makes
from watchpost.detect.detector import Make, Surroundings
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.learner import Ended
from watchpost.detect.norms import NormLearner
from watchpost.detect.run import DetectorRun
from watchpost.model.knowledge import Knowledge
from watchpost.model.step import Step, Tokens

OFF: Mapping[str, Mapping[str, object]] = {
    "loop": {"repeats": 0, "cycle_rounds": 0, "unchanged": 0, "turns": 0},
    "hallucination": {"enabled": False},
    "schema_drift": {"enabled": False},
    "injection": {"enabled": False},
    "rephrased": {"alike": 0},
    "corrected": {"enabled": False},
    "escalated": {"enabled": False},
}
"""The detectors that have a measurement of their own."""

FAILURES = (
    "TimeoutError: upstream did not answer within 30 s",
    "ConnectionError: connection refused by 10.0.0.7:443",
    "HTTPError: 503 Service Unavailable, request 8812",
    "KeyError: 'order_id'",
)
NO_TOOL = (
    "Unknown tool: {0}",
    "Tool '{0}' not found",
    "Invalid tool {0} provided.",
    "Error: {0} is not a valid tool, try one of [search].",
    "AI_NoSuchToolError: Model tried to call unavailable tool '{0}'.",
    "Tool {0} not found in agent assistant",
    "No such tool: {0}",
)
REFUSALS = (
    "I'm sorry, but I can't assist with that request.",
    "I can’t help with that.",
    "I cannot fulfill this request.",
    "I'm unable to comply with this request as it could cause harm.",
    "As an AI language model, I cannot do this for you.",
    "Es tut mir leid, aber dabei kann ich Ihnen nicht helfen.",
    "Je ne peux pas vous aider avec cette demande.",
    "Lo siento, pero no puedo ayudarte con eso.",
    "抱歉，我无法协助您完成这个请求。",
)
NOTHING = (
    "[]",
    "{}",
    "null",
    '{"results": []}',
    '{"items": [], "total": 0}',
    "No results found.",
    "No matching records were found.",
)


def measure_r23(found: Sequence[Run], seed: int = 1) -> list[Sheet]:
    """A sheet for each detector; the same ones for the same runs and seed."""
    made = makes(OFF)
    flagged = [kinds(run.steps, made) for run in found]
    good = [run for run in found if run.succeeded]
    sheets: list[Sheet] = []
    for kind in KINDS:
        of = [fault for fault in FAULTS if fault.kind == kind]
        recall = [_recall(fault, good, random.Random(f"{seed} {fault.name}")) for fault in of]
        if any(fault.sections for fault in of):
            sheets.append(Sheet(kind, [], recall))
            continue
        each = [kind in kinds_of for kinds_of in flagged]
        everything, *files = by_file(found, each, succeeded=True)
        sheets.append(Sheet(kind, [everything], recall, [*files, *by_file(found, each, succeeded=False)]))
    return [*sheets, _slow(good, random.Random(f"{seed} slow"))]


def kinds(steps: Sequence[Step], made: Sequence[Make], around: Surroundings | None = None) -> set[str]:
    """What is found in a run."""
    run = DetectorRun(made, around or Surroundings())
    run.update(list(steps), 0, around or Surroundings())
    return {finding.kind for _, finding in run.findings}


Inject = Callable[[Sequence[Step], random.Random], list[Step] | None]


class Fault(msgspec.Struct, frozen=True):
    """A fault, the detector that is to find it, how it is put into a run (None where it does not fit), and what is declared for it."""

    kind: str
    name: str
    inject: Inject
    sections: Mapping[str, Mapping[str, object]] = {}


def _recall(fault: Fault, good: Iterable[Run], chance: random.Random) -> Rate:
    made = makes({**OFF, **fault.sections})
    tried = found = 0
    for run in good:
        faulty = fault.inject(run.steps, chance)
        if faulty is None or fault.kind in kinds(run.steps, made):
            continue
        tried += 1
        found += fault.kind in kinds(faulty, made)
    return Rate(fault.name, found, tried)


def _changed(steps: Sequence[Step], place: int, more: Sequence[Step]) -> list[Step]:
    """The run up to a place, more steps, and the rest of it, each a second after the one before."""
    together = [*steps[:place], *more, *steps[place:]]
    began = steps[0].start_ns
    return [
        msgspec.structs.replace(
            step,
            start_ns=began + number * 10**9,
            end_ns=began + number * 10**9 + max(step.end_ns - step.start_ns, 0),
            span_id=number.to_bytes(8, "big"),
        )
        for number, step in enumerate(together)
    ]


def _tools(steps: Sequence[Step]) -> list[int]:
    return [place for place, step in enumerate(steps) if step.kind == "tool"]


def _retry_storm(steps: Sequence[Step], chance: random.Random) -> list[Step] | None:
    if not (places := _tools(steps)):
        return None
    place = chance.choice(places)
    error = chance.choice(FAILURES)
    failed = [
        msgspec.structs.replace(
            steps[place],
            status="error",
            error_type="tool_execution_failed",
            error=error,
            result="",
            arguments=json.dumps({"try": n}),
        )
        for n in range(chance.randint(4, 8))
    ]
    asked = msgspec.structs.replace(
        steps[place], kind="llm", tool="", result="Let me try again.", arguments="", name="chat"
    )
    return _changed(steps, place, [each for step in failed for each in (step, asked)])


def _ping_pong(steps: Sequence[Step], chance: random.Random) -> list[Step] | None:
    place = chance.randrange(len(steps))
    agents = chance.choice((("triage", "billing"), ("support_agent", "refund_agent"), ("Planner", "Writer")))
    handoffs: list[Step] = []
    for number in range(2 * chance.randint(2, 4)):
        giver, taker = agents[number % 2], agents[1 - number % 2]
        tool, name = chance.choice(((f"transfer_to_{taker}", "execute_tool"), ("", f"handoff to {taker}")))
        handoffs.append(
            msgspec.structs.replace(
                steps[place], kind="handoff", status="ok", tool=tool, name=name, agent=giver, arguments="", result=""
            )
        )
        handoffs.append(
            msgspec.structs.replace(
                steps[place], kind="llm", status="ok", tool="", name="chat", agent=taker, arguments="", result=""
            )
        )
    return _changed(steps, place, handoffs)


def _break(text: str, chance: random.Random) -> str:
    """JSON that lost a character it needs, somewhere in its first half."""
    needed = [place for place, sign in enumerate(text[: len(text) // 2]) if sign in ',:"' and place > 0]
    place = chance.choice(needed)
    return text[:place] + text[place + 1 :]


def _an_object(chance: random.Random) -> str:
    members = {
        f"field_{n}": chance.choice((n, f"value {n}", [n, n + 1], {"at": n})) for n in range(chance.randint(4, 12))
    }
    return json.dumps(members)


def _broken_answer(steps: Sequence[Step], chance: random.Random) -> list[Step] | None:
    places = [place for place, step in enumerate(steps) if step.kind == "llm"]
    if not places:
        return None
    place, text = chance.choice(places), _break(_an_object(chance), chance)
    fenced = f"```json\n{text}\n```" if chance.random() < 0.5 else text
    answer = msgspec.structs.replace(steps[place], result=fenced, asked=0, status="ok")
    return _changed(steps, place, [answer])


def _broken_arguments(steps: Sequence[Step], chance: random.Random) -> list[Step] | None:
    if not (places := _tools(steps)):
        return None
    place = chance.choice(places)
    return _changed(steps, place, [msgspec.structs.replace(steps[place], arguments=_break(_an_object(chance), chance))])


def _empty(steps: Sequence[Step], chance: random.Random) -> list[Step] | None:
    if not (places := _tools(steps)):
        return None
    place = chance.choice(places)
    says = chance.choice(NOTHING)
    again = [
        msgspec.structs.replace(
            steps[place], status="ok", error="", result=says, arguments=json.dumps({"q": f"try {n}"})
        )
        for n in range(chance.randint(3, 5))
    ]
    return _changed(steps, place, again)


def _unknown_tool(steps: Sequence[Step], chance: random.Random) -> list[Step] | None:
    place, tool = (
        chance.randrange(1, len(steps) + 1),
        f"get_{chance.choice(('weather', 'user_profile', 'all_orders', 'refund-status'))}",
    )
    error = chance.choice(NO_TOOL).format(tool)
    told = chance.random() < 0.7
    step = msgspec.structs.replace(
        steps[0],
        kind="tool",
        name=tool,
        tool=tool,
        status="error" if told else "ok",
        error=error if told else "",
        error_type="llm_invalid_tool_call" if told else "",
        result="" if told else json.dumps({"error": error}),
        arguments="{}",
        tokens=Tokens(),
    )
    return _changed(steps, place, [step])


def _refusal(steps: Sequence[Step], chance: random.Random) -> list[Step] | None:
    places = [place for place, step in enumerate(steps) if step.kind == "llm"]
    if not places:
        return None
    said = chance.choice(REFUSALS)
    step = msgspec.structs.replace(
        steps[chance.choice(places)], result=said, asked=0, status="ok", error="", error_type=""
    )
    return _changed(steps, len(steps), [step])


def _stale(steps: Sequence[Step], chance: random.Random) -> list[Step] | None:
    if not (places := _tools(steps)):
        return None
    place = chance.choice(places)
    age_s = chance.randint(3_700, 500_000)
    at_s = steps[place].start_ns // 10**9 - age_s
    result = chance.choice((f'{{"price": 10, "as_of": {at_s}}}', f'{{"price": 10, "headers": {{"age": "{age_s}"}}}}'))
    step = msgspec.structs.replace(steps[place], tool="get_price_quote", status="ok", error="", result=result)
    return _changed(steps, place, [step])


def _budget(steps: Sequence[Step], chance: random.Random) -> list[Step] | None:
    calls = [place for place, step in enumerate(steps) if step.kind == "llm"]
    if not calls:
        return None
    total = chance.randint(61, 180) * 100
    share = total // len(calls) + 1
    spent = [
        msgspec.structs.replace(step, tokens=Tokens(share - share // 4, share // 4)) if step.kind == "llm" else step
        for step in steps
    ]
    return _changed(spent, 0, [])


FAULTS = (
    Fault("RETRY_STORM", "retry storm", _retry_storm),
    Fault("HANDOFF_PING_PONG", "ping-pong", _ping_pong),
    Fault("INVALID_OUTPUT", "broken answer", _broken_answer),
    Fault("INVALID_OUTPUT", "broken arguments", _broken_arguments),
    Fault("EMPTY_RESULT", "empty", _empty),
    Fault("UNKNOWN_TOOL", "unknown tool", _unknown_tool),
    Fault("REFUSAL", "refusal", _refusal),
    Fault("STALE_DATA", "stale data", _stale, {"stale_data": {"max_age": {"get_price*": "1h"}}}),
    Fault("BUDGET_WARNING", "budget", _budget, {"budget": {"limits": [{"tokens": 10_000}]}}),
)
KINDS = sorted({fault.kind for fault in FAULTS})


def _slow(good: Sequence[Run], chance: random.Random) -> Sheet:
    """False flags and recall of slow calls: norms from the first half of the runs, measured on the second."""
    usual: dict[str, tuple[float, float]] = {}
    base = KnowledgeBase({"norm": NormLearner})
    timed = [_timed(run.steps, usual, chance) for run in good]
    middle = len(timed) // 2
    for number, steps in enumerate(timed[:middle], start=1):
        base.learn("bench", Ended("bench", steps, sound=True), number)
    known = base.at("bench", base.version("bench"))
    made = makes(OFF)
    around = Surroundings("bench", "bench", known)
    clean = [steps for steps in timed[middle:] if _tools(steps)]
    wrong = sum("LATENCY_OUTLIER" in kinds(steps, made, around) for steps in clean)
    tried = found = 0
    for steps in clean:
        place = chance.choice(_tools(steps))
        if not _is_known(known, steps[place]):
            continue
        tried += 1
        took = max((steps[place].end_ns - steps[place].start_ns) * 100, 6 * 10**9)
        slow = msgspec.structs.replace(steps[place], end_ns=steps[place].start_ns + took)
        found += "LATENCY_OUTLIER" in kinds([*steps[:place], slow, *steps[place + 1 :]], made, around)
    return Sheet(
        "LATENCY_OUTLIER",
        [Rate("successful, on times that were drawn", wrong, len(clean))],
        [Rate("slow call", found, tried)],
    )


def _is_known(known: Knowledge, step: Step) -> bool:
    norm = known.norm(f"tool_seconds {step.tool}")
    return norm is not None and norm.count >= 100


def _timed(steps: Sequence[Step], usual: dict[str, tuple[float, float]], chance: random.Random) -> list[Step]:
    """A run whose tools take a log-normal time, each its own: medians of 0.05 to 3 s."""
    timed: list[Step] = []
    for step in steps:
        if step.kind == "tool":
            middle, wide = usual.setdefault(step.tool, (chance.uniform(-3, 1.1), chance.uniform(0.2, 0.8)))
            timed.append(
                msgspec.structs.replace(step, end_ns=step.start_ns + int(chance.lognormvariate(middle, wide) * 10**9))
            )
        else:
            timed.append(step)
    return timed
