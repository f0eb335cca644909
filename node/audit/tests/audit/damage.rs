//! Any flipped bit of any file is found, by the name of what it is in.

use std::fs;

use caxton_audit::{Cosigned, Standing, Terms, What, Witness, verify};
use proptest::prelude::*;

use crate::fixture::{Subject, key, witness};

/// A log in several segments with a cosigned checkpoint.
fn subject() -> Subject {
    let subject = Subject::new(&[1, 2, 3, 2], 600);
    let log = subject.open(600);
    let (witness, mut seen) = (witness("w", 3), Witness::default());
    let checkpoint = log.checkpoint().clone();
    let line = seen
        .cosign(
            checkpoint.note().as_bytes(),
            &key().verifier(),
            &[],
            &witness,
            5,
        )
        .unwrap();
    let mut kept = Cosigned::open(subject.path(), &key().verifier()).unwrap();
    kept.keep(&checkpoint, &line, &witness.verifier()).unwrap();
    kept.write().unwrap();
    subject
}

#[test]
fn any_flipped_byte_of_any_file_is_found_by_its_right_name() {
    let subject = subject();
    let (verifier, witnesses) = (key().verifier(), [witness("w", 3).verifier()]);
    let terms = Terms {
        witnesses: &witnesses,
        witnesses_needed: 1,
        ..Terms::new(&verifier)
    };
    assert_eq!(
        verify(subject.path(), &terms).unwrap().verdict,
        Standing::Ok
    );
    let mut flipped = 0;
    for name in subject.files() {
        let path = subject.path().join(&name);
        let whole = fs::read(&path).unwrap();
        let first: Option<u64> = name
            .strip_prefix("segment-")
            .and_then(|rest| rest.strip_suffix(".log"))
            .map(|n| n.parse().unwrap());
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, &bytes).unwrap();
            flipped += 1;
            let report = verify(subject.path(), &terms).unwrap();
            let finding = report
                .findings
                .first()
                .unwrap_or_else(|| panic!("{name}, byte {at} was not found"));
            assert_ne!(report.verdict, Standing::Ok);
            let head = at < 38;
            let fits = match (name.as_str(), finding.what) {
                ("tree", what) => what == What::Tree,
                ("checkpoints", what) => matches!(what, What::Checkpoint | What::OtherKey),
                ("cosigned", what) => {
                    matches!(what, What::Checkpoint | What::OtherKey | What::Witnesses)
                }
                (_, What::Header) => head,
                // The last end of line of the log is gone, or one in the middle.
                (_, What::Truncated) => at == whole.len() - 1,
                (_, what) => what == What::Edited && !head,
            };
            assert!(fits, "{name}, byte {at}: {finding}");
            if let Some(first) = first {
                let lines = whole[..at]
                    .iter()
                    .filter(|byte| **byte == b'\n')
                    .count()
                    .saturating_sub(1);
                assert_eq!(
                    finding.sequence,
                    Some(first + lines as u64),
                    "{name}, byte {at}: {finding}"
                );
                assert_eq!(finding.segment.as_deref(), Some(name.as_str()));
            }
        }
        fs::write(&path, &whole).unwrap();
    }
    assert!(flipped > 3_000, "{flipped}");
}

#[test]
fn any_file_that_is_cut_at_any_byte_is_found() {
    let subject = subject();
    let (verifier, witnesses) = (key().verifier(), [witness("w", 3).verifier()]);
    let terms = Terms {
        witnesses: &witnesses,
        witnesses_needed: 1,
        ..Terms::new(&verifier)
    };
    for name in subject.files() {
        let path = subject.path().join(&name);
        let whole = fs::read(&path).unwrap();
        for end in 0..whole.len() {
            fs::write(&path, &whole[..end]).unwrap();
            let found = verify(subject.path(), &terms).unwrap();
            assert_ne!(found.verdict, Standing::Ok, "{name} cut at {end}");
        }
        fs::write(&path, &whole).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn random_logs_verify_and_prove_each_of_their_lines(batches in prop::collection::vec(1..20_u64, 1..8), bytes in 300..5_000_u64) {
        let subject = Subject::new(&batches, bytes);
        let report = subject.report();
        let size: u64 = batches.iter().sum();
        prop_assert_eq!((report.verdict, report.lines), (Standing::Ok, size));
        let log = subject.open(bytes);
        let root = log.checkpoint().checkpoint().root;
        prop_assert_eq!(report.root, Some(root));
        let mut reader = caxton_audit::Reader::open(subject.path(), 0).unwrap();
        let mut old = 0;
        while let Some(record) = reader.next(size).unwrap() {
            let proof = log.inclusion(record.sequence, size).unwrap();
            prop_assert!(caxton_audit::is_included(&record.line.leaf(), record.sequence, size, &root, &proof));
            old += 1;
            let mut frontier = caxton_audit::Frontier::default();
            (0..old).for_each(|n| frontier.push(caxton_audit::leaf_hash(crate::fixture::event(n).to_line().as_bytes()), |_| {}));
            let proof = log.consistency(old, size).unwrap();
            prop_assert!(caxton_audit::is_consistent(old, &frontier.root(), size, &root, &proof));
        }
        prop_assert_eq!(old, size);
    }
}
