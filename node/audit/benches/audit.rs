//! What a batch costs beside the write and flush that no log can do without, in the same run on the same disk.
//!
//! `cargo bench -p caxton-audit`; a minute. A folder to measure in can be given as an argument.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark measures, prints and fails by panicking"
)]

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use caxton_audit::{
    AuditKey, Ending, Event, EventType, Frontier, KeyKind, Log, Origin, Terms, Timestamp,
    leaf_hash, verify,
};

const SECONDS: u64 = 4;

fn event(number: u64) -> Event {
    let at = Timestamp::from_millis(1_790_000_000_000 + i64::try_from(number).unwrap());
    let mut event = Event::new(
        at,
        EventType::AuthorizationDeny,
        "spiffe://acme.example/operator/ada",
        "agent.stop",
        &format!("acme/agent-{number}"),
    )
    .ended(Ending::Denied, "no rule allows it");
    event.context.node = Some("node-1".to_owned().try_into().unwrap());
    event.context.trace_id = Some(
        "4bf92f3577b34da6a3ce929d0e0e4736"
            .to_owned()
            .try_into()
            .unwrap(),
    );
    event
}

/// In µs; `percent` of the times are below it.
fn quantile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let time = times.get((times.len() * percent / 100).min(times.len() - 1));
    time.map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

/// Runs for some seconds; p50 and p99 in µs, and how many events a second.
fn run(batch: u64, mut once: impl FnMut()) -> (f64, f64, f64) {
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < Duration::from_secs(SECONDS) {
        let started = Instant::now();
        once();
        times.push(started.elapsed());
    }
    let rate = (times.len() as u64 * batch) as f64 / begun.elapsed().as_secs_f64();
    (quantile(&mut times, 50), quantile(&mut times, 99), rate)
}

fn main() {
    let given = std::env::args()
        .nth(1)
        .filter(|argument| !argument.starts_with('-'));
    let parent = given.map_or_else(std::env::temp_dir, PathBuf::from);
    println!(
        "| events of a batch | events/s | p50 | p99 | beside: bare writes and flushes of the same bytes | ratio of p50: one flush, two |"
    );
    println!("|---|---|---|---|---|---|");
    for batch in [1, 8, 64, 512] {
        row(&parent, batch);
    }
    let mut frontier = Frontier::default();
    let lines: Vec<String> = (0..1_000).map(|n| event(n).to_line()).collect();
    let (tree, _, _) = run(1, || {
        lines
            .iter()
            .for_each(|line| frontier.push(leaf_hash(line.as_bytes()), |_| {}))
    });
    println!(
        "\nTree alone: {:.2} µs for each leaf of {} B, {} leaves at the end.",
        tree / 1_000.0,
        lines.first().map_or(0, String::len),
        frontier.size()
    );
}

fn row(parent: &Path, batch: u64) {
    let events: Vec<Event> = (0..batch).map(event).collect();
    let bytes: Vec<u8> = events
        .iter()
        .flat_map(|event| (event.to_line() + "\n").into_bytes())
        .collect();
    let folder = tempfile::tempdir_in(parent).unwrap();
    let (mut one, mut two) = (
        File::create(folder.path().join("one")).unwrap(),
        File::create(folder.path().join("two")).unwrap(),
    );
    let (bare, bare99, _) = run(batch, || {
        one.write_all(&bytes).unwrap();
        one.sync_data().unwrap();
    });
    let (double, _, _) = run(batch, || {
        one.write_all(&bytes).unwrap();
        one.sync_data().unwrap();
        two.write_all(&[b'x'; 250]).unwrap();
        two.sync_data().unwrap();
    });
    let origin: Origin = "acme.example/node/node-1/audit".parse().unwrap();
    let key = AuditKey::from_seed(origin.as_str(), KeyKind::Log, &[7; 32]).unwrap();
    let verifier = key.verifier();
    let (mut log, _) = Log::open(&folder.path().join("log"), &origin, key).unwrap();
    let (p50, p99, rate) = run(batch, || {
        log.append(&events).unwrap();
    });
    println!(
        "| {batch} | {rate:.0} | {p50:.0} µs | {p99:.0} µs | one flush {bare:.0} µs (p99 {bare99:.0}), two {double:.0} µs | {:.2}, {:.2} |",
        p50 / bare,
        p50 / double
    );
    if batch == 512 {
        let started = Instant::now();
        let report = verify(log.folder(), &Terms::new(&verifier)).unwrap();
        let took = started.elapsed().as_secs_f64();
        println!(
            "\nVerifying {} lines took {took:.2} s, {:.0} lines/s; findings: {}.",
            report.lines,
            report.lines as f64 / took,
            report.findings.len()
        );
    }
}
