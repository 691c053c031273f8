"""Whose words count as a person's, of all that stand under the role of a user in prompts."""

from __future__ import annotations

import itertools
import random

import msgspec
import pytest
from detected import seen, steps
from hypothesis import given
from hypothesis import strategies as st

from watchpost.detect.abandoned import AbandonedSettings, abandoned
from watchpost.detect.corrected import CorrectedDetector, CorrectedSettings, phrases
from watchpost.detect.escalated import EscalatedDetector, EscalatedSettings
from watchpost.detect.escalated import phrases as requests
from watchpost.detect.rephrased import RephrasedDetector, RephrasedSettings
from watchpost.detect.turns import ANSWERS, Turn, Turns
from watchpost.model.step import Reply, Step
from watchpost_core.replies import fingerprint

ASKED = "When will my parcel from the garden shop arrive?"
ANSWER = "It will arrive on Tuesday."
AGAIN = "My parcel from the garden shop, when will it arrive?"

(SAYS, HUMAN, TOOL) = steps('step 1 llm says "ok"\nstep 2 human "hello"\nstep 3 tool search')
_SPANS = (number.to_bytes(8, "big") for number in itertools.count(1))


def call(run: int, says: str = ANSWER, *, told: str = "", before: str = ASKED, after: str = ANSWER) -> Step:
    """A model call of a run that answers; it was given `told` behind an answer, if anything."""
    reply = Reply(told, before, fingerprint(after)) if told else Reply()
    return msgspec.structs.replace(
        SAYS, trace_id=bytes([run]) * 16, span_id=next(_SPANS), start_ns=run * 10**9, result=says, reply=reply
    )


def human(words: str) -> Step:
    return msgspec.structs.replace(HUMAN, span_id=next(_SPANS), result=words)


def tool(run: int) -> Step:
    return msgspec.structs.replace(TOOL, trace_id=bytes([run]) * 16, span_id=next(_SPANS))


def told(*given: Step) -> list[str]:
    """What people said in these steps."""
    turns = Turns()
    found = [turns.see(place, step) for place, step in enumerate(given) if step.kind != "tool"]
    return [turn.words for turn in found if turn is not None]


def test_a_reply_to_an_answer_of_an_earlier_run_is_a_persons() -> None:
    first, second = call(1), call(2, told=AGAIN)
    assert told(first, tool(1), second) == [AGAIN]
    turns = Turns()
    turns.see(0, first)
    assert turns.see(1, second) == Turn(AGAIN, ASKED, first.span_id)


@pytest.mark.parametrize(
    "given",
    [
        (call(1), call(1, told="That is not valid JSON, try again.")),
        (call(1), call(2, told="Classify this.", after="positive, as in the example")),
        (call(2, told=AGAIN), call(1)),
        (call(1, says=""), call(2, told=AGAIN, after="")),
        (call(1), *(call(2, says=f"Other answer {n}.") for n in range(ANSWERS)), call(3, told=AGAIN)),
    ],
    ids=["within a run", "an answer of nobody here", "before the answer", "no answer", "an answer long ago"],
)
def test_what_else_stands_behind_an_answer_in_a_prompt_is_nobodys(given: tuple[Step, ...]) -> None:
    assert told(*given) == []


def test_a_run_holds_one_reply_whoever_is_given_it() -> None:
    run = (call(2, told=AGAIN, says="refunds"), call(2, told=AGAIN, says="Soon."), call(2, told="Work on it."))
    assert told(call(1), *run) == [AGAIN]


def test_what_a_step_of_a_person_tells_already_counts_once() -> None:
    assert told(call(1), human(AGAIN), call(2, told=AGAIN)) == [AGAIN]
    assert told(human(ASKED), call(1), call(2, told=AGAIN)) == [ASKED, AGAIN]


def test_a_reply_sent_again_in_place_of_one_that_was_answered_counts_once() -> None:
    regenerated = call(3, told=AGAIN)
    assert told(call(1), call(2, told=AGAIN, says="On Tuesday, I say."), regenerated) == [AGAIN]
    same_answer = call(3, told=AGAIN, before=AGAIN)
    assert told(call(1), call(2, told=AGAIN), same_answer) == [AGAIN, AGAIN]


def test_each_signal_is_found_in_prompts() -> None:
    asked, corrected, person = (
        call(2, told=words) for words in (AGAIN, "No, I meant the other one.", "I want to talk to a human.")
    )
    first = call(1)
    (again,) = seen(RephrasedDetector(RephrasedSettings()), first, asked)
    assert (again.evidence["before"], again.evidence["again"]) == (ASKED, AGAIN)
    (wrong,) = seen(CorrectedDetector(CorrectedSettings(), phrases(CorrectedSettings())), first, corrected)
    assert wrong.evidence["calls"] == [{"span_id": first.span_id.hex()}]
    (wanted,) = seen(EscalatedDetector(EscalatedSettings(), requests(EscalatedSettings())), first, person)
    assert (wanted.evidence["reason"], wanted.evidence["tool"]) == ("asked_for", "")


def test_what_was_asked_three_replies_before_is_still_compared() -> None:
    said = [ASKED, "And what does it cost?", "Is it insured then?", AGAIN]
    run = [
        call(n, says=f"The answer number {n} is this.", told=words if n else "", before=said[n - 1],
             after=f"The answer number {n - 1} is this.")
        for n, words in enumerate(said)
    ]  # fmt: skip
    assert len(seen(RephrasedDetector(RephrasedSettings()), *run)) == 1
    assert not seen(RephrasedDetector(RephrasedSettings()), *run[:-1])


def test_who_never_replied_in_prompts_was_nobody_to_leave() -> None:
    question = call(1, says="Shall I refund it or send it again?")
    assert abandoned(AbandonedSettings(), [question], escalated=False) is None
    assert abandoned(AbandonedSettings(), [call(0), question], escalated=False) is None
    left = abandoned(
        AbandonedSettings(),
        [call(0), msgspec.structs.replace(question, reply=call(1, told=AGAIN).reply)],
        escalated=False,
    )
    assert left is not None
    assert left[1].evidence["value"] == 2


@given(seed=st.integers(0, 2**32), keep=st.integers(0, 12))
def test_steps_that_are_taken_back_leave_nothing(seed: int, keep: int) -> None:
    rng = random.Random(seed)
    words = (ANSWER, "Something else it is.", "")
    run = [
        human(ASKED) if rng.random() < 0.2 else
        call(rng.randrange(4), says=rng.choice(words), told=rng.choice(("", AGAIN)), after=rng.choice(words[:2]))
        for _ in range(12)
    ]  # fmt: skip
    taken, fresh = Turns(), Turns()
    for place, step in enumerate(run):
        taken.see(place, step)
    taken.rewind(keep)
    for place, step in enumerate(run[:keep]):
        fresh.see(place, step)
    later = list(enumerate(run))[keep:]
    assert [taken.see(place, step) for place, step in later] == [fresh.see(place, step) for place, step in later]
