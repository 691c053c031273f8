"""Putting the parts together, once, from settings."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - the chance that deliverers are given as an argument
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

import msgspec
from clickhouse_connect.driver.exceptions import ClickHouseError
from sqlalchemy.exc import SQLAlchemyError

from watchpost.alerting.delivery import Deliverer
from watchpost.detect.catalogue import DetectorSettingsError, abandoned, context_drift, learners, makes, run_time
from watchpost.detect.known import KnowledgeBase
from watchpost.detect.own_sequences import sequence_makes
from watchpost.detect.sla import Sla, sla_makes
from watchpost.ingest.items import Limits
from watchpost.ingest.own_prices import PriceError, own_prices
from watchpost.ingest.price import Pricing
from watchpost.ingest.redact import OwnPattern, RedactionSettings, Redactor
from watchpost.log.log import Log
from watchpost.log.record import LogLimits
from watchpost.rules.precision import PrecisionSettings
from watchpost.rules.rule import RuleSet
from watchpost.runtime.alarms import Alarms
from watchpost.runtime.alerting import alarms
from watchpost.runtime.appraisal import Appraisal
from watchpost.runtime.background_history import BackgroundHistory
from watchpost.runtime.backlog import Backlog
from watchpost.runtime.channels import change_channels, error_channels, open_channels
from watchpost.runtime.checkpoints import Checkpoints
from watchpost.runtime.clock import now_ns
from watchpost.runtime.decode_process import DecodingProcess, DecodingProcesses
from watchpost.runtime.decoder import InProcessDecoder
from watchpost.runtime.drift_check import DriftChecker
from watchpost.runtime.erasure import Eraser, Erasures
from watchpost.runtime.error_reports import ErrorReports
from watchpost.runtime.flow import Flow, Pace
from watchpost.runtime.judge import Judge
from watchpost.runtime.news import News
from watchpost.runtime.prepare import Preparer, Setup
from watchpost.runtime.react import Reactor
from watchpost.runtime.redaction import SharedRedactor
from watchpost.runtime.release_notices import ReleaseNotices
from watchpost.runtime.releases import Releases
from watchpost.runtime.retention import Surroundings, Sweeper, Terms
from watchpost.runtime.reviews import Reviews
from watchpost.runtime.rule_files import rule_set
from watchpost.runtime.run_watch import RunWatch
from watchpost.runtime.sampling import Policy
from watchpost.runtime.settings import Settings, SettingsError
from watchpost.runtime.struct_types import settle_struct_types
from watchpost.runtime.success import Success
from watchpost.runtime.supervisor import Supervisor
from watchpost.session.session import Quiet
from watchpost.session.sessions import Sessions
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost.store.engines.sql import SqlState
from watchpost.store.folder import DataFolder

_MIB = 1 << 20
_NS = 10**9
_HOUR = 3600 * _NS

STORE_FAULTS: tuple[type[Exception], ...] = (ClickHouseError, SQLAlchemyError)
"""What the stores raise, beside `OSError`, when their database cannot be reached or has no room."""


class LogBehindError(Exception):
    """The log ends before what the stores have already taken from it, as after a restore of only one of them."""

    def __init__(self, folder: Path, last: int, applied: int) -> None:
        super().__init__(
            f"{folder} ends at record {last}, but record {applied} is applied already: restore log and stores together"
        )


class Bell:
    """Wakes the deliverers from any thread, once their event loop is known."""

    def __init__(self, deliverers: Sequence[Deliverer]) -> None:
        self._deliverers = deliverers
        self._loop: asyncio.AbstractEventLoop | None = None

    def hang(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let `ring` reach this loop from now on."""
        self._loop = loop

    def ring(self) -> None:
        """There are new notices."""
        if self._loop is not None:
            for deliverer in self._deliverers:
                self._loop.call_soon_threadsafe(deliverer.nudge)


class Stores(msgspec.Struct, frozen=True):
    """The open data folder and both stores."""

    folder: DataFolder
    telemetry: ClickHouse
    state: SqlState


class Watchpost(msgspec.Struct, frozen=True):
    """One whole Watchpost, not yet running. Where there are processes for decoding, nothing is accepted unless they run."""

    stores: Stores
    flow: Flow
    backlog: Backlog
    sessions: Sessions
    deliverers: tuple[Deliverer, ...]
    bell: Bell
    pricing: Pricing
    decoding: tuple[DecodingProcess, ...]
    drift_checker: DriftChecker
    precision: PrecisionSettings
    eraser: Eraser
    redactor: SharedRedactor
    sweeper: Sweeper
    rules: RuleSet
    alarms: Alarms
    news: News


@contextmanager
def open_stores(settings: Settings) -> Iterator[Stores]:
    """Hold the data folder and both stores; raises what `DataFolder.open` and the engines raise."""
    program = version("watchpost")
    with ExitStack() as opened:
        folder = DataFolder.open(settings.data)
        opened.callback(folder.close)
        dsn = settings.telemetry or f"chdb://{folder.telemetry}"
        telemetry = ClickHouse.open(dsn, folder.tmp / "inserts", program)
        opened.callback(telemetry.close)
        try:
            state = SqlState.open(settings.state or f"sqlite:///{folder.state}", program)
        except ImportError as error:
            raise SettingsError(f"state: such a database needs {error.name}, which is not installed") from error
        opened.callback(state.close)
        yield Stores(folder, telemetry, state)


def assemble(settings: Settings, stores: Stores, *, patient: bool, processes: int = 0) -> Watchpost:
    """Build everything that runs on the stores, with so many processes for decoding, or none but this one.

    A patient one outlasts a full disk or a lost database. Raises `SettingsError` for rules, channels, prices and patterns that cannot work.
    """
    settle_struct_types()
    setup = _setup(settings, stores.folder.key)
    preparer = _preparer(setup)
    pricing = _pricing(settings)
    decoding = tuple(DecodingProcess(setup) for _ in range(processes))
    backlog = Backlog()
    cursor = stores.state.cursor()
    log = Log.open(
        stores.folder.log,
        LogLimits(max_record_bytes=4 * settings.ingest.decompressed_mib * _MIB),
        first_seq=cursor.seq + 1,
        on_durable=backlog.put,
    )
    if log.next_seq <= cursor.seq:
        log.close()
        raise LogBehindError(stores.folder.log, log.next_seq - 1, cursor.seq)
    quiet = Quiet(round(settings.session.quiet_seconds * _NS), round(settings.session.idle_seconds * _NS))
    sessions = Sessions(quiet)
    eraser = Eraser(stores.telemetry.eraser, stores.state.eraser, log, stores.folder.key, now_ns)
    eraser.hide()
    awake = stores.telemetry.open_sessions(cursor.batch)
    for summary in awake:
        sessions.wake(summary)
    slas = _slas(settings)
    with _settings_of_detectors():
        detectors = (*makes(settings.detectors), *sequence_makes(settings.sequences), *sla_makes(slas))
        learning = learners(settings.detectors)
        drift = context_drift(settings.context_drift)
        runs = RunWatch(run_time(settings.run_time), quiet, slas, abandoned(settings.abandoned))
    drift_checker = DriftChecker(drift, stores.telemetry)
    knowledge = KnowledgeBase(learning, stores.state.lessons(""), stores.state.drafts(""))
    precision = PrecisionSettings(**settings.precision.model_dump())
    reviews = Reviews(precision, stores.state)
    judge = Judge(detectors, knowledge, stores.state, reviews.are_dismissed, runs)
    sessions.remind(judge.first_looks(awake))
    deliverers = _deliverers(settings, stores)
    bell, news = Bell(deliverers), News()
    rules = rule_set(settings)
    history = BackgroundHistory(stores.telemetry, STORE_FAULTS)
    erasures = Erasures(stores.telemetry.eraser.find, stores.folder.key)
    erasures.tell(history.erase)
    eraser.tell(history.erase, history.erased)
    raising = alarms(
        settings,
        rules,
        stores.telemetry,
        stores.state,
        awake,
        history=history,
        is_muted=reviews.is_muted,
        now_ns=now_ns(),
    )
    flow = Flow(
        log=log,
        backlog=backlog,
        decoder=DecodingProcesses(decoding) if decoding else InProcessDecoder(preparer),
        reactor=Reactor(
            sessions,
            pricing=pricing,
            judge=judge,
            checkpoints=Checkpoints(drift),
            appraisal=Appraisal(_successes(settings), slas),
            reviews=reviews,
            erasures=erasures,
            releases=Releases(stores.state),
            alarms=raising,
            errors=ErrorReports(error_channels(settings)),
            changes=ReleaseNotices(change_channels(settings)),
            source=stores.telemetry,
            seq=cursor.seq,
        ),
        telemetry=stores.telemetry,
        state=stores.state,
        now_ns=now_ns,
        nudge=bell.ring,
        look=drift_checker.put,
        erase=eraser.hide,
        closing=history.close,
        tell=news.tell,
        supervisor=Supervisor(patient=patient),
        pace=Pace(settings.flow.batch_seconds, 64 * _MIB, settings.flow.lag_mib * _MIB, settings.flow.fold_mib * _MIB),
    )
    eraser.tell(drift_checker.erase)
    eraser.tell(flow.tally.flags.erase)
    return Watchpost(
        stores,
        flow,
        backlog,
        sessions,
        deliverers,
        bell,
        pricing,
        decoding,
        drift_checker,
        precision,
        eraser,
        SharedRedactor(Redactor(setup.redaction, setup.key)),
        _sweeper(settings, stores, flow, backlog),
        rules,
        raising,
        news,
    )


def _sweeper(settings: Settings, stores: Stores, flow: Flow, backlog: Backlog) -> Sweeper:
    section = settings.retention
    policy = Policy(section.share, section.shares, section.hot_hours * _HOUR)
    days = 24 * _HOUR
    terms = Terms(
        section.hot_hours * _HOUR,
        section.trace_days * days,
        section.metrics_days * days,
        section.latency_quantile,
        policy,
    )
    retention = stores.telemetry.retention()
    around = Surroundings(
        stores.state,
        stores.state,
        stores.telemetry.session,
        lambda: backlog.unapplied_since_ns if flow.supervisor.ready else None,
        now_ns,
    )
    return Sweeper(terms, retention, retention, around, STORE_FAULTS)


@contextmanager
def _settings_of_detectors() -> Iterator[None]:
    """Say of a detector's settings that cannot be used what is said of any others."""
    try:
        yield
    except DetectorSettingsError as error:
        raise SettingsError(str(error)) from error


def _setup(settings: Settings, key: bytes) -> Setup:
    ingest, section = settings.ingest, settings.redaction
    given = {} if section.kinds is None else {"kinds": section.kinds}
    return Setup(
        Limits(ingest.body_mib * _MIB, ingest.decompressed_mib * _MIB, ingest.items, ingest.attributes),
        RedactionSettings(
            own_patterns=tuple(OwnPattern(name, regex) for name, regex in section.patterns.items()),
            own_fields=section.fields,
            id_formats=section.id_formats,
            allowed_fields=section.allowed_fields,
            **given,
        ),
        key,
    )


def _preparer(setup: Setup) -> Preparer:
    """Also where other processes prepare: what is wrong with the settings is said before anything starts."""
    try:
        return Preparer(setup)
    except ValueError as error:
        raise SettingsError(f"redaction: {error}") from error


def _successes(settings: Settings) -> tuple[Success, ...]:
    return tuple(Success(workflow, **section.model_dump()) for workflow, section in settings.success.items())


def _slas(settings: Settings) -> tuple[Sla, ...]:
    return tuple(
        Sla(
            workflow,
            None if section.max_latency_seconds is None else int(section.max_latency_seconds * 10**6),
            section.max_tokens_per_request,
            None if section.max_cost_usd is None else int(section.max_cost_usd * _NS),
        )
        for workflow, section in settings.sla.items()
    )


def _pricing(settings: Settings) -> Pricing:
    try:
        return Pricing(own_prices(settings.prices))
    except PriceError as error:
        raise SettingsError(f"prices: {error}") from error


def _deliverers(settings: Settings, stores: Stores) -> tuple[Deliverer, ...]:
    return tuple(
        Deliverer(name, notifier, stores.state, now_ns=now_ns, jitter=random.random)
        for name, notifier in open_channels(settings).items()
    )
