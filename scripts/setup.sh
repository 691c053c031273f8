#!/usr/bin/env bash
# Fills .venv with what requirements.lock names, each file checked against its hash, and with the two packages of this tree.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python="${PYTHON:-python3}"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "setup: $python is older than Python 3.11; name a newer one: make setup PYTHON=python3.11" >&2
  exit 1
}
[ ! -L .venv ] || {
  echo "setup: .venv is a link; installing into it would point the checkout it belongs to at this one" >&2
  exit 1
}
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable core --editable .

# The tests let a real Prometheus scrape the program. Its package is only unpacked here: nothing is installed, and no service starts.
fetch_prometheus() {
  local folder got=0
  folder="$(mktemp -d)" && chmod 755 "$folder" || return
  (
    cd "$folder" &&
      { apt-get download prometheus >/dev/null 2>&1 || { [ "$(id -u)" = 0 ] && apt-get update -qq && apt-get download prometheus >/dev/null; }; } &&
      dpkg-deb --extract prometheus_*.deb unpacked
  ) && cp "$folder"/unpacked/usr/bin/{prometheus,promtool} .venv/bin/ || got=1
  rm -rf "$folder"
  return $got
}
if ! command -v prometheus promtool >/dev/null && [ ! -x .venv/bin/promtool ] && command -v apt-get dpkg-deb >/dev/null; then
  fetch_prometheus || echo "setup: no package of Prometheus to be had; tests that need it will fail until it is: apt-get update" >&2
fi
