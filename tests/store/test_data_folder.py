"""What the data folder promises."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from watchpost.store.folder import DataFolder, FolderDamagedError, FolderHeldError, FolderNewerError, Holder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "data"


def test_a_new_folder_is_for_its_owner_only(path: Path) -> None:
    folder = DataFolder.open(path)
    inside = [folder.log, folder.telemetry, folder.tmp]
    assert {stat.S_IMODE(p.stat().st_mode) for p in [path, *inside]} == {0o700}
    files = [folder.state, *(p for p in path.iterdir() if p.is_file() and p.name != "format")]
    assert {stat.S_IMODE(p.stat().st_mode) for p in files} == {0o600}
    folder.close()


def test_a_held_folder_names_its_holder_and_where_it_serves(path: Path) -> None:
    folder = DataFolder.open(path)
    with pytest.raises(FolderHeldError) as silent:
        DataFolder.open(path)
    assert silent.value.holder == Holder(os.getpid(), "")
    folder.announce("http://127.0.0.1:8484")
    with pytest.raises(FolderHeldError, match=rf"{os.getpid()}.*http://127\.0\.0\.1:8484"):
        DataFolder.open(path)
    folder.announce("x")
    with pytest.raises(FolderHeldError) as short:
        DataFolder.open(path)
    assert short.value.holder.address == "x"
    folder.close()
    DataFolder.open(path).close()


def test_a_killed_holder_lets_the_folder_go(path: Path) -> None:
    program = "import sys, time; from pathlib import Path; from watchpost.store.folder import DataFolder\n"
    program += "f = DataFolder.open(Path(sys.argv[1])); f.announce('here'); (f.tmp / 'left').touch(); print(flush=True); time.sleep(99)"
    with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(FolderHeldError) as held:
            DataFolder.open(path)
        assert held.value.holder == Holder(holder.pid, "here")
        holder.kill()
        holder.wait()
        folder = DataFolder.open(path)
        assert list(folder.tmp.iterdir()) == []
        folder.close()


def test_the_key_is_random_and_stays(path: Path, tmp_path: Path) -> None:
    first = DataFolder.open(path)
    first.close()
    again = DataFolder.open(path)
    again.close()
    other = DataFolder.open(tmp_path / "other")
    other.close()
    assert len(first.key) == 32
    assert again.key == first.key != other.key


def test_a_folder_of_a_newer_program_is_refused(path: Path) -> None:
    DataFolder.open(path).close()
    (path / "format").write_text("2\n")
    with pytest.raises(FolderNewerError) as newer:
        DataFolder.open(path)
    assert newer.value.found == 2
    (path / "format").write_text("1\n")
    DataFolder.open(path).close()


@pytest.mark.parametrize(("name", "content"), [("format", b"\xff"), ("format", b""), ("key", b"short")])
def test_a_damaged_folder_says_which_file(path: Path, name: str, content: bytes) -> None:
    DataFolder.open(path).close()
    (path / name).write_bytes(content)
    with pytest.raises(FolderDamagedError) as damaged:
        DataFolder.open(path)
    assert damaged.value.file == path / name


def test_a_folder_with_files_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(FolderDamagedError, match=r"thesis\.txt"):
        DataFolder.open(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"thesis.txt", "lock"}


def test_a_folder_whose_making_was_cut_short_is_made_again(path: Path) -> None:
    path.mkdir(parents=True)
    (path / "lock").touch()
    (path / "format.new").write_text("")
    DataFolder.open(path).close()
    assert (path / "format").read_text() == "1\n"
