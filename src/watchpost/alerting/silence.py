"""Silences: which hold now, what is wrong with one that a person asks for, and which alerts they cover."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from watchpost.alerting.labels import PROJECT_LABEL
from watchpost.alerting.matcher import Matcher, MatcherError, all_match, read_matchers
from watchpost.model.silence import Silence

_ANY = ("", "")
"""Stands for silences that ask for no value; no label has an empty name."""


def silence_faults(silence: Silence) -> list[tuple[str, str]]:
    """Field and reason of everything that is wrong with a silence that somebody asks for; none if it may stand."""
    faults: list[tuple[str, str]] = []
    if silence.ends_ns <= silence.starts_ns:
        faults.append(("ends_ns", "must come after the start"))
    if not silence.by.strip():
        faults.append(("by", "say who silences"))
    if not silence.comment.strip():
        faults.append(("comment", "say why; others will read it"))
    try:
        matchers = [matcher for text in silence.matchers for matcher in read_matchers(text)]
    except MatcherError as error:
        return [*faults, ("matchers", str(error))]
    if not matchers:
        faults.append(("matchers", 'name at least one, such as alertname="..."'))
    elif all_match(matchers, {}) and not silence.everything:
        faults.append(
            ("matchers", "match alerts without any label, and so silence everything; set `everything` if that is meant")
        )
    return faults


class _Held(msgspec.Struct, frozen=True):
    """A silence, and its matchers as read."""

    silence: Silence
    matchers: tuple[Matcher, ...]

    def holds(self, labels: Mapping[str, str], now_ns: int) -> bool:
        silence = self.silence
        return (
            silence.starts_ns <= now_ns < silence.ends_ns
            and silence.project in {"", labels.get(PROJECT_LABEL, "")}
            and all_match(self.matchers, labels)
        )


class Silences:
    """The silences that hold or are to come. One with an id that is known replaces it: a silence is ended early by giving it an end.

    A silence that asks for one value of a label is only tried on alerts with that value.
    """

    def __init__(self, silences: Iterable[Silence] = ()) -> None:
        self._held: dict[str, _Held] = {}
        self._by_label: dict[tuple[str, str], list[_Held]] = {}
        for silence in silences:
            self.take(silence)

    def __iter__(self) -> Iterator[Silence]:
        """All that were taken and not dropped, in the order of their ids."""
        return iter([self._held[silence_id].silence for silence_id in sorted(self._held)])

    def take(self, silence: Silence) -> None:
        """Hold to a silence from now on; one that ends before it starts was ended before it began, and is dropped.

        So is one that an earlier version let in and whose matchers mean nothing: it must not keep a log from being read again.
        """
        self._held.pop(silence.id, None)
        try:
            matchers = tuple(matcher for text in silence.matchers for matcher in read_matchers(text))
        except MatcherError:
            matchers = ()
        if matchers and silence.starts_ns < silence.ends_ns:
            self._held[silence.id] = _Held(silence, matchers)
        self._arrange()

    def drop_ended(self, now_ns: int) -> None:
        """Forget those that are over."""
        kept = {each: held for each, held in self._held.items() if held.silence.ends_ns > now_ns}
        if len(kept) < len(self._held):
            self._held = kept
            self._arrange()

    def silencing(self, labels: Mapping[str, str], now_ns: int) -> list[str]:
        """The ids of those that keep an alert with these labels quiet at this moment, sorted."""
        tried = [held for label in (_ANY, *labels.items()) for held in self._by_label.get(label, ())]
        return sorted(held.silence.id for held in tried if held.holds(labels, now_ns))

    def _arrange(self) -> None:
        self._by_label = {}
        for held in self._held.values():
            asked = (
                (matcher.name, matcher.value) for matcher in held.matchers if matcher.operator == "=" and matcher.value
            )
            self._by_label.setdefault(next(asked, _ANY), []).append(held)
