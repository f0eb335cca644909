//! The log at the end of a file: across restarts, crashes and rotation, and while the file cannot be written.

use super::*;

/// An exporter of `log` to `to`, as a start of the node makes it.
fn exporter(data: &Path, log: &Log, to: &Path) -> Exporter {
    Exporter {
        folder: log.folder().to_owned(),
        position: data.join(POSITION),
        origin: origin(),
        form: Form::Ndjson,
        target: Arc::new(Target::File(to.to_owned())),
        checkpoint: watch::Sender::new(Arc::new(log.checkpoint().clone())).subscribe(),
    }
}

/// Hands on all that the log has, each batch after a restart.
async fn hand_on_all(data: &Path, log: &Log, to: &Path) {
    while exporter(data, log, to).kept() < log.size() {
        let exporter = exporter(data, log, to);
        exporter.session(exporter.kept(), log.size()).await.unwrap();
    }
}

/// The sequences of whole lines.
fn sequences(path: &Path) -> Vec<u64> {
    let text = fs::read_to_string(path).unwrap();
    let object = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let lines = text.lines().map(object);
    lines
        .map(|line| line["sequence"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_file_has_each_line_across_restarts_and_rotation() {
    let data = tempfile::tempdir().unwrap();
    let mut log = log(&data.path().join("audit"));
    let (to, rotated) = (data.path().join("log"), data.path().join("log.1"));
    fill(&mut log, 2_500);
    hand_on_all(data.path(), &log, &to).await;
    fs::rename(&to, &rotated).unwrap();
    fill(&mut log, 500);
    hand_on_all(data.path(), &log, &to).await;
    let found = [sequences(&rotated), sequences(&to)].concat();
    assert_eq!(found, (0..3_000).collect::<Vec<u64>>());
}

#[tokio::test]
async fn what_a_crash_left_of_a_line_is_written_anew_and_whole_lines_come_twice_at_most() {
    let data = tempfile::tempdir().unwrap();
    let mut log = log(&data.path().join("audit"));
    let to = data.path().join("log");
    fill(&mut log, 500);
    hand_on_all(data.path(), &log, &to).await;
    let whole = fs::read(&to).unwrap();
    // The process ended before the position was kept, at any byte of what it wrote.
    for cut in [1, 100, 333, whole.len() / 2, whole.len() - 1, whole.len()] {
        fs::write(&to, &whole[..cut]).unwrap();
        fs::remove_file(data.path().join(POSITION)).unwrap();
        hand_on_all(data.path(), &log, &to).await;
        let mut found = sequences(&to);
        let lines = whole[..cut].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(found.len(), 500 + lines, "cut at {cut}");
        let again = found.split_off(lines);
        assert_eq!(again, (0..500).collect::<Vec<u64>>());
        assert_eq!(found, again[..lines]);
    }
}

#[tokio::test]
async fn a_file_of_somebody_else_is_left_alone() {
    let data = tempfile::tempdir().unwrap();
    let mut log = log(&data.path().join("audit"));
    let to = data.path().join("log");
    fill(&mut log, 500);
    for theirs in ["no end of line".to_owned(), "x".repeat(300 << 10)] {
        fs::write(&to, &theirs).unwrap();
        let refused = exporter(data.path(), &log, &to)
            .session(0, log.size())
            .await;
        assert!(matches!(refused, Err(SessionError::Foreign)), "{refused:?}");
        assert_eq!(fs::read_to_string(&to).unwrap(), theirs);
    }
}

/// Attempts are made at 0, 1, 3, 7, 15, 31, 63, and from then on a minute apart.
#[tokio::test(start_paused = true)]
async fn what_is_not_taken_is_tried_after_a_pause_that_doubles_up_to_a_minute() {
    let data = tempfile::tempdir().unwrap();
    let mut log = log(&data.path().join("audit"));
    fill(&mut log, 500);
    for (there_from_s, taken_at_s) in [(4, 7), (32, 63), (64, 123), (124, 183)] {
        let folder = data.path().join(format!("from-{there_from_s}"));
        let to = folder.join("log");
        let _none = fs::remove_file(data.path().join(POSITION));
        let heads = watch::Sender::new(Arc::new(log.checkpoint().clone()));
        let exporter = Exporter {
            checkpoint: heads.subscribe(),
            ..exporter(data.path(), &log, &to)
        };
        let handing_on = exporter.hand_on();
        let watching = async {
            sleep(Duration::from_secs(there_from_s)).await;
            fs::create_dir(&folder).unwrap();
            sleep(Duration::from_secs(taken_at_s - there_from_s) - MOMENT).await;
            assert!(!to.exists(), "it was taken before {taken_at_s} s");
            sleep(MOMENT * 2).await;
            assert!(to.exists(), "it was not taken by {taken_at_s} s");
        };
        tokio::select! {
            () = handing_on => panic!("it ended"),
            () = watching => {}
        }
    }
}

const MOMENT: Duration = Duration::from_millis(100);
