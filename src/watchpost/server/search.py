"""Sessions and log lines found from a report: by whatever a person has in hand."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping

import msgspec

from watchpost.model.telemetry import Delivery, LogLine, Parcel
from watchpost.query.logs import LogFilter
from watchpost.query.sessions import SessionFilter
from watchpost.server.answers import SessionsAnswer, moment
from watchpost.server.archive import Archive, read_cursor, write_cursor
from watchpost.server.log_answers import LinesAnswer, line_answer, write_log_cursor
from watchpost.server.measure_parameters import duration_ns
from watchpost.server.problem import ParameterError
from watchpost.server.unpriced import since_ns
from watchpost.store.readers import LogReader, TextWindow, UnnamedError

LONGEST = 1024
"""Characters of anything that is searched for."""

MOST_SPANS = 500_000
"""Spans that are read for a text unless more is asked for: about half a second's work of two cores."""

MOST_BY_WORDS = 250_000
"""Spans received before those that are read for the words of a text, where they may stand: half of that."""

MOST_LINES = 2_000_000
"""Log lines that are read for a text unless more is asked for."""

_TRACE = re.compile(r"[0-9a-f]{32}")
_KEY = re.compile(r"[a-z2-7]{26}")
_AGO = re.compile(r"[0-9]{1,9}[smhdw]")
_DEFAULT_PROJECT = "default"

_PLAIN = ("project", "session_id", "state", "outcome", "workflow", "user_id", "service", "org_id", "feature", "release", "entity", "text", "flag")  # fmt: skip
_HIDDEN = ("user_id", "entity", "text")
"""What may hold what is hidden in all telemetry."""

Redact = Callable[[Delivery], Delivery]


def session_filter(asked: Mapping[str, str], now_ns: int) -> SessionFilter:
    """The filter that parameters by their names ask for at a moment; an empty value is no condition. Raises `ParameterError`."""
    for name, value in asked.items():
        if len(value) > LONGEST:
            raise ParameterError(name, f"longer than {LONGEST} characters")
    since, until = window(asked.get("since", ""), asked.get("until", ""), now_ns)
    for name in ("flagged", "error"):
        if asked.get(name, "") not in {"", "true", "false"}:
            raise ParameterError(name, "it is true, false or empty")
    return msgspec.structs.replace(
        SessionFilter(),
        **{name: asked.get(name, "") for name in _PLAIN},
        trace_id=hexadecimal("trace", asked.get("trace", ""), _TRACE),
        flagged=asked.get("flagged") == "true",
        error=asked.get("error") == "true",
        text_since_ns=_text_since(asked.get("text_since", "")),
        since_ns=since,
        until_ns=until,
    )


def parameters(wanted: SessionFilter) -> dict[str, str]:
    """The parameters that ask for a filter, without those of its page."""
    asked = {name: str(getattr(wanted, name)) for name in _PLAIN if getattr(wanted, name)}
    times = {"since": wanted.since_ns, "until": wanted.until_ns, "text_since": wanted.text_since_ns}
    asked |= {name: moment(ns) or "" for name, ns in times.items() if ns}
    if wanted.trace_id:
        asked["trace"] = wanted.trace_id.hex()
    return asked | {name: "true" for name in ("flagged", "error") if getattr(wanted, name)}


def window(since: str, until: str, now_ns: int) -> tuple[int, int]:
    """A window of time, in Unix nanoseconds; 0 is no bound. `since` may be how long ago: 15m, 24h, 7d. Raises `ParameterError`."""
    ago = _AGO.fullmatch(since)
    bounds = max(now_ns - duration_ns(since, "since"), 1) if ago else since_ns(since), since_ns(until, "until")
    if until and bounds[0] >= bounds[1]:
        raise ParameterError("until", "the window ends before it begins")
    return bounds


def hexadecimal(parameter: str, text: str, form: re.Pattern[str] = _TRACE) -> bytes:
    """An id, empty for an empty one. Raises `ParameterError`."""
    plain = text.lower().replace("-", "")
    if plain and form.fullmatch(plain) is None:
        raise ParameterError(parameter, f"no id of {32 if form is _TRACE else 16} hexadecimal digits")
    return bytes.fromhex(plain)


def _text_since(text: str) -> int:
    """When it is given it holds, and the earliest moment there is means all that there is."""
    return max(since_ns(text, "text_since"), 1) if text else 0


class Search:
    """Finds sessions and log lines. Its methods read the stores and block; call them from worker threads.

    `redact` hides in a text what is hidden in all telemetry, so that an address is found by what stands in its place.
    """

    def __init__(self, archive: Archive, logs: LogReader, texts: TextWindow, redact: Redact) -> None:
        self._archive = archive
        self._logs = logs
        self._texts = texts
        self._redact = redact
        self._redacting = threading.Lock()

    def sessions(self, wanted: SessionFilter, anything: str = "") -> SessionsAnswer:
        """At most `wanted.limit` sessions, each with its flags, and since when their texts were searched, if they were.

        `anything` is tried as the key, session id, trace id or user of a session, then as what its texts name, then as a text; the first that
        finds any is `matched`. Raises `ParameterError` for an entity that is none.
        """
        if len(anything) > LONGEST:
            raise ParameterError("q", f"longer than {LONGEST} characters")
        if not anything:
            return self._page(wanted)
        found = SessionsAnswer([], None)
        for name, value in _readings(anything):
            if getattr(wanted, name):
                continue  # it is asked for already, and must be that
            read = msgspec.structs.replace(wanted, **{name: value})
            if wanted.before is not None and name != "text":  # what is on no page after it may be on the first
                first = msgspec.structs.replace(read, before=None, limit=1)
                if not self._page(first).sessions:
                    continue
            found = self._page(read)
            if found.sessions:
                return msgspec.structs.replace(found, matched=_NAMES.get(name, name))
        return found

    def lines(self, wanted: LogFilter) -> LinesAnswer:
        """At most `wanted.limit` log lines, the latest first, each with the session it belongs to."""
        since = wanted.received_since_ns
        if wanted.text and not since:
            since = self._texts.log_text_since_ns(wanted, MOST_LINES)
        asked = msgspec.structs.replace(wanted, received_since_ns=since, limit=wanted.limit + 1)
        found = self._logs.log_lines(asked)
        if not found and wanted.text and (hidden := self.hidden(wanted.project, wanted.text)) != wanted.text:
            found = self._logs.log_lines(msgspec.structs.replace(asked, text=hidden))
        shown = found[: wanted.limit]
        sessions = self._logs.sessions_of(sorted({(x.project, x.line.trace_id) for x in shown if x.line.trace_id}))
        return LinesAnswer(
            [line_answer(each, sessions.get((each.project, each.line.trace_id))) for each in shown],
            write_log_cursor(shown[-1]) if len(found) > len(shown) else None,
            moment(since) if wanted.text else None,
        )

    def lines_of(self, key: str, wanted: LogFilter) -> LinesAnswer:
        """The lines of one session, under the same conditions; raises as `Archive.session` does."""
        session = self._archive.session(key)
        return self.lines(msgspec.structs.replace(wanted, session=(session.project, session.session_id)))

    def _page(self, wanted: SessionFilter) -> SessionsAnswer:
        """A page; where nothing is found as it is asked for, by what stands in the place of what is hidden."""
        found = self._searched(wanted)
        if found.sessions:
            return found
        hidden = {
            name: text
            for name in _HIDDEN
            if (asked := getattr(wanted, name)) and (text := self.hidden(wanted.project, asked)) != asked
        }
        return self._searched(msgspec.structs.replace(wanted, **hidden)) if hidden else found

    def _searched(self, wanted: SessionFilter) -> SessionsAnswer:
        try:
            if not wanted.text:
                return self._archive.page(wanted)
            wanted, since, words = _continued(wanted)
            among = self._texts.few(wanted)
            if among is not None:
                return self._archive.page(msgspec.structs.replace(wanted, among=among))
            if since is None:
                since = wanted.text_since_ns or self._texts.text_since_ns(wanted, MOST_SPANS)
            wanted = msgspec.structs.replace(wanted, text_since_ns=since)
            if words is None:
                words = self._texts.words_since_ns(wanted, MOST_BY_WORDS)
            page = self._archive.page(msgspec.structs.replace(wanted, words_since_ns=words))
        except UnnamedError as error:
            raise ParameterError(
                "entity", "names nothing: no id, number of three digits or more, or e-mail address"
            ) from error
        following = _continuing(page.next, since, words) if page.next else None
        return msgspec.structs.replace(page, next=following, searched_since=moment(since), words_since=moment(words))

    def hidden(self, project: str, text: str) -> str:
        """A text as it stands in the telemetry of a project, without what is hidden in all of it."""
        line = LogLine(0, 0, b"", b"", "", text, {})
        with self._redacting:
            redacted = self._redact(Delivery(0, (Parcel(project or _DEFAULT_PROJECT, {}, "", logs=(line,)),)))
        return str(redacted.parcels[0].logs[0].body)


def _continuing(following: str, since_ns: int, words_since_ns: int) -> str:
    """The cursor of a following page that is to be searched as far back as the one before it, whatever came meanwhile."""
    received_ns, key = read_cursor(following) or (0, "")
    return write_cursor(received_ns, f"{key}:{since_ns}:{words_since_ns}")


def _continued(wanted: SessionFilter) -> tuple[SessionFilter, int | None, int | None]:
    """A filter with the place of a plain cursor, and since when texts and words are to be searched if its cursor says so."""
    key, colon, ends = wanted.before[1].partition(":") if wanted.before else ("", "", "")
    if not wanted.before or not colon:
        return wanted, None, None
    try:
        since, words = map(int, ends.split(":"))
    except ValueError as error:
        raise ParameterError("cursor", "not a cursor that a list gave out") from error
    return msgspec.structs.replace(wanted, before=(wanted.before[0], key)), since, words


_NAMES: Mapping[str, str] = {"trace_id": "trace"}
"""Parameters that are not called as the field of the filter is."""


def _readings(anything: str) -> Iterator[tuple[str, str | bytes]]:
    """What a text may be, as fields of a filter, the most certain first."""
    text = anything.strip()
    if _KEY.fullmatch(text):
        yield "key", text
    yield "session_id", text
    plain = text.lower().replace("-", "")
    if _TRACE.fullmatch(plain):
        yield "trace_id", bytes.fromhex(plain)
    yield "user_id", text
    if re.search(r"[0-9]{3}|[0-9][A-Za-z_-]|[A-Za-z_-][0-9]|@", text) or re.fullmatch(r"[A-Za-z]{5,}", text):
        yield "entity", text
    yield "text", text
