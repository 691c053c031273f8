"""Markdown of the documentation as HTML: headings with anchors, code with colours, links that the caller resolves, and the words of each section."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import msgspec
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import escape
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

_PLAIN = {"", "text"}


class Section(msgspec.Struct, frozen=True):
    """A heading and all words below it, until the next; `anchor` is empty for what stands before the first heading below the title."""

    anchor: str
    heading: str
    level: int
    text: str


class Written(msgspec.Struct, frozen=True):
    """A page: its title, its HTML without the title, and its sections in order."""

    title: str
    html: str
    sections: Sequence[Section]

    def anchors(self) -> set[str]:
        """What an address may name after its `#`."""
        return {section.anchor for section in self.sections}


def written(markdown: str, link: Callable[[str], str], image: Callable[[str], Mapping[str, str]]) -> Written:
    """A page as HTML. `link` gives where a target leads, `image` the sources of a picture by theme, `light` and, where there is one, `dark`.

    The first heading is the title and is left out. HTML in the text is shown, not obeyed.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(markdown)
    sections = _sections(tokens)
    body = _without_title(tokens)
    for token in body:
        for child in token.children or ():
            if child.type == "link_open":
                child.attrSet("href", link(str(child.attrGet("href"))))

    def picture(_: object, tokens: Sequence[Token], at: int, *_rest: object) -> str:
        return _picture(tokens[at], image)

    for name, rule in (*_RULES.items(), ("image", picture)):
        parser.add_render_rule(name, rule)
    return Written(sections[0].heading, str(parser.renderer.render(body, parser.options, {})), sections)


def slug(heading: str, taken: Mapping[str, int]) -> str:
    """The anchor of a heading as GitHub makes it: lower case, without punctuation, a number where it stood before."""
    plain = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
    return f"{plain}-{taken[plain]}" if plain in taken else plain


def _sections(tokens: Sequence[Token]) -> list[Section]:
    """The title's section first, with the words before any other heading. Gives each heading its id."""
    found: list[Section] = []
    taken: dict[str, int] = {}
    words: list[str] = []
    anchor, heading, level = "", "", 1
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            if words or heading:
                found.append(Section(anchor, heading, level, " ".join(words)))
            heading, level, words = _text(tokens[at + 1]), int(token.tag[1]), []
            anchor = slug(heading, taken)
            plain = slug(heading, {})
            taken[plain] = taken.get(plain, 0) + 1
            token.attrSet("id", anchor)
        elif token.type == "inline" and tokens[at - 1].type != "heading_open":
            words.append(_text(token))
        elif token.type in {"fence", "code_block"}:
            words.append(" ".join(token.content.split()))
    return [*found, Section(anchor, heading, level, " ".join(words))]


def _text(token: Token) -> str:
    parts = (
        " " if child.type in {"softbreak", "hardbreak"} else child.content
        for child in token.children or ()
        if child.type in {"text", "code_inline", "softbreak", "hardbreak"}
    )
    return "".join(parts)


def _without_title(tokens: Sequence[Token]) -> list[Token]:
    end = next(at for at, token in enumerate(tokens) if token.type == "heading_close")
    return [*tokens[end + 1 :]]


def _heading_close(_: object, tokens: Sequence[Token], at: int, *_rest: object) -> str:
    opened = tokens[at - 2]
    anchor, words = escape(str(opened.attrGet("id"))), escape(_text(tokens[at - 1]))
    return f' <a class="anchor" href="#{anchor}" aria-label="Link to “{words}”">#</a></{opened.tag}>\n'


def _fence(_: object, tokens: Sequence[Token], at: int, *_rest: object) -> str:
    token = tokens[at]
    language = token.info.strip()
    return f'<div class="code" data-language="{escape(language)}"><pre tabindex="0"><code>{_coloured(token.content, language)}</code></pre></div>\n'


def _coloured(code: str, language: str) -> str:
    if language == "python" and code.startswith(">>> "):
        language = "pycon"
    try:
        lexer = None if language in _PLAIN else get_lexer_by_name(language)
    except ClassNotFound:
        lexer = None
    return str(escape(code)) if lexer is None else str(highlight(code, lexer, HtmlFormatter(nowrap=True)))


def _picture(token: Token, image: Callable[[str], Mapping[str, str]]) -> str:
    words = escape(_text(token))
    sources = image(str(token.attrGet("src")))
    return "".join(
        f'<img class="shown{" in-" + theme if len(sources) > 1 else ""}" src="{escape(source)}" alt="{words}" loading="lazy">'
        for theme, source in sources.items()
    )


def _table_open(*_: object) -> str:
    return '<div class="scroll" tabindex="0"><table>\n'


def _table_close(*_: object) -> str:
    return "</table></div>\n"


def _code(_: object, tokens: Sequence[Token], at: int, *_rest: object) -> str:
    """A name in code may go on in the next line after a mark, and nowhere else; the name of an option stays whole."""
    code = tokens[at].content
    if code.startswith("-"):
        return f'<code class="option">{escape(code)}</code>'
    parts = (escape(part) for part in re.split(r"(?<=[_./=,:])(?=\w)", code))
    return f"<code>{'<wbr>'.join(parts)}</code>"


_RULES: Mapping[str, Callable[[object, Sequence[Token], int, object, object], str]] = {
    "code_inline": _code,
    "fence": _fence,
    "heading_close": _heading_close,
    "table_open": _table_open,
    "table_close": _table_close,
}
"""What is written otherwise than the parser's own renderer does."""
