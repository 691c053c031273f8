"""SQL text for ClickHouse with values written into it as literals.

Lists of a thousand binary ids go into a query as literals because the embedded engine takes no external tables, and because
parameters of an HTTP request would not fit its address.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Value = str | bytes | int | Sequence[str | bytes]
"""What can stand in a query: a scalar, or a list for `IN`."""

_PLACE = re.compile(r":([a-z_]+)")
_BYTES = [f"\\x{byte:02x}" for byte in range(256)]
_ESCAPES = str.maketrans({"\\": "\\\\", "'": "\\'", "\0": "\\0"})


def readable(text: str) -> str:
    """The same text with every lone surrogate, which UTF-8 cannot hold, replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def fill(template: str, **values: Value) -> str:
    """The template with each `:name` replaced by the literal of that value. Text in values is never read as SQL.

    An empty list becomes a list that nothing is in. A name without a value raises KeyError.
    """
    return _PLACE.sub(lambda place: _literal(values[place[1]]), template)


def _literal(value: Value) -> str:
    if isinstance(value, str | bytes | int):
        return _scalar(value)
    return f"({','.join(map(_scalar, value))})" if value else "(NULL)"


def _scalar(value: str | bytes | int) -> str:
    if isinstance(value, bytes):
        return f"'{''.join(map(_BYTES.__getitem__, value))}'"
    if isinstance(value, int):
        return str(value)
    try:
        value.encode()
    except UnicodeEncodeError:
        value = readable(value)
    return f"'{value.translate(_ESCAPES)}'"
