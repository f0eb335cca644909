//! Keys in real software tokens: SoftHSM (PKCS#11 2.40, no ML-DSA) and Kryoptic (3.2).
//!
//! A test whose token library is not installed says so on stderr and passes. SoftHSM is looked for
//! where Debian puts it (`apt-get install softhsm2`), Kryoptic where `CAXTON_KRYOPTIC` points: the
//! crate `kryoptic` 1.5.4, built with `--features pqc` against OpenSSL 3.5 or later.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as the tests do"
)]

mod envelope;
mod fixture;
mod key;
mod opening;
