"""What is usual is learnt to a few per cent, from sound sessions alone, and said again only where it changed."""

from __future__ import annotations

import random

import msgspec
import pytest
from detected import steps
from hypothesis import given
from hypothesis import strategies as st

from watchpost.detect.known import KnowledgeBase
from watchpost.detect.learner import Ended
from watchpost.detect.norms import FADES, LEAST, NAMES, NormLearner
from watchpost.model.knowledge import Norm
from watchpost.model.step import Step

(CALL,) = steps('step 1 tool get {"n": 1} -> "x"')
(ANSWER,) = steps('step 1 llm says "x" tokens 900/100 model m1 took 2s')


def taking(seconds: float, step: Step = CALL) -> Step:
    return msgspec.structs.replace(step, end_ns=step.start_ns + int(seconds * 1e9))


def taught(*sessions: Ended) -> KnowledgeBase:
    base = KnowledgeBase({"norm": NormLearner})
    for number, session in enumerate(sessions, start=1):
        base.learn("p", session, number)
    return base


def norm(base: KnowledgeBase, name: str) -> Norm | None:
    return base.at("p", base.version("p")).norm(name)


def test_quantiles_are_right_to_a_few_per_cent() -> None:
    chance = random.Random(1)
    took = [chance.lognormvariate(0, 1) for _ in range(1000)]
    found = norm(taught(*(Ended("w", [taking(seconds)], sound=True) for seconds in took)), "tool_seconds get")
    assert found is not None
    exact = sorted(took[: found.count])
    for share, value in ((0.5, found.p50), (0.95, found.p95), (0.99, found.p99)):
        assert value == pytest.approx(exact[int(share * len(exact))], rel=0.12)


def test_a_session_teaches_all_that_is_usual_of_it() -> None:
    session = Ended(
        "refunds", [taking(3, ANSWER), taking(1), msgspec.structs.replace(taking(1), result="[]")], sound=True
    )
    base = taught(*[session] * LEAST)
    known = {name: norm(base, name) for name in (
        "model_seconds m1", "tool_seconds get", "workflow_seconds refunds", "workflow_tokens refunds", "workflow_steps refunds",
        "tool_empty get",
    )}  # fmt: skip
    usual = {name: found.p50 for name, found in known.items() if found is not None}
    assert usual == {
        "model_seconds m1": pytest.approx(3, rel=0.06),
        "tool_seconds get": pytest.approx(1, rel=0.06),
        "workflow_seconds refunds": pytest.approx(3, rel=0.06),
        "workflow_tokens refunds": pytest.approx(1000, rel=0.06),
        "workflow_steps refunds": pytest.approx(3, rel=0.06),
        "tool_empty get": 0.5,
    }


def test_nothing_is_published_of_few_and_nothing_is_learnt_of_what_went_wrong() -> None:
    assert norm(taught(*[Ended("w", [taking(1)], sound=True)] * (LEAST - 1)), "tool_seconds get") is None
    assert taught(*[Ended("w", [taking(1)], sound=False)] * 500).version("p") == 0


def test_a_source_that_knows_no_times_teaches_none() -> None:
    still = msgspec.structs.replace(CALL, end_ns=CALL.start_ns)
    later = msgspec.structs.replace(still, start_ns=still.start_ns + 10**9, end_ns=still.end_ns + 10**9)
    base = taught(*[Ended("w", [still, later], sound=True)] * 100)
    assert norm(base, "tool_seconds get") is None
    assert norm(base, "workflow_seconds w") is None
    assert norm(base, "workflow_steps w") is not None


def test_a_norm_that_stays_is_published_seldom_and_one_that_moves_at_once() -> None:
    base = taught(*[Ended("w", [taking(1)], sound=True)] * 2000)
    lessons = [lesson for lesson in base.news()[0] if lesson.name == "tool_seconds get"]
    assert len(lessons) <= 12
    for number in range(2000):
        base.learn("p", Ended("w", [taking(10)], sound=True), number)
    found = norm(base, "tool_seconds get")
    assert found is not None
    assert found.p95 == pytest.approx(10, rel=0.06)


def test_old_observations_fade() -> None:
    learner = NormLearner()
    for _ in range(FADES):
        learner.learn(Ended("w", [taking(1)], sound=True))
    for _ in range(FADES):
        learner.learn(Ended("w", [taking(9)], sound=True))
    found = learner.content("tool_seconds get", None)
    assert isinstance(found, Norm)
    assert found.count <= FADES
    assert found.p50 == pytest.approx(9, rel=0.06)


def test_whoever_makes_up_names_does_not_fill_the_store() -> None:
    learner = NormLearner()
    held = {name for n in range(3 * NAMES) for name in learner.learn(Ended(f"w{n}", [CALL], sound=True))}
    assert len(held) == NAMES
    assert set(learner.learn(Ended("w1", [CALL], sound=True))) <= held


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=60), st.integers(0, 60))
def test_a_learner_that_goes_on_from_its_drafts_is_the_one_that_never_stopped(took: list[float], stop: int) -> None:
    whole, stopping = NormLearner(), NormLearner()
    names: dict[str, None] = {}
    for number, seconds in enumerate(took):
        if number == stop:
            first, stopping = stopping, NormLearner()
            for name in names:
                stopping.load(name, first.draft(name))
        session = Ended("w", [taking(seconds)], sound=True)
        names |= dict.fromkeys(whole.learn(session)) | dict.fromkeys(stopping.learn(session))
        assert [whole.content(name, None) for name in names] == [stopping.content(name, None) for name in names]
    assert [whole.draft(name) for name in names] == [stopping.draft(name) for name in names]
