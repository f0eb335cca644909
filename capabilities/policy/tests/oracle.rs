//! Slices and cache against Cedar's own authorizer over the whole set, for random policies and requests.
//!
//! 40,000 requests at each run. A million: `cargo run --release -p caxton-policy --example million`.

mod random;

use random::compare;

#[test]
fn slices_and_cache_decide_as_cedar_does_over_the_whole_set() {
    let per_set = 1_000;
    let seen = compare(0x00ca_1170, 40, 24, per_set);
    assert_eq!(seen.differences, 0, "{seen:?}");
    assert_eq!(seen.requests, 40_000);
    for (what, count) in [
        ("permitted", seen.permits),
        ("forbidden", seen.forbidden),
        ("failed", seen.undecided),
        ("asked elsewhere", seen.elsewhere),
    ] {
        assert!(count > seen.requests / 200, "only {count} were {what}");
    }
}
