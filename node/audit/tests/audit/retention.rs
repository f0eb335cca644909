//! Old text goes, proofs stay, and text that goes by another hand is found.

use caxton_audit::{
    Event, EventType, Line, Reader, Retention, Standing, Timestamp, What, is_included, leaf_hash,
};

use crate::fixture::{DAY, Subject, event};

/// Twelve lines of which four are kept 90 days and eight a year, and a run after `days`.
fn expired(days: i64) -> (Subject, u64) {
    let subject = Subject::new(&[3, 3, 3, 3], 700);
    let mut log = subject.open(700);
    let done = log
        .expire(Timestamp::from_millis(days * DAY), "node-1")
        .unwrap();
    (subject, done.lines)
}

fn lines(subject: &Subject) -> Vec<Line> {
    let size = subject.report().lines;
    let mut reader = Reader::open(subject.path(), 0).unwrap();
    std::iter::from_fn(|| reader.next(size).unwrap())
        .map(|record| record.line)
        .collect()
}

#[test]
fn text_goes_by_the_age_of_its_class_and_every_proof_holds_after_it() {
    for (days, erased) in [(89, 0), (91, 4), (366, 12)] {
        let (subject, lines_erased) = expired(days);
        assert_eq!(lines_erased, erased, "after {days} days");
        let report = subject.report();
        assert_eq!((report.findings, report.erased), (vec![], erased));
        let log = subject.open(700);
        let root = log.checkpoint().checkpoint().root;
        for (sequence, line) in (0..12_u64).zip(lines(&subject)) {
            let text = event(sequence).to_line();
            assert_eq!(line.leaf(), leaf_hash(text.as_bytes()));
            let old = i64::try_from(sequence).unwrap()
                + event(sequence).event_type.retention().age_ms().unwrap()
                <= days * DAY;
            assert_eq!(matches!(line, Line::Erased { .. }), old, "{sequence}");
            let proof = log.inclusion(sequence, log.size()).unwrap();
            assert!(is_included(
                &line.leaf(),
                sequence,
                log.size(),
                &root,
                &proof
            ));
        }
    }
}

#[test]
fn a_run_is_told_by_an_event_that_is_never_erased() {
    let (subject, _) = expired(91);
    let told = Event::from_line(&lines(&subject)[12].to_bytes()).unwrap();
    assert_eq!(told.event_type, EventType::AuditRetention);
    assert!(
        told.outcome
            .reason
            .unwrap()
            .as_str()
            .starts_with("erased=4 sha256=")
    );
    let mut log = subject.open(700);
    let later = log
        .expire(Timestamp::from_millis(4_000 * DAY), "node-1")
        .unwrap();
    assert_eq!((later.lines, later.event), (8, Some(13)));
    drop(log);
    assert!(matches!(&lines(&subject)[12], Line::Text(_)));
    assert_eq!(subject.report().verdict, Standing::Ok);
    assert_eq!(EventType::AuditRetention.retention(), Retention::Kept);
    let nothing = subject
        .open(700)
        .expire(Timestamp::from_millis(5_000 * DAY), "node-1")
        .unwrap();
    assert_eq!((nothing.lines, nothing.event), (0, None));
}

#[test]
fn text_that_was_erased_without_an_event_is_found() {
    let plain = Subject::new(&[3, 3, 3, 3], 1 << 20);
    let (told, _) = expired(91);
    for (subject, run) in [(&plain, 11), (&plain, 2), (&plain, 99), (&told, 12)] {
        let other = subject.copy();
        other.rewrite(0, |lines| {
            let line = lines
                .iter()
                .position(|line| line.contains("authorization.deny"))
                .unwrap();
            lines[line] = format!("x {} {run}", leaf_hash(lines[line].as_bytes()));
        });
        let report = other.report();
        assert_eq!(
            (report.verdict, report.findings[0].what),
            (Standing::Damaged, What::Erased),
            "{run}: {report:?}"
        );
    }
}

#[test]
fn text_that_came_back_or_other_text_in_the_place_of_a_tombstone_is_found() {
    let (subject, _) = expired(91);
    let back = subject.copy();
    back.rewrite(0, |lines| lines[0] = event(0).to_line());
    assert_eq!(back.finding().what, What::Erased);
    let other = subject.copy();
    other.rewrite(0, |lines| lines[0] = event(77).to_line());
    let findings = other.report().findings;
    assert!(
        findings
            .iter()
            .any(|finding| finding.what == What::Edited && finding.sequence == Some(0)),
        "{findings:?}"
    );
}
