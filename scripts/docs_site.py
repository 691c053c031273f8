"""Builds the documentation as a site of files: `make docs` writes `site/`, which any web server can hand out.

Pages come from docs/, the look from the product's own style sheets. A link that leads nowhere, or a page that no group of `GROUPS` names, fails the build.
"""

from __future__ import annotations

import argparse
import posixpath
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from docs_markdown import Section, Written, written

ROOT = Path(__file__).resolve().parents[1]
LOOK = Path(__file__).resolve().parent / "docs_look"
STATIC = ROOT / "src" / "watchpost" / "server" / "static"
TAKEN_OVER = ("css/tokens.css", "css/frame.css", "css/parts.css", "js/theme.js", "js/themes.js", "icon.svg")
"""Files of the product's pages that these pages use as they are."""

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Start", ("docs/README.md", "docs/first-five-minutes.md", "docs/pages.md", "docs/readiness.md", "docs/importing.md")),
    ("Send", ("docs/frameworks/*", "docs/propagation.md", "docs/dialects.md", "docs/feedback.md")),
    ("Detect", ("docs/detectors.md", "docs/contracts.md", "docs/errors.md", "docs/success-and-sla.md", "docs/releases.md")),
    ("Ask", ("docs/search.md", "docs/measures.md", "docs/spending.md", "docs/prices.md")),
    ("Alert", ("docs/rules.md", "docs/routing.md", "docs/channels.md", "docs/alerts.md", "docs/inbound.md", "docs/backtesting.md", "docs/exporting-alerts.md")),
    ("Operate", ("docs/operations.md", "docs/redaction.md", "docs/retention.md", "docs/erasure.md", "docs/prometheus.md")),
    ("Reference", ("docs/configuration.md", "docs/api.md", "bench/README.md", "bench/RESULTS.md", "CONTRIBUTING.md")),
    ("Decisions", ("docs/adr/*",)),
)  # fmt: skip
"""The navigation: files in their order. `*` is a folder: its README.md, and folded below it all its other pages by name."""

SHORTER = {
    "docs/README.md": "Overview",
    "bench/README.md": "Benchmarks",
    "bench/RESULTS.md": "Results",
    "docs/adr/README.md": "Decisions",
}
"""Names in the navigation that are not the page's title."""

FRONT = "docs/README.md"
_LONGEST_TEXT = 6_000
"""Characters of a section that can be searched."""


class BrokenDocsError(Exception):
    """What is wrong with the pages, one line each."""


class Leaf(msgspec.Struct, frozen=True):
    """A page in the navigation, and those folded below it; names are of files below the root."""

    name: str
    below: tuple[str, ...] = ()


class Found(msgspec.Struct, frozen=True):
    """What the search looks through: one section. Short names, for there are many."""

    u: str
    """Where it stands."""
    p: str
    """The page's title."""
    h: str
    """The heading; empty for the beginning of a page."""
    t: str
    """Its words."""


def main() -> int:
    """Build into the folder of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "site")
    out: Path = parser.parse_args().out
    try:
        pages = build(out)
    except BrokenDocsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(
        f"{pages} pages in {out}; to look: {sys.executable} -m http.server --directory {out} --bind 127.0.0.1\n"
    )
    return 0


def build(out: Path, root: Path = ROOT) -> int:
    """Write the site of the pages below `root` into `out`, replacing what is there; returns how many pages it has.

    Raises `BrokenDocsError` where a page is in no group, a group names none, or a link leads nowhere.
    """
    site = _Site(root)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name, content in site.files():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return len(site.order)


def leaves(root: Path, patterns: Sequence[str]) -> Iterator[Leaf]:
    """The pages of a group."""
    for pattern in patterns:
        if pattern.endswith("/*"):
            folder = root / pattern.removesuffix("/*")
            names = [path.relative_to(root).as_posix() for path in sorted(folder.glob("*.md"))]
            first = f"{folder.relative_to(root).as_posix()}/README.md"
            yield Leaf(first, tuple(name for name in names if name != first))
        else:
            yield Leaf(pattern)


def address(name: str) -> str:
    """Where a page stands in the site: docs/ is its root, and a README is the front of its folder."""
    path = PurePosixPath(name.removeprefix("docs/"))
    if path.name == "README.md":
        return (path.parent / "index.html").as_posix()
    return path.with_suffix(".html").as_posix().lower() if path.suffix == ".md" else f"files/{path}.html"


class _Site:
    """All pages, read and linked with each other."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._groups = [(heading, tuple(leaves(root, patterns))) for heading, patterns in GROUPS]
        self.order = [name for _, group in self._groups for leaf in group for name in (leaf.name, *leaf.below)]
        self._sources: dict[str, Path] = {}
        self._pictures: dict[str, Path] = {}
        self._wrong: list[str] = []
        self._check_all_are_named()
        self._wanted: list[tuple[str, str, str]] = []
        self._pages = {name: self._read(name) for name in self.order}
        self._wrong += [
            f"{name}: {target} has no #{anchor}"
            for name, target, anchor in self._wanted
            if anchor not in self._pages[target].anchors()
        ]
        if self._wrong:
            raise BrokenDocsError("\n".join(self._wrong))

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Every file of the site: its name and what stands in it."""
        page = _template()
        for at, name in enumerate(self.order):
            yield address(name), self._rendered(page, at, name).encode()
        for target, path in self._sources.items():
            yield address(target), self._shown(page, target, path).encode()
        for target, path in self._pictures.items():
            yield target, path.read_bytes()
        for target in TAKEN_OVER:
            yield f"look/{target}", (STATIC / target).read_bytes()
        for path in sorted(LOOK.glob("*.[cj]s*")):
            yield f"look/{path.suffix[1:]}/{path.name}", path.read_bytes()
        yield "search.json", msgspec.json.encode([*self._searched()])

    def _check_all_are_named(self) -> None:
        there = {path.relative_to(self._root).as_posix() for path in (self._root / "docs").rglob("*.md")}
        self._wrong += [f"{name} is in no group of GROUPS" for name in sorted(there - set(self.order))]
        missing = [name for name in self.order if not (self._root / name).is_file()]
        if missing:
            raise BrokenDocsError("\n".join(f"GROUPS names {name}, which is not there" for name in missing))

    def _read(self, name: str) -> Written:
        def link(target: str) -> str:
            return self._resolved(name, target)

        def image(target: str) -> Mapping[str, str]:
            return self._images(name, target)

        return written((self._root / name).read_text(encoding="utf-8"), link, image)

    def _resolved(self, name: str, target: str) -> str:
        """Where a link of a page leads in the site."""
        path, _, anchor = target.partition("#")
        if ":" in path:
            return target
        there = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) if path else name
        if (self._root / there).is_dir() and f"{there}/README.md" in self.order:
            there = f"{there}/README.md"
        if there in self.order:
            if anchor:
                self._wanted.append((name, there, anchor))
            return relative(name, there) + (f"#{anchor}" if anchor else "") if path else target
        if (self._root / there).exists() and not anchor:
            self._keep(there)
            return relative(name, there)
        self._wrong.append(f"{name}: {target} leads nowhere")
        return target

    def _keep(self, there: str) -> None:
        """Show a file of the source in the site; of a folder, each file in it."""
        path = self._root / there
        self._sources[there] = path
        if path.is_dir():
            for each in _texts(path):
                self._sources[f"{there}/{each.name}"] = each

    def _images(self, name: str, target: str) -> Mapping[str, str]:
        there = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        found = {"light": there}
        if "-light-" in there and (self._root / there.replace("-light-", "-dark-")).is_file():
            found["dark"] = there.replace("-light-", "-dark-")
        if not (self._root / there).is_file():
            self._wrong.append(f"{name}: there is no picture {target}")
        for each in found.values():
            self._pictures[each.removeprefix("docs/")] = self._root / each
        up = up_from(address(name))
        return {theme: up + each.removeprefix("docs/") for theme, each in found.items()}

    def _rendered(self, page: Environment, at: int, name: str) -> str:
        text = self._pages[name]
        outline = [section for section in text.sections[1:] if section.level == 2]
        beside = {
            way: (relative(name, self.order[there]), self._title(self.order[there]))
            for way, there in (("previous", at - 1), ("next", at + 1))
            if 0 <= there < len(self.order)
        }
        return self._laid_out(page, name, text.title, Markup(text.html), outline=outline, beside=beside)  # noqa: S704 - made by our own renderer, which escapes

    def _shown(self, page: Environment, target: str, path: Path) -> str:
        if path.is_dir():
            rows = [
                f'<li><a href="{relative(target, f"{target}/{each.name}")}">{each.name}</a></li>'
                for each in _texts(path)
            ]
            body = Markup("<ul>{}</ul>").format(Markup("".join(rows)))  # noqa: S704 - names of our own files
        else:
            body = Markup('<div class="code"><pre tabindex="0"><code>{}</code></pre></div>').format(
                path.read_text(encoding="utf-8")
            )
        return self._laid_out(page, target, target, body, outline=[], beside={})

    def _laid_out(
        self,
        page: Environment,
        name: str,
        title: str,
        body: Markup,
        *,
        outline: Sequence[Section],
        beside: Mapping[str, tuple[str, str]],
    ) -> str:
        groups = [
            (
                heading,
                [
                    (
                        self._title(leaf.name),
                        relative(name, leaf.name),
                        leaf.name == name,
                        self._folded(name, leaf),
                        name in (leaf.name, *leaf.below),
                    )
                    for leaf in group
                ],
            )
            for heading, group in self._groups
        ]
        return page.get_template("page.html").render(
            title=title,
            body=body,
            groups=groups,
            up=up_from(address(name)),
            outline=outline,
            beside=beside,
            front=relative(name, FRONT),
        )

    def _folded(self, name: str, leaf: Leaf) -> list[tuple[str, str, bool]]:
        return [(self._title(each), relative(name, each), each == name) for each in leaf.below]

    def _title(self, name: str) -> str:
        return SHORTER.get(name) or self._pages[name].title

    def _searched(self) -> Iterator[Found]:
        for name in self.order:
            text = self._pages[name]
            for section in text.sections:
                anchor = f"#{section.anchor}" if section.level > 1 else ""
                heading = section.heading if section.level > 1 else ""
                yield Found(address(name) + anchor, text.title, heading, section.text[:_LONGEST_TEXT])


def relative(name: str, there: str) -> str:
    """How one page names another."""
    return posixpath.relpath(address(there), posixpath.dirname(address(name)) or ".")


def up_from(where: str) -> str:
    """How a page names the root of the site."""
    return "../" * where.count("/")


def _texts(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.suffix in {".py", ".md", ".yaml", ".toml", ".txt"}]


def _template() -> Environment:
    return Environment(
        loader=FileSystemLoader(LOOK), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


if __name__ == "__main__":
    sys.exit(main())
