//! What somebody who can write the files, but has no key, can do, and by what name it is found.

use std::fs;

use caxton_audit::{
    AuditKey, Event, Frontier, KeyKind, Log, Standing, Terms, What, leaf_hash, verify,
};

use crate::fixture::{Subject, event, key, origin};

const BATCHES: [u64; 4] = [8, 8, 8, 8];

/// A log of 32 lines in one segment, and then one in several.
fn subjects() -> [Subject; 2] {
    [
        Subject::new(&BATCHES, 1 << 20),
        Subject::new(&BATCHES, 2_000),
    ]
}

#[test]
fn an_edited_line_is_found_and_named() {
    for subject in subjects() {
        subject.rewrite(0, |lines| lines[5] = lines[5].replace("acme", "evil"));
        let finding = subject.finding();
        assert_eq!((finding.what, finding.sequence), (What::Edited, Some(5)));
        assert_eq!(
            finding.segment.as_deref(),
            Some("segment-00000000000000000000.log")
        );
        assert_eq!(subject.report().verdict, Standing::Damaged);
    }
}

#[test]
fn deleted_lines_are_found_and_named_wherever_they_were() {
    let subject = Subject::new(&BATCHES, 1 << 20);
    for (at, count) in [(0, 1), (5, 1), (7, 3), (29, 1), (30, 1), (20, 11)] {
        let other = subject.copy();
        other.rewrite(0, |lines| drop(lines.drain(at..at + count)));
        let finding = other.finding();
        assert_eq!(
            (finding.what, finding.sequence),
            (What::Deleted, Some(at as u64)),
            "{finding}"
        );
        assert!(finding.detail.contains(&format!("`{count}`")), "{finding}");
    }
}

#[test]
fn inserted_lines_are_found_and_named_wherever_they_are() {
    let subject = Subject::new(&BATCHES, 1 << 20);
    for (at, count) in [(0, 1), (5, 1), (8, 4), (31, 1)] {
        let other = subject.copy();
        other.rewrite(0, |lines| {
            for n in 0..count {
                lines.insert(at, event(900 + n).to_line());
            }
        });
        let finding = other.finding();
        assert_eq!(
            (finding.what, finding.sequence),
            (What::Inserted, Some(at as u64)),
            "{finding}"
        );
    }
}

#[test]
fn lines_in_another_order_are_found_and_named() {
    let subject = Subject::new(&BATCHES, 1 << 20);
    for (from, to) in [(3, 4), (0, 1), (30, 31), (6, 20), (0, 31)] {
        let other = subject.copy();
        other.rewrite(0, |lines| lines.swap(from, to));
        let finding = other.finding();
        assert_eq!(
            (finding.what, finding.sequence),
            (What::Reordered, Some(from as u64)),
            "{finding}"
        );
    }
}

#[test]
fn a_log_that_is_cut_at_any_byte_is_found_truncated() {
    let subject = Subject::new(&[2, 2], 1 << 20);
    let path = &subject.segments()[0];
    let whole = fs::read(path).unwrap();
    for end in 0..whole.len() {
        let other = subject.copy();
        fs::write(&other.segments()[0], &whole[..end]).unwrap();
        let finding = other.finding();
        let expected = if end < 38 {
            What::Header
        } else {
            What::Truncated
        };
        assert_eq!(finding.what, expected, "{end}: {finding}");
        let lines = whole[..end]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            .saturating_sub(1);
        assert_eq!(finding.sequence, Some(lines as u64), "{end}: {finding}");
    }
}

#[test]
fn a_missing_segment_is_found() {
    let subject = Subject::new(&BATCHES, 1_000);
    let segments = subject.segments();
    assert!(segments.len() >= 3);
    for (number, path) in segments.iter().enumerate() {
        let other = subject.copy();
        fs::remove_file(other.path().join(path.file_name().unwrap())).unwrap();
        let finding = other.finding();
        let expected = if number == segments.len() - 1 {
            What::Truncated
        } else {
            What::Deleted
        };
        assert_eq!(finding.what, expected, "{number}: {finding}");
    }
}

#[test]
fn lines_after_the_last_checkpoint_are_found_unsigned() {
    for subject in subjects() {
        let last = subject.segments().len() - 1;
        subject.rewrite(last, |lines| lines.push(event(99).to_line()));
        let finding = subject.finding();
        assert_eq!((finding.what, finding.sequence), (What::Unsigned, Some(32)));
    }
}

#[test]
fn of_a_log_that_grows_what_is_signed_is_looked_at_and_what_follows_is_not() {
    for subject in subjects() {
        let last = subject.segments().len() - 1;
        subject.rewrite(last, |lines| lines.push(event(99).to_line()));
        let notes = subject.path().join("checkpoints");
        fs::write(&notes, fs::read_to_string(&notes).unwrap() + "caxton.test").unwrap();
        let verifier = key().verifier();
        let terms = Terms {
            growing: true,
            ..Terms::new(&verifier)
        };
        let report = verify(subject.path(), &terms).unwrap();
        assert_eq!(
            (report.verdict, report.lines),
            (Standing::Ok, 32),
            "{report:?}"
        );
        subject.rewrite(0, |lines| lines[5] = lines[5].replace("acme", "evil"));
        let report = verify(subject.path(), &terms).unwrap();
        assert_eq!(report.findings[0].what, What::Edited);
    }
}

/// Somebody who knows the format makes the stored tree fit the lines that were altered.
#[test]
fn an_edit_with_the_stored_tree_made_to_fit_is_found_between_its_checkpoints() {
    let subject = Subject::new(&BATCHES, 1 << 20);
    let mut all = Vec::new();
    subject.rewrite(0, |lines| {
        lines[10] = lines[10].replace("ada", "eve");
        all.clone_from(lines);
    });
    let (mut frontier, mut tree) = (Frontier::default(), Vec::new());
    for line in &all {
        frontier.push(leaf_hash(line.as_bytes()), |node| {
            tree.extend_from_slice(&node.0)
        });
    }
    fs::write(subject.path().join("tree"), tree).unwrap();
    let finding = subject.finding();
    assert_eq!((finding.what, finding.sequence), (What::Altered, Some(8)));
    assert!(finding.detail.contains("`8` to `16`"), "{finding}");
}

#[test]
fn a_log_that_was_cut_back_with_its_checkpoints_is_found_by_who_kept_a_newer_one() {
    let subject = Subject::new(&[8], 1 << 20);
    let cut = subject.copy();
    let mut log = subject.open(1 << 20);
    log.append(&[event(50)]).unwrap();
    let newer = log.checkpoint().note();
    let verifier = key().verifier();
    let terms = Terms {
        older: Some(newer.as_bytes()),
        ..Terms::new(&verifier)
    };
    assert_eq!(cut.report().verdict, Standing::Ok, "by itself it is whole");
    let report = verify(cut.path(), &terms).unwrap();
    assert_eq!(
        (report.verdict, report.findings[0].what),
        (Standing::Refused, What::RolledBack)
    );
    assert_eq!(
        verify(subject.path(), &terms).unwrap().verdict,
        Standing::Ok
    );
}

/// The holder of the log's key writes another history.
#[test]
fn a_log_that_its_own_key_wrote_anew_is_found_by_who_kept_a_checkpoint() {
    let subject = Subject::new(&[4, 4], 1 << 20);
    let kept = subject.open(1 << 20).checkpoint().note();
    let verifier = key().verifier();
    let terms = Terms {
        older: Some(kept.as_bytes()),
        ..Terms::new(&verifier)
    };
    for more in [0, 3] {
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::open(folder.path(), &origin(), key()).unwrap().0;
        let others: Vec<Event> = (100..108 + more).map(event).collect();
        log.append(&others).unwrap();
        drop(log);
        let report = verify(folder.path(), &terms).unwrap();
        assert_eq!(
            (report.verdict, report.findings[0].what),
            (Standing::Refused, What::Forked),
            "{report:?}"
        );
        assert_eq!(report.findings[0].sequence, Some(8));
    }
}

#[test]
fn two_checkpoints_of_one_size_in_one_file_are_a_fork() {
    let subject = Subject::new(&[4], 1 << 20);
    let other = tempfile::tempdir().unwrap();
    let mut log = Log::open(other.path(), &origin(), key()).unwrap().0;
    log.append(&(10..14).map(event).collect::<Vec<_>>())
        .unwrap();
    let path = subject.path().join("checkpoints");
    let both = fs::read_to_string(&path).unwrap() + &log.checkpoint().note() + "\n";
    fs::write(path, both).unwrap();
    let report = subject.report();
    assert_eq!(
        (report.verdict, report.findings[0].what),
        (Standing::Refused, What::Forked)
    );
}

#[test]
fn a_log_of_another_key_or_name_is_refused() {
    let subject = Subject::new(&[4], 1 << 20);
    for (name, seed) in [(origin().as_str(), 8), ("caxton.test/node/node-2/audit", 7)] {
        let other = AuditKey::from_seed(name, KeyKind::Log, &[seed; 32])
            .unwrap()
            .verifier();
        let report = verify(subject.path(), &Terms::new(&other)).unwrap();
        assert_eq!(
            (report.verdict, report.findings[0].what),
            (Standing::Refused, What::OtherKey)
        );
    }
    // A key that was made to have the id of ours, which has 32 bits, signs nothing of ours.
    fs::remove_file(subject.path().join("checkpoints")).unwrap();
    assert_eq!(subject.finding().what, What::Checkpoint);
}
