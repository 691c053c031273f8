"""What the stale data detector says beside where it fires; where it fires is in tests/scenarios."""

from __future__ import annotations

import json

import msgspec
import pytest
from detected import seen, steps
from hypothesis import given
from hypothesis import strategies as st

from watchpost.detect.stale_data import StaleDataDetector, StaleDataSettings, duration_ns
from watchpost.model.flag import Finding

DAY_S = 86_400
NOW_S = 20_000 * DAY_S
"""2024-10-04T00:00:00Z."""


def found_in(result: str, **settings: object) -> list[Finding]:
    (call,) = steps('step 1 tool get_quote {"of": 1} -> "x"')
    call = msgspec.structs.replace(call, start_ns=NOW_S * 10**9, end_ns=NOW_S * 10**9 + 1, result=result)
    chosen = msgspec.convert({"max_age": {"get_*": "1h"}} | settings, StaleDataSettings)
    return seen(StaleDataDetector(chosen), call)


@pytest.mark.parametrize(
    "result",
    [
        '{"price": 1, "as_of": "2024-10-03T22:59:59Z"}',
        '{"price": 1, "lastUpdated": "2024-10-03T22:59:59.5+00:00"}',
        '{"price": 1, "asOf": "2024-10-04T00:59:00+02:00"}',
        '{"headers": {"last-modified": "Thu, 03 Oct 2024 22:59:59 GMT"}, "body": {}}',
        f'{{"timestamp": {NOW_S - 3601}}}',
        f'{{"timestamp": {(NOW_S - 3601) * 1000}, "price": 2}}',
        f'{{"data": [{{"updated_at": "{NOW_S - 3601}"}}]}}',
        "{'price': 1, 'as_of': '2024-10-03 22:59:59'}",
        "as_of: '2024-10-03T22:59:59'\nprice: 1",
        '{"response_headers": {"Age": "3601", "etag": "x"}}',
        '{"cache_age_seconds": 3601}',
        '{"price": 1, "as_of": "2024-10-03T22:59:59Z", "cut": "of',
        '{"price": 1, "as_of": "2024-10-03T22:59:59Z", "timestamp": "2031-01-01T00:00:00Z"}',
    ],
)
def test_an_age_is_read_in_the_ways_in_which_tools_tell_it(result: str) -> None:
    (finding,) = found_in(result)
    assert finding.kind == "STALE_DATA"
    assert finding.subject == finding.evidence["tool"] == "get_quote"
    assert isinstance(finding.evidence["value"], float)
    assert 3600 < finding.evidence["value"] < 3700
    assert finding.evidence["threshold"] == 3600


@pytest.mark.parametrize(
    "result",
    [
        '{"price": 1, "as_of": "2024-10-03T23:00:01Z"}',
        '{"price": 1, "as_of": "2031-01-01T00:00:00Z"}',
        '{"price": 1, "as_of": "yesterday"}',
        '{"price": 1, "as_of": "2024-10-01"}',
        '{"born": "1960-01-01T00:00:00Z", "age": 64}',
        '{"my_as_of": "1960-01-01T00:00:00Z"}',
        f'[{{"as_of": {NOW_S - DAY_S}}}, {{"as_of": {NOW_S - 60}}}]',
        '{"timestamp": 99999999999999999999999999}',
        "no time at all",
    ],
)
def test_what_is_fresh_or_says_nothing_of_its_age_is_not_stale(result: str) -> None:
    assert found_in(result) == []


def test_fields_of_ones_own_are_read_too() -> None:
    result = '{"stand_vom": "2024-10-03T22:59:59Z"}'
    assert found_in(result) == []
    assert len(found_in(result, fields=["stand_vom"])) == 1


def test_the_first_pattern_that_fits_holds() -> None:
    result = json.dumps({"as_of": NOW_S - 7200})
    assert found_in(result, max_age={"get_q*": "3h", "*": "1h"}) == []
    assert len(found_in(result, max_age={"other": "3h", "*": "1h"})) == 1


@given(st.text() | st.from_regex(r'\{"(as_of|age|timestamp)": ?"?[-+0-9TZ:., eE]{0,30}"?\}'))
def test_no_result_is_too_much_for_it(result: str) -> None:
    assert len(found_in(result)) <= 1


def test_durations() -> None:
    assert [duration_ns(text) for text in ("90s", "1.5m", "1h", " 2 d ", "1w")] == [
        seconds * 10**9 for seconds in (90, 90, 3600, 2 * DAY_S, 7 * DAY_S)
    ]
    for text in ("", "h", "1", "1 month", "-1h"):
        with pytest.raises(ValueError, match=r"max_age\.x"):
            StaleDataSettings(max_age={"x": text})
