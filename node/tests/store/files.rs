//! Files: who may have them, programs, damage, and the offline verification.

use std::{
    fs,
    os::unix::fs::{FileExt as _, PermissionsExt as _},
    path::Path,
    process::Command,
    sync::Arc,
};

use caxton_actors::{
    envelope::Envelope,
    ports::{Digest, Ledger as _, LedgerError, Mark},
};
use caxton_node::store::{DATABASE_FILE, OpenStoreError, Options, ProgramError, Store, check};

use crate::sample::{Noon, agent, id, letter, message, open, record, settlement, writes};

fn try_open(folder: &Path) -> Result<Store, OpenStoreError> {
    Store::open(folder, Options::default(), Arc::new(Noon))
}

#[test]
fn what_the_store_makes_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("deep").join("data");
    let store = open(&data);
    let digest = store.put_program(b"\0asm").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join(DATABASE_FILE)), 0o600);
    assert_eq!(mode(&data.join("programs")), 0o700);
    let name = digest.to_string().replace("sha256:", "") + ".wasm";
    assert_eq!(mode(&data.join("programs").join(name)), 0o600);
}

#[test]
fn a_folder_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let error = try_open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenStoreError::InUse { .. }), "{error:?}");
    assert!(
        error.to_string().contains(folder.path().to_str().unwrap()),
        "{error}"
    );
    assert!(check(folder.path()).is_err());
    drop(store);
    try_open(folder.path()).unwrap();
}

/// A store with a little of everything, closed.
fn furnish(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let store = open(folder);
    runtime.block_on(async {
        for number in 0..200 {
            store.accept(agent(0), message(number)).await.unwrap();
        }
        store
            .settle(settlement(0, Mark::Done(id(0))))
            .await
            .unwrap();
        store
            .settle(writes(0, &[("a", Some(b"1")), ("b", Some(b"2"))]))
            .await
            .unwrap();
        store.save_agent(record(0, "acme/one")).await.unwrap();
        store.bury(letter(message(1_000), 5, "trap")).await.unwrap();
    });
    store.put_program(b"one").unwrap();
}

#[test]
fn a_file_that_is_not_a_whole_store_is_refused_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    furnish(folder.path());
    let path = folder.path().join(DATABASE_FILE);
    let whole = fs::read(&path).unwrap();
    let mut scribbled = whole.clone();
    scribbled[..512].fill(0xa5);
    let half = whole[..whole.len() / 2].to_vec();
    let cases = [
        ("empty", Vec::new()),
        ("header only", whole[..512].to_vec()),
        ("half", half),
        ("text", b"this is not a database\n".repeat(1_000)),
        ("scribbled header", scribbled),
    ];
    for (case, bytes) in cases {
        fs::write(&path, &bytes).unwrap();
        let error = try_open(folder.path()).expect_err(case);
        assert!(
            matches!(error, OpenStoreError::Damaged { .. }),
            "{case}: {error:?}"
        );
        assert!(error.to_string().contains(DATABASE_FILE), "{case}: {error}");
        assert!(
            fs::read(&path).unwrap() == bytes,
            "{case}: the file was changed"
        );
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(
        open(folder.path())
            .pending(agent(0), 0, 1_000)
            .unwrap()
            .len(),
        199
    );
}

#[test]
fn damage_in_any_page_is_survived_and_mostly_found() {
    let folder = tempfile::tempdir().unwrap();
    furnish(folder.path());
    let path = folder.path().join(DATABASE_FILE);
    let whole = fs::read(&path).unwrap();
    assert!(check(folder.path()).unwrap().is_sound());
    let mut found = 0;
    for page in 0..whole.len() / 4096 {
        fs::write(&path, &whole).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[0xa5; 64], (page * 4096 + 100) as u64)
            .unwrap();
        // Either answer will do; a panic would end this test.
        if check(folder.path()).map_or(true, |report| !report.is_sound()) {
            found += 1;
        }
    }
    assert!(found > 3, "damage was found in {found} pages only");
}

#[test]
fn the_verification_counts_what_is_there_and_finds_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    furnish(folder.path());
    let report = check(folder.path()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    let counted = (
        report.pending,
        report.messages,
        report.keys,
        report.agents,
        report.dead_letters,
        report.programs,
    );
    assert_eq!(counted, (199, 201, 2, 1, 1, 1));
    let program = fs::read_dir(folder.path().join("programs"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::write(&program, b"two").unwrap();
    let report = check(folder.path()).unwrap();
    assert_eq!(
        (report.is_sound(), report.wrong, report.programs),
        (false, 1, 0)
    );
    assert!(report.findings[0].contains("damaged"), "{report:?}");
    assert!(check(&folder.path().join("nowhere")).is_err());
}

#[test]
fn programs_are_kept_by_their_hash() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let one = store.put_program(b"one").unwrap();
    assert_eq!(
        one.to_string(),
        "sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    );
    assert_eq!(store.put_program(b"one").unwrap(), one);
    let two = store.put_program(b"two").unwrap();
    let mut both = vec![one, two];
    both.sort();
    fs::write(folder.path().join("programs").join("notes.txt"), b"").unwrap();
    assert_eq!(store.programs().unwrap(), both);
    assert_eq!(store.program(two).unwrap(), b"two");
    assert!(matches!(
        store.program(Digest([0; 32])),
        Err(ProgramError::Unknown(_))
    ));
}

#[test]
fn a_damaged_program_is_not_handed_out_and_can_be_put_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let one = store.put_program(b"one").unwrap();
    let path = folder
        .path()
        .join("programs")
        .join(one.to_string().replace("sha256:", "") + ".wasm");
    fs::write(&path, b"evil").unwrap();
    assert!(matches!(store.program(one), Err(ProgramError::Damaged { path: of }) if of == path));
    assert_eq!(store.put_program(b"one").unwrap(), one);
    assert_eq!(store.program(one).unwrap(), b"one");
}

#[test]
fn what_a_crash_left_half_made_is_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let draft = folder.path().join("programs").join("0.tmp");
    let database = folder.path().join("node.redb.new-77");
    fs::write(&draft, b"half").unwrap();
    fs::write(&database, b"half").unwrap();
    drop(open(folder.path()));
    assert!(!draft.exists() && !database.exists());
}

/// A file system of 3 MiB, gone when this is dropped.
struct Small<'path>(&'path Path);

impl<'path> Small<'path> {
    fn mount(path: &'path Path) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=3m", "tmpfs"])
            .arg(path)
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then_some(Self(path))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_loses_nothing_and_goes_on_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let Some(small) = Small::mount(folder.path()) else {
        println!("skipped: mounting a small file system takes root");
        return;
    };
    let ballast = folder.path().join("ballast");
    fs::write(&ballast, vec![1; 1 << 20]).unwrap();
    let store = open(folder.path());
    let large = |number| {
        Arc::new(Envelope {
            content: vec![7; 100_000].into(),
            ..Envelope::clone(&message(number))
        })
    };
    let mut accepted = Vec::new();
    let refusal = loop {
        let number = accepted.len() as u128;
        match store.accept(agent(0), large(number)).await {
            Ok(_) => accepted.push(id(number)),
            Err(error) => break error,
        }
        assert!(accepted.len() < 1_000, "the disk does not fill");
    };
    assert!(
        matches!(&refusal, LedgerError::Unwritable(why) if why.contains("No space left")),
        "{refusal}"
    );
    assert!(!accepted.is_empty());
    let waiting = || -> Vec<_> {
        let pending = store.pending(agent(0), 0, usize::MAX).unwrap();
        pending.iter().map(|pending| pending.envelope.id).collect()
    };
    assert_eq!(waiting(), accepted);
    fs::remove_file(&ballast).unwrap();
    let number = accepted.len() as u128;
    let mut tries = 0;
    while let Err(error) = store.accept(agent(0), large(number)).await {
        assert!(matches!(error, LedgerError::Unwritable(_)), "{error}");
        // The store pauses after a failure; each refusal within the pause comes at once.
        tokio::task::yield_now().await;
        tries += 1;
        assert!(
            tries < 10_000_000,
            "there is room and the store does not see it: {error}"
        );
    }
    accepted.push(id(number));
    assert_eq!(waiting(), accepted);
    drop(store);
    assert!(check(folder.path()).unwrap().is_sound());
    drop(small);
}
