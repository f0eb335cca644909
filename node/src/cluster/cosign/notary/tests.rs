//! What a witness says to a log that goes on, and to one that does not.

use caxton_audit::{Event, KeyKind, Log, SignedCheckpoint, Timestamp};

use super::*;

const DOMAIN: &str = "acme.example";

fn origin(node: &str) -> Origin {
    Origin::of_node(DOMAIN, node).unwrap()
}

fn log_key(node: &str, seed: u8) -> AuditKey {
    AuditKey::from_seed(origin(node).as_str(), KeyKind::Log, &[seed; 32]).unwrap()
}

fn by() -> AuditKey {
    AuditKey::from_seed("acme.example/node/w/witness", KeyKind::Witness, &[9; 32]).unwrap()
}

fn append(log: &mut Log, lines: std::ops::Range<i64>) {
    let event = |at: i64| {
        let (at, kind) = (Timestamp::from_millis(at), EventType::NodeStarted);
        Event::new(at, kind, "node-1", "start", "node")
    };
    log.append(&lines.map(event).collect::<Vec<_>>()).unwrap();
}

/// A log with `lines` events, and the folder that it lies in.
fn log(seed: u8, lines: std::ops::Range<i64>) -> (tempfile::TempDir, Log) {
    let folder = tempfile::tempdir().unwrap();
    let key = log_key("node-1", seed);
    let (mut log, _) = Log::open(folder.path(), &origin("node-1"), key).unwrap();
    append(&mut log, lines);
    (folder, log)
}

fn wish(log: &Log, from: u64) -> Wish {
    Wish {
        key: log.verifier().to_string(),
        note: log.checkpoint().note(),
        from,
        proof: log.consistency(from, log.size()).unwrap(),
    }
}

/// Says it to the witness in the name of `node`; a refusal must leave what was seen as it was.
fn ask(seen: &mut Seen, node: &str, wish: &Wish) -> Result<Word, Doubt> {
    let before = seen.clone();
    let answer = seen.answer(&origin(node), wish, &by(), 7);
    if !matches!(answer, Ok(Word::Cosigned { .. })) {
        assert_eq!(*seen, before);
    }
    answer
}

fn is_cosigned(log: &Log, word: Result<Word, Doubt>) -> bool {
    let Ok(Word::Cosigned { line, key }) = word else {
        return false;
    };
    let line = caxton_audit::NoteSignature::parse(&line).unwrap();
    let signed: &SignedCheckpoint = log.checkpoint();
    signed
        .with_cosignature(&line, &key.parse().unwrap())
        .is_some()
}

#[test]
fn a_log_that_goes_on_is_cosigned_once_the_proof_leads_from_what_was_seen() {
    let (_folder, mut log) = log(1, 0..3);
    let mut seen = Seen::default();
    let word = ask(&mut seen, "node-1", &wish(&log, 0));
    assert!(is_cosigned(&log, word));
    append(&mut log, 3..8);
    let word = ask(&mut seen, "node-1", &wish(&log, 0));
    assert_eq!(word, Ok(Word::From(3)), "they have forgotten what was seen");
    for from in [3, 8, 0] {
        let word = ask(&mut seen, "node-1", &wish(&log, from));
        assert!(is_cosigned(&log, word), "also the same again");
    }
    let written = serde_json::to_vec(&seen).unwrap();
    assert_eq!(serde_json::from_slice::<Seen>(&written).unwrap(), seen);
}

#[test]
fn a_log_that_was_cut_back_or_forked_is_a_contradiction() {
    let (_folder, mut whole) = log(1, 0..5);
    let mut seen = Seen::default();
    assert!(ask(&mut seen, "node-1", &wish(&whole, 0)).is_ok());
    let (_cut_folder, cut) = log(1, 0..3);
    let (_fork_folder, mut fork) = log(1, 100..105);
    append(&mut whole, 5..6);
    let older = WitnessError::Older { seen: 5, size: 3 };
    let forked = WitnessError::Forked { size: 5 };
    for (log, expected) in [(&cut, older), (&fork, forked)] {
        let doubt = ask(&mut seen, "node-1", &wish(log, 0)).unwrap_err();
        assert_eq!(doubt, Doubt::Witness(expected));
        assert!(doubt.is_contradiction());
    }
    append(&mut fork, 105..106);
    assert_eq!(ask(&mut seen, "node-1", &wish(&fork, 0)), Ok(Word::From(5)));
    let doubt = ask(&mut seen, "node-1", &wish(&fork, 5)).unwrap_err();
    assert_eq!(doubt, Doubt::Witness(WitnessError::NotProven { seen: 5 }));
    assert!(doubt.is_contradiction(), "there is no such proof");
    assert!(is_cosigned(
        &whole,
        ask(&mut seen, "node-1", &wish(&whole, 5))
    ));
}

#[test]
fn nobody_speaks_for_anothers_log_and_no_log_changes_its_key() {
    let (_folder, mine) = log(1, 0..3);
    let mut seen = Seen::default();
    let foreign = ask(&mut seen, "node-2", &wish(&mine, 0)).unwrap_err();
    assert_eq!(foreign, Doubt::Foreign(origin("node-1").to_string()));
    assert!(foreign.is_contradiction());
    assert!(ask(&mut seen, "node-1", &wish(&mine, 0)).is_ok());
    let (_other_folder, other) = log(2, 0..4);
    let changed = ask(&mut seen, "node-1", &wish(&other, 0)).unwrap_err();
    assert!(changed == Doubt::OtherKey && changed.is_contradiction());
    // A node that was taken out: its name is another's now.
    seen.forget(&origin("node-1"));
    assert!(is_cosigned(
        &other,
        ask(&mut seen, "node-1", &wish(&other, 0))
    ));
}

#[test]
fn what_is_no_wish_is_refused_and_contradicts_nothing() {
    let (_folder, log) = log(1, 0..3);
    let good = wish(&log, 0);
    let bad_key = Wish {
        key: "no key".to_owned(),
        ..good.clone()
    };
    let long = Wish {
        proof: vec![caxton_audit::empty_root(); PROOF_HASHES_MAX + 1],
        ..good.clone()
    };
    let unsigned = Wish {
        note: good.note.replace("\n3\n", "\n4\n"),
        ..good
    };
    for wish in [bad_key, long, unsigned] {
        let doubt = ask(&mut Seen::default(), "node-1", &wish).unwrap_err();
        assert!(!doubt.is_contradiction(), "{doubt}");
    }
}
