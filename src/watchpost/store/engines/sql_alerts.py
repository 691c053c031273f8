"""Alerts in SQL: as JSON, beside what they are looked up by."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from watchpost.model.alert import Alert, Firing, Pending, Resolved
from watchpost.model.silence import Silence
from watchpost.query.alerts import AlertFilter
from watchpost.store.alerts import AcknowledgedAlert, AlertGroup, AlertNews, StandingAlert
from watchpost.store.engines.sql_tables import (
    ALERT_ACKNOWLEDGEMENTS,
    ALERT_CHANGES,
    ALERT_GROUPS,
    ALERTS,
    DISPATCHED,
    SILENCES,
    without_nul,
)

Rows = list[dict[str, object]]


def written(news: AlertNews) -> dict[str, Rows]:
    """The rows that replace those of the same keys, by table."""
    alerts = [_alert_row(alert, news.changed_ns) for alert in news.alerts]
    kept = ("id", "changed_ns", "state", "alert")
    return {
        "alerts": alerts,
        "alert_changes": [{name: row[name] for name in kept} for row in alerts if row["state"] != "pending"],
        "dispatched_alerts": [{"id": alert.id, "alert": _json(alert)} for alert in news.dispatched],
        "alert_groups": [msgspec.structs.asdict(group) for group in news.groups],
        "silences": [_silence_row(silence) for silence in news.silences],
        "alert_acknowledgements": [
            {"id": each.id, "at_ns": each.at_ns, "by": without_nul(each.by)} for each in news.acknowledged
        ],
    }


def forget(connection: sa.Connection, news: AlertNews) -> None:
    """Take out what is not any more. What was pending and had fired before stands again as it did then."""
    for table, gone in ((DISPATCHED, news.undispatched), (ALERT_GROUPS, news.disbanded)):
        if gone:
            connection.execute(sa.delete(table).where(table.c.id == sa.bindparam("gone")), [{"gone": i} for i in gone])
    for lapsed in news.lapsed:
        before = alert_history(connection, lapsed, 1)
        if before:
            row = _alert_row(before[0].alert, before[0].changed_ns)
            connection.execute(sa.update(ALERTS).where(ALERTS.c.id == lapsed).values(row))
        else:
            connection.execute(sa.delete(ALERTS).where(ALERTS.c.id == lapsed))


def standing(connection: sa.Connection) -> list[Alert]:
    """See `AlertMemory`."""
    query = sa.select(ALERTS.c.alert).where(ALERTS.c.state.in_(["pending", "firing"])).order_by(ALERTS.c.id)
    return _alerts(row.alert for row in connection.execute(query))


def dispatched(connection: sa.Connection) -> list[Alert]:
    """See `AlertMemory`."""
    return _alerts(row.alert for row in connection.execute(sa.select(DISPATCHED.c.alert).order_by(DISPATCHED.c.id)))


def alert_groups(connection: sa.Connection) -> list[AlertGroup]:
    """See `AlertMemory`."""
    return [AlertGroup(*row) for row in connection.execute(sa.select(*ALERT_GROUPS.c).order_by(ALERT_GROUPS.c.id))]


def silences(connection: sa.Connection, ended_after_ns: int) -> list[Silence]:
    """See `AlertMemory`."""
    query = sa.select(SILENCES.c.silence).where(SILENCES.c.ends_ns > ended_after_ns).order_by(SILENCES.c.id)
    return [msgspec.msgpack.decode(row.silence, type=Silence) for row in connection.execute(query)]


def alerts(connection: sa.Connection, wanted: AlertFilter) -> list[StandingAlert]:
    """See `AlertReader`."""
    table = ALERTS.c
    query = sa.select(table.alert, table.changed_ns).order_by(table.changed_ns.desc(), table.id.desc())
    for name in ("project", "rule", "state", "severity"):
        if asked := getattr(wanted, name):
            query = query.where(table[name] == asked)
    if wanted.before is not None:
        query = query.where(sa.tuple_(table.changed_ns, table.id) < wanted.before)
    return _standing(connection, query.limit(wanted.limit))


def alert(connection: sa.Connection, alert_id: str) -> StandingAlert | None:
    """See `AlertReader`."""
    found = _standing(connection, sa.select(ALERTS.c.alert, ALERTS.c.changed_ns).where(ALERTS.c.id == alert_id))
    return next(iter(found), None)


def alert_history(connection: sa.Connection, alert_id: str, limit: int) -> list[StandingAlert]:
    """See `AlertReader`."""
    table = ALERT_CHANGES.c
    query = sa.select(table.alert, table.changed_ns).where(table.id == alert_id)
    return _standing(connection, query.order_by(table.changed_ns.desc()).limit(limit))


def acknowledged(connection: sa.Connection, alert_id: str) -> list[AcknowledgedAlert]:
    """See `AlertReader`."""
    table = ALERT_ACKNOWLEDGEMENTS.c
    query = sa.select(*table).where(table.id == alert_id).order_by(table.at_ns)
    return [AcknowledgedAlert(*row) for row in connection.execute(query)]


def _alert_row(alert: Alert, changed_ns: int) -> dict[str, object]:
    match alert.state:
        case Pending():
            state = "pending"
        case Firing():
            state = "firing"
        case Resolved(no_word=True):
            state = "no_word"
        case _:
            state = "resolved"
    return {
        "id": alert.id,
        "project": without_nul(alert.project),
        "rule": without_nul(alert.rule),
        "state": state,
        "severity": alert.event.severity,
        "changed_ns": changed_ns,
        "alert": _json(alert),
    }


def _silence_row(silence: Silence) -> dict[str, object]:
    return {
        "id": silence.id,
        "project": without_nul(silence.project),
        "ends_ns": silence.ends_ns,
        "silence": msgspec.msgpack.encode(silence),
    }


def _json(alert: Alert) -> str:
    return msgspec.json.encode(alert).decode()


def _alerts(texts: Iterable[str]) -> list[Alert]:
    return [msgspec.json.decode(text, type=Alert) for text in texts]


def _standing(connection: sa.Connection, query: sa.Select[tuple[str, int]]) -> list[StandingAlert]:
    rows = connection.execute(query)
    return [StandingAlert(msgspec.json.decode(row.alert, type=Alert), row.changed_ns) for row in rows]
