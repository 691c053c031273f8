"""What the empty result detector says beside where it fires; where it fires is in tests/scenarios."""

from __future__ import annotations

import pytest
from detected import calls_of, detected, known, seen, steps
from hypothesis import given
from hypothesis import strategies as st

from watchpost.detect.detector import Surroundings
from watchpost.detect.empty_result import KIND, EmptyResultDetector, EmptyResultSettings, is_empty
from watchpost.model.knowledge import Norm

WORDS = ("oak", "elm", "fir", "yew", "ash")
SEARCHES = "\n".join(f'step {n} tool find {{"tree": "{word}"}} -> []' for n, word in enumerate(WORDS, start=1))


@pytest.mark.parametrize(
    "result",
    [
        "[]", "{}", " null\n", '""', "None", '{"results": []}', '{"items": [], "total": 0}', '{"total_count": 0}',
        '{"query": "oak", "rows": []}', '{"data": null}', '{"data": {}}', "No results found.", "no matching records were found",
        "There are no open orders.", "0 rows returned", "Nothing found for 'oak'", "No flights available on that day.",
    ],
)  # fmt: skip
def test_what_says_that_there_is_nothing_is_empty(result: str) -> None:
    assert is_empty(result)


@pytest.mark.parametrize(
    "result",
    [
        "", "0", "false", "no", "ok", "[0]", '{"status": "ok"}', '{"results": [], "errors": ["down"]}', '{"count": 3}',
        '{"items": [], "total": 12}', '{"done": true}', '{"balance": 0}', "No errors were found.", "0 rows affected",
        "No problem, 3 results found", "Nothing was deleted", "North of here", '{"results": "none left"}', "x" * 400, "{broken",
        "No order was found, but there are two others.\n" + "They are 1 and 2. " * 20,
    ],
)  # fmt: skip
def test_what_says_anything_else_is_not_empty(result: str) -> None:
    assert not is_empty(result)


@given(st.text() | st.from_regex(r"\{.*\}"))
def test_no_result_is_too_much_for_it(result: str) -> None:
    assert is_empty(result) in (True, False)


def test_a_row_is_one_finding_that_shows_what_was_asked() -> None:
    (found,) = detected(SEARCHES, KIND)
    assert (found.subject, found.severity, found.refutable) == ("find", "warning", False)
    assert (found.evidence["value"], found.evidence["threshold"]) == (3, 3)
    assert [call["arguments"] for call in calls_of(found)] == [f'{{"tree": "{word}"}}' for word in WORDS[:3]]


def test_a_tool_that_may_be_empty_is_not_found() -> None:
    assert detected(f'set empty_result.expected ["fi*"]\n{SEARCHES}', KIND) == []
    assert detected(f"set empty_result.repeats 0\nset empty_result.rare 0\n{SEARCHES}", KIND) == []


@pytest.mark.parametrize(
    ("share", "calls", "is_found"), [(0.0, 600, True), (0.0, 599, False), (0.002, 1000, True), (0.01, 9999, False)]
)
def test_one_empty_result_counts_where_the_tool_is_known_to_bring_something(
    share: float, calls: int, is_found: bool
) -> None:
    around = Surroundings(knowledge=known(tool_empty__find=Norm(calls, share, share, share)))
    found = seen(EmptyResultDetector(EmptyResultSettings(), around), steps(SEARCHES)[0])
    assert [finding.evidence["reason"] for finding in found] == ["rarely_empty"] * is_found


@pytest.mark.parametrize(("field", "value"), [("repeats", 1), ("repeats", -1), ("rare", 1.0), ("rare", -0.1)])
def test_settings_that_mean_nothing_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        EmptyResultSettings(**{field: value})  # type: ignore[arg-type] # numbers, as the fields are
