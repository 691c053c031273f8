"""How long it takes to find sessions among ten million stored spans, by whatever a report names."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import msgspec

from lab import Lab, Measured, milliseconds, percentile
from process import Client
from stored import Filled

_TIMES = 5
_ORDER = re.compile(r"W[0-9]{11}")
_WORDS = re.compile(r"[a-z]+ [a-z]+ [a-z]+")
_NEVER = ("never said by anybody", "zugzwang", "nobody asked for this", "without precedent", "fjord and geysir")
"""No word of them is one of `spans.py`. Texts are others each time: the engine remembers what it found nowhere."""


class _Listed(msgspec.Struct):
    key: str
    session_id: str
    started_at: str


class _Listing(msgspec.Struct):
    sessions: list[_Listed]
    searched_since: str | None = None
    words_since: str | None = None


class _Stepped(msgspec.Struct):
    step_id: str
    trace_id: str
    input: str = ""


class _Steps(msgspec.Struct):
    steps: list[_Stepped]


def search(_: Lab, filled: Filled) -> Measured:
    """The latency of each search over the API, and of all of them; how many sessions each found on its first page."""
    client = filled.running().client
    numbers: dict[str, float] = {}
    every: list[float] = []
    notes: list[str] = []
    for name, each in _searches(client).items():
        paths = [f"/api/sessions?{urlencode(parameters)}" for parameters in each]
        answers = [client.get(path) for path in paths]
        if bad := [answer for answer in answers if answer.status != 200]:
            raise LookupError(f"{name} is answered {bad[0].status}: {bad[0].body[:200]!r}")
        seconds = [answer.seconds for answer in answers]
        listing = msgspec.json.decode(answers[0].body, type=_Listing)
        numbers[f"{name}_p50_ms"] = 1e3 * percentile(seconds, 0.5)
        numbers[f"{name}_max_ms"] = 1e3 * max(seconds)
        numbers[f"{name}_found"] = len(listing.sessions)
        since = f", texts since {listing.searched_since[:10]}" if listing.searched_since else ""
        since += f", words since {(listing.words_since or 'ever')[:10]}" if since else ""
        notes.append(
            f"{name.replace('_', ' ')}: {1e3 * percentile(seconds, 0.5):,.0f} ms, {len(listing.sessions)} on the page{since}"
        )
        every += seconds
    numbers |= milliseconds(every, "search")
    value = f"p95 {1e3 * percentile(every, 0.95):,.0f} ms, median {1e3 * percentile(every, 0.5):,.0f} ms"
    return Measured(value, numbers, [f"{_TIMES} times each on {filled.spans:,} spans", *notes])


def _searches(client: Client) -> dict[str, list[dict[str, str]]]:
    """What is searched for each time, taken from a session in the middle of the last two hundred."""
    listed = msgspec.json.decode(client.get("/api/sessions?limit=200").body, type=_Listing).sessions
    session = listed[len(listed) // 2]
    steps = msgspec.json.decode(client.get(f"/api/sessions/{session.key}/steps?limit=5").body, type=_Steps).steps
    step = next(step for step in steps if step.trace_id)
    detail = f"/api/sessions/{session.key}/steps/{step.step_id}?trace_id={step.trace_id}"
    said = msgspec.json.decode(client.get(detail).body, type=_Stepped).input
    order, words = _ORDER.findall(said)[0], _WORDS.findall(said)[-_TIMES:]
    around = datetime.fromisoformat(session.started_at).astimezone(UTC)
    hour = {
        "since": (around - timedelta(minutes=30)).isoformat(),
        "until": (around + timedelta(minutes=30)).isoformat(),
    }
    alike: dict[str, dict[str, str]] = {
        "latest": {},
        "by_key": {"q": session.key},
        "by_session_id": {"q": session.session_id},
        "by_trace": {"trace": step.trace_id},
        "by_user": {"user_id": "nobody"},
        "by_entity": {"entity": order},
        "by_number": {"entity": order[1:]},
        "by_no_entity": {"entity": "ORD-00000000"},
        "by_anything_named": {"q": f"order {order}"},
        "by_hour": hour,
        "by_entity_outcome_and_hour": {"entity": order, "outcome": "completed", **hour},
        "by_error": {"error": "true"},
        "by_flag": {"flag": "LOOP_DETECTED"},
    }
    return {name: [parameters] * _TIMES for name, parameters in alike.items()} | {
        "by_text": [{"text": text} for text in words],
        "by_no_text": [{"text": text} for text in _NEVER],
        "by_any_text": [{"q": text[1:]} for text in words],
        "by_hour_and_text": [{**hour, "text": text[:-1]} for text in words],
        "by_entity_and_text": [{"entity": order, "text": text[2:]} for text in words],
    }
