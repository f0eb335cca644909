//! What a capability token costs on this machine, beside the bare signatures that it stands on, in one run.
//!
//! `cargo bench -p caxton-capabilities --bench token`: about ten seconds. Times are of single operations; what is
//! beside them is measured in turn with them, so that a busy moment hits both.
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
#![expect(clippy::print_stdout, reason = "a measurement prints")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails is to stop")]

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use aws_lc_rs::signature::{
    KeyPair as _, ML_DSA_65, ML_DSA_65_SIGNING, ParsedPublicKey, PqdsaKeyPair,
};
use caxton_capabilities::{
    Caveats, Grant, HolderKey, Issuer, IssuerKey, Issuers, Moment, Request, Revoked, Right, Rights,
    Terms, Token, TokenCache, TokenDigest, verify::verify,
};
use ed25519_dalek::{Signer as _, SigningKey};

/// Single measurements of each figure.
const ROUNDS: usize = 4_000;

fn main() {
    // `cargo test --all-targets` runs benchmarks too, without this word.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let bare = Bare::new();
    let now = Moment::from_seconds(1_800_000_000).unwrap();
    println!("| what | bytes | p50 | p99 | beside it, same run | p50 | ratio |");
    println!("|---|---|---|---|---|---|---|");
    for blocks in 1..=5 {
        verify_cold(&bare, blocks, now);
    }
    authorize_cached(2, now);
    authorize_cached(5, now);
}

/// From bytes to [`verify`]'s answer, beside the same number of bare verifications.
fn verify_cold(bare: &Bare, blocks: usize, now: Moment) {
    let (issuers, revoked) = (issuers(now), Revoked::default());
    let bytes = chain(blocks, now).to_bytes();
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        times.0.push(timed(|| {
            let token = Token::from_bytes(black_box(&bytes)).unwrap();
            verify(&token, &issuers, &revoked, now).unwrap()
        }));
        times.1.push(timed(|| bare.verify(blocks)));
    }
    let what = format!("verify, {blocks} blocks");
    let beside = format!("bare: 1 ML-DSA-65, {blocks} Ed25519");
    print(&what, bytes.len(), times, &beside);
}

/// A token that is known: with its digest at hand, and with its bytes alone.
fn authorize_cached(blocks: usize, now: Moment) {
    let (issuers, revoked) = (issuers(now), Revoked::default());
    let bytes = chain(blocks, now).to_bytes();
    let mut cache = TokenCache::new(1_000);
    cache.verified(&bytes, &issuers, &revoked, now).unwrap();
    let digest = TokenDigest::of(&bytes);
    let right = Right::send(&"acme/one".parse().unwrap());
    let request = Request::new(&right, now);
    let mut times = (Vec::new(), Vec::new());
    let mut whole = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS * 10 {
        times.0.push(timed(|| {
            let known = cache.get(black_box(&digest), &issuers, &revoked).unwrap();
            known.authorize(black_box(&request)).unwrap()
        }));
        whole.0.push(timed(|| {
            let known = cache.verified(black_box(&bytes), &issuers, &revoked, now);
            known.unwrap().authorize(black_box(&request)).unwrap()
        }));
        let hash = timed(|| TokenDigest::of(black_box(&bytes)));
        whole.1.push(hash);
        times.1.push(hash);
    }
    let beside = "SHA-256 of its bytes";
    let what = format!("authorize, known, digest at hand, {blocks} blocks");
    print(&what, bytes.len(), times, beside);
    let what = format!("authorize, known, from bytes, {blocks} blocks");
    print(&what, bytes.len(), whole, beside);
}

/// The signatures of a chain, and nothing else.
struct Bare {
    quantum: (ParsedPublicKey, Vec<u8>),
    classical: (ed25519_dalek::VerifyingKey, ed25519_dalek::Signature),
    message: Vec<u8>,
}

impl Bare {
    fn new() -> Self {
        let message = vec![7; 128];
        let key = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, &[1; 32]).unwrap();
        let mut signature = vec![0; ML_DSA_65_SIGNING.signature_len()];
        key.sign(&message, &mut signature).unwrap();
        let public = ParsedPublicKey::new(&ML_DSA_65, key.public_key()).unwrap();
        let holder = SigningKey::from_bytes(&[2; 32]);
        Self {
            quantum: (public, signature),
            classical: (holder.verifying_key(), holder.sign(&message)),
            message,
        }
    }

    fn verify(&self, blocks: usize) {
        let (key, signature) = &self.quantum;
        key.verify_sig(black_box(&self.message), signature).unwrap();
        let (key, signature) = &self.classical;
        for _ in 0..blocks {
            key.verify_strict(black_box(&self.message), signature)
                .unwrap();
        }
    }
}

fn issuer() -> IssuerKey {
    IssuerKey::from_secret(&[1; 64]).unwrap()
}

fn issuers(now: Moment) -> Issuers {
    let one = Issuer::of_cluster(issuer().public().clone(), now.after(86_400)).unwrap();
    Issuers::try_new("acme.example".parse().unwrap(), 1, [one]).unwrap()
}

/// A sealed token of so many blocks, each of four rights.
fn chain(blocks: usize, now: Moment) -> Token {
    let grants = ["send acme/*", "read acme/*", "kv acme#*", "trace acme/*"];
    let holder = HolderKey::from_secret(&[3; 32]);
    let terms = |open: bool, caveats: Caveats| Terms {
        subject: None,
        rights: Rights::try_new(grants.map(|text| text.parse::<Grant>().unwrap())).unwrap(),
        caveats,
        holder: open.then(|| holder.public()),
    };
    let times = Caveats {
        not_before: Some(now),
        expires: Some(now.after(3_600)),
        ..Caveats::default()
    };
    let domain = "acme.example".parse().unwrap();
    let begun = Token::issue(&issuer(), domain, terms(blocks > 1, times), [0; 16]).unwrap();
    (1..blocks).fold(begun, |token, nth| {
        let next = terms(nth + 1 < blocks, Caveats::default());
        token.attenuate(&holder, next, [1; 16]).unwrap()
    })
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let begun = Instant::now();
    black_box(work());
    begun.elapsed()
}

fn print(what: &str, bytes: usize, times: (Vec<Duration>, Vec<Duration>), beside: &str) {
    let (mut mine, mut others) = times;
    let (p50, p99) = (quantile(&mut mine, 50), quantile(&mut mine, 99));
    let other = quantile(&mut others, 50);
    let ratio = p50 / other;
    println!(
        "| {what} | {bytes} | {p50:.2} µs | {p99:.2} µs | {beside} | {other:.2} µs | {ratio:.2} |"
    );
}

/// In microseconds.
fn quantile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let place = times.len().saturating_sub(1) * percent / 100;
    let time = times.get(place).copied().unwrap_or_default();
    time.as_secs_f64() * 1e6
}
