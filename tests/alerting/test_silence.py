from __future__ import annotations

import msgspec
import pytest

from watchpost.alerting.silence import Silences, silence_faults
from watchpost.model.silence import Acknowledgement, Silence

SILENCE = Silence("s1", "", ('tool="search"',), 100, 200, "ann", "the index is rebuilt", 90)
SEARCH = {"tool": "search", "project": "p"}
changed = msgspec.structs.replace


@pytest.mark.parametrize(("now_ns", "silenced"), [(99, []), (100, ["s1"]), (199, ["s1"]), (200, [])])
def test_a_silence_holds_from_its_start_until_before_its_end(now_ns: int, silenced: list[str]) -> None:
    assert Silences([SILENCE]).silencing(SEARCH, now_ns) == silenced


def test_all_matchers_of_a_silence_must_match() -> None:
    silences = Silences([changed(SILENCE, matchers=('tool="search"', 'severity!="critical"'))])
    assert silences.silencing(SEARCH, 150) == ["s1"]
    assert silences.silencing({**SEARCH, "severity": "critical"}, 150) == []


def test_of_overlapping_silences_every_one_is_named_and_the_last_to_end_decides() -> None:
    silences = Silences([changed(SILENCE, id="s2", starts_ns=150, ends_ns=300), SILENCE])
    assert silences.silencing(SEARCH, 160) == ["s1", "s2"]
    assert silences.silencing(SEARCH, 250) == ["s2"]
    assert silences.silencing(SEARCH, 300) == []


def test_a_silence_with_a_known_id_replaces_the_one_before() -> None:
    silences = Silences([SILENCE])
    silences.take(changed(SILENCE, ends_ns=120))
    assert silences.silencing(SEARCH, 150) == []
    silences.take(changed(SILENCE, starts_ns=150, ends_ns=150))
    assert list(silences) == []


def test_silences_that_are_over_are_forgotten_and_those_to_come_are_not() -> None:
    later = changed(SILENCE, id="s2", starts_ns=500, ends_ns=600)
    silences = Silences([SILENCE, later])
    silences.drop_ended(200)
    assert list(silences) == [later]


def test_a_silence_that_an_earlier_version_let_in_and_nobody_can_read_silences_nothing() -> None:
    silences = Silences([changed(SILENCE, id="s2", matchers=("tool==search",)), SILENCE])
    assert silences.silencing(SEARCH, 150) == ["s1"]
    silences.take(changed(SILENCE, matchers=("tool==search",)))
    assert list(silences) == []


def test_a_silence_of_one_project_holds_for_no_other() -> None:
    silences = Silences([changed(SILENCE, project="p")])
    assert silences.silencing(SEARCH, 150) == ["s1"]
    assert silences.silencing({**SEARCH, "project": "q"}, 150) == []


@pytest.mark.parametrize(
    ("silence", "faults"),
    [
        (SILENCE, []),
        (changed(SILENCE, ends_ns=100), [("ends_ns", "must come after the start")]),
        (changed(SILENCE, ends_ns=50), [("ends_ns", "must come after the start")]),
        (
            changed(SILENCE, by=" ", comment=""),
            [("by", "say who silences"), ("comment", "say why; others will read it")],
        ),
        (changed(SILENCE, matchers=()), [("matchers", 'name at least one, such as alertname="..."')]),
        (changed(SILENCE, matchers=("{}",)), [("matchers", 'name at least one, such as alertname="..."')]),
        (changed(SILENCE, matchers=("tool",)), [("matchers", "'tool', character 5: expected =, !=, =~ or !~")]),
        (changed(SILENCE, matchers=('tool=~".*"', 'a!="b"'), everything=True), []),
    ],
)
def test_what_is_wrong_with_a_silence_is_told_with_its_field(silence: Silence, faults: list[tuple[str, str]]) -> None:
    assert silence_faults(silence) == faults


@pytest.mark.parametrize("matchers", [('tool=~".*"',), ('tool=""',), ('tool!="search"', 'severity!~"info"')])
def test_a_silence_that_matches_alerts_without_labels_must_say_that_it_is_meant(matchers: tuple[str, ...]) -> None:
    (fault,) = silence_faults(changed(SILENCE, matchers=matchers))
    assert fault[0] == "matchers"
    assert "silence everything" in fault[1]


def test_silences_and_acknowledgements_are_facts_that_a_log_can_tell_apart() -> None:
    facts = [SILENCE, Acknowledgement("p", "k", "ann", 5, "chat")]
    assert msgspec.json.decode(msgspec.json.encode(facts), type=list[Silence | Acknowledgement]) == facts
