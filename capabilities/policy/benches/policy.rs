//! What a decision costs: remembered, by slice, and over everything, beside a look into a hash map.
//!
//! `cargo bench -p caxton-policy`. `-- --smoke` makes a short run of the same code, for tests.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock, prints and fails by panicking"
)]

use std::{
    collections::HashMap,
    hint::black_box,
    time::{Duration, Instant, SystemTime},
};

use caxton_capabilities::{Policies, PolicyRequest, Right};
use caxton_policy::{Engine, PolicyDocument, Source, load};

/// A tenth are about sending, and of these each is about one pair of tenants, as in a cluster with many.
fn documents(rules: usize) -> Vec<PolicyDocument> {
    let rule = |at: usize| {
        let name = format!("rule-{at}");
        match at % 10 {
            0 => format!(
                "@id({name:?}) permit (principal is Agent, action == Action::\"send\", resource is Agent)
                 when {{ principal.tenant == Tenant::\"from-{at}\" && resource.tenant == Tenant::\"to-{at}\" }};\n"
            ),
            1..=4 => format!(
                "@id({name:?}) permit (principal in Group::\"group-{at}\", action in Action::\"observe\", resource)
                 when {{ resource has tenant && resource.tenant == Tenant::\"to-{at}\" }};\n"
            ),
            5..=7 => format!(
                "@id({name:?}) permit (principal is Operator, action in Action::\"manage\", resource is Agent)
                 when {{ resource has owner && resource.owner == principal && context has risk && context.risk < {at} }};\n"
            ),
            _ => format!(
                "@id({name:?}) forbid (principal, action == Action::\"connect\", resource)
                 when {{ context.clock[\"Europe/Berlin\"].minute < 360 && principal in Group::\"group-{at}\" }};\n"
            ),
        }
    };
    let texts: Vec<String> = (0..rules).map(rule).collect();
    let document = |(at, rules): (usize, &[String])| PolicyDocument {
        name: format!("document-{at}").parse().unwrap(),
        version: 1,
        author: "bench".parse().unwrap(),
        text: rules.concat(),
    };
    texts.chunks(250).enumerate().map(document).collect()
}

fn requests(count: usize) -> Vec<PolicyRequest> {
    let request = |at: usize| {
        let right = Right::send(&format!("acme/agent-{at}").parse().unwrap());
        PolicyRequest::of(
            &"acme/sender".parse().unwrap(),
            &right,
            SystemTime::UNIX_EPOCH,
        )
        .unwrap()
    };
    (0..count).map(request).collect()
}

/// p50 and p99 of one call; calls are timed in batches of `batch`, because a clock costs as much as a look-up.
fn measure(budget: Duration, batch: usize, mut call: impl FnMut(usize)) -> (f64, f64) {
    let mut times = Vec::new();
    let begun = Instant::now();
    let mut at = 0;
    while begun.elapsed() < budget || times.len() < 100 {
        let before = Instant::now();
        for _ in 0..batch {
            call(at);
            at += 1;
        }
        times.push(before.elapsed().as_secs_f64() * 1e6 / batch as f64);
    }
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn engine(rules: usize) -> (Engine, Duration) {
    let documents = documents(rules);
    let before = Instant::now();
    let engine = load(&Source {
        epoch: 1,
        owner: None,
        documents: &documents,
    });
    (engine.unwrap(), before.elapsed())
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    let figure = line.and_then(|line| line.split_whitespace().nth(1));
    figure.and_then(|figure| figure.parse().ok()).unwrap_or(0)
}

fn main() {
    let smoke = std::env::args().any(|argument| argument == "--smoke");
    let budget = Duration::from_millis(if smoke { 1 } else { 1_500 });
    let sizes: &[usize] = if smoke {
        &[1, 10]
    } else {
        &[1, 10, 100, 1_000]
    };
    let asked = requests(1_000);
    println!("| a decision on a message, µs | p50 | p99 |\n|---|---|---|");
    let map: HashMap<&PolicyRequest, bool> = asked.iter().map(|one| (one, true)).collect();
    let row = |what: &str, (p50, p99): (f64, f64)| println!("| {what} | {p50:.2} | {p99:.2} |");
    row(
        "a look into a hash map of the same requests",
        measure(budget, 100, |at| {
            black_box(map.get(&asked[at % asked.len()]));
        }),
    );
    for rules in sizes {
        let before = resident_kib();
        let (engine, loading) = engine(*rules);
        let taken = resident_kib().saturating_sub(before);
        assert!(engine.decide(&asked[0]).is_permit());
        row(
            &format!("{rules} policies: remembered"),
            measure(budget, 100, |at| {
                drop(black_box(engine.decide(&asked[at % asked.len()])))
            }),
        );
        row(
            &format!("{rules} policies: by slice"),
            measure(budget, 1, |at| {
                drop(black_box(engine.decide_anew(&asked[at % asked.len()])))
            }),
        );
        row(
            &format!("{rules} policies: every policy and fact, checked against the schema"),
            measure(budget, 1, |at| {
                drop(black_box(
                    engine.decide_by_cedar_alone(&asked[at % asked.len()]),
                ));
            }),
        );
        println!(
            "| {rules} policies: loaded in {:.0} ms, {taken} KiB | | |",
            loading.as_secs_f64() * 1e3
        );
    }
}
