#!/bin/sh
# Builds {{name}}.wasm. The node makes a component of it when it is deployed.
set -eu
cd "$(dirname "$0")"
libc=/usr/lib/wasm32-wasi
builtins=/usr/lib/llvm-19/lib/clang/19/lib/wasi/libclang_rt.builtins-wasm32.a

for needed in "$libc/crt1-reactor.o" "$builtins" /usr/bin/clang-19 /usr/bin/wasm-ld-19; do
  if [ ! -e "$needed" ]; then
    echo "build.sh: $needed is missing. Run: apt-get install clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32" >&2
    exit 1
  fi
done
# The stack comes first in memory: one that runs over traps instead of overwriting data.
clang-19 --target=wasm32-wasi --sysroot=/usr -isystem /usr/include/wasm32-wasi -L"$libc" -Oz -Wall -Wextra \
  -mexec-model=reactor -nostdlib "$libc/crt1-reactor.o" handler.c bindings/agent.c bindings/agent_component_type.o \
  -lc "$builtins" -Wl,--strip-debug,--stack-first -o "{{name}}.wasm"
