"""What the ping-pong detector says beside where it fires; where it fires is in tests/scenarios."""

from __future__ import annotations

import msgspec
import pytest
from detected import calls_of, detected, seen, steps

from watchpost.detect.ping_pong import KIND, PingPongDetector, PingPongSettings

GAME = """step 1 handoff transfer_to_b {} by a
step 2 handoff transfer_to_a {} by b
step 3 handoff transfer_to_b {} by a
step 4 handoff transfer_to_a {} by b"""


def test_a_game_shows_who_handed_over_to_whom() -> None:
    (found,) = detected(GAME, KIND)
    assert (found.subject, found.severity, found.refutable) == ("a b", "error", False)
    assert found.evidence["agents"] == ["a", "b"]
    assert [(call["from"], call["to"]) for call in calls_of(found)] == [("a", "b"), ("b", "a")] * 2


@pytest.mark.parametrize(
    ("to", "back"),
    [
        ("handoff transfer_to_b {}", "handoff transfer_to_a {}"),
        ("handoff handoff_to_b {}", "handoff handoff_to_a {}"),
        ('handoff transfer_to_agent {"agent_name": "b"}', 'handoff transfer_to_agent {"agent_name": "a"}'),
        ('handoff handoff {"to_agent": "b", "reason": "x"}', 'handoff handoff {"to_agent": "a"}'),
        ("handoff ask_b {}", "handoff ask_a {}"),
    ],
)
def test_agents_are_known_by_the_words_of_many_frameworks(to: str, back: str) -> None:
    text = "\n".join(f"step {n} {to if n % 2 else back} by {'a' if n % 2 else 'b'}" for n in range(1, 5))
    assert len(detected(text, KIND)) == 1


def test_who_speaks_is_who_hands_over_where_the_handoff_does_not_say() -> None:
    told = steps(
        "\n".join(
            f"step {2 * n + 1} llm says hm by {'ab'[n % 2]}\nstep {2 * n + 2} handoff transfer_to_{'ba'[n % 2]} {{}} by lead"
            for n in range(4)
        )
    )
    silent = [step if step.kind == "llm" else msgspec.structs.replace(step, agent="") for step in told]
    (found,) = seen(PingPongDetector(PingPongSettings()), *silent)
    assert found.evidence["agents"] == ["a", "b"]


def test_giving_work_back_is_no_handoff() -> None:
    text = GAME.replace("transfer_to_a", "transfer_back_to_a")
    assert detected(text, KIND) == []


def test_a_handoff_that_is_told_twice_is_one() -> None:
    text = "\n".join(
        f"step {n} handoff transfer_to_{'b' if n < 3 else 'a'} {{}} by {'a' if n < 3 else 'b'}" for n in range(1, 5)
    )
    assert detected(text, KIND) == []


@pytest.mark.parametrize("between", ['human "Yes."', 'tool look {} -> "found"'])
def test_work_and_people_end_a_game(between: str) -> None:
    first, second = GAME.splitlines()[:2], GAME.splitlines()[2:]
    later = [
        line.replace("step 3", "step 4").replace("step 4 handoff transfer_to_a", "step 5 handoff transfer_to_a")
        for line in second
    ]
    assert detected("\n".join([*first, f"step 3 {between}", *later]), KIND) == []


@pytest.mark.parametrize("rounds", [1, -1, 21])
def test_rounds_that_mean_nothing_are_refused(rounds: int) -> None:
    with pytest.raises(ValueError, match="rounds"):
        PingPongSettings(rounds=rounds)
