"""The wheels hold everything the program needs at run time, and nothing of the machine that built them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def built(project: Path, into: Path) -> zipfile.ZipFile:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(into)]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    (wheel,) = into.glob("*.whl")
    return zipfile.ZipFile(wheel)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return built(ROOT, tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return built(ROOT / "core", tmp_path_factory.mktemp("core"))


def test_the_server_wheel_holds_every_file_of_the_package(server: zipfile.ZipFile) -> None:
    source = ROOT / "src"
    files = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    wanted = {path.as_posix() for path in files if "__pycache__" not in path.parts}
    assert wanted - set(server.namelist()) == set()


@pytest.mark.parametrize("part", ["server/templates/", "server/static/", "migrations/", "py.typed"])
def test_the_server_wheel_holds(server: zipfile.ZipFile, part: str) -> None:
    assert any(part in name for name in server.namelist())


def test_the_core_wheel_is_marked_as_typed(core: zipfile.ZipFile) -> None:
    assert "watchpost_core/py.typed" in core.namelist()


def test_the_wheels_carry_the_licence(server: zipfile.ZipFile, core: zipfile.ZipFile) -> None:
    for wheel in (server, core):
        assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_the_wheels_name_no_path_of_the_machine_that_built_them(
    server: zipfile.ZipFile, core: zipfile.ZipFile, tmp_path: Path
) -> None:
    paths = [str(ROOT), str(Path.home()), sys.prefix, str(tmp_path.parent)]
    for wheel in (server, core):
        for name in wheel.namelist():
            found = [path for path in paths if path.encode() + b"/" in wheel.read(name)]
            assert found == [], f"{name} names {found}"


def test_the_wheel_offers_the_command(server: zipfile.ZipFile) -> None:
    (entry_points,) = [name for name in server.namelist() if name.endswith("entry_points.txt")]
    assert "watchpost = watchpost.cli.main:main" in server.read(entry_points).decode()
