#!/usr/bin/env bash
# Writes requirements.lock: every dependency of pyproject.toml and of its group "dev", with the hash of each file.
# Versions already locked stay where they still fit; delete the lock first to take the newest of everything.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'

# watchpost-core is left out: it is installed from this tree.
"$work/venv/bin/python" - > "$work/requirements.in" <<'PYTHON'
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
print("\n".join(line for line in wanted if not line.startswith("watchpost-core")))
PYTHON

"$work/venv/bin/uv" pip compile --quiet --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --no-header --output-file requirements.lock "$work/requirements.in" > /dev/null
