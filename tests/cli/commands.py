"""Commands run in this process, in a folder of their own, as `watchpost` on the command line runs them."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from watchpost.cli.main import main


@dataclasses.dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def fault(self) -> str:
        """The one line on standard error; fails the test if the command wrote anything else."""
        assert self.out == ""
        assert self.err.startswith("watchpost: "), self.err
        assert self.err.count("\n") == 1, self.err
        return self.err.removeprefix("watchpost: ").rstrip("\n")


class Shell:
    """Runs commands in `folder`."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.chdir(folder)
        monkeypatch.delenv("COLUMNS", raising=False)

    def __call__(self, *command: str) -> Ended:
        """Run one command to its end."""
        self._monkeypatch.setattr(sys, "argv", ["watchpost", *command])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capsys.readouterr()
        return Ended(int(ended.value.code or 0), said.out, said.err)

    def configure(self, settings: str) -> None:
        """Write `watchpost.toml`."""
        (self.folder / "watchpost.toml").write_text(settings, encoding="utf-8")
