"""Back-tests and reviews of rules as API and CLI answer them."""

from __future__ import annotations

import statistics

import msgspec

from watchpost.model.flag import Severity
from watchpost.query.measures import Unit
from watchpost.rules.backtest import Episode, Replayed
from watchpost.rules.event import unit_of
from watchpost.rules.noise import Noise
from watchpost.rules.proposal import Proposal
from watchpost.rules.truth import Incident, Score
from watchpost.server.answers import moment

MOST_EPISODES = 200
"""Alerts of one rule that are shown one by one, the earliest first."""

_NS = 10**9


class EpisodeAnswer(msgspec.Struct, frozen=True):
    """One time that an alert would have fired. `pending_at` is since when its condition held, `resolved_at` null where it still fired at the end; `sessions` are keys of examples."""

    project: str
    labels: dict[str, str]
    pending_at: str | None
    fired_at: str | None
    resolved_at: str | None
    value: float
    threshold: float
    summary: str
    sessions: list[str]


class ThresholdPoint(msgspec.Struct, frozen=True):
    """What one threshold would have given: alerts, the share of the time during which any fired, the incidents found, and the alerts that none of them explains."""

    threshold: float
    alerts: int
    alerts_a_week: float
    share_of_time: float
    caught: int
    others: int


class ProposalAnswer(msgspec.Struct, frozen=True):
    """Every threshold that was tried, from the least to the greatest; `proposed` is null where none is good enough, and `reason` says why it is this one."""

    current: float
    proposed: float | None
    reason: str
    incidents: int
    curve: list[ThresholdPoint]


class RuleBacktest(msgspec.Struct, frozen=True):
    """What one rule would have told. `lapsed` is how often something was pending and never fired; `share_of_time` that during which any of its alerts fired.

    `right` and `wrong` are alerts of which labelled incidents or verdicts on flags say so, `unknown` the others; `precision` is null where nothing says anything, and
    its interval holds the truth in 95 of 100 cases. `median_delay_seconds` is how long after an incident's beginning the first alert fired.
    """

    rule: str
    severity: Severity
    unit: Unit
    alerts: int
    lapsed: int
    alerts_a_day: float
    firing_seconds: float
    share_of_time: float
    right: int
    wrong: int
    unknown: int
    precision: float | None
    precision_low: float
    precision_high: float
    caught: list[str]
    missed: list[str]
    recall: float | None
    median_delay_seconds: float | None
    episodes: list[EpisodeAnswer]
    more: int
    proposal: ProposalAnswer | None


class IncidentAnswer(msgspec.Struct, frozen=True):
    """A labelled incident, and the rules that would have told of it."""

    name: str
    since: str | None
    until: str | None
    workflow: str
    found_by: list[str]


class BacktestAnswer(msgspec.Struct, frozen=True):
    """Rules over a stretch of history: `steps` and `sessions` were told to them, one judgement every `interval_seconds`; `seconds` is how long that took."""

    since: str | None
    until: str | None
    interval_seconds: float
    steps: int
    sessions: int
    seconds: float
    rules: list[RuleBacktest]
    incidents: list[IncidentAnswer]


class BacktestGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be tried: the text of rule files by their names, none for the rules at work, over what, and against which incidents.

    `since` is a moment or how long before `until`; `incidents` the text of a file; `rule` one rule alone; `propose` tries other thresholds,
    to be told at most `alerts_a_week` times where nobody labelled incidents.
    """

    files: dict[str, str] = {}
    incidents: str = ""
    since: str = "7d"
    until: str = ""
    rule: str = ""
    propose: bool = False
    alerts_a_week: float = 1.0


class RuleReview(msgspec.Struct, frozen=True):
    """What became of a rule's alerts. `short` ended within five minutes with nobody on them; `median_seconds` is null where none has ended. Suggestions say by which numbers."""

    rule: str
    fired: int
    alerts_a_week: float
    acknowledged: int
    ignored_share: float
    short: int
    silenced: int
    flapped: int
    median_seconds: float | None
    suggestions: list[str]


class ReviewAnswer(msgspec.Struct, frozen=True):
    """Every rule that told anything, the most often ignored first, and the names of those at work that told nothing."""

    since: str | None
    until: str | None
    rules: list[RuleReview]
    silent: list[str]


def rule_backtest(replayed: Replayed, score: Score, proposal: Proposal | None) -> RuleBacktest:
    """How a rule did."""
    rule, tally = replayed.rule, score.alerts
    low, high = tally.interval
    return RuleBacktest(
        rule.name,
        rule.severity,
        unit_of(rule.subject),
        len(replayed.episodes),
        replayed.lapsed,
        replayed.alerts_a_day,
        replayed.firing_ns / _NS,
        replayed.share,
        tally.confirmed,
        tally.dismissed,
        score.unknown,
        tally.precision,
        low,
        high,
        list(score.caught),
        list(score.missed),
        score.recall,
        statistics.median(score.delays_ns) / _NS if score.delays_ns else None,
        [_episode(each) for each in replayed.episodes[:MOST_EPISODES]],
        max(0, len(replayed.episodes) - MOST_EPISODES),
        None if proposal is None else _proposal(proposal),
    )


def incident_answer(incident: Incident, found_by: list[str]) -> IncidentAnswer:
    """An incident and who found it."""
    return IncidentAnswer(
        incident.name, moment(incident.since_ns), moment(incident.until_ns), incident.workflow, found_by
    )


def rule_review(noise: Noise) -> RuleReview:
    """What became of a rule's alerts."""
    return RuleReview(
        noise.rule,
        noise.fired,
        noise.a_week,
        noise.acknowledged,
        noise.ignored,
        noise.short,
        noise.silenced,
        noise.flapped,
        None if noise.lasted_ns is None else noise.lasted_ns / _NS,
        list(noise.suggestions),
    )


def _episode(episode: Episode) -> EpisodeAnswer:
    return EpisodeAnswer(
        episode.project,
        episode.labels,
        moment(episode.pending_ns),
        moment(episode.fired_ns),
        moment(episode.resolved_ns),
        episode.value,
        episode.threshold,
        episode.summary,
        list(episode.sessions),
    )


def _proposal(proposal: Proposal) -> ProposalAnswer:
    curve = [ThresholdPoint(*msgspec.structs.astuple(point)) for point in proposal.curve]
    return ProposalAnswer(proposal.current, proposal.proposed, proposal.reason, proposal.incidents, curve)
