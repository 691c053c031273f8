"""The documentation as a site: nothing in it leads nowhere, all pages are reached, and its search finds what stands in them."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urldefrag

import pytest
from playwright.sync_api import Browser, expect
from visitor import PHONE, Visitor

from docs_markdown import written
from docs_site import ROOT, BrokenDocsError, address, build


class Links(HTMLParser):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.ids: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - HTMLParser hands it over
        for name, value in attrs:
            if name in {"href", "src", "data-index"}:
                self.targets.append(value or "")
            elif name == "id":
                self.ids.add(value or "")


class Quietly(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    build(folder)
    return folder


@pytest.fixture
def reader(site: Path, chromium: Browser) -> Iterator[Visitor]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quietly, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        reader = Visitor(chromium, f"http://127.0.0.1:{server.server_port}")
        yield reader
        reader.close()
        server.shutdown()
    assert reader.complaints == []


def test_every_link_and_every_picture_leads_to_something_in_the_site(site: Path) -> None:
    pages = {path.resolve(): Links(path) for path in site.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for target in page.targets:
            if target.startswith(("http:", "https:", "mailto:")):
                continue
            name, anchor = urldefrag(target)
            there = (path.parent / name).resolve() if name else path
            if not there.is_file() or (anchor and anchor not in pages[there].ids):
                broken.append(f"{path.relative_to(site)}: {target}")
    assert broken == []
    assert len(pages) > 60


def test_every_page_of_the_documentation_is_reached_from_the_front_page(site: Path) -> None:
    reached = set(Links(site / "index.html").targets)
    pages = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if address(page) not in reached] == []


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("prices.md", "[gone](gone.md)", "docs/prices.md: gone.md leads nowhere"),
        ("prices.md", "[gone](rules.md#gone)", "docs/prices.md: docs/rules.md has no #gone"),
        ("prices.md", "![gone](images/gone.webp)", "docs/prices.md: there is no picture images/gone.webp"),
        ("new.md", "# New", "docs/new.md is in no group of GROUPS"),
    ],
)
def test_what_leads_nowhere_fails_the_build(tmp_path: Path, file: str, text: str, complaint: str) -> None:
    root = tmp_path / "root"
    (root / "docs").mkdir(parents=True)
    for there, copied in ((ROOT, root), (ROOT / "docs", root / "docs")):
        for each in there.iterdir():
            if each.name not in {"docs", file}:
                (copied / each.name).symlink_to(each)
    before = (ROOT / "docs" / file).read_text(encoding="utf-8") if (ROOT / "docs" / file).exists() else ""
    (root / "docs" / file).write_text(f"{before}\n{text}\n", encoding="utf-8")
    with pytest.raises(BrokenDocsError) as error:
        build(tmp_path / "site", root)
    assert str(error.value).splitlines() == [complaint]


def test_anchors_are_those_that_github_makes() -> None:
    page = written("# One\n\n## `a_b`, c: D!\n\n## Two\n\n## Two\n\n## Two\n", str, lambda _: {})
    assert [section.anchor for section in page.sections] == ["one", "a_b-c-d", "two", "two-1", "two-2"]


def test_html_in_the_text_is_shown_and_not_obeyed() -> None:
    page = written("# One\n\n<script>x</script> `<b>`\n\n```html\n<i>\n```\n", str, lambda _: {})
    assert "<script" not in page.html
    assert "<b>" not in page.html
    assert "<i>" not in page.html


def test_words_lead_to_the_section_where_they_stand(reader: Visitor) -> None:
    page = reader.open("/adr/index.html")
    page.keyboard.press("/")
    page.keyboard.type("schema drift")
    expect(page.locator(".found a").first).to_contain_text("TOOL_SCHEMA_DRIFT")
    page.keyboard.press("Enter")
    page.wait_for_url("**/detectors.html#tool_schema_drift")
    page.locator(".code").first.hover()
    expect(page.locator(".code button").first).to_be_visible()


@pytest.mark.parametrize("path", ["/index.html", "/configuration.html", "/bench/results.html"])
def test_pages_are_read_on_a_phone_without_a_script(reader: Visitor, path: str) -> None:
    page = reader.open(path, PHONE, script=False)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    page.locator(".rail summary.menu").click()
    expect(page.locator(".rail a[href$='detectors.html']")).to_be_visible()


def test_every_anchor_that_the_readme_names_is_there() -> None:
    targets: list[str] = []

    def link(target: str) -> str:
        targets.append(target)
        return target

    written((ROOT / "README.md").read_text(encoding="utf-8"), link, lambda _: {})
    named = [urldefrag(target) for target in targets if ":" not in target and "#" in target]
    assert named
    for name, anchor in named:
        there = written((ROOT / name).read_text(encoding="utf-8"), str, lambda _: {"light": ""})
        assert anchor in there.anchors(), f"{name}#{anchor}"


def test_every_picture_kept_is_shown_somewhere_and_small() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    shown = {name for page in pages for name in re.findall(r"images/([\w-]+\.\w+)", page.read_text(encoding="utf-8"))}
    shown |= {name.replace("-light-", "-dark-") for name in shown}
    kept = {path.name: path.stat().st_size for path in (ROOT / "docs" / "images").iterdir()}
    assert [name for name in kept if name not in shown] == []
    assert {name: size for name, size in kept.items() if size > 150_000} == {}
