"""What the loop detector says beside where it fires; where it fires is in tests/scenarios."""

from __future__ import annotations

import msgspec
import pytest

from watchpost.detect.alike import CANDIDATES, TEXT_BUDGET, TEXT_LIMIT
from watchpost.detect.detector import Make, Surroundings
from watchpost.detect.loop import LoopDetector, LoopSettings
from watchpost.detect.run import DetectorRun
from watchpost.detect.scenario import parse
from watchpost.model.flag import Finding

HERE = Surroundings()


def run_of(settings: LoopSettings) -> DetectorRun:
    return DetectorRun([Make(lambda _: LoopDetector(settings))], HERE)


def findings(text: str, settings: LoopSettings | None = None) -> list[Finding]:
    scenario = parse(f"{text}\nexpect nothing")
    run = run_of(settings or msgspec.convert(scenario.settings.get("loop", {}), LoopSettings))
    run.update(scenario.steps, 0, HERE)
    return [finding for _, finding in run.findings]


def calls_of(finding: Finding) -> list[dict[str, str]]:
    return msgspec.convert(finding.evidence["calls"], list[dict[str, str]])


def test_a_repeat_can_be_checked_from_its_summary_and_evidence() -> None:
    (found,) = findings('step 1 human\nstep 2-4 tool get_order {"order_id": "4711"} -> {"status": "pending"}')
    assert found.kind == "LOOP_DETECTED"
    assert found.severity == "high"
    assert not found.refutable
    assert found.summary.startswith("get_order called 3 times with the same arguments {")
    assert "4711" in found.summary
    arguments = found.summary.partition("arguments ")[2]
    assert found.evidence == {
        "reason": "alike_calls",
        "tool": "get_order",
        "value": 3,
        "threshold": 2,
        "window": "session",
        "calls": [{"span_id": f"{number:016x}", "arguments": arguments} for number in (2, 3, 4)],
        "entities": ["4711"],
    }


def test_arguments_that_differ_in_a_word_are_called_nearly_the_same() -> None:
    (found,) = findings(
        'step 1 tool search {"query": "refund policy for premium orders"}\n'
        'step 2 tool search {"query": "refund policy for premium order"}\n'
        'step 3 tool search {"query": "refund policy for premium orders"}'
    )
    assert found.summary.startswith("search called 3 times with nearly the same arguments")


def test_the_same_loop_in_two_sessions_has_the_same_subject_and_another_loop_has_another() -> None:
    loop = 'tool get_order {"order_id": "4711"}'
    (first,) = findings(f"step 1-3 {loop}")
    (second,) = findings(f"step 1 llm\nstep 2 tool other {{}}\nstep 3-9 {loop}")
    (third,) = findings('step 1-3 tool get_order {"order_id": "4712"}')
    assert first.subject == second.subject
    assert first.subject != third.subject


def test_a_cycle_names_both_tools_their_calls_and_entities() -> None:
    (found,) = findings(
        'step 1 tool find {"people": 2}\nstep 2 tool hold {"table": "t_9"}\n'
        'step 3 tool find {"people": 2}\nstep 4 tool hold {"table": "t_9"}'
    )
    calls = found.evidence["calls"]
    assert isinstance(calls, list)
    assert [call["span_id"] for call in calls] == [f"{number:016x}" for number in (1, 2, 3, 4)]
    assert found.evidence["reason"] == "cycle"
    assert (found.evidence["tool"], found.evidence["other_tool"]) == ("find", "hold")
    assert (found.evidence["value"], found.evidence["threshold"]) == (2, 2)
    assert found.evidence["entities"] == ["2", "t_9"]
    assert "called by turns" in found.summary


def test_an_unchanged_result_shows_each_wording() -> None:
    (found,) = findings(
        'step 1 tool search {"q": "Helotiales"} -> page\nstep 2 tool search {"q": "taxonomy of Helotiales"} -> page\n'
        'step 3 tool search {"q": "who described Helotiales first"} -> page'
    )
    calls = found.evidence["calls"]
    assert isinstance(calls, list)
    assert len({call["arguments"] for call in calls}) == 3
    assert found.evidence["reason"] == "unchanged_result"
    assert found.summary.startswith("search called 3 times and the result did not change")


def test_an_allowance_for_polling_shows_the_first_calls_and_the_last() -> None:
    (found,) = findings('set loop.polling {"check": 20}\nstep 1-50 tool check {"job": "j_1"}')
    calls = found.evidence["calls"]
    assert isinstance(calls, list)
    assert [call["span_id"] for call in calls] == [f"{number:016x}" for number in (1, 2, 3, 4, 21)]
    assert (found.evidence["value"], found.evidence["threshold"]) == (21, 20)


def test_the_limits_of_turns_and_calls_have_their_own_severity() -> None:
    settings = LoopSettings(turns=2, calls_per_turn=1)
    found = findings("step 1-3 human\nstep 4 tool a {}\nstep 5 tool b {}", settings)
    assert [each.severity for each in found] == ["error", "error"]
    assert [each.summary for each in found] == [
        "3 turns in the session, more than 2",
        "2 tool calls in one turn, more than 1; the latest is b",
    ]


def test_calls_before_any_human_step_are_one_turn() -> None:
    found = findings("step 1 llm\nstep 2-6 tool a\nstep 7 llm", LoopSettings(calls_per_turn=4))
    assert [each.evidence["value"] for each in found] == [5]


def test_one_call_that_may_be_repeated_is_no_cycle_with_itself() -> None:
    assert not findings('step 1-9 tool get {"id": 1}', LoopSettings(repeats=0))


def test_arguments_longer_than_the_limit_are_alike_only_to_themselves() -> None:
    long = "word " * TEXT_LIMIT
    same = f'{{"text": "{long}"}}'
    other = f'{{"text": "{long}!"}}'
    assert not findings(f"step 1-2 tool write {same}\nstep 3-4 tool write {other}", LoopSettings(cycle_rounds=0))
    assert len(findings(f"step 1-3 tool write {same}")) == 1


def test_the_first_call_of_a_tool_is_compared_as_every_later_one() -> None:
    lines = [
        'tool find {"q": "room", "id": 1}',
        'tool find {"q": "room", "id": 2}',
        'tool find {"q": "rooms", "id": 1}',
    ]
    nearly = [f"step {number} {line}" for number, line in enumerate(lines, start=1)]
    loop = "\n".join([*nearly, f"step 4 {lines[0]}"])
    (found,) = findings(loop, LoopSettings(alike=0.8, cycle_rounds=0))
    assert [call["span_id"] for call in calls_of(found)] == [f"{number:016x}" for number in (1, 3, 4)]
    assert found.summary.startswith("find called 3 times with nearly the same arguments")
    assert found.evidence["entities"] == ["1"]


def test_the_same_arguments_are_found_again_behind_any_number_of_other_calls() -> None:
    others = [f'tool find {{"id": {number}}}' for number in range(3 * CANDIDATES)]
    for asked in ('{"q": "room"}', f'{{"text": "{"word " * TEXT_LIMIT}"}}'):
        lines = [*others[:5], f"tool find {asked}", *others[5:], *[f"tool find {asked}"] * 2]
        (found,) = findings("\n".join(f"step {number} {line}" for number, line in enumerate(lines, start=1)))
        assert found.summary.startswith("find called 3 times with the same arguments")


def test_two_tools_with_long_names_are_told_apart_by_the_end_of_the_name() -> None:
    one, other = f"{'t' * 400}_one", f"{'t' * 400}_other"
    assert not findings(f"step 1-2 tool {one} {{}}\nstep 3-4 tool {other} {{}}", LoopSettings(cycle_rounds=0))
    (found,) = findings(f"step 1-3 tool {one} {{}}")
    assert found.evidence["tool"] == "t" * 199 + "…"


def test_arguments_are_compared_with_the_latest_candidates_only() -> None:
    first, nearly = "how is a refund of premium orders made", "how is a refund of premium order made"
    apart = [f'tool ask {{"q": "{chr(ord("a") + n) * 40}"}}' for n in range(26)]
    apart += [f'tool ask {{"q": "{chr(ord("a") + n) * 20} {chr(ord("b") + n) * 60}"}}' for n in range(CANDIDATES - 26)]

    def asked(between: int) -> int:
        lines = [f'tool ask {{"q": "{first}"}}'] * 2 + apart[:between] + [f'tool ask {{"q": "{nearly}"}}']
        return len(findings("\n".join(f"step {number} {line}" for number, line in enumerate(lines, start=1))))

    assert asked(CANDIDATES - 1) == 1
    assert asked(CANDIDATES) == 0


def test_past_the_text_budget_only_the_very_same_arguments_are_alike() -> None:
    long, short = "x" * (TEXT_LIMIT - 100), "x" * 20
    filling = [f'tool fill {{"n": {n}, "text": "{long}"}}' for n in range(TEXT_BUDGET // len(long))]
    filling += [f'tool fill {{"n": {n}, "text": "{short}"}}' for n in range(len(filling), len(filling) + 100)]
    near = [f'tool ask {{"q": "how is a refund of premium {word} made"}}' for word in ("orders", "order", "Orders")]
    lines = [*filling, "human", *near, near[0], near[0]]
    found = findings("\n".join(f"step {number} {line}" for number, line in enumerate(lines, start=1)))
    assert [each.summary.split(" {")[0] for each in found] == ["ask called 3 times with the same arguments"]


def test_a_call_that_was_taken_back_is_no_part_of_a_loop_reported_later() -> None:
    first, second, third, fourth = (
        f'tool ask {{"q": "{word}"}}' for word in ("one way", "other words", "again", "fourth")
    )
    lines = [f"{second} -> answer", f"{first} -> page", f"{third} -> page", f"{fourth} -> page"]
    lines += [f"{second} -> error busy"] * 2
    text = "\n".join(f"step {number} {line}" for number, line in enumerate(lines, start=1))
    steps = parse(f"{text}\nexpect nothing").steps
    taken_back = parse(f"step 1 llm\nstep 2 llm\nstep 3 {second} -> page\nexpect nothing").steps
    run = run_of(LoopSettings())
    run.update([*steps[:2], taken_back[2]], 0, HERE)
    run.update(steps, 2, HERE)
    assert [position for position, _ in run.findings] == [3, 5]


def test_a_limit_of_zero_switches_its_reason_off() -> None:
    off = LoopSettings(repeats=0, cycle_rounds=0, unchanged=0, calls_per_turn=0, turns=0)
    assert not findings('step 1-40 human\nstep 41-90 tool get {"id": 1} -> same\nstep 91 llm', off)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"alike": 0.0}, "alike"),
        ({"alike": 1.5}, "alike"),
        ({"repeats": -1}, "repeats"),
        ({"turns": -1}, "turns"),
        ({"cycle_rounds": 1}, "cycle_rounds"),
        ({"polling": {"check_job": -1}}, "polling.check_job"),
    ],
)
def test_settings_that_mean_nothing_are_refused_by_name(settings: dict[str, float], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        LoopSettings(**settings)  # type: ignore[arg-type]  # the point is to pass what does not belong
