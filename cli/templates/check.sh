#!/usr/bin/env bash
# Builds each template as `caxton agent new` would write it, in a folder of its own, and tries the program.
#
#   check.sh [LANG...]     rust, c, js, python; all without an argument
#
# What is written: the template with `{{name}}` filled in and `.template` cut off file names, wit/agent.wit, for Rust the
# SDK as sdk/, for C the bindings as bindings/. Uses what sandbox/demos/build.sh keeps in CAXTON_GUEST_CACHE.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
SANDBOX="$HERE/../../sandbox"
CACHE=${CAXTON_GUEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/caxton-guests}
NAME=3d-greeter
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT

write_project() {
  local lang=$1 dir=$2 file target
  while IFS= read -r -d '' file; do
    target="$dir/${file#"$HERE/$lang/"}"
    mkdir -p "$(dirname "$target")"
    sed "s/{{name}}/$NAME/g" "$file" >"${target%.template}"
  done < <(find "$HERE/$lang" -type f -print0)
  chmod +x "$dir/build.sh"
  mkdir -p "$dir/wit"
  cp "$SANDBOX/wit/agent.wit" "$dir/wit/"
  case $lang in
    rust) mkdir -p "$dir/sdk"
      cp -r "$SANDBOX/sdk-rust/Cargo.toml" "$SANDBOX/sdk-rust/src" "$dir/sdk/" ;;
    c) cp -r "$SANDBOX/demos/counter-c/bindings" "$dir/" ;;
  esac
}

langs=("$@")
((${#langs[@]})) || langs=(rust c js python)
for lang in "${langs[@]}"; do
  project="$WORK/$lang/$NAME"
  mkdir -p "$project"
  write_project "$lang" "$project"
  npm_kept=$(find "$CACHE" -maxdepth 2 -path '*/npm-jco-*/node_modules' 2>/dev/null | head -n1)
  py_kept=$(find "$CACHE" -maxdepth 1 -name 'python-*' 2>/dev/null | head -n1)
  if [[ $lang == js && -n $npm_kept ]]; then ln -s "$npm_kept" "$project/node_modules"; fi
  if [[ $lang == python && -n $py_kept ]]; then ln -s "$py_kept" "$project/.venv"; fi
  if [[ $lang == rust ]]; then
    export CARGO_TARGET_DIR="$CACHE/target-template"
    (cd "$project" && cargo test --quiet && cd sdk && cargo test --quiet --features authority)
  fi
  (cd / && "$project/build.sh")
  "$SANDBOX/demos/build.sh" --try "$project/$NAME.wasm" template
  echo "$lang: ok ($(stat -c %s "$project/$NAME.wasm") bytes)"
done
