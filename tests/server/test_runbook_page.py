"""Runbooks on a page: the little of Markdown that they are written in, and nothing that becomes markup of its own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from watchpost.rules.pack import runbook, shipped
from watchpost.server.pages.runbook import blocks

TEXT = """# Title

Some words,
and more of them.

## Look first

1. Read `a <b>`: now
   and then.
2. Press.

- one
- two

```
watchpost show
  SESSION
```
"""


def test_headings_steps_lists_and_code_are_told_apart() -> None:
    found = [(block.kind, [str(line) for line in block.lines]) for block in blocks(TEXT)]
    assert found == [
        ("text", ["Some words, and more of them."]),
        ("heading", ["Look first"]),
        ("steps", ["Read <code>a &lt;b&gt;</code>: now and then.", "Press."]),
        ("list", ["one", "two"]),
        ("code", ["watchpost show\n  SESSION"]),
    ]


def test_every_shipped_runbook_reads_as_headings_and_steps() -> None:
    for name in {rule.runbook for rule in shipped().rules}:
        kinds = {block.kind for block in blocks(runbook(name) or "")}
        assert {"heading", "text"} <= kinds, name


@given(st.text(alphabet="#-*1. `<>\n a\u202e", max_size=80))
def test_any_text_is_shown_and_nothing_of_it_is_markup(text: str) -> None:
    for block in blocks(text):
        for line in block.lines:
            assert "<" not in line.replace("<code>", "").replace("</code>", "").replace(
                '<span class="code-point">', ""
            ).replace("</span>", "")
