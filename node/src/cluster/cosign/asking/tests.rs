//! What an answer of a witness means to who asked.

use caxton_audit::{AuditKey, Checkpoint, Witness, empty_root};

use super::*;

const LOG: &str = "acme.example/node/node-1/audit";
const WITNESS: &str = "acme.example/node/node-2/witness";

fn checkpoint(key: &AuditKey, size: u64) -> SignedCheckpoint {
    let checkpoint = Checkpoint {
        origin: LOG.parse().unwrap(),
        size,
        root: empty_root(),
    };
    checkpoint.sign(key)
}

/// What the holder of `by` says to a checkpoint.
fn word(key: &AuditKey, signed: &SignedCheckpoint, by: &AuditKey) -> Vec<u8> {
    let note = signed.note();
    let line = Witness::default()
        .cosign(note.as_bytes(), &key.verifier(), &[], by, 7)
        .unwrap();
    let word = Word::Cosigned {
        line: line.to_line().trim_end().to_owned(),
        key: by.verifier().to_string(),
    };
    postcard::to_allocvec(&word).unwrap()
}

#[test]
fn a_cosignature_of_the_member_that_was_asked_under_what_it_was_asked_for_is_kept_alone() {
    let key = AuditKey::from_seed(LOG, KeyKind::Log, &[1; 32]).unwrap();
    let by = AuditKey::from_seed(WITNESS, KeyKind::Witness, &[2; 32]).unwrap();
    let other = "acme.example/node/node-3/witness";
    let another = AuditKey::from_seed(other, KeyKind::Witness, &[3; 32]).unwrap();
    let (now, before) = (checkpoint(&key, 5), checkpoint(&key, 4));
    let kept = next(&now, WITNESS, &word(&key, &now, &by)).unwrap();
    let Next::Keep((line, verifier)) = kept else {
        panic!("{kept:?}");
    };
    assert!(now.with_cosignature(&line, &verifier).is_some());
    for answer in [word(&key, &before, &by), word(&key, &now, &another)] {
        let refused = next(&now, WITNESS, &answer);
        assert!(matches!(refused, Err(AskError::NotCosigned)), "{refused:?}");
    }
}

#[test]
fn a_proof_is_led_from_what_the_witness_saw_and_from_nothing_that_there_is_not_yet() {
    let key = AuditKey::from_seed(LOG, KeyKind::Log, &[1; 32]).unwrap();
    let signed = checkpoint(&key, 5);
    let from = |size| {
        next(
            &signed,
            WITNESS,
            &postcard::to_allocvec(&Word::From(size)).unwrap(),
        )
    };
    assert!(matches!(from(5), Ok(Next::ProveFrom(5))));
    assert!(matches!(from(6), Err(AskError::Malformed)));
    let junk = next(&signed, WITNESS, b"\x07junk");
    assert!(matches!(junk, Err(AskError::Malformed)));
}
