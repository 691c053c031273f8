"""What counts as a correction, by language; where it fires is in tests/scenarios."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.detect.corrected import WORDING, CorrectedSettings, phrases
from watchpost.detect.phrases import LOOKED_AT

CORRECTS = phrases(CorrectedSettings())

CORRECTED = {
    "en": (
        "That's not what I asked.",
        "That is incorrect.",
        "The address is wrong.",
        "no, I meant the other one",
        "You misunderstood me.",
        "I never asked for a refund!",
        "I already told you my name.",
        "There must be some mix-up.",
        "Oh no, not that one.",
    ),
    "de": ("Das stimmt nicht.", "Ich meinte den anderen.", "Sie haben mich falsch verstanden."),
    "fr": ("Ce n'est pas correct.", "Je voulais dire demain."),
    "es": ("Eso no es correcto.", "Quise decir mañana."),
    "it": ("Non è corretto.", "Intendevo domani."),
    "pt": ("Isso está errado.", "Eu quis dizer amanhã."),
    "nl": ("Dat klopt niet.", "Ik bedoelde morgen."),
    "zh": ("不对，是明天。", "你理解错了"),
    "ja": ("違います。明日です。",),
}
AGREED = (
    "Yes, that's correct, please proceed.",
    "I ordered it by mistake.",
    "Actually, never mind. That's all for now.",
    "Actually, I'd like two of them instead.",
    "If that's not achievable, can we stick with economy?",
    "What is wrong with my order?",
    "Is that right?",
    "Das ist richtig, danke.",
    "C'est parfait, merci.",
    "没错，谢谢。",
)


@pytest.mark.parametrize(("language", "text"), [(one, text) for one, texts in CORRECTED.items() for text in texts])
def test_a_correction_is_told_by_its_words(language: str, text: str) -> None:
    assert CORRECTS.found(text)
    others = tuple(each for each in WORDING if each != language)
    assert not phrases(CorrectedSettings(languages=others)).found(text)


@pytest.mark.parametrize("text", AGREED)
def test_agreement_and_changes_of_mind_correct_nobody(text: str) -> None:
    assert CORRECTS.found(text) == ""


def test_every_language_has_an_example() -> None:
    assert CORRECTED.keys() == WORDING.keys()


def test_own_wording_counts_beside() -> None:
    assert phrases(CorrectedSettings(languages=(), wording=("nonsense!",))).found("Nonsense!")
    with pytest.raises(ValueError, match="languages"):
        CorrectedSettings(languages=("xx",))
    with pytest.raises(ValueError, match="wording"):
        CorrectedSettings(wording=("(",))


@given(text=st.text(max_size=2 * LOOKED_AT))
def test_any_text_is_looked_at(text: str) -> None:
    assert CORRECTS.found(text) in text or not text.isascii()
