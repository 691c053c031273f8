"""How right the alerts of a back-test are, by incidents that people labelled and by what they said of flags.

    incidents:
      - name: the card processor was down
        since: 2026-11-12T09:40:00Z
        until: 2026-11-12T10:25:00Z
        rules: [AgentToolHighFailureRate]
        workflow: refunds

Rules and workflow may be left out. An incident that names rules is theirs to find; one that names none is every rule's. Where incidents are labelled they are taken to be
all there were: an alert that overlaps none is wrong, unless somebody confirmed a flag behind it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from watchpost.model.flag import Flag
from watchpost.model.session import session_key
from watchpost.rules.backtest import Episode, Replayed, Span
from watchpost.rules.marked_yaml import Items, Place, Table, YamlError, read_yaml
from watchpost.rules.precision import Tally
from watchpost.rules.rule import OfFlags, Rule
from watchpost.rules.rule_fields import Faults, Fields, RuleFileError, meant

MOST_INCIDENTS = 10_000

_FIELDS = ("name", "since", "until", "rules", "workflow")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Incident(msgspec.Struct, frozen=True):
    """Something that went wrong in [`since_ns`, `until_ns`); no `rules` means every rule, no `workflow` every workflow."""

    name: str
    since_ns: int
    until_ns: int
    rules: tuple[str, ...] = ()
    workflow: str = ""

    def concerns(self, rule: str) -> bool:
        """Whether a rule is to find it."""
        return not self.rules or rule in self.rules

    def overlaps(self, episode: Episode) -> bool:
        """Whether an alert fires during it, of its workflow as far as the alert tells one."""
        if self.workflow and episode.labels.get("workflow", self.workflow) != self.workflow:
            return False
        return episode.fired_ns < self.until_ns and (not episode.resolved_ns or episode.resolved_ns > self.since_ns)


class Judged(msgspec.Struct, frozen=True):
    """A flag of which somebody said whether it is right."""

    flag: Flag
    is_confirmed: bool


class Score(msgspec.Struct, frozen=True):
    """How one rule did: its alerts that were right and wrong, those of which nobody knows, and the incidents that it found and missed.

    `delays_ns` are, of each that it found, how long after its beginning the first alert fired: 0 where that fired before.
    """

    alerts: Tally
    unknown: int
    caught: tuple[str, ...]
    missed: tuple[str, ...]
    delays_ns: tuple[int, ...]

    @property
    def recall(self) -> float | None:
        """The share of incidents that it found; None of none."""
        labelled = len(self.caught) + len(self.missed)
        return len(self.caught) / labelled if labelled else None


def read_incidents(text: str, file: str, rules: Collection[str]) -> tuple[Incident, ...]:
    """The incidents of a file of YAML or JSON, by time. Raises `RuleFileError` with everything that is wrong; naming a rule that is none of `rules` is."""
    faults = Faults(file, "", [])
    found: list[Incident] = []
    for number, node in enumerate(_entries(text, faults), 1):
        fields = Fields(node, Faults(file, f"#{number}", faults.noted), _FIELDS)
        incident = _incident(fields, rules)
        if incident is not None and incident.name in {each.name for each in found}:
            fields.note("name", f"{incident.name!r} stands twice; give each incident its own name")
        elif incident is not None:
            found.append(incident)
    if faults.noted:
        raise RuleFileError(faults.noted)
    return tuple(sorted(found, key=lambda each: (each.since_ns, each.name)))


def within(incidents: Iterable[Incident], span: Span) -> list[Incident]:
    """Those that a replay of this span can find."""
    return [each for each in incidents if each.since_ns < span.until_ns and each.until_ns > span.since_ns]


def score(replayed: Replayed, incidents: Sequence[Incident], judged: Sequence[Judged], *, are_all: bool) -> Score:
    """How a rule did. `are_all` says that the incidents are all there were."""
    rule = replayed.rule
    mine = [each for each in incidents if each.concerns(rule.name)]
    tally, unknown = Tally(), 0
    for episode in replayed.episodes:
        is_right = _is_right(rule, episode, mine, judged, are_all=are_all)
        if is_right is None:
            unknown += 1
        else:
            tally += Tally(int(is_right), int(not is_right))
    firsts = {each.name: [e.fired_ns for e in replayed.episodes if each.overlaps(e)] for each in mine}
    delays = tuple(max(0, min(firsts[each.name]) - each.since_ns) for each in mine if firsts[each.name])
    caught = tuple(each.name for each in mine if firsts[each.name])
    return Score(tally, unknown, caught, tuple(each.name for each in mine if not firsts[each.name]), delays)


def _is_right(
    rule: Rule, episode: Episode, incidents: Sequence[Incident], judged: Sequence[Judged], *, are_all: bool
) -> bool | None:
    if any(each.overlaps(episode) for each in incidents):
        return True
    said = [each.is_confirmed for each in judged if _is_behind(each.flag, rule, episode)]
    if said:
        return any(said)
    return False if are_all else None


def _is_behind(flag: Flag, rule: Rule, episode: Episode) -> bool:
    """Whether a flag counted for an alert: of its kinds, in one of the sessions that it names, and of its time."""
    if not isinstance(rule.subject, OfFlags) or (rule.subject.kinds and flag.kind not in rule.subject.kinds):
        return False
    if flag.project != episode.project or session_key(flag.project, flag.session_id) not in episode.sessions:
        return False
    until_ns = episode.resolved_ns or flag.at_ns
    return episode.pending_ns - rule.window_ns <= flag.at_ns <= until_ns


def _entries(text: str, faults: Faults) -> list[Table]:
    try:
        root = read_yaml(text)
    except YamlError as error:
        faults.note(error.at, "", error.reason)
        return []
    if not isinstance(root, Table):
        faults.note(root.at, "", "must be a table with incidents")
        return []
    node = Fields(root, faults, ("incidents",)).node("incidents")
    if not isinstance(node, Items):
        faults.note(Place(1, 1) if node is None else node.at, "incidents", "must be a list of what went wrong")
        return []
    if len(node.items) > MOST_INCIDENTS:
        faults.note(node.at, "incidents", f"at most {MOST_INCIDENTS}")
        return []
    for each in node.items:
        if not isinstance(each, Table):
            faults.note(each.at, "incidents", "must be a table of fields")
    return [each for each in node.items if isinstance(each, Table)]


def _incident(fields: Fields, rules: Collection[str]) -> Incident | None:
    for name, reason in (
        ("name", "say what went wrong"),
        ("since", "say when it began"),
        ("until", "say when it ended"),
    ):
        fields.require(name, reason)
    named = []
    for at, rule in fields.texts("rules"):
        if rule in rules:
            named.append(rule)
        else:
            fields.faults.note(at, "rules", f"there is no rule {rule!r}{meant(rule, rules)}")
    since_ns, until_ns = _time(fields, "since"), _time(fields, "until")
    if since_ns is None or until_ns is None:
        return None
    if until_ns <= since_ns:
        fields.note("until", "must be later than since")
        return None
    return Incident(
        fields.text("name") or "",
        since_ns,
        until_ns,
        tuple(named),
        (fields.text("workflow") or "") if "workflow" in fields else "",
    )


def _time(fields: Fields, name: str) -> int | None:
    text = fields.text(name) if name in fields else None
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fields.note(name, f"{text!r} is no time, such as 2026-11-12T09:40:00Z")
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
