#!/bin/sh
# Builds {{name}}.wasm. The node makes a component of it when it is deployed.
set -eu
cd "$(dirname "$0")"
target=wasm32-unknown-unknown

if [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
  cargo build --release --target "$target"
elif [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] && [ -d /usr/lib/rustlib/src/rust/library ]; then
  # Debian: the compiler knows the target but has no library for it, so that is compiled as well (a minute, once).
  RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19 \
    /usr/bin/cargo build --release --target "$target" -Z build-std=std,panic_abort
else
  echo "build.sh: no Rust for $target. Run: rustup target add $target" >&2
  echo "          or, on Debian: apt-get install rustc-web rust-web-src cargo-web lld-19" >&2
  exit 1
fi
cp "${CARGO_TARGET_DIR:-target}/$target/release/agent.wasm" "{{name}}.wasm"
