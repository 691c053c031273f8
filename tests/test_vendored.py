"""What is kept of others' scripts and styles is what their packages carry."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VENDOR = ROOT / "src" / "watchpost" / "server" / "static" / "vendor"
PACKAGES = ROOT / ".venv" / "node" / "node_modules"

ROWS = [
    tuple(cell.strip() for cell in line.strip("|").split("|"))
    for line in (VENDOR / "README.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| [\w.]+\.(js|css) ", line)
]


def test_every_file_kept_is_named_with_its_package_and_licence() -> None:
    assert {row[0] for row in ROWS} == {path.name for path in VENDOR.iterdir()} - {"README.md"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_file_kept_is_byte_for_byte_that_of_its_package(row: tuple[str, ...]) -> None:
    name, package, version, inside, licence, digest = row
    kept = (VENDOR / name).read_bytes()
    assert hashlib.sha256(kept).hexdigest() == digest
    manifest = json.loads((PACKAGES / package / "package.json").read_text(encoding="utf-8"))
    assert (manifest["version"], manifest["license"]) == (version, licence)
    assert kept == (PACKAGES / package / inside).read_bytes()
