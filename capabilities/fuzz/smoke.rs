//! The smoke run of a fuzz target: its corpus, and inputs made from it by a fixed sequence of mutations.
//!
//! Every crate's `fuzz/mod.rs` includes this file in its tests; it belongs to none. It looks for no
//! coverage: that is cargo-fuzz's work, over the same targets (`cargo fuzz run --fuzz-dir CRATE/fuzz NAME`).
//! A run is the same each time and bounded by count. `CAXTON_FUZZ_ROUNDS` makes it longer; with
//! `CAXTON_FUZZ_TELL` each input is printed before it is tried, for failures that end the whole process.

use std::{
    env, fs,
    panic::{self, AssertUnwindSafe},
    path::Path,
};

/// Mutated inputs of an ordinary run, for each target: all targets together take a few seconds.
const ROUNDS: u64 = 2_000;
/// Longest input that is made: longer ones find little more and are slow.
const BYTES_MAX: usize = 16 << 10;
/// What decoders like to trip over.
const PIECES: &[&[u8]] = &[
    b"",
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\n",
    b"\r\n",
    b"\n\n",
    b" ",
    b"/",
    b":",
    b": ",
    b"-",
    b"_",
    b"@",
    b"%",
    b"\"",
    b"{",
    b"[",
    b"}",
    b"]",
    b"&",
    b"=",
    b"#",
    b"'",
    b"0",
    b"-1",
    b"+1",
    b"18446744073709551615",
    b"18446744073709551616",
    b"9223372036854775807",
    b"1e308",
    b"null",
    b"\xc3\xa9",
    b"\xe2\x80\xae",
    b"\x1b[2J",
    b"\\u001b[2J",
    b"\xef\xbb\xbf",
];

/// Gives `target` each file of `folder/corpus/name` and [`ROUNDS`] mutations of them. The target tells
/// whether it took the input; a seed must be taken, unless its file's name starts with `refused`: a
/// corpus of an old format would test nothing.
///
/// # Panics
/// The target panics, which is its way to say no: the input is printed as a command that adds it to the
/// corpus, so that every later run begins with it.
pub(crate) fn smoke(folder: &str, name: &str, target: fn(&[u8]) -> bool) {
    let corpus = Path::new(folder).join("fuzz/corpus").join(name);
    let seeds = seeds(&corpus);
    let mut chance = Chance(fnv(name.as_bytes()));
    let mut seen = 0_u64;
    let tell = asked("CAXTON_FUZZ_TELL").is_some();
    let mut feed = |input: &[u8]| {
        seen += 1;
        if tell {
            eprintln!("{name} {seen}: {}", replay(&corpus, input));
        }
        let ended = panic::catch_unwind(AssertUnwindSafe(|| target(input)));
        ended.unwrap_or_else(|panic| {
            let escaped = input.escape_ascii();
            eprintln!("fuzz target `{name}` failed at input {seen}: b\"{escaped}\"");
            eprintln!("replay: {}", replay(&corpus, input));
            panic::resume_unwind(panic);
        })
    };
    feed(b"");
    for (file, seed) in &seeds {
        let taken = feed(seed) || file.starts_with("refused");
        assert!(taken, "{}/{file} is not taken any more", corpus.display());
    }
    let seeds: Vec<Vec<u8>> = seeds.into_iter().map(|(_, seed)| seed).collect();
    let rounds = asked("CAXTON_FUZZ_ROUNDS");
    for _ in 0..rounds.map_or(ROUNDS, |text| text.parse().expect("a number of rounds")) {
        feed(&chance.input(&seeds));
    }
}

fn seeds(corpus: &Path) -> Vec<(String, Vec<u8>)> {
    let entries =
        fs::read_dir(corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
    let mut seeds: Vec<_> = entries
        .map(|entry| entry.expect("a folder of ours"))
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, fs::read(entry.path()).expect("a file of ours"))
        })
        .collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "{} is empty", corpus.display());
    seeds
}

/// The command that adds an input to the corpus. The file bears its hash: two failures are two files.
fn replay(corpus: &Path, input: &[u8]) -> String {
    let bytes: String = input.iter().map(|byte| format!("\\{byte:03o}")).collect();
    format!(
        "printf '{bytes}' > {}/{:016x}",
        corpus.display(),
        fnv(input)
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test takes no flags; what is asked for makes it longer or louder, not another one"
)]
fn asked(variable: &str) -> Option<String> {
    env::var(variable).ok()
}

/// FNV-1a, 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// SplitMix64: small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 where there is none.
    fn below(&mut self, bound: usize) -> usize {
        let drawn = self.next() % u64::try_from(bound.max(1)).unwrap_or(u64::MAX);
        usize::try_from(drawn).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// A seed with one to five wounds.
    fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(5) {
            self.wound(&mut input, seeds);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn wound(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(input.len() + 1);
        let to = at + self.below((input.len() - at).min(64) + 1);
        match self.below(9) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..to)),
            2 => {
                let twice = input[at..to].to_vec();
                input.splice(at..at, twice);
            }
            3 => {
                let byte = self.byte();
                input.splice(at..to, [byte]);
            }
            4 | 5 => {
                let piece = PIECES[self.below(PIECES.len())];
                let to = if self.below(2) == 0 { at } else { to };
                input.splice(at..to, piece.iter().copied());
            }
            6 => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len() + 1);
                input.splice(at.., other[from..].iter().copied());
            }
            _ => {
                let bit = 1 << self.below(8);
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= bit;
                }
            }
        }
    }
}
