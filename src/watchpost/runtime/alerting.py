"""Rules and routes of the settings, put to work on the stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from watchpost.alerting.dispatch import Dispatcher
from watchpost.alerting.document import DocumentError
from watchpost.alerting.route_file import SHIPPED_CHANNELS, Routing, read_routing, shipped_routing
from watchpost.model.flag import Flag
from watchpost.model.session import Summary, session_key
from watchpost.query.flags import FlagFilter
from watchpost.query.sessions import SessionFilter
from watchpost.rules.engine import RuleEngine
from watchpost.rules.history import History
from watchpost.rules.rule import RuleSet
from watchpost.runtime.alarms import Alarms
from watchpost.runtime.recent_past import recent_past
from watchpost.runtime.settings import Settings, SettingsError
from watchpost.store.engines.clickhouse import ClickHouse
from watchpost.store.engines.sql import SqlState
from watchpost.store.erasure import is_pseudonym

ACKNOWLEDGING = frozenset({"pagerduty", "slack"})
"""Types of channels that show who acknowledged."""

_NS = 10**9
_FLAGS_NS = 24 * 3600 * _NS
_SESSIONS_NS = 3600 * _NS
_MOST = 2_000
"""After a restart rules hear once more of at most so many flags and sessions of these last times."""


def routing(settings: Settings) -> Routing:
    """The routing file, or the routes that come with Watchpost; without any of the channels that these name, every channel of the settings hears everything, at once.

    Raises `SettingsError`.
    """
    section = settings.alerting
    names = {*settings.channels, *settings.webhooks}
    if section.routes:
        try:
            return read_routing(Path(section.routes).read_text(encoding="utf-8"), names)
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"alerting.routes: {section.routes}: {error}") from error
        except DocumentError as error:
            raise SettingsError(f"alerting.routes: {section.routes}: {error}") from error
    shipped = shipped_routing(names)
    if SHIPPED_CHANNELS & names:
        return shipped
    root = msgspec.structs.replace(shipped.root, channels=tuple(sorted(names)), routes=(), group_wait_ns=0)
    return msgspec.structs.replace(shipped, root=root)


def alarms(
    settings: Settings,
    rules: RuleSet,
    telemetry: ClickHouse,
    state: SqlState,
    awake: Sequence[Summary],
    *,
    history: History,
    is_muted: Callable[[Flag], bool],
    now_ns: int,
) -> Alarms:
    """Everything that is judged and told, going on from where the stores say it stood. Raises `SettingsError`.

    `awake` are the sessions that run; flags that are muted now count for no rule, as where they are heard of.
    """
    routes = routing(settings)
    acknowledging = [name for name, section in settings.channels.items() if section.get("type") in ACKNOWLEDGING]
    dispatcher = Dispatcher(
        routes.root, routes.inhibitions, routes.intervals, acknowledging, {*settings.channels, *settings.webhooks}
    )
    engine = RuleEngine(rules.rules, history, interval_ns=settings.alerting.interval_seconds * _NS, since_ns=now_ns)
    found = state.flags_matching(FlagFilter(since_ns=now_ns - _FLAGS_NS, limit=_MOST))
    flags = [flag for flag in found if not is_muted(flag)]
    past = recent_past(telemetry, engine.looks_back_ns, now_ns)
    engine.fill(past.rows, _known_again(telemetry, awake, flags, now_ns), flags, past.since_ns, past.ended)
    return Alarms(engine, dispatcher, state, now_ns, no_word_ns=round(settings.inbound.no_word_seconds * _NS))


def _known_again(
    telemetry: ClickHouse, awake: Sequence[Summary], flags: Sequence[Flag], now_ns: int
) -> Iterable[Summary]:
    """What rules on single sessions and flags must know after a restart: the sessions that run, those of the last hour, and those of the flags, but none that was erased."""
    lately = telemetry.sessions(SessionFilter(since_ns=now_ns - _SESSIONS_NS, limit=_MOST))
    known = {summary.key: summary for summary in (*lately, *awake)}
    flagged = {session_key(flag.project, flag.session_id) for flag in flags}
    known |= {summary.key: summary for summary in telemetry.summaries(sorted(flagged - known.keys()))}
    return [summary for summary in known.values() if not is_pseudonym(summary.session_id)]
