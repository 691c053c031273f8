"""The gate closes: each tool of `make check` fails on a fault put into a copy of the tree, and names it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NEEDED = (
    ".importlinter",
    "LICENSE",
    "Makefile",
    "README.md",
    "core",
    "docs",
    "pyproject.toml",
    "scripts",
    "src",
    "tests",
    "tsconfig.json",
    "bench/ruff.toml",
)

DETECTOR = "class Flaw:\n    def see(self) -> None: ...\n    def rewind(self) -> None: ..."


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the gate looks at; the benchmarks stay behind. Every test leaves it as it found it."""
    return copied(tmp_path_factory.mktemp("tree"))


def copied(folder: Path) -> Path:
    for name in NEEDED:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
        elif source.exists():
            shutil.copy2(source, target)
    (folder / "bench" / "run.py").write_text('"""Nothing to measure."""\n', encoding="utf-8")
    (folder / ".venv").symlink_to(ROOT / ".venv")
    return folder


@contextmanager
def put_in(tree: Path, faults: dict[str, str]) -> Iterator[None]:
    """The tree with these files beside its own."""
    new = {name: tree / name for name in faults}
    rooms = {path.parent for path in new.values() if not path.parent.exists()}
    assert not any(path.exists() for path in new.values())
    for name, path in new.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(faults[name], encoding="utf-8")
    yield
    for path in new.values():
        path.unlink()
    for room in rooms:
        shutil.rmtree(room)


def fault(text: str) -> str:
    """A module with a docstring and this text from its third line on."""
    return f'"""A fault."""\n\n{text}\n'


def verdict(tree: Path, target: str, faults: dict[str, str]) -> str:
    """What `make target` prints on the tree with these modules put in; it must fail."""
    with put_in(tree, {name: fault(text) if name.endswith(".py") else text for name, text in faults.items()}):
        return made(tree, target)


def made(tree: Path, target: str) -> str:
    environment = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    }
    environment["PYTHONPATH"] = os.pathsep.join([str(tree / "src"), str(tree / "core" / "src")])
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", "COLUMNS": "200", "RUFF_OUTPUT_FORMAT": "concise"}
    run = subprocess.run(["make", target], cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode != 0, f"make {target} let the fault pass:\n{run.stdout}{run.stderr}"
    return run.stdout + run.stderr


@pytest.mark.parametrize(
    ("faults", "named"),
    [
        pytest.param(
            {"src/watchpost/rules/fault.py": "import watchpost.detect"},
            "watchpost.rules.fault -> watchpost.detect",
            id="a-room-imports-its-sibling",
        ),
        pytest.param(
            {"src/watchpost/model/fault.py": "import watchpost.runtime"},
            "watchpost.model.fault -> watchpost.runtime",
            id="a-room-imports-upwards",
        ),
        pytest.param(
            {"src/watchpost/session/fault.py": "import watchpost.store.contracts"},
            "watchpost.session.fault -> watchpost.store.contracts",
            id="a-blind-room-touches-the-store",
        ),
        pytest.param(
            {"src/watchpost/model/fault.py": "import sqlalchemy"},
            "watchpost.model.fault -> sqlalchemy",
            id="a-noun-does-input-and-output",
        ),
        pytest.param(
            {"src/watchpost/server/fault.py": "import watchpost.store.engines"},
            "watchpost.server.fault -> watchpost.store.engines",
            id="a-stranger-reaches-into-the-engines",
        ),
        pytest.param(
            {
                "src/watchpost/detect/fault.py": "import watchpost.detect.flaw",
                "src/watchpost/detect/flaw.py": "import watchpost.detect.fault",
            },
            ".flaw -> .fault",
            id="two-modules-import-each-other",
        ),
        pytest.param(
            {"core/src/watchpost_core/fault.py": "import watchpost.model"},
            "watchpost_core.fault -> watchpost.model",
            id="core-imports-the-server",
        ),
        pytest.param({"src/watchpost/attic/__init__.py": ""}, "attic", id="a-room-stands-in-no-layer"),
    ],
)
def test_import_linter_catches(tree: Path, faults: dict[str, str], named: str) -> None:
    assert named in " ".join(verdict(tree, "check-imports", faults).split())


def test_mypy_catches_a_wrong_type_and_an_explicit_any(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    for room in (tree / "src" / "watchpost").iterdir():
        if room.is_dir() and room.name != "model":
            shutil.rmtree(room)  # the rest of the tree would only cost time
    for folder in ("tests", "scripts"):
        shutil.rmtree(tree / folder)
        (tree / folder).mkdir()
        (tree / folder / f"nothing_of_{folder}.py").write_text("", encoding="utf-8")
    text = (
        'from typing import Any\n\n\ndef count() -> int:\n    return "many"\n\n\ndef whatever(value: Any) -> None: ...'
    )
    said = verdict(tree, "check-types", {"src/watchpost/model/fault.py": text})
    assert 'src/watchpost/model/fault.py:7: error: Incompatible return value type (got "str", expected "int")' in said
    assert 'src/watchpost/model/fault.py:10: error: Explicit "Any" is not allowed' in said


def test_tsc_catches_a_wrong_type_in_a_script(tree: Path) -> None:
    text = "/** @type {number} */\nexport const many = 'many';\n"
    said = verdict(tree, "check-scripts", {"src/watchpost/server/static/js/fault.js": text})
    assert "error TS2322: Type 'string' is not assignable to type 'number'" in said


UNSTYLED = {
    "src/watchpost/model/clock_fault.py": (
        "import datetime\n\nNOW = datetime.datetime.now(datetime.UTC)",
        "TID251",
    ),
    "src/watchpost/model/environment_fault.py": ('import os\n\nHOME = os.environ["HOME"]', "TID251"),
    "src/watchpost/model/random_fault.py": ("from uuid import uuid4\n\nNEW = uuid4()", "TID251"),
    "src/watchpost/model/broad_fault.py": ("try:\n    LIMIT = int('5')\nexcept Exception:\n    LIMIT = 5", "BLE001"),
    "src/watchpost/model/unsorted_fault.py": ('__all__ = ["b", "a"]\na = b = 1', "RUF022"),
    "src/watchpost/model/print_fault.py": ("print(1)", "T201"),
    "tests/test_fault.py": ("from unittest import mock\n\nmock.Mock()", "TID251"),
}
"""By the file of each fault: what is in it, and the rule that forbids it."""


@pytest.fixture(scope="module")
def style(tree: Path) -> list[str]:
    """What the gate says of all of them, a fault a line."""
    return verdict(tree, "check-style", {name: text for name, (text, _) in UNSTYLED.items()}).splitlines()


@pytest.mark.parametrize("name", UNSTYLED)
def test_ruff_catches(style: list[str], name: str) -> None:
    _, code = UNSTYLED[name]
    assert [line for line in style if line.startswith(f"{name}:") and f" {code} " in line] != []


def test_vulture_catches_a_function_that_nobody_calls(tree: Path) -> None:
    said = verdict(tree, "check-dead-code", {"src/watchpost/model/fault.py": "def forgotten() -> None: ..."})
    assert "src/watchpost/model/fault.py:3: unused function 'forgotten'" in said


@pytest.mark.parametrize(
    ("target", "folder", "package"),
    [
        ("check-dependencies", "src/watchpost/model", "tomlkit"),
        ("check-core-dependencies", "core/src/watchpost_core", "httpx"),
    ],
)
def test_deptry_catches_an_undeclared_import(tree: Path, target: str, folder: str, package: str) -> None:
    said = verdict(tree, target, {f"{folder}/fault.py": f"import {package}"})
    assert "fault.py" in said
    assert f"'{package}' imported but" in said


MISSHAPEN = {
    "src/watchpost/model/utils.py": ("", "test_no_module_has_a_vague_name", "src/watchpost/model/utils.py"),
    "src/watchpost/model/long_fault.py": (
        "#\n" * 400,
        "test_no_module_is_longer_than_the_limit",
        "'src/watchpost/model/long_fault.py': 403",
    ),
    "src/watchpost/detect/flaw.py": (
        DETECTOR,
        "test_every_part_of_a_kind_has_a_test_named_for_it[detector]",
        "named for detector ['flaw'",
    ),
    "src/watchpost/attic/__init__.py": (
        "",
        "test_every_room_states_its_promise[attic]",
        "src/watchpost/attic/__init__.py states no promise",
    ),
    "src/watchpost/model/silent_fault.py": (
        "ODD = 1  # noqa: E501",
        "test_every_suppressed_warning_gives_its_reason_on_the_line",
        "src/watchpost/model/silent_fault.py:3",
    ),
    "src/watchpost/model/wide_fault.py": (
        "from typing import Protocol\n\n\nclass Wide(Protocol):\n"
        + "".join(f"    def f{i}(self) -> None: ...\n" for i in range(5)),
        "test_a_protocol_has_at_most_four_methods",
        "src/watchpost/model/wide_fault.py:Wide",
    ),
    "docs/fault.md": (
        "```python\n>>> 1 + 1\n3\n```\n",
        "test_the_examples_on_a_page_give_what_they_show[docs/fault.md]",
        "docs/fault.md",
    ),
}
"""By the file of each fault: what is in it, the test that fails of it, and what that says."""


@pytest.fixture(scope="module")
def shape(tree: Path) -> str:
    """What the gate says of all of them: its tests take as long for one fault as for all."""
    return verdict(tree, "check-architecture", {name: text for name, (text, _, _) in MISSHAPEN.items()})


@pytest.mark.parametrize("name", MISSHAPEN)
def test_the_tests_of_architecture_and_documentation_catch(shape: str, name: str) -> None:
    _, test, named = MISSHAPEN[name]
    failed = [line for line in shape.splitlines() if line.startswith("FAILED ") and f"::{test}" in line]
    assert len(failed) == 1
    assert named in shape
