"""What is said of a session as a whole once it has ended: whether it was a success, and whether its SLA was kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from watchpost.detect.sla import Sla
from watchpost.model.session import Summary
from watchpost.runtime.sla import with_sla
from watchpost.runtime.success import FlagKinds, Success, rule_for, succeeded
from watchpost.session.session import Session


class Appraisal:
    """Says it by the settings of this moment; what is stored stays until the session changes."""

    def __init__(self, successes: Sequence[Success] = (), slas: Sequence[Sla] = ()) -> None:
        """Of the rules and of the agreements the first that fits a workflow holds."""
        self._successes = tuple(successes)
        self._slas = tuple(slas)

    def of(self, session: Session, summary: Summary, flags: Callable[[Session], FlagKinds]) -> Summary:
        """The summary with what is to be said of a session that ended; `flags` are the kinds of those that stand in one."""
        if session.state != "ended":
            return summary
        rule = rule_for(self._successes, summary.workflow)
        success = succeeded(rule, session, flags(session) if rule.without else {})
        return with_sla(session, msgspec.structs.replace(summary, success=success), self._slas)
