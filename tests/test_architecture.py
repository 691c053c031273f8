"""The shape of the code that no linter sees."""

from __future__ import annotations

import ast
import configparser
import functools
import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (ROOT / "src" / "watchpost", ROOT / "core" / "src" / "watchpost_core")
ROOMS = sorted(path.name for path in SOURCES[0].iterdir() if path.is_dir() and path.name != "__pycache__")

LINES = 400
LONGER: dict[str, str] = {}
"""Modules that may be longer than `LINES`, each with the reason."""

VAGUE = {"base", "bases", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
PROTOCOL_METHODS = 4
BROAD_EXCEPT = {
    "src/watchpost/runtime/supervisor.py",
    "src/watchpost/runtime/decode_worker.py",  # hands what went wrong to the other process, as a future does to its waiter
}

NOUNS_MAY_IMPORT = {"watchpost", "watchpost_core", "msgspec"}
"""What nouns and questions may import beside the standard library."""


def modules_in(*folders: Path) -> list[Path]:
    return sorted(path for folder in folders for path in folder.rglob("*.py") if ".peers" not in path.parts)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


MODULES = modules_in(*SOURCES)
EVERYTHING = modules_in(*SOURCES, ROOT / "tests", ROOT / "bench")


@functools.cache
def trees() -> dict[Path, ast.Module]:
    """What the modules say; not read where the tests are merely collected."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}


def imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_no_module_is_longer_than_the_limit() -> None:
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    too_long = {name: length for name, length in lengths.items() if length > LINES and name not in LONGER}
    assert too_long == {}, f"split these, or add them to LONGER with the reason: {too_long}"


def test_every_exception_to_the_length_limit_has_a_reason_and_is_still_needed() -> None:
    for name, reason in LONGER.items():
        assert len(reason.split()) > 3, f"say why {name} is longer"
        assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) > LINES, f"take {name} out of LONGER"


def test_no_module_has_a_vague_name() -> None:
    vague = [named(path) for path in MODULES if VAGUE & set(path.stem.split("_"))]
    vague += [named(path.parent) for path in MODULES if path.parent.name in VAGUE]
    assert vague == [], f"name these after what they hold: {vague}"


def test_every_module_says_what_it_is() -> None:
    silent = [named(path) for path, tree in trees().items() if not ast.get_docstring(tree)]
    assert silent == [], f"these modules have no docstring: {silent}"


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_states_its_promise(room: str) -> None:
    front = SOURCES[0] / room / "__init__.py"
    promise = ast.get_docstring(trees()[front]) if front in trees() else ""
    assert promise, f"{named(front)} has no docstring"
    assert len(promise.split()) >= 5, f"{named(front)} states no promise: {promise!r}"
    assert promise.rstrip().endswith("."), f"{named(front)} does not end in a full sentence"


def is_protocol(node: ast.ClassDef) -> bool:
    names = {ast.unparse(base).split("[")[0] for base in node.bases}
    return bool(names & {"Protocol", "typing.Protocol"})


def test_a_protocol_has_at_most_four_methods() -> None:
    wide = {}
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and is_protocol(node):
                methods = [part.name for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)]
                if len(methods) > PROTOCOL_METHODS:
                    wide[f"{named(path)}:{node.name}"] = methods
    assert wide == {}, f"split these seams by who needs what: {wide}"


def is_detector(node: ast.AST) -> bool:
    if not isinstance(node, ast.ClassDef) or is_protocol(node):
        return False
    return {"see", "rewind"} <= {part.name for part in node.body if isinstance(part, ast.FunctionDef)}


def parts(kind: str) -> set[str]:
    """The modules that are one part of a kind each: a whole folder of them, or those that hold a detector."""
    if kind == "detector":
        detect = (SOURCES[0] / "detect").glob("*.py")
        return {path.stem for path in detect if any(is_detector(node) for node in ast.walk(trees()[path]))}
    folder = SOURCES[0] / {"dialect": "ingest/dialects", "notifier": "alerting/notifiers"}[kind]
    return {path.stem for path in folder.glob("*.py")} - {"__init__", kind}


@pytest.mark.parametrize("kind", ["dialect", "notifier", "detector"])
def test_every_part_of_a_kind_has_a_test_named_for_it(kind: str) -> None:
    tests = {path.stem for path in (ROOT / "tests").rglob("*") if path.suffix in {".py", ".txt"}}
    assert parts(kind), f"found no {kind} at all"
    untested = sorted(part for part in parts(kind) if not any(re.search(rf"(^|_){part}(_|$)", test) for test in tests))
    assert untested == [], f"no file below tests/ is named for {kind} {untested}"


def test_the_contract_for_nouns_forbids_every_dependency_but_msgspec() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    forbidden = set(contracts["importlinter:contract:nouns"]["forbidden_modules"].split())
    used = {name.partition(".")[0] for tree in trees().values() for name in imported(tree)}
    missing = used - set(sys.stdlib_module_names) - NOUNS_MAY_IMPORT - forbidden
    assert missing == set(), f"add to forbidden_modules of the contract 'nouns' in .importlinter: {sorted(missing)}"


def swallows_everything(node: ast.ExceptHandler) -> bool:
    """Whether this handler takes every exception and does not end in raising it again."""
    caught = {part.id for part in ast.walk(node.type) if isinstance(part, ast.Name)} if node.type else {"Exception"}
    last = node.body[-1]
    return bool(caught & {"Exception", "BaseException"}) and not (isinstance(last, ast.Raise) and last.exc is None)


def test_a_broad_except_stands_where_a_thread_or_a_process_would_end_and_nowhere_else() -> None:
    broad = [
        f"{named(path)}:{node.lineno}"
        for path, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and swallows_everything(node) and named(path) not in BROAD_EXCEPT
    ]
    assert broad == [], f"catch what you can act on: {broad}"


def test_every_suppressed_warning_gives_its_reason_on_the_line() -> None:
    silent = []
    for path in EVERYTHING:
        for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
            if token.type == tokenize.COMMENT:
                match = re.match(
                    r"#\s*(noqa(:\s*[A-Z]+[0-9]+(,\s*[A-Z]+[0-9]+)*)?|type:\s*ignore(\[[^\]]*\])?)(?P<why>.*)",
                    token.string,
                )
                if match and len(re.findall(r"\w+", match["why"])) < 3:
                    silent.append(f"{named(path)}:{token.start[0]}")
    assert silent == [], f"say why: {silent}"


def test_the_lock_holds_a_fitting_version_of_every_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [Requirement(line) for line in project["project"]["dependencies"] + project["dependency-groups"]["dev"]]
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = (re.match(r"([A-Za-z0-9._-]+)==(\S+)", line) for line in lines)
    locked = {canonicalize_name(pin[1]): pin[2] for pin in pins if pin}
    missing = [
        str(each)
        for each in wanted
        if each.name != "watchpost-core" and locked.get(canonicalize_name(each.name), "") not in each.specifier
    ]
    assert missing == [], f"run make lock: {missing}"


def spellings(section: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[set[str]]:
    """How each setting can be named: as a variable or by its key; those of a list or map of sections by their key alone."""
    for name, field in section.model_fields.items():
        kind = field.annotation
        inside = [each for each in get_args(kind) if isinstance(each, type) and issubclass(each, BaseModel)]
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from spellings(kind, (*path, name))
        else:
            variable = "WATCHPOST_" + "__".join((*path, name)).upper()
            yield {variable, ".".join((*path, name))} if path else {variable}
        for part in inside:
            yield from ({f"`{key}`"} for key in part.model_fields)


def test_every_setting_of_a_detector_is_documented() -> None:
    from watchpost.detect.catalogue import CATALOGUE  # noqa: PLC0415  the other rules hold without it

    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    keys = [f"{row.section}.{field}" for row in CATALOGUE for field in row.settings.__struct_fields__]
    missing = [key for key in keys if key not in page]
    assert missing == [], f"docs/configuration.md does not explain {missing}"


def test_every_setting_is_documented() -> None:
    from watchpost.runtime.settings import Settings  # noqa: PLC0415  the other rules hold without it

    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    missing = [min(names) for names in spellings(Settings) if not any(name in page for name in names)]
    assert missing == [], f"docs/configuration.md does not explain {missing}"
