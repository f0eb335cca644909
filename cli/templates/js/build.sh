#!/bin/sh
# Builds {{name}}.wasm: QuickJS with agent.js in it, 1.6 MB.
set -eu
cd "$(dirname "$0")"
command -v npm >/dev/null || { echo "build.sh: npm is missing; install Node.js 20 or later from https://nodejs.org" >&2; exit 1; }
[ -d node_modules ] || npm install --no-audit --no-fund
npm run --silent build
