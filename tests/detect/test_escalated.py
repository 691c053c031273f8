"""What counts as asking for a person and as handing over to one; where it fires is in tests/scenarios."""

from __future__ import annotations

import pytest
from detected import seen, steps

from watchpost.detect.escalated import WORDING, EscalatedDetector, EscalatedSettings, phrases

ASKS = phrases(EscalatedSettings())

FOR_A_PERSON = {
    "en": (
        "Could I speak to a supervisor?",
        "Connect me with a human agent please.",
        "I want a real person.",
        "Please escalate this.",
        "Transfer me to someone who can help.",
    ),
    "de": ("Ich möchte mit einem Mitarbeiter sprechen.", "Verbinden Sie mich bitte."),
    "fr": ("Je veux parler à un conseiller.",),
    "es": ("Quiero hablar con una persona.",),
    "it": ("Vorrei parlare con un operatore.",),
    "pt": ("Quero falar com um atendente.",),
    "nl": ("Ik wil met een medewerker spreken.",),
    "zh": ("请转人工", "我要人工客服"),
    "ja": ("担当者に代わってください",),
}
NOT_FOR_A_PERSON = (
    "You are the most lenient customer service agent I have ever spoken to.",
    "The ticket is for one person.",
    "My manager likes it.",
    "How do I talk to the API?",
    "Transfer 20 USD to Mia.",
)
HANDING_OVER = (
    "transfer_to_human_agents",
    "transfer_to_human",
    "escalate_to_human",
    "escalate",
    "handoff-to-live-agent",
    "connect_to_support_team",
    "human_handoff",
    "request_human",
    "talk_to_a_human",
)
NOT_HANDING_OVER = (
    "transfer_to_refund_agent",
    "transfer_money",
    "ask_human",
    "human_input",
    "get_manager",
    "handoff",
    "send_email",
    "list_people",
    "support_ticket_search",
)


@pytest.mark.parametrize("text", [text for texts in FOR_A_PERSON.values() for text in texts])
def test_asking_for_a_person_is_told_by_its_words(text: str) -> None:
    assert ASKS.found(text)


@pytest.mark.parametrize("text", NOT_FOR_A_PERSON)
def test_speaking_of_people_asks_for_none(text: str) -> None:
    assert ASKS.found(text) == ""


def test_every_language_has_an_example() -> None:
    assert FOR_A_PERSON.keys() == WORDING.keys()


@pytest.mark.parametrize("name", HANDING_OVER)
def test_a_tool_that_hands_over_is_known_by_its_name(name: str) -> None:
    assert handed(EscalatedSettings(), name)


@pytest.mark.parametrize("name", NOT_HANDING_OVER)
def test_other_tools_hand_over_only_where_that_is_declared(name: str) -> None:
    assert not handed(EscalatedSettings(), name)
    assert handed(EscalatedSettings(tools=(name[:3] + "*",)), name)


def handed(settings: EscalatedSettings, name: str) -> bool:
    return bool(seen(EscalatedDetector(settings, ASKS), *steps(f'step 1 tool {name} {{}} -> "ok"')))


@pytest.mark.parametrize("end", ["failed", "refused"])
def test_a_handover_that_did_not_happen_is_none(end: str) -> None:
    told = steps(f'step 1 tool transfer_to_human {{}} -> "no" {end}')
    assert not seen(EscalatedDetector(EscalatedSettings(), ASKS), *told)


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="wording"):
        EscalatedSettings(wording=("(",))
