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
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(SECONDS) {
        lines
            .iter()
            .for_each(|line| frontier.push(leaf_hash(line.as_bytes()), |_| {}));
    }
    let tree = begun.elapsed().as_secs_f64() * 1e6 / frontier.size() as f64;
    println!(
        "\nTree alone: {:.2} µs for each leaf of {} B, {} leaves at the end.",
        tree,
        lines.first().map_or(0, String::len),
        frontier.size()
    );
}

/// The three take turns, because a shared disk has better and worse seconds.
fn row(parent: &Path, batch: u64) {
    let events: Vec<Event> = (0..batch).map(event).collect();
    let bytes: Vec<u8> = events
        .iter()
        .flat_map(|event| (event.to_line() + "\n").into_bytes())
        .collect();
    let folder = tempfile::tempdir_in(parent).unwrap();
    let file = |name: &str| File::create(folder.path().join(name)).unwrap();
    let flushed = |file: &mut File, bytes: &[u8]| {
        file.write_all(bytes).unwrap();
        file.sync_data().unwrap();
    };
    let (mut one, mut two, mut three) = (file("one"), file("two"), file("three"));
    let origin: Origin = "acme.example/node/node-1/audit".parse().unwrap();
    let key = AuditKey::from_seed(origin.as_str(), KeyKind::Log, &[7; 32]).unwrap();
    let verifier = key.verifier();
    let (mut log, _) = Log::open(&folder.path().join("log"), &origin, key).unwrap();
    let (mut single, mut double, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(3 * SECONDS) {
        let timed = |times: &mut Vec<Duration>, once: &mut dyn FnMut()| {
            let started = Instant::now();
            once();
            times.push(started.elapsed());
        };
        timed(&mut single, &mut || flushed(&mut one, &bytes));
        timed(&mut double, &mut || {
            flushed(&mut two, &bytes);
            flushed(&mut three, &[b'x'; 250]);
        });
        timed(&mut ours, &mut || {
            log.append(&events).unwrap();
        });
    }
    let rate = (ours.len() as u64 * batch) as f64 / ours.iter().sum::<Duration>().as_secs_f64();
    let (p50, p99) = (quantile(&mut ours, 50), quantile(&mut ours, 99));
    let (one50, two50) = (quantile(&mut single, 50), quantile(&mut double, 50));
    let (one99, two99) = (quantile(&mut single, 99), quantile(&mut double, 99));
    println!(
        "| {batch} | {rate:.0} | {p50:.0} µs | {p99:.0} µs | one flush {one50:.0} µs (p99 {one99:.0}), two {two50:.0} µs (p99 {two99:.0}) | {:.2}, {:.2} |",
        p50 / one50,
        p50 / two50
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
