"""Text from traces on a terminal: what would move the cursor, colour the screen or reorder letters is shown, not done."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with every unprintable character, line breaks too, as its escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
