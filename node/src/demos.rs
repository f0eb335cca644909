//! The sample agents inside the binary.

use std::io::Read as _;

use caxton_actors::ports::Digest;

use crate::hex::unhex;

/// A sample agent.
#[derive(Debug)]
pub(crate) struct Demo {
    /// Its name, after `demo:`.
    pub(crate) name: &'static str,
    /// Protocols that it declares.
    pub(crate) protocols: &'static [&'static str],
    /// Services that it offers.
    pub(crate) services: &'static [&'static str],
    /// Limits that it needs beyond the defaults.
    pub(crate) limits: &'static [(&'static str, u64)],
    /// Interfaces that it imports. Who deploys it signs them without asking a node.
    pub(crate) imports: &'static [&'static str],
    bytes: &'static [u8],
    compressed: bool,
}

/// Who built them and what their hashes are.
const MANIFEST: &str = include_str!("../../sandbox/demos/wasm/manifest.toml");
/// Largest demo once unpacked.
const UNPACKED_MAX: u64 = 64 << 20;

macro_rules! demo {
    ($name:literal, $file:literal, $compressed:literal, $imports:expr, $protocols:expr, $services:expr, $limits:expr) => {
        Demo {
            name: $name,
            protocols: $protocols,
            services: $services,
            limits: $limits,
            imports: $imports,
            bytes: include_bytes!(concat!("../../sandbox/demos/wasm/", $file)),
            compressed: $compressed,
        }
    };
}

/// The world `agent`.
const AGENT: &[&str] = &[
    "caxton:agent/kv@0.1.0",
    "caxton:agent/log@0.1.0",
    "caxton:agent/messaging@0.1.0",
    "caxton:agent/secrets@0.1.0",
    "caxton:agent/tools@0.1.0",
    "caxton:agent/types@0.1.0",
];
/// What the C compiler left of it: the program calls none of its functions.
const TYPES: &[&str] = &["caxton:agent/types@0.1.0"];

/// A dispatcher holds a whole text: 8 MiB of content, once in the message and once in its keys.
const WHOLE_TEXT: &[(&str, u64)] = &[
    ("message_bytes", 9 << 20),
    ("copy_bytes", 32 << 20),
    ("outgoing_bytes", 32 << 20),
    ("kv_write_bytes", 32 << 20),
    ("memory_bytes", 192 << 20),
    ("host_calls", 100_000),
    ("cpu", 10_000),
    ("wall", 30_000),
];
/// A counter holds a chunk and its counts, which may be larger than the chunk.
const ONE_CHUNK: &[(&str, u64)] = &[
    ("message_bytes", 1 << 20),
    ("copy_bytes", 4 << 20),
    ("outgoing_bytes", 4 << 20),
    ("cpu", 5_000),
    ("wall", 30_000),
];
/// What speaks of contracts.
const CONTRACTS: &[&str] = &["request", "contract-net"];

/// All of them.
pub(crate) static DEMOS: &[Demo] = &[
    demo!("echo", "echo.wasm", false, AGENT, &[], &[], &[]),
    demo!("tally", "tally.wasm", false, AGENT, &[], &[], &[]),
    demo!("ping", "ping.wasm", false, AGENT, &[], &[], &[]),
    demo!("pong", "pong.wasm", false, AGENT, &[], &["pong"], &[]),
    demo!(
        "dispatcher",
        "dispatcher.wasm",
        false,
        AGENT,
        CONTRACTS,
        &[],
        WHOLE_TEXT
    ),
    demo!(
        "counter-rust",
        "counter-rust.wasm",
        false,
        AGENT,
        CONTRACTS,
        &["word-count"],
        ONE_CHUNK
    ),
    demo!(
        "counter-c",
        "counter-c.wasm",
        false,
        TYPES,
        CONTRACTS,
        &["word-count"],
        ONE_CHUNK
    ),
    demo!(
        "counter-js",
        "counter-js.wasm.gz",
        true,
        AGENT,
        CONTRACTS,
        &["word-count"],
        ONE_CHUNK
    ),
    demo!(
        "counter-python",
        "counter-python.wasm.gz",
        true,
        AGENT,
        CONTRACTS,
        &["word-count"],
        ONE_CHUNK
    ),
];

impl Demo {
    /// Finds one by its name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        DEMOS.iter().find(|demo| demo.name == name)
    }

    /// The hash of its program, from the manifest.
    pub(crate) fn digest(&self) -> Option<Digest> {
        let section = MANIFEST.split(&format!("[{}]\n", self.name)).nth(1)?;
        let line = section
            .lines()
            .find_map(|line| line.strip_prefix("sha256 = \""))?;
        unhex(line.strip_suffix('"')?).map(Digest)
    }

    /// Its program. Unpacking the largest takes some 60 ms: not for an async thread.
    pub(crate) fn program(&self) -> std::io::Result<Vec<u8>> {
        if !self.compressed {
            return Ok(self.bytes.to_vec());
        }
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(self.bytes)
            .take(UNPACKED_MAX)
            .read_to_end(&mut unpacked)?;
        Ok(unpacked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn each_demo_is_what_its_manifest_says() {
        for demo in DEMOS {
            let limits = demo.limits.iter().map(|(name, value)| (*name, *value));
            caxton_sandbox::Limits::checked(limits).unwrap();
            let hash: [u8; 32] = Sha256::digest(demo.program().unwrap()).into();
            assert_eq!(demo.digest(), Some(Digest(hash)), "{}", demo.name);
        }
    }
}
