"""How Watchpost itself does, as API and the health page say it: first whether anything is lost, late or full, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from watchpost.model.cost import UnpricedReason
from watchpost.runtime.retention import RetentionNumbers
from watchpost.server.answers import moment
from watchpost.server.health import Health, HealthNumbers
from watchpost.server.health_trouble import Trouble, found_in
from watchpost.server.notices import NoticeAnswer, NoticeLog


class Taken(msgspec.Struct, frozen=True):
    """What came in since the start of the process. `put_off` requests were told to come again: nothing of theirs is lost if the sender does."""

    accepted_spans: int
    rejected_spans: int
    accepted_logs: int
    rejected_logs: int
    accepted_points: int
    rejected_points: int
    put_off: int


class LogAnswer(msgspec.Struct, frozen=True):
    """The log: its bytes on disk, those of it not applied yet and how many may be, and how long ago the oldest of these was received."""

    bytes: int
    lag_bytes: int
    lag_limit_bytes: int
    react_lag_seconds: float
    batches_applied: int
    apply_seconds: float


class TableAnswer(msgspec.Struct, frozen=True):
    """One table of telemetry, as it lies on disk."""

    table: str
    rows: int
    bytes: int


class ChannelAnswer(msgspec.Struct, frozen=True):
    """One channel: its notices by state, its last try and the last that it did not take, null where there is none."""

    channel: str
    waiting: int
    delivered: int
    failed: int
    last: NoticeAnswer | None
    last_failure: NoticeAnswer | None


class HealthAnswer(msgspec.Struct, frozen=True):
    """How Watchpost does now; counts run from `started`. `sentence` says in one whether anything is lost, late or full, `troubles` what, the gravest first."""

    now: str | None
    started: str | None
    ok: bool
    sentence: str
    troubles: list[Trouble]
    taken: Taken
    log: LogAnswer
    open_sessions: int
    held_fold_bytes: int
    tables: list[TableAnswer]
    disk_free_bytes: int
    disk_bytes: int
    channels: list[ChannelAnswer]
    rules_judged: str | None
    crowded_rules: list[str]
    unpriced: dict[UnpricedReason, int]
    drift_measured: int
    drift_failed: int
    retention: RetentionNumbers
    swept: str | None


class HealthReport:
    """Answers how Watchpost does. It reads the stores and blocks; call it from a worker thread."""

    def __init__(self, health: Health, notices: NoticeLog, now_ns: Callable[[], int]) -> None:
        """Begins to count as the process does: `now_ns` says when."""
        self._health = health
        self._notices = notices
        self._now_ns = now_ns
        self._started_ns = now_ns()

    def answer(self) -> HealthAnswer:
        """The report of this moment."""
        numbers, now_ns = self._health.numbers(), self._now_ns()
        channels = list(_channels(numbers, self._notices.last_tries()))
        failures = {each.channel: each.last_failure for each in channels if each.last_failure is not None}
        troubles = found_in(numbers, self._health.unready(), failures, now_ns, self._started_ns)
        return HealthAnswer(
            moment(now_ns),
            moment(self._started_ns),
            not any(each.severity != "info" for each in troubles),
            _sentence(troubles),
            troubles,
            Taken(*(getattr(numbers, name) for name in Taken.__struct_fields__)),
            LogAnswer(
                numbers.log_bytes,
                numbers.log_lag_bytes,
                numbers.lag_limit_bytes,
                numbers.react_lag_s,
                numbers.batches_applied,
                numbers.apply_seconds,
            ),
            numbers.open_sessions,
            numbers.held_fold_bytes,
            [
                TableAnswer(table, rows, numbers.telemetry_bytes.get(table, 0))
                for table, rows in sorted(numbers.telemetry_rows.items())
            ],
            numbers.disk_free_bytes,
            numbers.disk_bytes,
            channels,
            moment(numbers.rules_judged_ns) if numbers.rules_judged_ns else None,
            list(numbers.crowded_rules),
            dict(numbers.unpriced),
            numbers.drift_measured,
            numbers.drift_failed,
            numbers.retention,
            moment(numbers.retention.last_ns) if numbers.retention.last_ns else None,
        )


def _sentence(troubles: list[Trouble]) -> str:
    grave = [each for each in troubles if each.severity != "info"]
    if not grave:
        return "Nothing is lost, late or full."
    told = f"{grave[0].what}."
    return told if len(grave) == 1 else f"{told} {len(grave) - 1} more to look at."


def _channels(numbers: HealthNumbers, tries: list[NoticeAnswer]) -> Iterator[ChannelAnswer]:
    names = {channel for channel, _ in numbers.outbox} | {each.channel for each in tries}
    for name in sorted(names):
        tried = [each for each in tries if each.channel == name]
        not_taken = [each for each in tried if each.state != "delivered"]
        yield ChannelAnswer(
            name,
            numbers.outbox.get((name, "waiting"), 0),
            numbers.outbox.get((name, "delivered"), 0),
            numbers.outbox.get((name, "failed"), 0),
            tried[-1] if tried else None,
            not_taken[-1] if not_taken else None,
        )
