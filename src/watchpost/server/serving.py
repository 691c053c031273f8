"""One running Watchpost: the flow in its threads, notices and HTTP on the event loop, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import uvicorn

from watchpost.detect.catalogue import declared
from watchpost.ingest.published_prices import price_table
from watchpost.rules.precision import Precision
from watchpost.rules.stretch import Quietness
from watchpost.runtime.alerting import routing
from watchpost.runtime.channels import open_channels, slack_secrets
from watchpost.runtime.clock import now_ns
from watchpost.runtime.rule_files import rule_papers
from watchpost.runtime.settings import Settings
from watchpost.runtime.settings_shown import settings_shown
from watchpost.runtime.wiring import Watchpost, assemble, open_stores
from watchpost.server.agent_metrics import AgentMetrics
from watchpost.server.alerts import Alerts
from watchpost.server.app import ServerSettings, create_app
from watchpost.server.backtest import Backtests, Records
from watchpost.server.channel_trials import ChannelTrials
from watchpost.server.contracts import Contracts
from watchpost.server.days import Days
from watchpost.server.erasure import ErasureDesk
from watchpost.server.feedback import Feedback
from watchpost.server.health import HealthNumbers
from watchpost.server.health_report import HealthReport
from watchpost.server.inbound import Inbound, InboundSecrets
from watchpost.server.kept_traces import KeptTraces
from watchpost.server.live import Live
from watchpost.server.measures import Measures
from watchpost.server.notices import NoticeLog
from watchpost.server.readiness import ReadinessCheck
from watchpost.server.release_versions import Versions
from watchpost.server.releases import ReleaseBook
from watchpost.server.route_tree import RouteTree
from watchpost.server.rule_book import RuleBook
from watchpost.server.rule_review import RuleReviews
from watchpost.server.self_watch import SelfWatch
from watchpost.server.services import Alerting, Figures, Readers, Setup, Vitals, Words
from watchpost.server.slos import Slos
from watchpost.server.spending import Spending
from watchpost.server.unpriced import UnpricedCalls

_MIB = 1 << 20
_NS = 10**9

SWITCH_S = 0.0002
"""How long one thread may hold the interpreter while others wait: requests are answered between the steps of a large batch.

An acknowledgement asks for the interpreter some ten times, after each system call that gave it away. Beside a thread that never gives it
away, twenty waits of 0.3 ms took 51 to 61 ms at 0.001 and 15 to 18 at 0.0002, at no cost to that thread that could be told from noise.
"""


KEEP_ALIVE_S = 75
"""How long an idle connection is kept. Exporters send every five seconds by default, and one that is closed just then loses the race."""

FIGURES_AT_ONCE = 2
"""How many questions pages ask in the background at a time, of the three that can be asked: one is left for what somebody waits for."""

COLLECT_AFTER = (50_000, 20, 50)
"""How much may be made before the collector looks for cycles; telemetry makes many values and no cycles."""


class AddressError(Exception):
    """The address cannot be listened on; the message says which and why."""


class FlowHealth:
    """What the flow says of itself; fulfils `watchpost.server.health.Health`."""

    def __init__(self, watchpost: Watchpost, lag_limit_bytes: int = 0) -> None:
        self._watchpost = watchpost
        self._lag_limit_bytes = lag_limit_bytes

    def unready(self) -> str | None:
        """Why requests cannot be served, or None."""
        return self._watchpost.flow.supervisor.unready()

    def numbers(self) -> HealthNumbers:
        """The numbers of this moment."""
        flow, backlog, stores = self._watchpost.flow, self._watchpost.backlog, self._watchpost.stores
        oldest = backlog.oldest_received_ns
        sizes = stores.telemetry.sizes()
        disk = shutil.disk_usage(stores.folder.path)
        return HealthNumbers(
            accepted_spans=flow.tally.accepted_spans,
            rejected_spans=flow.tally.rejected_spans,
            accepted_logs=flow.tally.accepted_logs,
            rejected_logs=flow.tally.rejected_logs,
            accepted_points=flow.tally.accepted_points,
            rejected_points=flow.tally.rejected_points,
            put_off=flow.tally.put_off,
            log_bytes=flow.log_bytes,
            log_lag_bytes=backlog.bytes,
            batches_applied=flow.tally.batches,
            apply_seconds=flow.tally.apply_ns / 1e9,
            react_lag_s=(now_ns() - oldest) / 1e9 if oldest else 0.0,
            open_sessions=self._watchpost.sessions.open_count,
            held_fold_bytes=self._watchpost.sessions.held_bytes,
            unpriced=self._watchpost.pricing.unpriced,
            drift_measured=self._watchpost.drift_checker.measured,
            drift_failed=self._watchpost.drift_checker.failed,
            outbox=stores.state.backlog(),
            telemetry_rows={size.table: size.rows for size in sizes},
            telemetry_bytes={size.table: size.bytes for size in sizes},
            retention=self._watchpost.sweeper.tally,
            crowded_rules=self._watchpost.alarms.crowded(),
            rules_judged_ns=self._watchpost.alarms.judged_ns,
            lag_limit_bytes=self._lag_limit_bytes,
            disk_free_bytes=disk.free,
            disk_bytes=disk.total,
            precision=Precision(self._watchpost.precision, stores.state.verdict_counts("")).rows(),
        )


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `announce` is told the address once requests are answered.

    Raises `AddressError`, and what `open_stores` and `assemble` raise.
    """
    sys.setswitchinterval(SWITCH_S)
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
    if settings.grpc_port:
        with listening(settings.host, settings.grpc_port):
            pass  # gRPC binds by itself, and later, where a port that is taken could not be told of
    with listening(settings.host, settings.port) as sock, open_stores(settings) as stores:
        watchpost = assemble(settings, stores, patient=True, processes=settings.ingest.processes)
        address = "http://{}:{}".format(*sock.getsockname()[:2])
        stores.folder.announce(address)
        try:
            asyncio.run(_run(settings, watchpost, sock, lambda: announce(address)))
        finally:
            watchpost.flow.close()


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A bound TCP socket; port 0 takes a free one."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # with the protocol named asyncio turns Nagle's algorithm off for its connections; else answers wait 40 ms
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise AddressError(f"cannot listen on {host}: {error}") from error
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(address)
        except OSError as error:
            raise AddressError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        yield sock


class _Server(uvicorn.Server):
    """Says when it answers requests, and when it is about to stop."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None], leave: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce
        self._leave = leave

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let SIGINT and SIGTERM end serving, and nothing else: what comes after it must still be done in order."""
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signal_number, self.handle_exit, signal_number, None)
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """As uvicorn's, and end what would last as long as its other end stays."""
        self._leave()
        super().handle_exit(sig, frame)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, then say so."""
        await super().startup(sockets)
        if self.started:
            self._announce()


async def _run(settings: Settings, watchpost: Watchpost, sock: socket.socket, announce: Callable[[], None]) -> None:
    flow, stores = watchpost.flow, watchpost.stores
    health = FlowHealth(watchpost, settings.flow.lag_mib * _MIB)
    days = Days(settings.spending.zone)
    agents = AgentMetrics(stores.telemetry, flow.tally.flags.counts, now_ns)
    watchpost.eraser.tell(agents.erase, agents.erased)
    live = Live()
    watchpost.news.listen(live.tell)
    executor = ThreadPoolExecutor(FIGURES_AT_ONCE, "figures")
    app = create_app(
        flow,
        readers=Readers(
            sessions=stores.telemetry,
            flags=stores.state,
            listed=stores.state,
            logs=stores.telemetry,
            points=stores.telemetry,
            traces=KeptTraces(stores.telemetry, stores.state),
            texts=stores.telemetry,
            redact=watchpost.redactor.delivery,
        ),
        figures=Figures(
            measures=Measures(stores.telemetry, stores.state, now_ns, days),
            versions=Versions(stores.telemetry, now_ns, days),
            spending=Spending(stores.telemetry, now_ns, days),
            slos=Slos(watchpost.rules.slos, stores.telemetry, now_ns),
            unpriced=UnpricedCalls(stores.telemetry, lambda: price_table(now_ns())),
            readiness=ReadinessCheck(stores.telemetry, now_ns),
            executor=executor,
            days=days,
        ),
        alerting=_alerting(settings, watchpost, days),
        words=_words(settings, watchpost, days),
        vitals=Vitals(health, HealthReport(health, NoticeLog(stores.state), now_ns), agents, live),
        setup=Setup(
            settings_shown(settings), RouteTree(routing(settings)), ChannelTrials(open_channels(settings), now_ns)
        ),
        settings=ServerSettings(
            host=settings.host, grpc_port=settings.grpc_port, max_body_bytes=settings.ingest.body_mib * _MIB
        ),
    )
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=5,
    )
    server = _Server(config, announce, live.close)
    watchpost.bell.hang(asyncio.get_running_loop())
    live.hang(asyncio.get_running_loop())
    thread = threading.Thread(target=flow.run, name="react")
    thread.start()
    stop = asyncio.Event()
    deliveries = [
        asyncio.create_task(flow.supervisor.persist("outbox", functools.partial(deliverer.run, stop)))
        for deliverer in watchpost.deliverers
    ]
    decoding = [
        asyncio.create_task(flow.supervisor.persist("decoding", functools.partial(process.run, stop)))
        for process in watchpost.decoding
    ]
    measuring = asyncio.create_task(
        flow.supervisor.persist("context drift", functools.partial(watchpost.drift_checker.run, flow.report, stop))
    )
    purging = asyncio.create_task(flow.supervisor.persist("erasure", functools.partial(watchpost.eraser.run, stop)))
    sweeping = asyncio.create_task(_sweeping(settings, watchpost, stop))
    watching = asyncio.create_task(
        flow.supervisor.persist("own health", functools.partial(SelfWatch(health, now_ns).run, flow.report, stop))
    )
    try:
        await server.serve(sockets=[sock])
    finally:
        stop.set()
        await asyncio.gather(*deliveries, *decoding, measuring, purging, sweeping, watching, return_exceptions=True)
        flow.stop()
        await asyncio.to_thread(executor.shutdown, cancel_futures=True)
        await asyncio.to_thread(thread.join)


def _alerting(settings: Settings, watchpost: Watchpost, days: Days) -> Alerting:
    state, flow, rules = watchpost.stores.state, watchpost.flow, watchpost.rules.rules
    papers = rule_papers(settings, watchpost.rules)
    secrets = InboundSecrets(
        slack_secrets(settings), settings.inbound.pagerduty_secrets, settings.inbound.alertmanager_token
    )
    return Alerting(
        alerts=Alerts(state, state, flow, now_ns, rules=rules, routing=routing(settings)),
        notices=NoticeLog(state),
        rules=RuleBook(rules, state, papers.texts, papers.runbooks),
        inbound=Inbound(secrets, state, flow, now_ns),
        backtests=backtests(settings, watchpost),
        rule_reviews=RuleReviews(state, state, rules, now_ns, days),
    )


def _words(settings: Settings, watchpost: Watchpost, days: Days) -> Words:
    stores, flow, redact = watchpost.stores, watchpost.flow, watchpost.redactor.delivery
    return Words(
        notes=flow,
        precision=watchpost.precision,
        feedback=Feedback(stores.telemetry, flow, redact, now_ns),
        releases=ReleaseBook(stores.state, flow, now_ns, days),
        contracts=Contracts(stores.state, flow, now_ns, declared(settings.detectors)),
        erasures=ErasureDesk(
            stores.telemetry,
            stores.telemetry.eraser,
            stores.state.eraser,
            notes=flow,
            redact=redact,
            secret=stores.folder.key,
            now_ns=now_ns,
        ),
        cohorts=stores.state.cohorts,
        now_ns=now_ns,
    )


def backtests(settings: Settings, watchpost: Watchpost) -> Backtests:
    """Back-tests over the stores of a Watchpost."""
    stores, session = watchpost.stores, settings.session
    quiet = Quietness(round(session.quiet_seconds * _NS), round(session.idle_seconds * _NS))
    records = Records(stores.telemetry, stores.telemetry, stores.state, quiet)
    return Backtests(
        records, watchpost.rules.rules, now_ns, Days(settings.spending.zone), settings.alerting.interval_seconds * _NS
    )


async def _sweeping(settings: Settings, watchpost: Watchpost, stop: asyncio.Event) -> None:
    """Let go of what need not be kept, if that is wanted."""
    if settings.retention.enabled:
        sweep = functools.partial(watchpost.sweeper.run, stop)
        await watchpost.flow.supervisor.persist("retention", sweep)
