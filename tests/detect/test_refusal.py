"""What the refusal detector says beside where it fires; where it fires is in tests/scenarios."""

from __future__ import annotations

import pytest
from detected import detected
from hypothesis import given
from hypothesis import strategies as st

from watchpost.detect.refusal import KIND, WORDING, RefusalSettings, Wording

EVERY = Wording(RefusalSettings())

REFUSED = {
    "en": (
        "I'm sorry, but I can't assist with that request.",
        "I’m sorry, but I can’t help with that.",
        "I cannot fulfill your request.",
        "Sorry, I'm not able to help you with this.",
        "I am unable to comply with that request because it is harmful.",
        "I won't do that.",
        "I cannot provide that information.",
        "I must decline this request.",
        "As an AI language model, I cannot do this.",
        "I cannot browse the web. My capabilities are limited to the tools I have.",
        "This violates our usage policies, so I cannot help with this request.",
    ),
    "de": (
        "Es tut mir leid, aber dabei kann ich Ihnen nicht helfen.",
        "Ich kann dir leider nicht helfen.",
        "Ich kann diese Anfrage nicht beantworten.",
    ),
    "fr": ("Je ne peux pas vous aider avec cette demande.", "Je suis désolé, mais je ne peux pas vous aider."),
    "es": ("Lo siento, no puedo ayudarte con eso.", "No puedo cumplir con su solicitud."),
    "it": ("Mi dispiace, non posso aiutarti con questa richiesta.",),
    "pt": ("Desculpe, não posso ajudar com isso.",),
    "nl": ("Daarmee kan ik u helaas niet helpen.",),
    "zh": ("抱歉，我无法协助您完成这个请求。", "对不起，我不能回答这个问题。"),
    "ja": ("申し訳ありませんが、そのご依頼にはお応えできません。",),
}
ANSWERED = (
    "I can help with that. What is your order number?",
    "I'm sorry to hear that. Let me look into it.",
    "I cannot find an order with this number.",
    "I can't cancel the booking, because it has been used.",
    "Unfortunately, our return policy does not allow it, so I cannot help with that.",
    "I am unable to reach the warehouse at the moment.",
    "The service said that it cannot fulfil the order.",
    "I won't send it until you confirm.",
    "I could not do it in one step, so I did it in two.",
    "Das kann ich für Sie erledigen.",
    "Ich kann die Bestellung nicht finden.",
    "Je ne peux pas trouver votre commande.",
    "No puedo encontrar el pedido.",
)


@pytest.mark.parametrize(
    ("language", "said"), [(language, said) for language, each in REFUSED.items() for said in each]
)
def test_models_refuse_in_many_words_and_languages(language: str, said: str) -> None:
    assert EVERY.refuses(said)
    assert Wording(RefusalSettings(languages=(language,))).refuses(said)
    others = tuple(each for each in WORDING if each != language)
    assert not Wording(RefusalSettings(languages=others)).refuses(said)


@pytest.mark.parametrize("said", ANSWERED)
def test_what_did_not_work_what_a_rule_forbids_and_what_is_asked_is_no_refusal(said: str) -> None:
    assert EVERY.refuses(said) == ""


def test_only_the_beginning_of_an_answer_is_looked_at() -> None:
    assert EVERY.refuses("Here is the report. " * 40 + "I cannot help with that.") == ""


def test_words_of_ones_own_refuse_too_and_a_broken_pattern_is_named() -> None:
    own = Wording(RefusalSettings(languages=(), wording=("kan ikke hjelpe",)))
    assert own.refuses("Beklager, jeg KAN IKKE HJELPE deg.") == "KAN IKKE HJELPE"
    assert own.refuses("I cannot help with that.") == ""
    with pytest.raises(ValueError, match="wording"):
        RefusalSettings(wording=("(",))
    with pytest.raises(ValueError, match="languages"):
        RefusalSettings(languages=("tlh",))


def test_a_finding_shows_the_words() -> None:
    (found,) = detected('step 1 llm says "Well. I cannot help with that." asks 0 model m1', KIND)
    assert (found.subject, found.severity, found.refutable) == ("m1", "warning", False)
    assert found.evidence["words"] == "I cannot help with that."
    assert found.evidence["begins"] == "Well. I cannot help with that."


@given(st.text())
def test_no_answer_is_too_much_for_it(answer: str) -> None:
    assert isinstance(EVERY.refuses(answer), str)
