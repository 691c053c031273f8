"""What the routes and pages of the application are given, by what it is about: readers, figures, alerts, words and health.

A new page or route takes what it needs from one of these; what none of them holds yet becomes a field of the one it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

import msgspec

from watchpost.rules.precision import PrecisionSettings
from watchpost.runtime.settings_shown import SettingsShown
from watchpost.server.agent_metrics import AgentMetrics
from watchpost.server.alerts import Alerts
from watchpost.server.archive import Archive
from watchpost.server.backtest import Backtests
from watchpost.server.channel_trials import ChannelTrials
from watchpost.server.cohorts import Cohorts
from watchpost.server.contracts import Contracts
from watchpost.server.days import Days
from watchpost.server.erasure import ErasureDesk
from watchpost.server.feedback import Feedback
from watchpost.server.glance import Glance
from watchpost.server.health import Health
from watchpost.server.health_report import HealthReport
from watchpost.server.inbound import Inbound
from watchpost.server.kept_traces import KeptTraces
from watchpost.server.live import Live
from watchpost.server.measures import Measures
from watchpost.server.notices import NoticeLog
from watchpost.server.readiness import ReadinessCheck
from watchpost.server.release_versions import Versions
from watchpost.server.releases import ReleaseBook
from watchpost.server.review import Notebook, Review
from watchpost.server.route_tree import RouteTree
from watchpost.server.rule_book import RuleBook
from watchpost.server.rule_review import RuleReviews
from watchpost.server.search import Redact, Search
from watchpost.server.slos import Slos
from watchpost.server.spending import Spending
from watchpost.server.unpriced import UnpricedCalls
from watchpost.store.cohorts import CohortStore
from watchpost.store.readers import LogReader, MetricReader, SessionReader, TextWindow
from watchpost.store.state import FlagList, FlagReader


class Readers(msgspec.Struct, frozen=True):
    """What reads what was received and found: sessions, their flags, log lines and metric points, and the traces that are kept.

    `texts` says how far back texts are searched; `redact` hides in a text what is hidden in all telemetry and is called from
    one thread at a time.
    """

    sessions: SessionReader
    flags: FlagReader
    listed: FlagList
    logs: LogReader
    points: MetricReader
    traces: KeptTraces
    texts: TextWindow
    redact: Redact

    def archive(self) -> Archive:
        """Sessions with their steps and flags."""
        return Archive(self.sessions, self.flags, self.logs, self.listed, self.traces)

    def search(self, archive: Archive) -> Search:
        """What finds sessions of the archive, and log lines, by their texts."""
        return Search(archive, self.logs, self.texts, self.redact)


class Figures(msgspec.Struct, frozen=True):
    """What is counted over sessions, and what keeps a figure from being counted.

    `executor` runs what pages show side by side and do not wait for; `days` says where midnight is.
    """

    measures: Measures
    versions: Versions
    spending: Spending
    slos: Slos
    unpriced: UnpricedCalls
    readiness: ReadinessCheck
    executor: Executor
    days: Days

    def glance(self, now_ns: Callable[[], int]) -> Glance:
        """The figures of pages, kept while they are worth it."""
        return Glance(
            self.measures,
            self.spending,
            self.slos,
            self.versions,
            self.unpriced,
            executor=self.executor,
            days=self.days,
            now_ns=now_ns,
        )


class Alerting(msgspec.Struct, frozen=True):
    """Alerts, who was told of them, what people and their tools say to them, and how well the rules behind them do or would have done."""

    alerts: Alerts
    notices: NoticeLog
    rules: RuleBook
    inbound: Inbound
    backtests: Backtests
    rule_reviews: RuleReviews


class Words(msgspec.Struct, frozen=True):
    """Where what people say of the records is written down: verdicts, feedback, releases, contracts, requests to erase, named filters.

    `precision` says when a detector stops paging by the verdicts, `now_ns` when a word is said.
    """

    notes: Notebook
    precision: PrecisionSettings
    feedback: Feedback
    releases: ReleaseBook
    contracts: Contracts
    erasures: ErasureDesk
    cohorts: CohortStore
    now_ns: Callable[[], int]

    def named_filters(self, search: Search) -> Cohorts:
        """Filters of sessions that are kept under a name; nothing stands in them that is hidden in what the search reads."""
        return Cohorts(self.cohorts, search.hidden, self.now_ns)

    def review(self, archive: Archive, flags: FlagList) -> Review:
        """What takes verdicts on flags of the archive."""
        return Review(archive, flags, self.notes, self.precision, self.now_ns)


class Setup(msgspec.Struct, frozen=True):
    """How Watchpost is set up, where alerts go by that, and what tries a channel out."""

    settings: SettingsShown
    tree: RouteTree
    trials: ChannelTrials


class Vitals(msgspec.Struct, frozen=True):
    """How Watchpost itself is, what of the agents it publishes with that, and what open pages are told of."""

    health: Health
    report: HealthReport
    agents: AgentMetrics
    live: Live
