"""One rule out of its fields."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from string import Formatter
from typing import cast, get_args

from watchpost.model.flag import SEVERITIES, Severity
from watchpost.query.measures import (
    MOST_BY,
    MOST_POINTS,
    SESSION_DIMENSIONS,
    Dimension,
    Measure,
    Quantile,
    SessionDimension,
)
from watchpost.rules.event import RESERVED, SUMMARY_NAMES, dimensions_of, unit_of
from watchpost.rules.history import FEWEST_BUCKETS
from watchpost.rules.marked_yaml import Scalar
from watchpost.rules.quantity import QuantityError, duration_ns, duration_text
from watchpost.rules.rule import (
    Comparison,
    Each,
    FlagDimension,
    Limit,
    NoData,
    OfFlags,
    OfMeasure,
    OfSession,
    Rule,
    Spread,
    Subject,
    Test,
    Times,
)
from watchpost.rules.rule_fields import Fields, meant
from watchpost.rules.session_watch import field_of
from watchpost.rules.source import LONGEST_HELD_NS
from watchpost.rules.tally import CELL_NS

RULE_FIELDS = (
    "name", "measure", "flag", "each", "where", "by", "quantile", "window", "above", "at_least", "below", "at_most", "baseline",
    "frequency", "for", "keep_firing_for", "no_data", "at_least_count", "share_of_sessions", "severity", "owner", "runbook", "summary",
    "labels",
)  # fmt: skip

ANY = "any"
"""Stands, alone, for flags of every kind."""

MOST_BY_OF_FLAGS = 4
"""Enough to tell one anomaly from all others, and how grave it is."""

LONGEST_WINDOW_NS = 90 * 24 * 3600 * 10**9

_COMPARISONS: tuple[Comparison, ...] = get_args(Comparison)
_TESTS = (*_COMPARISONS, "baseline", "frequency")
_BASELINES = ("times", "z_score", "shift", "over")
_ONLY_OF_MEASURES = (
    "by",
    "quantile",
    "baseline",
    "no_data",
    "share_of_sessions",
    "at_least_count",
    "frequency",
    "below",
    "at_most",
)
_FLAG_DIMENSIONS = (*SESSION_DIMENSIONS, "tool", "flag", "severity", "session")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
_LABEL = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_KIND = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_QUANTILE = re.compile(r"p([0-9]{1,2}(?:\.[0-9])?|100)")
_FREQUENCY = re.compile(r"([0-9]{1,9}) in (\S+)")


def read_rule(fields: Fields, measures: Mapping[str, Measure], flags: Collection[str]) -> Rule | None:
    """The rule; None where a fault was noted that leaves none."""
    check_what_is_needed(fields)
    fields.require("severity", f"one of {', '.join(SEVERITIES)}")
    if "measure" not in fields and "flag" not in fields:
        fields.note("measure", "is missing: name a measure, or flags, that shows it")
    if not any(name in fields for name in _TESTS):
        fields.note("above", f"is missing: say how much is too much, by one of {', '.join(_TESTS)}")
    if "frequency" not in fields:
        fields.require("window", "say over which time")
    subject = _subject(fields, measures, flags)
    window_ns = _window(fields, subject)
    keep_ns, for_ns = fields.duration("keep_firing_for"), fields.duration("for")
    severity = fields.one_of("severity", SEVERITIES)
    share = fields.amount("share_of_sessions", "share")
    no_data, few = fields.one_of("no_data", get_args(NoData)), fields.count("at_least_count")
    summary = _summary(fields, subject)
    labels = read_labels(fields, dimensions_of(subject) if subject is not None else ())
    test = _test(fields, subject, window_ns)
    if subject is None or window_ns is None or test is None or severity is None:
        return None
    return Rule(
        name=fields.text("name") or "",
        subject=subject,
        test=test,
        window_ns=window_ns,
        severity=cast("Severity", severity),
        owner=fields.text("owner") or "",
        runbook=fields.text("runbook") or "",
        for_ns=for_ns or 0,
        keep_firing_ns=keep_ns or 0,
        no_data=cast("NoData", no_data or "ok"),
        at_least_count=few or 0,
        share_of_sessions=None if share is None else float(share),
        summary=summary,
        labels=labels,
    )


def check_what_is_needed(fields: Fields) -> None:
    """Note what no rule and no objective may leave open."""
    fields.require("name", "name it, its alerts carry the name")
    fields.require("owner", "name the team or person who answers")
    fields.require("runbook", "say where the reader finds what to do")
    name = fields.text("name") if "name" in fields else None
    if name is not None and not _NAME.fullmatch(name):
        fields.note("name", f"{name!r} must begin with a letter and hold letters, digits, _ and - alone, at most 100")


def read_where(fields: Fields, known: Collection[str], of: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Dimensions and their values."""
    found = []
    for at, name, node in fields.pairs("where"):
        if name not in known:
            fields.faults.note(at, f"where.{name}", f"is no dimension of {of}{meant(name, known)}")
        else:
            found.append((name, tuple(text for _, text in fields.words(f"where.{name}", node))))
    return tuple(found)


def read_by(fields: Fields, known: Collection[str], of: str, most: int = MOST_BY) -> tuple[str, ...]:
    """Dimensions to tell groups apart by, at most so many."""
    found = []
    for at, name in fields.texts("by"):
        if name not in known or name == "project":
            why = "is in every group anyway" if name == "project" else f"is no dimension of {of}{meant(name, known)}"
            fields.faults.note(at, "by", f"{name!r} {why}")
        elif name in found:
            fields.faults.note(at, "by", f"{name!r} stands twice")
        else:
            found.append(name)
    if len(found) > most:
        fields.note("by", f"at most {most} dimensions")
    return tuple(found)


def read_labels(fields: Fields, taken: Collection[str]) -> dict[str, str]:
    """Labels that every alert of a rule has."""
    labels = {}
    for at, name, node in fields.pairs("labels"):
        if not _LABEL.fullmatch(name):
            fields.faults.note(at, f"labels.{name}", "must be lower-case letters, digits and underscores")
        elif name in RESERVED or name in taken:
            fields.faults.note(at, f"labels.{name}", "is a label that alerts have anyway")
        elif not isinstance(node, Scalar):
            fields.faults.note(node.at, f"labels.{name}", "must be a text")
        else:
            labels[name] = node.text
    return labels


def read_measure(fields: Fields, name: str, measures: Mapping[str, Measure]) -> Measure | None:
    """A measure of the catalogue."""
    text = fields.text(name)
    if text is None:
        return None
    if text not in measures:
        fields.note(name, f"there is no measure {text!r}{meant(text, measures)}")
    return measures.get(text)


def _subject(fields: Fields, measures: Mapping[str, Measure], flags: Collection[str]) -> Subject | None:
    if "measure" in fields and "flag" in fields:
        fields.note("flag", "give a measure or flags, not both")
        return None
    if "flag" in fields:
        return _of_flags(fields, flags)
    measure = read_measure(fields, "measure", measures)
    if measure is None:
        return None
    if "each" in fields:
        return _of_session(fields, measure)
    where = cast("tuple[tuple[Dimension, tuple[str, ...]], ...]", read_where(fields, measure.dimensions, measure.name))
    by = cast("tuple[Dimension, ...]", read_by(fields, measure.dimensions, measure.name))
    return OfMeasure(measure, where, by, _quantile(fields, measure))


def _of_flags(fields: Fields, flags: Collection[str]) -> OfFlags:
    _refuse(
        fields, ("each", "quantile", "baseline", "no_data", "below", "at_most"), "goes with a measure, not with flags"
    )
    kinds = []
    given = fields.texts("flag")
    if [kind for _, kind in given] == [ANY]:
        given = []
    for at, kind in given:
        if not _KIND.fullmatch(kind) or (flags and kind not in flags):
            fields.faults.note(at, "flag", f"there is no flag {kind!r}{meant(kind, flags)}")
        kinds.append(kind)
    where = cast("tuple[tuple[FlagDimension, tuple[str, ...]], ...]", read_where(fields, _FLAG_DIMENSIONS, "flags"))
    by = cast("tuple[FlagDimension, ...]", read_by(fields, _FLAG_DIMENSIONS, "flags", MOST_BY_OF_FLAGS))
    return OfFlags(tuple(kinds), where, by)


def _of_session(fields: Fields, measure: Measure) -> OfSession | None:
    _refuse(fields, _ONLY_OF_MEASURES, "does not go with each, which judges one session at a time")
    each = fields.one_of("each", get_args(Each))
    where = cast(
        "tuple[tuple[SessionDimension, tuple[str, ...]], ...]", read_where(fields, SESSION_DIMENSIONS, "sessions")
    )
    if each is None:
        return None
    subject = OfSession(measure, cast("Each", each), where)
    try:
        field_of(subject)
    except ValueError as error:
        fields.note("measure", str(error))
        return None
    return subject


def _refuse(fields: Fields, names: Collection[str], reason: str) -> None:
    for name in names:
        if name in fields:
            fields.note(name, reason)


def _quantile(fields: Fields, measure: Measure) -> int:
    text = fields.text("quantile")
    if text is None:
        return 950
    found = _QUANTILE.fullmatch(text)
    if not isinstance(measure.formula, Quantile):
        fields.note("quantile", f"{measure.name} is no quantile")
    elif found is None or not float(found[1]):
        fields.note("quantile", f"{text!r} is none, such as p50, p95 or p99.9")
    else:
        return round(float(found[1]) * 10)
    return 950


def _window(fields: Fields, subject: Subject | None) -> int | None:
    if "frequency" in fields:
        if "window" in fields:
            fields.note("window", "stands in frequency already")
        window_ns = _frequency(fields)[1]
    else:
        window_ns = fields.duration("window", 1)
    if window_ns is None:
        return None
    place = "frequency" if "frequency" in fields else "window"
    if isinstance(subject, OfMeasure) and window_ns % CELL_NS:
        fields.note(place, f"must be a multiple of {duration_text(CELL_NS)}")
    longest_ns = LONGEST_HELD_NS if isinstance(subject, OfFlags) else LONGEST_WINDOW_NS
    if window_ns > longest_ns:
        fields.note(place, f"is longer than {duration_text(longest_ns)}")
    return window_ns


def _frequency(fields: Fields) -> tuple[int, int | None]:
    text = fields.text("frequency")
    found = _FREQUENCY.fullmatch(text or "")
    if text is None:
        return 0, None
    try:
        if found is not None and int(found[1]) and duration_ns(found[2]):
            return int(found[1]), duration_ns(found[2])
    except QuantityError:
        pass
    fields.note("frequency", f"{text!r} is none, such as 10 in 5m; neither number may be 0")
    return 0, None


def _test(fields: Fields, subject: Subject | None, window_ns: int | None) -> Test | None:
    given = [name for name in _TESTS if name in fields]
    if len(given) > 1:
        fields.note(given[1], f"stands beside {given[0]}; give one of {', '.join(_TESTS)}")
        return None
    if not given or subject is None or window_ns is None:
        return None
    if given[0] == "baseline":
        return _baseline(fields, window_ns)
    if given[0] == "frequency":
        if unit_of(subject) != "count":
            fields.note("frequency", "goes with flags and measures that count")
        return Limit("at_least", float(_frequency(fields)[0]))
    number = fields.amount(given[0], unit_of(subject))
    return None if number is None else Limit(cast("Comparison", given[0]), float(number))


def _baseline(fields: Fields, window_ns: int) -> Test | None:
    table = fields.table("baseline", _BASELINES)
    if table is None:
        return None
    table.require("over", "say which time before the window is usual, such as 7d")
    over_ns = table.duration("over", 1)
    kinds = [name for name in _BASELINES[:3] if name in table]
    if len(kinds) != 1:
        table.note("times", "give one of times, z_score and shift")
        return None
    number = table.amount(kinds[0], "count")
    if over_ns is None or number is None:
        return None
    if not number or (kinds[0] == "times" and number == 1):
        table.note(kinds[0], "must be more than 0, and not 1")
    if over_ns > LONGEST_WINDOW_NS or over_ns < window_ns:
        table.note("over", f"must be from the window up to {duration_text(LONGEST_WINDOW_NS)}")
    if kinds[0] == "times":
        return Times(float(number), over_ns)
    if not FEWEST_BUCKETS <= over_ns // window_ns <= MOST_POINTS:
        table.note(
            "over", f"must hold {FEWEST_BUCKETS} to {MOST_POINTS} windows, a deviation is of those; take another window"
        )
    return Spread(float(number), over_ns, kinds[0] == "shift")


def _summary(fields: Fields, subject: Subject | None) -> str:
    text = fields.text("summary") if "summary" in fields else None
    if text is None:
        return ""
    known = (*SUMMARY_NAMES, *(dimensions_of(subject) if subject is not None else _FLAG_DIMENSIONS))
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        fields.note("summary", f"{error}; write {{{{ and }}}} for braces")
        return ""
    for _, name, layout, conversion in parts:
        if name is not None and (name not in known or layout or conversion):
            fields.note("summary", f"{{{name}}} is none of {', '.join(known)}{meant(name, known)}")
    return text
