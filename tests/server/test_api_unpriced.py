"""`/api/unpriced-models` tells which calls no cost includes, and which prices are in use."""

from __future__ import annotations

import msgspec
import pytest
from server_fakes import START_NS, House

from watchpost.server.health import HealthNumbers
from watchpost.store.readers import UnpricedModel

MODEL = UnpricedModel(
    "shop", "our-cloud", "our-model", "refunds", "no_price", 3, 1, 100, None, START_NS, START_NS + 10**9
)


def test_a_model_without_a_price_is_listed_with_its_calls_and_the_prices_in_use() -> None:
    house = House()
    house.shelf.unpriced_models = [MODEL]
    assert house.get("/api/unpriced-models").json() == {
        "prices": {"name": "published prices", "version": "1.2.3", "newest": "2026-01-31"},
        "models": [
            {
                "project": "shop",
                "provider": "our-cloud",
                "model": "our-model",
                "service": "refunds",
                "reason": "no_price",
                "calls": 3,
                "failed": 1,
                "input_tokens": 100,
                "output_tokens": None,
                "first_seen": "2026-05-28T20:26:40.123456Z",
                "last_seen": "2026-05-28T20:26:41.123456Z",
            }
        ],
        "more": False,
    }


def test_a_limit_cuts_the_list_and_says_so() -> None:
    house = House()
    house.shelf.unpriced_models = [msgspec.structs.replace(MODEL, calls=calls) for calls in (1, 2, 3)]
    answer = house.get("/api/unpriced-models?limit=2").json()
    assert ([model["calls"] for model in answer["models"]], answer["more"]) == ([3, 2], True)
    assert house.get("/api/unpriced-models?limit=3").json()["more"] is False


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("project=shop", 1),
        ("project=desk", 0),
        ("since=2026-05-28T20:26:41Z", 1),
        ("since=2026-05-28T22:26:41%2B02:00", 1),
        ("since=2026-05-28T20:26:42", 0),
        ("since=9999-12-31", 0),
        ("since=0001-01-01", 1),
    ],
)
def test_calls_of_a_project_and_since_a_time_are_asked_for(query: str, found: int) -> None:
    house = House()
    house.shelf.unpriced_models = [MODEL]
    assert len(house.get(f"/api/unpriced-models?{query}").json()["models"]) == found


@pytest.mark.parametrize(
    ("query", "named"), [("since=yesterday", "since"), ("limit=0", "limit"), ("limit=many", "limit")]
)
def test_a_parameter_that_cannot_be_used_is_named(query: str, named: str) -> None:
    answer = House().get(f"/api/unpriced-models?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, named)


def test_calls_received_without_a_price_are_counted_by_reason_in_the_metrics() -> None:
    house = House()
    house.pulse.now = HealthNumbers(unpriced={"no_price": 7, "no_tokens": 0})
    text = house.get("/metrics").text
    assert 'watchpost_unpriced_calls_total{reason="no_price"} 7.0' in text
    assert 'watchpost_unpriced_calls_total{reason="no_tokens"} 0.0' in text
