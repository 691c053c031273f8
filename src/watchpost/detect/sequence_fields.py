"""The fields of one step as conditions see them."""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

import msgspec

from watchpost.detect.sequence_pattern import Condition, StepPattern, Test
from watchpost.model.step import Step

MOST_VALUES = 64
"""Values of one field that are looked at, where a list holds more."""

LONGEST = 200
"""Characters of a value that are kept; a longer one is told from others by a digest."""

_ORDERS: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}

Scalar = str | int | float | bool


class Fields:
    """What went into a step and what came out of it; read once, and only when a condition asks."""

    def __init__(self, step: Step) -> None:
        self._step = step
        self._read: dict[str, object] = {}

    def values(self, side: Literal["arguments", "result"], path: Sequence[str]) -> list[Scalar]:
        """The scalars of a field: one, or those in a list, or of the same field of all items of a list; `null` is none."""
        if side not in self._read:
            self._read[side] = _parsed(self._step.arguments if side == "arguments" else self._step.result)
        return [each for each in _walk([self._read[side]], path) if isinstance(each, str | int | float | bool)]

    def has(self, side: Literal["arguments", "result"], path: Sequence[str]) -> bool:
        """Whether a field is there and not `null`."""
        return bool(self.values(side, path)) or any(each is not None for each in _walk([self._read[side]], path))


def _parsed(text: str) -> object:
    if text[:1] not in ("{", "["):
        return None
    try:
        return msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return None


def _walk(found: list[object], path: Sequence[str]) -> list[object]:
    for name in path:
        found = [each[name] for each in _entered(found) if isinstance(each, dict) and name in each]
    return list(_entered(found))


def _entered(found: list[object]) -> Iterator[object]:
    """Each value, of a list its items."""
    left = MOST_VALUES
    for each in found:
        for item in each if isinstance(each, list) else (each,):
            if not left:
                return
            left -= 1
            yield item


def text_of(value: Scalar) -> str:
    """How a value is written, whether it is a text or not, so that `4711` and `"4711"` are the same; bounded by `LONGEST`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    text = str(value)
    if len(text) <= LONGEST:
        return text
    return f"{text[: LONGEST - 33]} {hashlib.blake2b(text.encode(errors='surrogatepass'), digest_size=16).hexdigest()}"


def fits(pattern: StepPattern, step: Step, fields: Fields) -> bool:
    """Whether a step is one of those meant, as far as that does not depend on what other steps bound."""
    return (
        (pattern.kind is None or pattern.kind == step.kind)
        and (not pattern.names or _is_named(step.tool or step.name, pattern.names))
        and _stands(pattern, step)
        and (not pattern.error_type or fnmatchcase(step.error_type, pattern.error_type))
        and (not pattern.agent or fnmatchcase(step.agent, pattern.agent))
        and (not pattern.says or pattern.says.casefold() in step.result.casefold())
        and all(holds(each, fields) for each in pattern.conditions if not each.variable)
    )


def _is_named(name: str, patterns: tuple[str, ...]) -> bool:
    return _fits_a_pattern(name, patterns) if len(name) <= LONGEST else _fits_a_pattern.__wrapped__(name, patterns)


@lru_cache(4096)
def _fits_a_pattern(name: str, patterns: tuple[str, ...]) -> bool:
    """Names recur, and looking at one takes longer than remembering it."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _stands(pattern: StepPattern, step: Step) -> bool:
    match pattern.standing:
        case "":
            return True
        case "refused":
            return not step.ran
        case "failed":
            return step.status == "error"
        case standing:
            return step.status == standing


def holds(condition: Condition, fields: Fields, bound: str | None = None) -> bool:
    """Whether a condition holds, of the value that its variable is bound to where it names one."""
    if condition.test == "is there":
        return fields.has(condition.side, condition.path)
    values = fields.values(condition.side, condition.path)
    expected = condition.value if bound is None else bound
    if condition.test == "!=":
        return bool(values) and all(text_of(each) != expected for each in values)
    return any(_compare(condition.test, each, expected) for each in values)


def _compare(test: Test, value: Scalar, expected: str) -> bool:
    if test in _ORDERS:
        return not isinstance(value, bool | str) and _ORDERS[test](value, float(expected))
    if test == "contains":
        return isinstance(value, str) and expected.casefold() in value.casefold()
    return fnmatchcase(text_of(value), expected) if test == "like" else text_of(value) == expected
