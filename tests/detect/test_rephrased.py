"""What is nearly the same question again; where it fires is in tests/scenarios."""

from __future__ import annotations

import pytest
from detected import detected, seen, steps
from hypothesis import given
from hypothesis import strategies as st

from watchpost.detect.rephrased import KIND, RephrasedDetector, RephrasedSettings

ASKED = "When will my parcel from the garden shop arrive?"


def again(first: str, second: str, settings: RephrasedSettings | None = None) -> bool:
    """Whether a person who was answered asks the same again."""
    told = steps(f'step 1 human "{first}"\nstep 2 llm says "Soon."\nstep 3 human "{second}"')
    return bool(seen(RephrasedDetector(settings or RephrasedSettings()), *told))


@pytest.mark.parametrize(
    "second",
    [
        ASKED,
        "my parcel, from the GARDEN shop: when will it arrive?",
        "I asked when the parcel from the garden shop will arrive",
        "Hello? When does my parcel from that garden shop arrive?",
    ],
)
def test_the_same_in_nearly_the_same_words_is_asked_again(second: str) -> None:
    assert again(ASKED, second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ASKED, "And what does the delivery cost?"),
        (ASKED, f"Yes. {ASKED}"),
        (ASKED, f"Danke. {ASKED}"),
        ("Please cancel order A17 and refund everything.", "Please cancel order A18 and refund everything."),
        ("Where is it?", "Where is it?"),
        (
            "Kind regards from the whole Miller family. Cancel it.",
            "Kind regards from the whole Miller family. Refund it.",
        ),
    ],
)
def test_another_question_a_reply_and_a_signature_are_none(first: str, second: str) -> None:
    assert not again(first, second)


def test_writing_without_spaces_is_compared_by_pairs_of_characters() -> None:
    assert again("我的包裹什么时候能到？", "我的包裹什么时候到？")
    assert not again("我的包裹什么时候能到？", "请取消这个订单。")


def test_evidence_shows_both_and_how_alike_they_are() -> None:
    (found,) = detected(f'step 1 human "{ASKED}"\nstep 2 llm says "Soon."\nstep 3 human "{ASKED}"', KIND)
    assert (found.severity, found.refutable, found.evidence["value"]) == ("info", False, 1.0)
    assert found.evidence["before"] == found.evidence["again"] == ASKED


def test_only_the_last_three_utterances_are_compared() -> None:
    others = [f'step {2 * n + 1} human "Something else {n}?"\nstep {2 * n + 2} llm says "Yes."' for n in range(1, 4)]
    for kept, found in ((2, 1), (3, 0)):
        text = "\n".join(
            [f'step 1 human "{ASKED}"\nstep 2 llm says "Soon."', *others[:kept], f'step {2 * kept + 3} human "{ASKED}"']
        )
        assert len(detected(text, KIND)) == found


@pytest.mark.parametrize("wrong", [{"alike": 1.5}, {"alike": -0.1}, {"words": 0}])
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RephrasedSettings(**wrong)  # type: ignore[arg-type] # names are checked at run time


@given(first=st.text("abc 1é好", min_size=1, max_size=60), second=st.text("abc 1é好", min_size=1, max_size=60))
def test_whether_two_are_alike_does_not_depend_on_which_came_first(first: str, second: str) -> None:
    assert again(first, second) == again(second, first)
