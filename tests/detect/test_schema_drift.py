"""A tool that answers in another form than it used to."""

from __future__ import annotations

import msgspec
import pytest
from drift_fleet import PROJECT, Fleet, a_fleet, an_applicant, call, found_in

from watchpost.detect.detector import Surroundings
from watchpost.detect.schema_drift import SchemaDriftDetector, SchemaDriftSettings
from watchpost.model.knowledge import Contract, Field, JsonType


def test_a_renamed_income_field_is_flagged_at_the_step_of_the_first_session_that_has_it() -> None:
    fleet = Fleet()
    for number in range(10):
        steps = [
            call(1, "find", {"ids": [number]}),
            call(2, "check", "fine"),
            call(3, "get_applicant", an_applicant(number)),
        ]
        assert fleet.end(*steps) == []
    drifted = an_applicant(11)
    drifted["income_annual"] = drifted.pop("annual_income")
    steps = [
        call(1, "find", {"ids": [7]}),
        call(2, "check", "fine"),
        call(3, "get_applicant", drifted, arguments='{"applicant": "A-1107"}'),
        call(4, "get_applicant", drifted),
    ]
    ((place, finding),) = fleet.judge(steps)
    assert place == 2
    assert finding.kind == "TOOL_SCHEMA_DRIFT"
    assert finding.severity == "high"
    assert finding.refutable is False
    assert finding.summary == "get_applicant: field annual_income is gone, income_annual is new: probably renamed"
    assert finding.evidence["renamed"] == [{"from": "annual_income", "to": "income_annual", "alike": "names"}]
    assert finding.evidence["removed"] == [{"path": "annual_income", "expected": ["integer"]}]
    assert finding.evidence["added"] == [{"path": "income_annual", "got": ["integer"]}]
    assert finding.evidence["contract"] == {"source": "learnt", "version": fleet.base.version(PROJECT)}
    assert finding.evidence["entities"] == ["A-1107"]


@pytest.mark.parametrize(
    ("change", "summary"),
    [
        ({"annual_income": "50000"}, "get: field annual_income is string, was integer"),
        ({"annual_income": {"value": 1}}, "get: field annual_income is object, was integer"),
        ({"annual_income": None}, "get: field annual_income is null, was integer"),
        ({"score": 1}, "get: field score is new"),
        ({"name": ...}, "get: field name is gone"),
        ({"name": ..., "zq": "Ada"}, "get: field name is gone, zq is new: probably renamed"),
        ({"name": ..., "zq": [1]}, "get: field name is gone; field zq is new"),
        ({"annual_income": 1.5}, None),
    ],
)
def test_each_kind_of_change_is_said_in_a_sentence(change: dict[str, object], summary: str | None) -> None:
    fleet = a_fleet([an_applicant(number) for number in range(30)])
    response = {name: value for name, value in (an_applicant(1) | change).items() if value is not ...}
    assert found_in(fleet, response) == ([summary] if summary else [])


@pytest.mark.parametrize("response", ["", "{}", "[]", "null", "not found", '{"id": "A', {"error": "no such applicant"}])
def test_what_is_empty_cut_short_plain_or_an_error_is_not_judged(response: object) -> None:
    assert found_in(a_fleet([an_applicant(number) for number in range(30)]), response) == []


def test_a_failed_call_is_not_judged() -> None:
    fleet = a_fleet([an_applicant(number) for number in range(30)])
    assert fleet.judge([call(1, "get", {"other": 1}, status="error")]) == []
    assert fleet.judge([call(1, "get", {"other": 1}, status="unknown")]) != []


def test_without_a_contract_a_tool_is_not_judged() -> None:
    fleet = Fleet()
    assert fleet.judge([call(n, "get", {"a": 1}) for n in range(20)] + [call(21, "get", {"b": 1})]) == []


def test_each_way_to_differ_is_told_once_in_a_session() -> None:
    fleet = a_fleet([an_applicant(number) for number in range(30)])
    first, second = an_applicant(1) | {"score": 1}, an_applicant(1) | {"rank": 1}
    steps = [call(n, "get", response) for n, response in enumerate([first, first, second, first, second])]
    assert [place for place, _ in fleet.judge(steps)] == [0, 2]


def test_the_subject_is_the_same_for_the_same_drift_in_every_session() -> None:
    fleet = a_fleet([{"id": 1, "tags": ["a"]} for _ in range(30)])
    subjects = {
        finding.subject
        for response in ({"id": 1, "tags": ["a"], "x": 1}, {"id": 2, "tags": [], "x": 5})
        for _, finding in fleet.judge([call(1, "get", response)])
    }
    assert len(subjects) == 1


def test_ignored_tools_are_not_judged() -> None:
    fleet = a_fleet([an_applicant(number) for number in range(30)], "get_applicant")
    assert found_in(fleet, {"other": 1}, "get_applicant")
    fleet.settings = SchemaDriftSettings(ignore=("get_*",))
    assert found_in(fleet, {"other": 1}, "get_applicant") == []


def test_what_is_declared_beats_what_is_learnt() -> None:
    fleet = a_fleet([an_applicant(number) for number in range(30)])
    kinds: tuple[JsonType, ...] = ("string",)
    fleet.declared["get"] = Contract({"": Field(("object",), required=True), "other": Field(kinds, required=True)})
    assert found_in(fleet, {"other": "x"}) == []
    ((_, finding),) = fleet.judge([call(1, "get", an_applicant(1))])
    assert finding.evidence["contract"] == {"source": "declared", "version": 0}


def test_rewinding_lets_a_finding_be_made_again() -> None:
    fleet = a_fleet([an_applicant(number) for number in range(30)])
    around = Surroundings(PROJECT, knowledge=fleet.base.at(PROJECT, fleet.base.version(PROJECT)))
    detector = SchemaDriftDetector(fleet.settings, around, fleet.declared.get, fleet.guards)
    drifted = call(1, "get", an_applicant(1) | {"score": 1})
    assert detector.see(0, drifted)
    assert not detector.see(1, drifted)
    detector.rewind(0)
    assert detector.see(0, drifted)


def test_evidence_of_hostile_names_stays_small() -> None:
    fleet = a_fleet([{"a": 1, "b": {"c": 2}} for _ in range(30)])
    hostile = {f"{'x' * 300}{chr(97 + n % 26)}{n}": "\ud800" for n in range(10)}
    ((_, finding),) = fleet.judge([call(1, "get", {"a": "x", "b": hostile} | hostile)])
    assert len(msgspec.json.encode(finding)) < 16_000


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"responses": 0}, "responses"),
        ({"sessions": 0}, "sessions"),
        ({"quiet": 0.5}, "quiet"),
        ({"null_sessions": 0}, "null_sessions"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, float], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        SchemaDriftSettings(**settings)  # type: ignore[arg-type]  # the point is to pass what does not belong
