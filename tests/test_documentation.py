"""What the documentation shows is true: its examples run, its links lead somewhere, its commands exist."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "changelog.d").glob("*.md")])
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]+\]\((?P<target>[^)\s]+)\)")
SOURCES = (ROOT / "src", ROOT / "core" / "src")


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def module_name(path: Path, source: Path) -> str:
    return ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_the_examples_on_a_page_give_what_they_show(page: Path) -> None:
    blocks = [match["body"] for match in FENCE.finditer(page.read_text(encoding="utf-8")) if ">>> " in match["body"]]
    examples = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, named(page), str(page), 0)
    assert doctest.DocTestRunner().run(examples).failed == 0


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_program_on_a_page_prints_what_stands_below_it(page: Path, tmp_path: Path) -> None:
    fences = list(FENCE.finditer(page.read_text(encoding="utf-8")))
    for fence, below in pairwise([*fences, None]):
        if fence is not None and 'if __name__ == "__main__":' in fence["body"]:
            assert below is not None
            assert below["language"] == "text"
            program = tmp_path / "program.py"
            program.write_text(fence["body"], encoding="utf-8")
            done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False, timeout=60)
            assert (done.stdout, done.returncode) == (below["body"], 0), done.stderr


def test_the_examples_in_docstrings_give_what_they_show() -> None:
    for source in SOURCES:
        for path in sorted(source.rglob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8"):
                assert doctest.testmod(importlib.import_module(module_name(path, source))).failed == 0


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    targets = [match["target"].partition("#")[0] for match in LINK.finditer(page.read_text(encoding="utf-8"))]
    broken = [target for target in targets if target and ":" not in target and not (page.parent / target).exists()]
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_make_target_on_a_page_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert shown <= targets, f"no such target: {sorted(shown - targets)}"
