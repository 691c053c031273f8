"""The gate closes: each tool of `make check` fails on a fault put into a copy of the tree, and names it."""

from __future__ import annotations

import os
import shutil
import subprocess
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


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the gate looks at; the benchmarks stay behind."""
    for name in NEEDED:
        source, target = ROOT / name, tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy2(source, target)
    (tmp_path / "bench" / "run.py").write_text('"""Nothing to measure."""\n', encoding="utf-8")
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


def verdict(tree: Path, target: str, faults: dict[str, str]) -> str:
    """What `make target` prints on the tree with the faults put in; it must fail."""
    for name, text in faults.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""A fault."""\n\n{text}\n', encoding="utf-8")
    environment = {
        name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    }
    environment["PYTHONPATH"] = os.pathsep.join([str(tree / "src"), str(tree / "core" / "src")])
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", "COLUMNS": "200"}
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


def test_mypy_catches_a_wrong_type_and_an_explicit_any(tree: Path) -> None:
    for room in (tree / "src" / "watchpost").iterdir():
        if room.is_dir() and room.name != "model":
            shutil.rmtree(room)  # the rest of the tree would only cost time
    shutil.rmtree(tree / "tests")
    (tree / "tests").mkdir()
    (tree / "tests" / "test_nothing.py").write_text("", encoding="utf-8")
    text = (
        'from typing import Any\n\n\ndef count() -> int:\n    return "many"\n\n\ndef whatever(value: Any) -> None: ...'
    )
    said = verdict(tree, "check-types", {"src/watchpost/model/fault.py": text})
    assert 'src/watchpost/model/fault.py:7: error: Incompatible return value type (got "str", expected "int")' in said
    assert 'src/watchpost/model/fault.py:10: error: Explicit "Any" is not allowed' in said


def test_tsc_catches_a_wrong_type_in_a_script(tree: Path) -> None:
    fault = tree / "src" / "watchpost" / "server" / "static" / "js" / "fault.js"
    fault.write_text("/** @type {number} */\nexport const many = 'many';\n", encoding="utf-8")
    said = verdict(tree, "check-scripts", {})
    assert "error TS2322: Type 'string' is not assignable to type 'number'" in said


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("src/watchpost/model/fault.py", "import datetime\n\nNOW = datetime.datetime.now(datetime.UTC)", "TID251"),
        ("src/watchpost/model/fault.py", 'import os\n\nHOME = os.environ["HOME"]', "TID251"),
        ("src/watchpost/model/fault.py", "from uuid import uuid4\n\nNEW = uuid4()", "TID251"),
        ("src/watchpost/model/fault.py", "try:\n    LIMIT = int('5')\nexcept Exception:\n    LIMIT = 5", "BLE001"),
        ("src/watchpost/model/fault.py", '__all__ = ["b", "a"]\na = b = 1', "RUF022"),
        ("src/watchpost/model/fault.py", "print(1)", "T201"),
        ("tests/test_fault.py", "from unittest import mock\n\nmock.Mock()", "TID251"),
    ],
)
def test_ruff_catches(tree: Path, name: str, text: str, code: str) -> None:
    said = verdict(tree, "check-style", {name: text})
    assert code in said
    assert name in said


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


@pytest.mark.parametrize(
    ("name", "text", "named"),
    [
        ("src/watchpost/model/utils.py", "", "src/watchpost/model/utils.py"),
        ("src/watchpost/model/fault.py", "#\n" * 400, "src/watchpost/model/fault.py"),
        ("src/watchpost/detect/flaw.py", DETECTOR, "named for detector ['flaw'"),
        ("src/watchpost/attic/__init__.py", "", "src/watchpost/attic/__init__.py states no promise"),
        ("src/watchpost/model/fault.py", "ODD = 1  # noqa: E501", "src/watchpost/model/fault.py:3"),
        (
            "src/watchpost/model/fault.py",
            "from typing import Protocol\n\n\nclass Wide(Protocol):\n"
            + "".join(f"    def f{i}(self) -> None: ...\n" for i in range(5)),
            "src/watchpost/model/fault.py:Wide",
        ),
    ],
    ids=["vague-name", "too-long", "untested-detector", "silent-room", "reasonless-noqa", "wide-protocol"],
)
def test_the_architecture_test_catches(tree: Path, name: str, text: str, named: str) -> None:
    assert named in verdict(tree, "check-architecture", {name: text})


def test_the_examples_of_the_documentation_are_run(tree: Path) -> None:
    (tree / "docs" / "fault.md").write_text("```python\n>>> 1 + 1\n3\n```\n", encoding="utf-8")
    assert "docs/fault.md" in verdict(tree, "check-architecture", {})
