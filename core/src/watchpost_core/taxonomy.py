"""What kind of error a failure is, decided the same way by server and SDK from what was reported of it.

The decision is a walk over tables, from the strongest evidence to the weakest; the first that says something is the answer:

1. `STOPPED`: the work was cancelled, which is no error of any type.
2. `SURE`: exceptions of which each means one thing, whoever raised it.
3. `FINISHED`: why the model says that it stopped.
4. Databases: a driver's exception or a database named in the message, and words for a lost connection.
5. `SPECIFIC`: wording that means one thing, such as a provider's own error codes.
6. `STATUS`: the HTTP status, given or read in the message.
7. `NAMED`: exceptions whose meaning depends on who raised them; first the one reported, then those named in the message.
8. `GENERAL`: wording whose meaning depends on who said it.
9. A 4xx that nothing explains, a token limit, then what a failure of this kind is by default.

Who raised it: the kind says so for steps; structural spans carry the error of something beneath, so there the exception
and the message say whether a model or a tool failed, and where neither does, the answer may be None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from watchpost_core import error_evidence as evidence
from watchpost_core import error_wording as wording
from watchpost_core.error_evidence import ErrorType, Side
from watchpost_core.error_wording import Wording

Severity = Literal["critical", "high", "error", "warning", "info"]

Stance = Literal["at once", "investigate", "investigate when frequent", "fix per tool", "log"]
"""What a team does about errors of a group."""

LONGEST = 2_000
"""Characters of a message that are looked at."""


@dataclass(frozen=True, slots=True)
class Group:
    """Error types that are handled alike, and how badly one error of them counts."""

    name: Literal["infrastructure", "llm behaviour", "tool", "validation"]
    stance: Stance
    severity: Severity


_INFRASTRUCTURE = Group("infrastructure", "at once", "critical")
_RUNAWAY = Group("llm behaviour", "investigate", "high")
_LLM = Group("llm behaviour", "investigate when frequent", "warning")
_TOOL = Group("tool", "fix per tool", "error")
_VALIDATION = Group("validation", "log", "info")

GROUPS: Mapping[ErrorType, Group] = {
    "llm_api_unreachable": _INFRASTRUCTURE,
    "database_connection_failed": _INFRASTRUCTURE,
    "tool_server_down": _INFRASTRUCTURE,
    "llm_infinite_loop": _RUNAWAY,
    "llm_context_overflow": _RUNAWAY,
    "llm_invalid_tool_call": _LLM,
    "llm_refused_request": _LLM,
    "tool_execution_failed": _TOOL,
    "tool_timeout": _TOOL,
    "tool_invalid_response": _TOOL,
    "output_validation_failed": _VALIDATION,
    "guardrail_triggered": _VALIDATION,
    "llm_rate_limited": Group("infrastructure", "investigate when frequent", "warning"),
    "prompt_injection": Group("validation", "investigate", "high"),
    "handoff_failed": Group("llm behaviour", "investigate when frequent", "error"),
}
"""Every error type and how it is handled."""


class Failure(NamedTuple):
    """What is known of one failed span.

    `kind` is a step kind or a structural kind. `exception` is a type's name as reported, dotted or not; a status such as
    "500" and placeholders such as "_OTHER" do no harm. `message` is the text of the status, the exception or the error
    content, whichever says most. `finish_reason` is the provider's or the framework's word. Empty and None mean unknown.
    """

    kind: str
    exception: str = ""
    message: str = ""
    http_status: int | None = None
    finish_reason: str = ""


def classify(failure: Failure) -> ErrorType | None:
    """The type of a failure, or None where the evidence allows none; never raises, and looks at `LONGEST` characters."""
    message = failure.message[:LONGEST]
    text = message.lower()
    names = [failure.exception, *_names_in(message)]
    classes = [name.rpartition(".")[2] for name in names]
    if classes[0] in evidence.STOPPED or message.partition("(")[0] in evidence.STOPPED:
        return None
    side = _side(failure.kind, names, classes, text)
    finished = failure.finish_reason.lower().replace("-", "_")
    return (
        next((evidence.SURE[name] for name in classes if name in evidence.SURE), None)
        or evidence.FINISHED.get(finished)
        or _database(names, classes, text, side)
        or _worded(wording.SPECIFIC, text, side)
        or _by_status(status := _status(failure, text), side)
        or _named(classes, side)
        or _worded(wording.GENERAL, text, side)
        or _otherwise(failure.kind, classes[0], status, finished, side)
    )


_NAME = re.compile(r"[A-Za-z_](?:\w|\.(?=\w))*")
_LOOKS_LIKE_A_NAME = re.compile(r"[a-z](?:Error|Exception|Timeout|Triggered|Exceeded)\b")
_CODE = re.compile(r"\b[45]\d\d\b")
_STATUS = re.compile(
    r"""(?:error\ code|status[ _]?code|\bstatus|\bhttp(?:/[\d.]{1,3})?)["']?[\ :=(]{1,3}["']?([45]\d\d)\b
    |(?:^|error:\ |error\ ['"]|\()([45]\d\d)\ (?:client\ |server\ |internal|bad|unauth|forbidden|not[ _]found|too\ |service
    |gateway|request|payment|resource_ex|unavailable|deadline|invalid_arg|permission|\{)""",
    re.VERBOSE,
)


def _names_in(message: str) -> list[str]:
    """Names of exceptions that wrappers put into their own message, in order."""
    if not _LOOKS_LIKE_A_NAME.search(message):
        return []
    return [name for name in _NAME.findall(message) if name.rpartition(".")[2] in evidence.KNOWN]


def _side(kind: str, names: list[str], classes: list[str], text: str) -> Side:
    """Who failed. A model client's own exception says it whatever the kind, for tools and checks call models too."""
    side = evidence.SIDES.get(kind, "run")
    if side == "model" or _any_begins(names, evidence.MODEL_CLIENTS):
        return "model"
    if side != "run" or kind == "handoff":
        return side
    for name in classes:
        if name in evidence.SPEAKERS:
            return evidence.SPEAKERS[name]
    return next((told for phrase, told in wording.TELLTALES if phrase in text), side)


def _any_begins(names: list[str], beginnings: tuple[str, ...]) -> bool:
    return any(name.startswith(beginnings) for name in names)


def _database(names: list[str], classes: list[str], text: str, side: Side) -> ErrorType | None:
    driver = not evidence.DRIVER_ERRORS.isdisjoint(classes) or _any_begins(names, evidence.DRIVERS)
    if not driver and (side == "model" or not _holds(text, wording.DATABASES)):
        return None
    if (driver and not evidence.UNCONNECTED.isdisjoint(classes)) or _holds(text, wording.DISCONNECTED):
        return "database_connection_failed"
    if "connect" in text and _holds(text, wording.LOST):
        return "database_connection_failed"
    return "tool_execution_failed" if driver else None


def _worded(rules: tuple[Wording, ...], text: str, side: Side) -> ErrorType | None:
    if not text:
        return None
    for means, says, also, exactly in rules:
        if (
            side in means
            and _holds(text, says)
            and (not also or _holds(text, also))
            and (exactly is None or exactly.search(text))
        ):
            return means[side]
    return None


def _holds(text: str, phrases: tuple[str, ...]) -> bool:
    for phrase in phrases:  # noqa: SIM110 any() over a generator takes twice as long, and this is most of the time
        if phrase in text:
            return True
    return False


def _status(failure: Failure, text: str) -> int:
    """The HTTP status of a failure from 400, 0 where none is told."""
    if failure.http_status is not None and failure.http_status >= 400:
        return failure.http_status
    if _CODE.fullmatch(failure.exception):
        return int(failure.exception)
    found = _STATUS.search(text) if _CODE.search(text) else None
    return int(found[1] or found[2]) if found else 0


def _by_status(status: int, side: Side) -> ErrorType | None:
    means = evidence.STATUS.get(status, evidence.SERVER_ERROR if 500 <= status < 600 else {})
    return means.get(side)


def _named(classes: list[str], side: Side) -> ErrorType | None:
    for name in classes:
        means = evidence.NAMED.get(name)
        if means and side in means:
            return means[side]
    return None


def _otherwise(kind: str, name: str, status: int, finished: str, side: Side) -> ErrorType | None:
    if side == "model":
        if 400 <= status < 500:
            return "llm_refused_request"
        if finished in evidence.TRUNCATED:
            return "llm_context_overflow"
        if name in evidence.MISTAKES:
            return None
    return evidence.SIDE_DEFAULTS.get(side) or evidence.DEFAULTS.get(kind)
