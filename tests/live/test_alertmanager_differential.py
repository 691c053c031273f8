"""The same alerts and silences through Watchpost and a real Alertmanager give the same notifications."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress

import pytest
from alert_story import Ends, Fires, Silenced, Step, Told, TooLateError, as_alertmanager_tells, as_watchpost_tells
from alertmanager_process import AlertmanagerProcess, WebhookReceiver, write_config
from foreign_server import may_be_missing

from watchpost.alerting.route_file import read_routing

pytestmark = pytest.mark.skipif(
    may_be_missing("alertmanager"), reason="there is no Alertmanager here, and no apt-get to bring one"
)

CHANNELS = ("hook", "second")
END_S = 9.8
APART_S = 0.8
TRIES = 3

ROUTES = """
route:
  channels: [hook]
  group_by: [case]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 1h
  routes:
    - {match: 'case="repeat"', repeat_interval: 3s}
    - {match: 'case="short-repeat"', repeat_interval: 1500ms}
    - {match: 'case="muted"', mute_time_intervals: [always]}
    - {match: 'case="inactive"', active_time_intervals: [long ago]}
    - {match: 'case="active"', active_time_intervals: [long ago, always]}
    - {match: 'case="twice"', channels: [second], continue: true}
    - {match: 'case="twice"', group_interval: 3s}
    - {match: 'case="nobody"', channels: []}
    - {match: 'case="at once"', group_wait: 0s}
    - {match: 'case="every label"', group_by: ['...']}
inhibit_rules:
  - source_matchers: [severity="page"]
    target_matchers: [severity="warn"]
    equal: [site, missing]
  - source_matchers: ['self=~"yes|source"']
    target_matchers: [self="yes"]
time_intervals:
  - name: always
    time_intervals: [{times: [{start_time: '00:00', end_time: '24:00'}]}]
  - name: long ago
    time_intervals: [{years: ['1990:2000']}]
"""


def alert(case: str, name: str, **labels: str) -> dict[str, str]:
    return {"alertname": name, "case": case, **labels}


def fires(at_s: float, case: str, name: str, since_s: float | None = None, **labels: str) -> Step:
    return Fires(at_s, alert(case, name, **labels), since_s)


def ends(at_s: float, case: str, name: str, **labels: str) -> Step:
    return Ends(at_s, alert(case, name, **labels))


STORY: list[Step] = [
    # Two alerts merge in one notification; one that comes later waits for the interval and the whole group is sent again.
    fires(0, "grouped", "a"),
    fires(0.5, "grouped", "b"),
    fires(1.6, "grouped", "c"),
    # Said again without a change.
    fires(0, "unchanged", "a"),
    fires(2.5, "unchanged", "a"),
    # Repeated at the first interval at which the repeat interval is over.
    fires(0, "repeat", "a"),
    fires(0, "short-repeat", "a"),
    # One of two ends, then the other.
    fires(0, "ends", "a"),
    fires(0, "ends", "b"),
    ends(1.7, "ends", "a"),
    ends(4.2, "ends", "b"),
    # Over before anybody was told.
    fires(0, "over", "a"),
    ends(0.4, "over", "a"),
    # Ends and fires again before the next look, and after it.
    fires(0, "again at once", "a"),
    ends(1.5, "again at once", "a"),
    fires(2.2, "again at once", "a"),
    fires(0, "again", "a"),
    ends(1.5, "again", "a"),
    fires(3.8, "again", "a"),
    ends(6.2, "again", "a"),
    # Has fired for longer than the group waits.
    fires(0.2, "old", "a", since_s=-60),
    fires(0.2, "at once", "a"),
    # A page before the warning, and after it; a site that is another's; a warning that fires on when the page is over.
    fires(0, "page first", "p", severity="page", site="a"),
    fires(0.3, "page first", "w", severity="warn", site="a"),
    fires(0.3, "page first", "other", severity="warn", site="b"),
    ends(4.4, "page first", "p", severity="page", site="a"),
    fires(0, "warning first", "w", severity="warn", site="c"),
    fires(1.6, "warning first", "p", severity="page", site="c"),
    ends(5.4, "warning first", "p", severity="page", site="c"),
    # Both sides match each of two alerts, then one that is only a source comes.
    fires(0, "self", "a", self="yes"),
    fires(0.1, "self", "b", self="yes"),
    fires(1.7, "self", "s", self="source"),
    fires(2.1, "self", "c", self="yes"),
    # Silenced before it fires, and told at the first look after that; silenced after it was told.
    Silenced(0, 4.3, 'case="silenced"'),
    fires(0.2, "silenced", "a"),
    fires(0, "silenced later", "a"),
    fires(0, "silenced later", "b"),
    Silenced(1.5, 6.2, 'case="silenced later",alertname=~"a"'),
    fires(3.6, "silenced later", "c"),
    ends(5.5, "silenced later", "c"),
    # Two silences that overlap, of which one ends earlier; and one that is not meant.
    Silenced(0, 2.5, 'case="overlap"'),
    Silenced(0.1, 6.5, 'case=~"over.*",alertname!="b"'),
    Silenced(0, 9, 'case!~".*"'),
    fires(0.2, "overlap", "a"),
    fires(0.2, "overlap", "b"),
    # Time intervals.
    fires(0, "muted", "a"),
    fires(0, "inactive", "a"),
    fires(0, "active", "a"),
    # Two routes, two groups; nobody; groups of their own.
    fires(0, "twice", "a"),
    fires(1.5, "twice", "b"),
    fires(0, "nobody", "a"),
    fires(0, "every label", "a", tool="x"),
    fires(0.2, "every label", "a", tool='ünïcode "quoted" \\ \n'),
]
"""Steps lie away from the moments 1, 3, 5 ... s at which groups are looked at, so that a late process does not change the outcome."""

MOMENTS = [half / 2 for half in range(2, 17) if half % 4 != 2]
"""Seconds at which something may happen: half a second and more from 1, 3, 5 and 7."""


def any_story(seed: int) -> list[Step]:
    """Alerts of one case that come and go at random, some silenced for a while, some warnings beside a page.

    What both are known to differ in is left out: an alert ends only after it was surely told of, and never where it may be silenced or inhibited.
    """
    dice = random.Random(seed)
    case = f"random {seed}"
    steps: list[Step] = []
    for name in "abcd"[: dice.randint(1, 4)]:
        kind = dice.choice(["plain", "plain", "silenced", "page", "warn"])
        labels = {"severity": kind, "site": case} if kind in {"page", "warn"} else {}
        at_s = 0.0 if not steps else dice.choice([0.0, 0.5, *MOMENTS])
        while at_s < 8:
            steps.append(Fires(at_s, alert(case, name, **labels)))
            if kind in {"silenced", "warn"}:
                break
            at_s = dice.choice([each for each in [*MOMENTS, 9.0] if each > at_s + 2 or each == 9.0])
            if at_s < 8:
                steps.append(Ends(at_s, alert(case, name, **labels)))
                at_s += dice.choice([0.0, 2.0, 4.0]) + 1 - at_s % 1
                at_s += 1.0 if at_s % 2 == 1 else 0.0
        if kind == "silenced":
            from_s = dice.choice([0.0, *MOMENTS])
            until_s = from_s + dice.choice([1.0, 2.0, 4.0])
            until_s += 0.5 if until_s % 2 == 1 else 0.0
            steps.append(Silenced(from_s, until_s, f'case="{case}",alertname="{name}"'))
    return steps


RANDOM = [step for seed in range(80) for step in any_story(seed)]

DIFFERENT: list[Step] = [
    # Fires and ends between two looks: Alertmanager tells of the end of what it never told of.
    fires(0, "never told", "a"),
    fires(1.5, "never told", "b"),
    ends(2.4, "never told", "b"),
    # Ends while silenced: Alertmanager forgets it, and never says that it ended.
    fires(0, "ends in silence", "a"),
    Silenced(1.5, 6.3, 'case="ends in silence"'),
    ends(2.4, "ends in silence", "a"),
    # Ends while inhibited: the same.
    fires(0, "ends inhibited", "w", severity="warn", site="d"),
    fires(1.5, "ends inhibited", "p", severity="page", site="d"),
    ends(3.6, "ends inhibited", "w", severity="warn", site="d"),
    ends(6.4, "ends inhibited", "p", severity="page", site="d"),
    # A critical alert joins a group of a route that does not wait.
    fires(0.2, "at once", "a"),
    fires(1.0, "at once", "b", severity="critical"),
]


@pytest.fixture(scope="module")
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, receiver: WebhookReceiver) -> tuple[list[Told], list[Told]]:
    """What Watchpost and what Alertmanager tell."""
    routing = read_routing(ROUTES, CHANNELS)
    story = STORY + RANDOM + DIFFERENT
    for _ in range(TRIES):
        folder = tmp_path_factory.mktemp("alertmanager")
        configuration = write_config(folder, routing, receiver)
        with AlertmanagerProcess(folder, configuration) as process, suppress(TooLateError):
            theirs = as_alertmanager_tells(process, receiver, story, END_S)
            return as_watchpost_tells(routing, story, END_S), theirs
    pytest.fail(f"this machine was too busy to tell the story in time, {TRIES} times")


def of_case(told: list[Told], case: str) -> list[Told]:
    return sorted(each for each in told if each.case == case)


CASES = sorted({step.labels["case"] for step in STORY + RANDOM if not isinstance(step, Silenced)} - {"at once"})


@pytest.mark.parametrize("case", CASES)
def test_both_tell_the_same_at_the_same_time(told: tuple[list[Told], list[Told]], case: str) -> None:
    ours, theirs = (of_case(each, case) for each in told)
    by_channel: dict[str, list[list[Told]]] = defaultdict(lambda: [[], []])
    for side, tellings in enumerate((ours, theirs)):
        for each in tellings:
            by_channel[each.channel][side].append(each)
    for mine, alertmanagers in by_channel.values():
        assert [each.content() for each in mine] == [each.content() for each in alertmanagers], (mine, alertmanagers)
        apart = [abs(one.at_s - other.at_s) for one, other in zip(mine, alertmanagers, strict=True)]
        assert max(apart) < APART_S, (mine, alertmanagers)


def contents(told: list[Told], case: str) -> list[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    return [each.content() for each in of_case(told, case)]


def test_an_end_of_what_nobody_was_told_of_is_told_by_alertmanager_alone(told: tuple[list[Told], list[Told]]) -> None:
    ours, theirs = (contents(each, "never told") for each in told)
    assert ours == [("firing", ("a",), ())]
    assert theirs == [*ours, ("firing", ("a",), ("b",))]


def test_an_end_during_a_silence_is_told_after_it_by_watchpost_alone(told: tuple[list[Told], list[Told]]) -> None:
    ours, theirs = (contents(each, "ends in silence") for each in told)
    assert theirs == [("firing", ("a",), ())]
    assert ours == [*theirs, ("resolved", (), ("a",))]


def test_an_end_while_inhibited_is_told_after_it_by_watchpost_alone(told: tuple[list[Told], list[Told]]) -> None:
    ours, theirs = (contents(each, "ends inhibited") for each in told)
    assert ours[:-1] == theirs[:-1]
    assert ours[-1] == ("resolved", (), ("p", "w"))
    assert theirs[-1] == ("resolved", (), ("p",))


def test_a_critical_alert_of_a_route_without_wait_is_told_at_once_by_watchpost_alone(
    told: tuple[list[Told], list[Told]],
) -> None:
    ours, theirs = (of_case(each, "at once") for each in told)
    assert [each.content() for each in ours] == [each.content() for each in theirs]
    assert ours[0].at_s == pytest.approx(theirs[0].at_s, abs=APART_S)
    assert ours[1].at_s == 1.0
    assert theirs[1].at_s > 2.0
