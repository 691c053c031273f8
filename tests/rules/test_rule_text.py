"""The text of each rule as it stands in its file."""

from __future__ import annotations

from watchpost.rules.pack import shipped, shipped_text
from watchpost.rules.rule_file import read_rules
from watchpost.rules.rule_text import texts_of

FILE = """
# ours
groups:
  - name: shop
    rules:
      - name: Loops
        flag: [LOOP_DETECTED]
        # many at once
        window: 5m
        above: 2
        severity: high
        owner: shop
        runbook: https://example.com/loops

      - {name: Flow, measure: steps, window: 5m, above: 2, severity: high, owner: shop, runbook: "https://example.com/x"}
slos:
  - name: Complete
    measure: completion_rate
"""


def test_each_rule_is_told_with_its_line_and_its_own_lines_alone() -> None:
    found = texts_of(FILE, "own.yaml")
    assert list(found) == ["Loops", "Flow", "Complete"]
    assert (found["Loops"].file, found["Loops"].line) == ("own.yaml", 6)
    assert found["Loops"].text == (
        "name: Loops\nflag: [LOOP_DETECTED]\n# many at once\nwindow: 5m\nabove: 2\nseverity: high\nowner: shop\n"
        "runbook: https://example.com/loops\n"
    )
    assert found["Flow"].text.startswith("{name: Flow, measure: steps")
    assert found["Complete"].text == "name: Complete\nmeasure: completion_rate\n"


def test_the_text_of_every_shipped_rule_is_the_rule_again() -> None:
    found = texts_of(shipped_text(), "shipped.yaml")
    for rule in shipped().rules:
        lines = found[rule.name].text.splitlines()
        again = "rules:\n  - " + "\n    ".join(lines)
        assert read_rules(again).rules == (rule,)


def test_what_is_no_list_of_rules_has_no_texts() -> None:
    for text in ("", "- a", "rules: x", "rules: [a, {b: c}]", "a: [", "groups: [{rules: {a: b}}]"):
        assert texts_of(text, "x.yaml") == {}
