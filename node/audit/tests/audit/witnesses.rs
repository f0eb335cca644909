//! Keys, checkpoints and those who cosign them.

use caxton_audit::{
    AuditKey, AuditKeyError, CheckpointError, Cosigned, KeyKind, Log, SignedCheckpoint, Standing,
    Terms, VerifierKey, What, Witness, WitnessError, verify,
};

use crate::fixture::{Subject, event, key, origin, witness};

/// Signed by Go's `note` as its documentation shows it; it is not ours, and must be read as it is.
const GO_VERIFIER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const GO_SIGNER: &str =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";

#[test]
fn keys_have_the_forms_that_others_write() {
    let theirs = AuditKey::from_text(GO_SIGNER).unwrap();
    assert_eq!(theirs.verifier().to_string(), GO_VERIFIER);
    assert_eq!(theirs.to_text().as_str(), GO_SIGNER);
    assert_eq!(
        GO_VERIFIER.parse::<VerifierKey>().unwrap(),
        theirs.verifier()
    );
    for bad in [
        "",
        "a+b",
        &GO_VERIFIER.replace("c74f20a3", "c74f20a4"),
        &GO_VERIFIER.replace("Peter", "P ter"),
        &GO_VERIFIER[..GO_VERIFIER.len() - 4],
    ] {
        assert_eq!(
            bad.parse::<VerifierKey>(),
            Err(AuditKeyError::Malformed),
            "{bad}"
        );
    }
    assert_eq!(
        AuditKey::generate("a b", KeyKind::Log).unwrap_err(),
        AuditKeyError::Name
    );
    let fresh = AuditKey::generate("a", KeyKind::Log).unwrap();
    assert_eq!(
        AuditKey::from_text(&fresh.to_text()).unwrap().verifier(),
        fresh.verifier()
    );
}

#[test]
fn a_private_key_shows_nothing_of_itself() {
    let shown = format!("{:?} {:?}", AuditKey::from_text(GO_SIGNER).unwrap(), key());
    assert_eq!(shown.matches("..").count(), 2);
    assert!(
        !shown.contains("AYEK") && !shown.contains("seed") && shown.len() < 200,
        "{shown}"
    );
}

#[test]
fn a_checkpoint_of_another_log_or_key_is_none() {
    let subject = Subject::new(&[3], 1 << 20);
    let note = subject.open(1 << 20).checkpoint().note();
    let open = |note: &str, key: &AuditKey| {
        SignedCheckpoint::open(note.as_bytes(), &key.verifier()).map(|_| ())
    };
    assert_eq!(open(&note, &key()), Ok(()));
    let twin = AuditKey::from_seed(origin().as_str(), KeyKind::Log, &[9; 32]).unwrap();
    assert_eq!(open(&note, &twin), Err(CheckpointError::NotSigned));
    assert_eq!(
        open(&note.replace("\n3\n", "\n4\n"), &key()),
        Err(CheckpointError::BadSignature)
    );
    assert_eq!(
        open(&note.replace("\n3\n", "\n03\n"), &key()),
        Err(CheckpointError::Malformed)
    );
    let line = note.lines().last().unwrap();
    assert_eq!(
        open(&format!("{note}{line}\n"), &key()),
        Err(CheckpointError::NotSigned),
        "twice by one key"
    );
    let other = AuditKey::from_seed("x/node/y/audit", KeyKind::Log, &[7; 32]).unwrap();
    let checkpoint = SignedCheckpoint::open(note.as_bytes(), &key().verifier())
        .unwrap()
        .checkpoint()
        .clone();
    assert_eq!(
        open(&checkpoint.sign(&other).note(), &other),
        Err(CheckpointError::OtherOrigin)
    );
}

/// The log after each of three batches: note and proof from the one before.
fn history(log: &mut Log) -> Vec<(String, Vec<caxton_audit::Hash>)> {
    let mut notes = Vec::new();
    for count in [3, 4, 5] {
        let old = log.size();
        log.append(&(old..old + count).map(event).collect::<Vec<_>>())
            .unwrap();
        notes.push((
            log.checkpoint().note(),
            log.consistency(old, log.size()).unwrap(),
        ));
    }
    notes
}

#[test]
fn a_witness_cosigns_only_what_continues_what_it_saw() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::open(folder.path(), &origin(), key()).unwrap().0;
    let notes = history(&mut log);
    let (mut seen, witness, log_key) = (Witness::default(), witness("w", 3), key().verifier());
    let mut cosign =
        |note: &str, proof: &[_]| seen.cosign(note.as_bytes(), &log_key, proof, &witness, 1_000);
    for (note, proof) in &notes {
        let line = cosign(note, proof).unwrap();
        let signed = SignedCheckpoint::open(note.as_bytes(), &log_key).unwrap();
        let cosigned = signed.with_cosignature(&line, &witness.verifier()).unwrap();
        assert_eq!(cosigned.cosigned_by(&witness.verifier()), Some(1_000));
        assert!(
            cosigned
                .with_cosignature(&line, &witness.verifier())
                .is_none(),
            "twice by one witness"
        );
        cosign(note, &[]).unwrap(); // The same again is no other history.
    }
    assert_eq!(
        cosign(&notes[0].0, &[]),
        Err(WitnessError::Older { seen: 12, size: 3 })
    );

    let old = log.size();
    log.append(&[event(70), event(71)]).unwrap();
    let proof = log.consistency(old, log.size()).unwrap();
    let note = log.checkpoint().note();
    assert_eq!(
        cosign(&note, &[]),
        Err(WitnessError::NotProven { seen: 12 })
    );
    assert_eq!(
        cosign(&note, &proof[1..]),
        Err(WitnessError::NotProven { seen: 12 })
    );
    let stranger = AuditKey::from_seed(origin().as_str(), KeyKind::Log, &[9; 32]).unwrap();
    let refused =
        Witness::default().cosign(note.as_bytes(), &stranger.verifier(), &[], &witness, 1);
    assert_eq!(
        refused,
        Err(WitnessError::Checkpoint(CheckpointError::NotSigned))
    );
    let log_as_witness = Witness::default().cosign(note.as_bytes(), &log_key, &[], &key(), 1);
    assert_eq!(log_as_witness, Err(WitnessError::WrongKey));
    cosign(&note, &proof).unwrap();
}

#[test]
fn a_witness_refuses_another_history_of_the_same_key() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut log = Log::open(first.path(), &origin(), key()).unwrap().0;
    let mut fork = Log::open(second.path(), &origin(), key()).unwrap().0;
    log.append(&[event(1), event(2)]).unwrap();
    fork.append(&[event(1), event(3)]).unwrap();
    let (mut seen, witness, log_key) = (Witness::default(), witness("w", 3), key().verifier());
    seen.cosign(
        log.checkpoint().note().as_bytes(),
        &log_key,
        &[],
        &witness,
        1,
    )
    .unwrap();
    let before = seen.clone();
    let refused = seen.cosign(
        fork.checkpoint().note().as_bytes(),
        &log_key,
        &[],
        &witness,
        1,
    );
    assert_eq!(refused, Err(WitnessError::Forked { size: 2 }));
    fork.append(&[event(4)]).unwrap();
    let proof = fork.consistency(2, 3).unwrap();
    let refused = seen.cosign(
        fork.checkpoint().note().as_bytes(),
        &log_key,
        &proof,
        &witness,
        1,
    );
    assert_eq!(refused, Err(WitnessError::NotProven { seen: 2 }));
    assert_eq!(seen, before, "a refusal changes nothing");
}

#[test]
fn the_verifier_counts_witnesses_by_their_keys() {
    let subject = Subject::new(&[3], 1 << 20);
    let checkpoint = subject.open(1 << 20).checkpoint().clone();
    let keys = [witness("w-1", 3), witness("w-2", 4), witness("w-3", 3)];
    for key_of_witness in &keys {
        keep(&subject, &checkpoint, key_of_witness);
    }
    let (verifier, witnesses) = (key().verifier(), keys.map(|key| key.verifier()));
    let terms = |needed| Terms {
        witnesses: &witnesses,
        witnesses_needed: needed,
        ..Terms::new(&verifier)
    };
    let report = verify(subject.path(), &terms(2)).unwrap();
    assert_eq!(
        (report.verdict, report.cosigned_size),
        (Standing::Ok, Some(3))
    );
    assert_eq!(
        report.cosigned_by,
        ["w-1", "w-2"],
        "one key under two names is one witness"
    );
    let report = verify(subject.path(), &terms(3)).unwrap();
    assert_eq!(
        (report.verdict, report.findings[0].what),
        (Standing::Refused, What::Witnesses)
    );
}

/// Has `witness` cosign what it sees for the first time, and keeps that beside the log.
fn keep(subject: &Subject, checkpoint: &SignedCheckpoint, witness: &AuditKey) {
    let (note, log_key) = (checkpoint.note(), key().verifier());
    let line = Witness::default()
        .cosign(note.as_bytes(), &log_key, &[], witness, 9)
        .unwrap();
    let mut kept = Cosigned::open(subject.path(), &log_key).unwrap();
    kept.keep(checkpoint, &line, &witness.verifier()).unwrap();
    kept.write().unwrap();
}

#[test]
fn witnesses_vouch_for_as_much_as_so_many_of_them_saw_and_those_who_did_not_are_named() {
    let subject = Subject::new(&[3], 1 << 20);
    let mut log = subject.open(1 << 20);
    let keys = [witness("w-1", 3), witness("w-2", 4), witness("w-3", 5)];
    keep(&subject, log.checkpoint(), &keys[0]);
    keep(&subject, log.checkpoint(), &keys[1]);
    log.append(&[event(7), event(8)]).unwrap();
    keep(&subject, log.checkpoint(), &keys[1]);
    drop(log);
    let kept = Cosigned::open(subject.path(), &key().verifier()).unwrap();
    let kept: Vec<(&str, u64)> = kept
        .iter()
        .map(|(name, note)| (name, note.checkpoint().size))
        .collect();
    assert_eq!(kept, [("w-1", 3), ("w-2", 5)], "of each the newest");
    let (verifier, witnesses) = (key().verifier(), keys.map(|key| key.verifier()));
    for (needed, verdict, size) in [
        (0, Standing::Ok, Some(5)),
        (1, Standing::Ok, Some(5)),
        (2, Standing::Ok, Some(3)),
        (3, Standing::Refused, None),
    ] {
        let terms = Terms {
            witnesses: &witnesses,
            witnesses_needed: needed,
            ..Terms::new(&verifier)
        };
        let report = verify(subject.path(), &terms).unwrap();
        assert_eq!((report.verdict, report.cosigned_size), (verdict, size));
        assert_eq!(report.not_cosigned_by, ["w-3"]);
        let named = |finding: &caxton_audit::Finding| finding.detail.ends_with("missing: w-3");
        assert_eq!(report.findings.iter().any(named), needed == 3);
    }
}

#[test]
fn a_log_that_was_cut_back_is_found_by_what_was_cosigned_of_it() {
    let subject = Subject::new(&[3], 1 << 20);
    let before: Vec<_> = std::fs::read_dir(subject.path())
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| (path.clone(), std::fs::read(path).unwrap()))
        .collect();
    let mut log = subject.open(1 << 20);
    log.append(&[event(7)]).unwrap();
    keep(&subject, log.checkpoint(), &witness("w-1", 3));
    drop(log);
    for (path, bytes) in before {
        std::fs::write(path, bytes).unwrap();
    }
    let report = verify(subject.path(), &Terms::new(&key().verifier())).unwrap();
    assert_eq!(report.findings[0].what, What::RolledBack);
}

#[test]
fn a_log_keeps_no_cosignature_of_another_log_or_by_another_witness() {
    let subject = Subject::new(&[3], 1 << 20);
    let log = subject.open(1 << 20);
    let mut kept = Cosigned::open(subject.path(), &key().verifier()).unwrap();
    let (one, two) = (witness("w-1", 3), witness("w-2", 4));
    let foreign = AuditKey::from_seed("x/node/y/audit", KeyKind::Log, &[5; 32]).unwrap();
    let mut theirs = log.checkpoint().checkpoint().clone();
    theirs.origin = "x/node/y/audit".parse().unwrap();
    for (checkpoint, key_of_log) in [
        (theirs.sign(&foreign), &foreign),
        (log.checkpoint().clone(), &key()),
    ] {
        let note = checkpoint.note();
        let line = Witness::default()
            .cosign(note.as_bytes(), &key_of_log.verifier(), &[], &one, 9)
            .unwrap();
        assert!(kept.keep(&checkpoint, &line, &two.verifier()).is_err());
        let is_kept = kept.keep(&checkpoint, &line, &one.verifier()).is_ok();
        assert_eq!(is_kept, key_of_log.name() == origin().as_str());
    }
    assert_eq!(kept.iter().count(), 1);
}

#[test]
fn what_a_witness_remembers_survives_being_written_down() {
    let subject = Subject::new(&[3], 1 << 20);
    let note = subject.open(1 << 20).checkpoint().note();
    let mut seen = Witness::default();
    seen.cosign(note.as_bytes(), &key().verifier(), &[], &witness("w", 3), 1)
        .unwrap();
    let written = serde_json::to_string(&seen).unwrap();
    assert_eq!(serde_json::from_str::<Witness>(&written).unwrap(), seen);
    assert_eq!(seen.seen(origin().as_str()).unwrap().size, 3);
}
