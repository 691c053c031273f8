"""What stands in Teams: a card for each notice."""

from __future__ import annotations

import asyncio

import msgspec
from far_ends import HOSTILE, opened, told
from service_teams import LARGEST, Card, TeamsService

from watchpost.alerting.message import message
from watchpost.alerting.notifiers.teams import encode
from watchpost.model.notice import Notice


def posted(*notices: Notice) -> list[Card]:
    async def story() -> list[Card]:
        async with TeamsService() as service:
            channel = opened("teams", service.port)
            for one in notices:
                await channel.send(one)
            return service.cards

    return asyncio.run(story())


def lines(card: Card) -> list[str]:
    return ["".join(run.text for run in block.inlines) for block in card.body]


def test_a_card_says_what_where_and_how_bad_and_leads_on() -> None:
    [card] = posted(told())
    said = lines(card)
    assert said[:2] == ["[HIGH] refunds: tool_timeout", "Agent error: tool_timeout - no answer from orders-db"]
    for line in ("owner: team-agents", "value: 0.18", "threshold: 0.1 in 10m", "conversation: conv-7", "step: 4"):
        assert line in said
    assert (
        "firing: AgentToolHighFailureRate severity=high, tool=get_order0, 0 odd-name=get_order timed out, gone=" in said
    )
    assert [action.title for action in card.actions] == ["Runbook", "Open in Watchpost"]


def test_each_state_has_a_card_of_its_own_and_a_colour() -> None:
    cards = posted(told(), told("acknowledge"), told("resolve"), told("no_word"))
    assert [card.body[0].inlines[0].color for card in cards] == ["attention", "warning", "good", "warning"]
    assert lines(cards[3])[0] == "No word: refunds: tool_timeout"
    assert lines(cards[1])[2] == "by ana <b>"
    assert lines(cards[2])[0] == "Resolved: refunds: tool_timeout"


def test_markup_in_what_a_tool_wrote_is_text() -> None:
    [card] = posted(told(error=None, summary=HOSTILE))
    assert "[x](http://e) *b* `c`" in lines(card)[1]


def test_a_card_that_would_be_too_large_leaves_out_the_alerts_and_then_the_facts() -> None:
    shown = message(told(), "")
    wide = msgspec.structs.replace(shown, alerts=("ä" * 2000,) * 10)
    small = encode(wide)
    assert len(small) <= LARGEST
    assert b"conv-7" in small
    assert "ä".encode() not in small
    facts = tuple((f"name{n}", "ä" * 2000) for n in range(10))
    assert b"name1" not in encode(msgspec.structs.replace(shown, facts=facts))


def test_of_a_great_many_alerts_the_first_are_listed_and_the_rest_counted() -> None:
    [card] = posted(told(alerts=50))
    said = lines(card)
    assert len([line for line in said if line.startswith("firing: ")]) == 10
    assert said[-1] == "and 40 more"
