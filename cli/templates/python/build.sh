#!/bin/sh
# Builds {{name}}.wasm: CPython with app.py in it, 18 MB.
set -eu
cd "$(dirname "$0")"
if [ ! -x .venv/bin/componentize-py ]; then
  python3 -m venv .venv || { echo "build.sh: no venv; on Debian run: apt-get install python3-venv" >&2; exit 1; }
  .venv/bin/pip install --quiet componentize-py==0.25.1
fi
.venv/bin/componentize-py -d wit -w agent componentize --stub-wasi app -o "{{name}}.wasm"
