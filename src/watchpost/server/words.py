"""What people write of themselves and of their reasons: bounded, and nothing in it that steers a display."""

from __future__ import annotations

from watchpost.server.problem import ParameterError


def line(field: str, text: str, most: int) -> str:
    """One line without the space around it; raises `ParameterError` for more than `most` characters, or one that cannot be seen."""
    text = text.strip()
    if len(text) > most or not text.isprintable():
        raise ParameterError(field, f"is at most {most} printable characters")
    return text


def note(field: str, text: str, most: int) -> str:
    """The same of a text of several lines."""
    text = text.replace("\r\n", "\n").strip()
    if len(text) > most or not text.translate({10: None, 9: None}).isprintable():
        raise ParameterError(field, f"is at most {most} printable characters")
    return text
