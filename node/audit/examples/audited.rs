//! Writes a log with its proofs, cosignatures and exports into a folder, for strangers to judge: `audited FOLDER`.
//! What they must say of it stands in `tests/peers/README.md`.
#![expect(
    clippy::unwrap_used,
    reason = "an example for tests fails by panicking"
)]

use std::{fs, path::Path};

use caxton_audit::{
    AuditKey, Cosigned, Ending, Event, EventType, Hash, KeyKind, Log, Origin, Reader, Severity,
    Text, Timestamp, Witness,
    export::{ndjson::Exported, ocsf::Document, syslog},
};

const DAY: i64 = 86_400_000;
/// 2026-01-01.
const BEGIN: i64 = 1_767_225_600_000;

fn main() {
    let folder = std::env::args_os().nth(1).expect("a folder");
    let folder = Path::new(&folder);
    let origin: Origin = "caxton.test/node/node-1/audit".parse().unwrap();
    let key = AuditKey::from_seed(origin.as_str(), KeyKind::Log, &[7; 32]).unwrap();
    fs::write(folder.join("log.vkey"), key.verifier().to_string()).unwrap();
    let (mut log, _) = Log::open_sized(&folder.join("log"), &origin, key, 8_000).unwrap();

    let mut sizes = vec![0];
    for batch in 0..9_i64 {
        let kinds = EventType::ALL
            .iter()
            .filter(|kind| !kind.as_str().starts_with("administration.audit"));
        let events: Vec<Event> = (0..)
            .zip(kinds)
            .skip(usize::try_from(batch).unwrap())
            .map(|(n, kind)| event(*kind, batch * 20 * DAY + n))
            .collect();
        log.append(&events).unwrap();
        sizes.push(log.size());
        if batch == 6 {
            log.expire(Timestamp::from_millis(BEGIN + 130 * DAY), "node-1")
                .unwrap();
            sizes.push(log.size());
        }
    }
    cosign(&log, folder);
    prove(&log, &sizes, folder);
    export(&log, &origin, folder);
}

/// Strange text too: quotes, brackets, another script.
fn event(kind: EventType, after: i64) -> Event {
    let at = Timestamp::from_millis(BEGIN + after);
    let mut event = Event::new(
        at,
        kind,
        "spiffe://caxton.test/operator/ada",
        "do \"it\" [now]\\",
        "acme/büro-7",
    );
    if after % 3 == 1 {
        event = event.ended(Ending::Denied, "no rule says: “allow”");
        event.severity = Severity::High;
        event.context.rule = Some(Text::escape("policy-7"));
        event.context.address = Some(Text::escape("[2001:db8::7]:4600"));
        event.context.chain = vec![Text::escape("spiffe://caxton.test/agent/acme/a")]
            .try_into()
            .unwrap();
    }
    event.context.node = Some(Text::escape("node-1"));
    event.context.tenant = Some(Text::escape("acme"));
    event.context.trace_id = Some(Text::escape("4bf92f3577b34da6a3ce929d0e0e4736"));
    event
}

/// Two witnesses; the second sees what the first signed.
fn cosign(log: &Log, folder: &Path) {
    let mut checkpoint = log.checkpoint().clone();
    let mut kept = Cosigned::open(log.folder(), &log.verifier()).unwrap();
    for seed in [1, 2] {
        let witness = AuditKey::from_seed(
            &format!("caxton.test/node/node-{seed}/witness"),
            KeyKind::Witness,
            &[seed; 32],
        )
        .unwrap();
        let note = checkpoint.note();
        let seconds = 1_790_000_000 + u64::from(seed);
        let line = Witness::default()
            .cosign(note.as_bytes(), &log.verifier(), &[], &witness, seconds)
            .unwrap();
        kept.keep(log.checkpoint(), &line, &witness.verifier())
            .unwrap();
        kept.write().unwrap();
        checkpoint = checkpoint
            .with_cosignature(&line, &witness.verifier())
            .unwrap();
        fs::write(
            folder.join(format!("witness-{seed}.vkey")),
            witness.verifier().to_string(),
        )
        .unwrap();
    }
    fs::write(folder.join("cosigned.note"), checkpoint.note()).unwrap();
}

fn prove(log: &Log, sizes: &[u64], folder: &Path) {
    let hex = |proof: Vec<Hash>| proof.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut proofs = Vec::new();
    for (n, new) in sizes.iter().enumerate() {
        for old in sizes.iter().take(n + 1) {
            let proof = hex(log.consistency(*old, *new).unwrap());
            proofs.push(serde_json::json!({"old": old, "new": new, "consistency": proof}));
        }
        for index in (0..*new).step_by(7) {
            let proof = hex(log.inclusion(index, *new).unwrap());
            proofs.push(serde_json::json!({"index": index, "new": new, "inclusion": proof}));
        }
    }
    fs::write(
        folder.join("proofs.json"),
        serde_json::to_vec(&proofs).unwrap(),
    )
    .unwrap();
}

fn export(log: &Log, origin: &Origin, folder: &Path) {
    let (mut ndjson, mut ocsf, mut framed) = (String::new(), String::new(), Vec::new());
    let mut reader = Reader::open(log.folder(), 0).unwrap();
    while let Some(record) = reader.next(log.size()).unwrap() {
        ndjson += &(Exported::of(&record).unwrap().to_json() + "\n");
        if let Ok(event) = Event::from_line(&record.line.to_bytes()) {
            ocsf += &(Document::new(origin, record.sequence, &event).to_json() + "\n");
            framed.extend(syslog::frame(&syslog::message(
                origin,
                record.sequence,
                &event,
            )));
        }
    }
    fs::write(folder.join("export.ndjson"), ndjson).unwrap();
    fs::write(folder.join("ocsf.ndjson"), ocsf).unwrap();
    fs::write(folder.join("syslog"), framed).unwrap();
}
