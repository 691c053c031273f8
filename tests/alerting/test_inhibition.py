from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from watchpost.alerting.inhibition import Inhibition, Inhibitor
from watchpost.alerting.matcher import all_match, read_matchers

RULE = Inhibition(read_matchers("severity=page"), read_matchers("severity=warn"), ("site",))
PAGE = {"severity": "page", "site": "a", "project": "p"}
WARN = {"severity": "warn", "site": "a", "project": "p"}


def test_a_target_is_held_back_while_its_source_fires() -> None:
    inhibitor = Inhibitor([RULE])
    assert not inhibitor.inhibits(WARN)
    inhibitor.fires("1", PAGE)
    inhibitor.fires("1", PAGE)
    inhibitor.fires("2", PAGE)
    assert inhibitor.inhibits(WARN)
    inhibitor.ends("1", PAGE)
    assert inhibitor.inhibits(WARN)
    inhibitor.ends("2", PAGE)
    assert not inhibitor.inhibits(WARN)


def test_labels_that_must_be_equal_are_equal_where_both_lack_them_and_not_where_one_does() -> None:
    inhibitor = Inhibitor([RULE])
    inhibitor.fires("1", {"severity": "page"})
    assert inhibitor.inhibits({"severity": "warn"})
    assert not inhibitor.inhibits({"severity": "warn", "site": "a"})


def test_an_alert_of_another_project_holds_nothing_back() -> None:
    inhibitor = Inhibitor([RULE])
    inhibitor.fires("1", PAGE)
    assert not inhibitor.inhibits({**WARN, "project": "q"})


def test_an_alert_on_both_sides_does_not_inhibit_itself_but_others() -> None:
    inhibitor = Inhibitor([Inhibition(read_matchers('tool=~"a|b"'), read_matchers('tool=~"b|c"'))])
    inhibitor.fires("1", {"tool": "b"})
    assert not inhibitor.inhibits({"tool": "b"})
    assert inhibitor.inhibits({"tool": "c"})
    inhibitor.fires("2", {"tool": "a"})
    assert inhibitor.inhibits({"tool": "b"})


def test_the_alerts_that_hold_one_back_are_named() -> None:
    inhibitor = Inhibitor([RULE, Inhibition(read_matchers('tool=~"a|b"'), read_matchers('tool=~"b|c"'))])
    for name, labels in (("2", PAGE), ("1", PAGE), ("3", {"tool": "b"}), ("4", {"tool": "a"})):
        inhibitor.fires(name, labels)
    assert inhibitor.inhibiting(WARN) == ["1", "2"]
    assert inhibitor.inhibiting({**WARN, "site": "b"}) == []
    assert inhibitor.inhibiting({"tool": "b"}) == ["4"]
    assert inhibitor.inhibiting({"tool": "c"}) == ["3", "4"]
    inhibitor.ends("4", {"tool": "a"})
    assert inhibitor.inhibiting({"tool": "b"}) == []


LABELS = st.dictionaries(st.sampled_from(["t", "e", "project"]), st.sampled_from(["a", "b"]), max_size=3)
SIDES = st.sampled_from(["t=a", "t=b", 't=~"a|b"', "t!=a", "{}"]).map(read_matchers)
RULES = st.builds(Inhibition, SIDES, SIDES, st.sampled_from([(), ("e",)]))


def inhibits_by_definition(rule: Inhibition, sources: list[dict[str, str]], labels: Mapping[str, str]) -> bool:
    is_two_sided = all_match(rule.source, labels)
    return all_match(rule.target, labels) and any(
        all_match(rule.source, source)
        and all(source.get(name, "") == labels.get(name, "") for name in ("project", *rule.equal))
        and not (is_two_sided and all_match(rule.target, source))
        for source in sources
    )


@given(rule=RULES, alerts=st.lists(st.tuples(LABELS, st.booleans()), max_size=6), labels=LABELS)
def test_looking_it_up_gives_what_trying_every_alert_gives(
    rule: Inhibition, alerts: list[tuple[dict[str, str], bool]], labels: dict[str, str]
) -> None:
    inhibitor = Inhibitor([rule])
    for number, (source, _) in enumerate(alerts):
        inhibitor.fires(str(number), source)
    for number, (source, is_over) in enumerate(alerts):
        if is_over:
            inhibitor.ends(str(number), source)
    firing = [source for source, is_over in alerts if not is_over]
    assert inhibitor.inhibits(labels) == inhibits_by_definition(rule, firing, labels)
    named = [
        str(number)
        for number, (source, is_over) in enumerate(alerts)
        if not is_over and inhibits_by_definition(rule, [source], labels)
    ]
    assert inhibitor.inhibiting(labels) == named
