//! `kill -9` at any moment: whatever was acknowledged is there afterwards, once and in order.
//!
//! The test starts its own program again as the writer, which prints a line for each acknowledgement;
//! the parent reads some of them and kills it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use caxton_actors::ports::{Ledger as _, Mark, Settlement};
use caxton_node::store::{MessageState, Store, check};

use crate::sample::{agent, id, message, open, writes};

/// Names the folder to the child. Absent in the parent.
const FOLDER: &str = "CAXTON_TEST_CRASH_FOLDER";
const START: &str = "CAXTON_TEST_CRASH_START";
const KILLS: u64 = 20;
/// Writers of the child; each has an agent's key of its own.
const WRITERS: u128 = 8;
/// Numbers of one life of the child.
const LIFE: u128 = 1_000_000;

/// Not a test of its own: the writer, when the parent asks for it.
#[test]
fn writer() {
    let (Some(folder), Some(start)) = (std::env::var_os(FOLDER), std::env::var_os(START)) else {
        return;
    };
    let start: u128 = start.to_str().unwrap().parse().unwrap();
    let store = Arc::new(open(Path::new(&folder)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            writers.spawn(write_for_ever(Arc::clone(&store), writer, start));
        }
        writers.join_all().await;
    });
}

async fn write_for_ever(store: Arc<Store>, writer: u128, start: u128) {
    let key = format!("writer-{writer}");
    for number in (start + writer..).step_by(usize::try_from(WRITERS).unwrap()) {
        store.accept(agent(0), message(number)).await.unwrap();
        say(&format!("accepted {number}"));
        if number % 3 == 0 {
            // A key and a message go with the mark, all or nothing.
            let settlement = Settlement {
                mark: Mark::Done(id(number)),
                outgoing: vec![(agent(1), message(number + LIFE / 2))],
                ..writes(0, &[(&key, Some(number.to_string().as_bytes()))])
            };
            store.settle(settlement).await.unwrap();
            say(&format!("settled {number}"));
        }
    }
}

/// A line on standard output, past the test harness, which would keep it.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n@{line}")
        .and_then(|()| out.flush())
        .unwrap();
}

/// Lets a child write until `lines` acknowledgements were read, kills it, and answers all of them.
fn live_and_die(folder: &Path, start: u128, lines: usize) -> Vec<(bool, u128)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::writer",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FOLDER, folder)
        .env(START, start.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let mut said = Vec::new();
    let mut note = |line: &str| {
        if let Some((what, number)) = line.strip_prefix('@').and_then(|line| line.split_once(' ')) {
            said.push((what == "settled", number.parse().unwrap()));
        }
        said.len()
    };
    for line in out.by_ref() {
        if note(&line) >= lines {
            break;
        }
    }
    child.kill().unwrap();
    // What it had said before it died counts as well; its last line may be cut.
    let rest: Vec<String> = out.collect();
    let whole = rest.len().saturating_sub(1);
    for line in &rest[..whole] {
        note(line);
    }
    child.wait().unwrap();
    said
}

/// Whether the store holds what was said, once and in order.
fn verify(store: &Store, said: &[(bool, u128)]) -> Result<(), String> {
    let pending = store.pending(agent(0), 0, usize::MAX).unwrap();
    let sent = store.pending(agent(1), 0, usize::MAX).unwrap();
    let mut waiting: Vec<_> = pending.iter().map(|pending| pending.envelope.id).collect();
    if !pending.is_sorted_by(|one, next| one.sequence < next.sequence) {
        return Err("out of order".into());
    }
    waiting.sort();
    if waiting.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("something waits twice".into());
    }
    let mut sent: Vec<_> = sent.iter().map(|pending| pending.envelope.id).collect();
    sent.sort();
    for (settled, number) in said {
        let state = store.message_state(id(*number)).unwrap();
        let waits = waiting.binary_search(&id(*number)).is_ok();
        let answered = sent.binary_search(&id(number + LIFE / 2)).is_ok();
        let whole = match state {
            MessageState::Pending { .. } => waits && !answered && !settled,
            MessageState::Done => !waits && answered,
            MessageState::Dead | MessageState::Unknown => false,
        };
        if !whole {
            return Err(format!(
                "message {number}, settled {settled}: {state:?}, waits {waits}, answered {answered}"
            ));
        }
    }
    verify_keys(store, said)
}

/// Each writer's key holds the last number that it settled, or one that it did not live to tell of.
fn verify_keys(store: &Store, said: &[(bool, u128)]) -> Result<(), String> {
    for writer in 0..WRITERS {
        let own = said
            .iter()
            .filter(|(settled, number)| *settled && number % WRITERS == writer);
        let Some((_, last)) = own.max_by_key(|(_, number)| *number) else {
            continue;
        };
        let kept = store
            .kv_get(agent(0), &format!("writer-{writer}"))
            .unwrap()
            .unwrap_or_default();
        let kept: u128 = String::from_utf8(kept)
            .unwrap()
            .parse()
            .map_err(|error| format!("writer {writer} has no key: {error}"))?;
        let done = store.message_state(id(kept)).unwrap() == MessageState::Done;
        if kept < *last || !done {
            return Err(format!(
                "writer {writer} keeps {kept}, and told of {last}; done: {done}"
            ));
        }
    }
    Ok(())
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    if std::env::var_os(FOLDER).is_some() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut said = Vec::new();
    for life in 0..KILLS {
        // Any moment: after a number of lines that has nothing to do with the size of groups.
        let lines = 1 + usize::try_from(life * 7_919 % 263).unwrap();
        said.extend(live_and_die(folder.path(), u128::from(life) * LIFE, lines));
        let store = open(folder.path());
        verify(&store, &said).unwrap_or_else(|error| panic!("after {} kills: {error}", life + 1));
    }
    assert!(
        said.iter().filter(|(settled, _)| *settled).count() > 100,
        "the writers got too little done"
    );
    assert!(check(folder.path()).unwrap().is_sound());

    // Negative control: the check finds a message that was told of and is not there.
    let store = open(folder.path());
    said.push((false, LIFE * 1_000));
    assert!(verify(&store, &said).is_err());
}
