from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchpost.alerting.matcher import Matcher, MatcherError, Operator, all_match, read_matchers

TEXT = st.text(st.characters(codec="utf-8"))
OPERATORS: st.SearchStrategy[Operator] = st.sampled_from(["=", "!="])


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ('severity="critical"', {"severity": "critical"}, True),
        ('severity="critical"', {"severity": "warning"}, False),
        ('severity="critical"', {}, False),
        ('severity!="critical"', {}, True),
        ('tool=""', {}, True),
        ('tool=~"get_.*"', {"tool": "get_order"}, True),
        ('tool=~"get_"', {"tool": "get_order"}, False),
        ('tool=~"order"', {"tool": "get_order"}, False),
        ('tool=~"get|order"', {"tool": "get_order"}, False),
        ('tool!~"get_.*"', {"tool": "get_order"}, False),
        ('tool!~"get_.*"', {}, True),
        ("tool=get_order", {"tool": "get_order"}, True),
        ("  tool  =  get_order  ", {"tool": "get_order"}, True),
        ('{tool="a", severity!~"info|warning",}', {"tool": "a", "severity": "critical"}, True),
        ('{tool="a", severity!~"info|warning"}', {"tool": "a", "severity": "info"}, False),
        ('tool="a,b}\\""', {"tool": 'a,b}"'}, True),
        ('tool="a\\\\b\\nc"', {"tool": "a\\b\nc"}, True),
        ('tool=~"\\d+"', {"tool": "42"}, True),
        ('tool="Größe 大 🚀"', {"tool": "Größe 大 🚀"}, True),
        ('tool=~"大.+"', {"tool": "大🚀"}, True),
        ('"gen_ai.tool.name"="a"', {"gen_ai.tool.name": "a"}, True),
        ("gen_ai.tool.name=a", {"gen_ai.tool.name": "a"}, True),
        ('"名"="a"', {"名": "a"}, True),
        ("{}", {"tool": "a"}, True),
        ("", {}, True),
    ],
)
def test_a_matcher_means_what_alertmanager_means(text: str, labels: dict[str, str], matches: bool) -> None:
    assert all_match(read_matchers(text), labels) is matches


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("severity", 8, "expected =, !=, =~ or !~"),
        ("severity>3", 8, "expected =, !=, =~ or !~"),
        ('="a"', 0, "expected the name of a label"),
        ('1st="a"', 0, "expected the name of a label"),
        ('a="b', 2, "the double quote is never closed"),
        ('a="b\\"', 2, "the double quote is never closed"),
        ('a="b" c="d"', 6, "expected a comma or the end"),
        ('{a="b"', 6, "expected a comma or the closing brace"),
        ('{a="b"}}', 7, "expected a comma or the end"),
        ('a="b"}', 5, "expected a comma or the end"),
        ('a=~"(b"', 3, "is no expression that RE2 reads: missing ): (b"),
        ('a=~"(?=b)"', 3, "is no expression that RE2 reads: invalid perl operator: (?="),
        ("a='b'", 2, "a value with ' in it stands in double quotes"),
        ("a=b{2}", 3, "a value with { in it stands in double quotes"),
        ("a=b=c", 3, "a value with = in it stands in double quotes"),
        ("a=b\\d", 3, "a value with \\ in it stands in double quotes"),
        ("a=b c=d", 3, "expected a comma or the end; a value with a space in it stands in double quotes"),
        ('""="b"', 0, "a label's name cannot be empty"),
        (",a=b", 0, "expected the name of a label"),
    ],
)
def test_what_is_no_matcher_is_refused_with_its_place_and_reason(text: str, position: int, reason: str) -> None:
    with pytest.raises(MatcherError) as raised:
        read_matchers(text)
    assert (raised.value.position, raised.value.reason) == (position, reason)


@pytest.mark.parametrize(
    ("text", "position", "meant"),
    [
        ("severity==x", 9, '== is no operator; write severity="x", or severity="=x" for a value that begins with ='),
        ('tool=a,severity == "x"', 17, '== is no operator; write severity="x"'),
        ("a!==b", 3, '!== is no operator; write a!="b", or a!="=b" for a value that begins with ='),
        ("a=!b", 2, '=! is no operator; write a!="b", or a="!b" for a value that begins with !'),
        ("a= ~b", 3, '= ~ is no operator; write a=~"b", or a="~b" for a value that begins with ~'),
        ("a=!~b", 2, '=!~ is no operator; write a!~"b", or a="!~b" for a value that begins with !'),
        ("a==", 2, '== is no operator; write a="", or a="=" for a value that begins with ='),
    ],
)
def test_a_sign_too_many_is_refused_and_told_what_was_meant(text: str, position: int, meant: str) -> None:
    with pytest.raises(MatcherError) as raised:
        read_matchers(text)
    assert (raised.value.position, raised.value.reason) == (position, meant)
    suggested = [each.split(" for ")[0] for each in meant.partition("write ")[2].split(", or ")]
    assert all(len(read_matchers(each)) == 1 for each in suggested)


@pytest.mark.parametrize("value", ["=x", "!x", "~x", "a=b", "a b"])
def test_a_value_with_signs_or_spaces_in_it_is_read_in_quotes(value: str) -> None:
    assert read_matchers(f'a="{value}"') == (Matcher("a", "=", value),)


@given(name=TEXT.filter(bool), operator=OPERATORS, value=TEXT)
def test_a_matcher_written_out_is_read_back_as_itself(name: str, operator: Operator, value: str) -> None:
    matcher = Matcher(name, operator, value)
    assert read_matchers(str(matcher)) == (matcher,)


@given(st.text(st.sampled_from('a=!~"\\{},( )*1é\n')))
def test_any_text_is_either_matchers_or_an_error_that_points_into_it(text: str) -> None:
    position, matchers = 0, read_matchers("")
    try:
        matchers = read_matchers(text)
    except MatcherError as error:
        position = error.position
    assert 0 <= position <= len(text)
    assert read_matchers(",".join(str(matcher) for matcher in matchers)) == matchers


@given(value=TEXT, labels=st.dictionaries(st.just("a"), TEXT))
def test_a_negated_matcher_matches_what_the_other_does_not(value: str, labels: dict[str, str]) -> None:
    assert Matcher("a", "=", value).matches(labels) is not Matcher("a", "!=", value).matches(labels)
