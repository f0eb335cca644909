//! What exporters hand on, and that it can be verified by itself.

use caxton_audit::{
    AuditKey, KeyKind, Reader, Report, Standing, Terms, Timestamp, VerifyExportError, What,
    export::ndjson::Exported, verify_export,
};

use crate::fixture::{DAY, Subject, event, key, origin};

fn export(subject: &Subject) -> Vec<String> {
    let size = subject.report().lines;
    let mut reader = Reader::open(subject.path(), 0).unwrap();
    let records = std::iter::from_fn(|| reader.next(size).unwrap());
    records
        .map(|record| Exported::of(&record).unwrap().to_json())
        .collect()
}

fn judged(lines: &[String], note: &str, older: Option<&str>) -> Result<Report, VerifyExportError> {
    let verifier = key().verifier();
    let terms = Terms {
        older: older.map(str::as_bytes),
        ..Terms::new(&verifier)
    };
    verify_export(
        (lines.join("\n") + "\n").as_bytes(),
        note.as_bytes(),
        &terms,
    )
}

#[test]
fn an_export_is_verified_without_the_folder_and_what_was_done_to_it_is_named() {
    let subject = Subject::new(&[5, 5, 5], 1_000);
    let older = {
        let fresh = Subject::new(&[5], 1_000);
        fresh.open(1_000).checkpoint().note()
    };
    let mut log = subject.open(1_000);
    log.expire(Timestamp::from_millis(91 * DAY), "node-1")
        .unwrap();
    let note = log.checkpoint().note();
    let lines = export(&subject);
    let report = judged(&lines, &note, Some(&older)).unwrap();
    assert_eq!(
        (report.verdict, report.lines, report.erased),
        (Standing::Ok, 16, 5)
    );
    let changed = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        let report = judged(&lines, &note, None).unwrap();
        assert_eq!(report.verdict, Standing::Damaged);
        (report.findings[0].what, report.findings[0].sequence)
    };
    assert_eq!(
        changed(&|lines| lines[1] = lines[1].replace("ada", "eve")),
        (What::Edited, Some(1))
    );
    assert_eq!(
        changed(&|lines| drop(lines.remove(4))),
        (What::Deleted, Some(4))
    );
    assert_eq!(
        changed(&|lines| lines.insert(4, lines[3].clone())),
        (What::Inserted, Some(4))
    );
    assert_eq!(changed(&|lines| lines.swap(4, 5)), (What::Deleted, Some(4)));
    assert_eq!(changed(&|lines| lines.truncate(9)).0, What::Erased);
    let fifth = Exported {
        sequence: 5,
        ..serde_json::from_str(&lines[4]).unwrap()
    };
    let consistent = move |lines: &mut Vec<String>| lines[5] = fifth.to_json();
    assert_eq!(changed(&consistent).0, What::Altered);
    assert!(matches!(
        judged(&["{}".to_owned()], &note, None),
        Err(VerifyExportError::Malformed { line: 1 })
    ));
    let other = AuditKey::from_seed(origin().as_str(), KeyKind::Log, &[8; 32])
        .unwrap()
        .verifier();
    let stranger = verify_export(&b""[..], note.as_bytes(), &Terms::new(&other)).unwrap();
    assert_eq!(stranger.verdict, Standing::Refused);
}

#[test]
fn an_export_of_another_history_is_a_fork() {
    let subject = Subject::new(&[5, 5], 1_000);
    let folder = tempfile::tempdir().unwrap();
    let mut log = caxton_audit::Log::open(folder.path(), &origin(), key())
        .unwrap()
        .0;
    log.append(&(20..25).map(event).collect::<Vec<_>>())
        .unwrap();
    let note = subject.open(1_000).checkpoint().note();
    let report = judged(&export(&subject), &note, Some(&log.checkpoint().note())).unwrap();
    assert_eq!(
        (report.verdict, report.findings[0].what),
        (Standing::Refused, What::Forked)
    );
}

#[test]
fn an_exporter_goes_on_where_it_stopped_without_loss_while_the_log_grows_and_forgets() {
    let subject = Subject::new(&[3], 700);
    let mut log = subject.open(700);
    let (mut seen, mut cursor) = (Vec::new(), 0);
    for step in 0..12_u64 {
        let from = log.size();
        log.append(&(from..from + step % 3 + 1).map(event).collect::<Vec<_>>())
            .unwrap();
        if step == 6 {
            log.expire(Timestamp::from_millis(91 * DAY), "node-1")
                .unwrap();
        }
        // A new reader each time is a process that was started anew; an old one reads on.
        let mut reader = Reader::open(subject.path(), cursor).unwrap();
        for _ in 0..2 {
            while let Some(record) = reader.next(log.size()).unwrap() {
                seen.push(record.sequence);
            }
            let from = log.size();
            log.append(&[event(from)]).unwrap();
        }
        cursor = reader.position();
    }
    let all: Vec<u64> = (0..seen.len() as u64).collect();
    assert_eq!(seen, all);
    assert_eq!(cursor, log.size() - 1);
    assert!(
        Reader::open(subject.path(), 10_000)
            .unwrap()
            .next(log.size())
            .unwrap()
            .is_none()
    );
}
