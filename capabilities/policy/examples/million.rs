//! The oracle's long run: a million random requests, decided by slice and cache and by Cedar alone.
//! Another seed: `-- SEED`.

#[path = "../tests/random/mod.rs"]
mod random;

#[expect(clippy::print_stdout, reason = "its whole purpose is what it prints")]
fn main() {
    let seed = std::env::args().nth(1).and_then(|seed| seed.parse().ok());
    let seen = random::compare(seed.unwrap_or(1), 500, 24, 2_000);
    println!("{seen:?}");
    assert_eq!(seen.differences, 0, "slices or cache decide unlike Cedar");
}
