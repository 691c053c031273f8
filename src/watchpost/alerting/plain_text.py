"""Text that others wrote, made fit to stand in a message."""

from __future__ import annotations


def one_line(text: str, limit: int) -> str:
    """At most `limit` characters on one line, cut with an ellipsis.

    Control characters, line breaks, lone surrogates and what reorders letters become spaces, and spaces in a row become one.
    """
    # Twice the limit is looked at: of ten megabytes no more matters.
    shown = "".join(char if char.isprintable() else " " for char in text[: 2 * limit])
    line = " ".join(shown.split())
    return line if len(line) <= limit and len(text) <= 2 * limit else line[: limit - 1] + "…"


def cut(text: str, limit: int) -> str:
    """At most `limit` characters of a text as it is, cut with an ellipsis; a lone surrogate, which nothing can send, becomes a question mark."""
    kept = text if len(text) <= limit else text[: limit - 1] + "…"
    return kept.encode("utf-8", "replace").decode()


def fault_words(error: Exception) -> str:
    """What an exception says, on one line, else its name; what the system says carries no file and no address."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return one_line(said, 300) or type(error).__name__
