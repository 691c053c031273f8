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

# The tests let a real Prometheus scrape the program, and compare what alerts give with a real Alertmanager. Their packages are only
# unpacked here: nothing is installed, and no service starts.
unpack() { # unpack PACKAGE: into the folder that it prints
  local folder
  folder="$(mktemp -d)" && chmod 755 "$folder" && echo "$folder" || return
  cd "$folder" &&
    { apt-get download "$1" >/dev/null 2>&1 || { [ "$(id -u)" = 0 ] && apt-get update -qq && apt-get download "$1" >/dev/null; }; } &&
    dpkg-deb --extract "$1"_*.deb unpacked
}
fetch_prometheus() {
  local folder got=0
  folder="$(unpack prometheus)" && cp "$folder"/unpacked/usr/bin/{prometheus,promtool} .venv/bin/ || got=1
  rm -rf "$folder"
  return $got
}
# Alertmanager reads its default templates from a folder that only the installed package has. A name of the same length makes it look where
# it is started instead.
fetch_alertmanager() {
  local folder got=0
  folder="$(unpack prometheus-alertmanager)" &&
    LC_ALL=C sed 's#/usr/share/prometheus/alertmanager#./././././././././././././././././#g' \
      "$folder/unpacked/usr/bin/prometheus-alertmanager" >.venv/bin/alertmanager &&
    chmod 755 .venv/bin/alertmanager && cp "$folder/unpacked/usr/bin/amtool" .venv/bin/ || got=1
  rm -rf "$folder"
  return $got
}
if command -v apt-get dpkg-deb >/dev/null; then
  command -v prometheus promtool >/dev/null || [ -x .venv/bin/promtool ] || fetch_prometheus ||
    echo "setup: no package of Prometheus to be had; tests that need it will fail until it is: apt-get update" >&2
  [ -x .venv/bin/amtool ] || fetch_alertmanager ||
    echo "setup: no package of Alertmanager to be had; tests that need it will fail until it is: apt-get update" >&2
fi

# The gate checks the types of the pages' scripts, and the tests compile what is exported for Grafana and look at the pages for faults that keep
# people out, with packages of Node.
node_packages="@grafana/schema@13.2.3 axe-core@4.14.1 idiomorph@0.8.0 typescript@5.9.3 uplot@1.6.32"
if command -v npm >/dev/null && [ "$(cat .venv/node/wanted 2>/dev/null)" != "$node_packages" ]; then
  mkdir -p .venv/node &&
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix .venv/node $node_packages >/dev/null &&
    echo "$node_packages" >.venv/node/wanted ||
    echo "setup: no packages of Node to be had; checks that need them will fail until they are" >&2
fi

# The tests open the pages in a browser.
if ! command -v chromium-headless-shell >/dev/null && command -v apt-get >/dev/null; then
  { [ "$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq --yes --no-install-recommends chromium-headless-shell >/dev/null; } ||
    echo "setup: no chromium-headless-shell; tests of the pages take chromium, and fail until one is there: apt-get install chromium-headless-shell" >&2
fi
