//! The file `node.redb`: making it whole or not at all, opening it, and what can be wrong with it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::Duration,
};

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase as _, StorageError, backends::FileBackend,
};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{
    flush::{FlushedBackend, Unflushed},
    group::{Bounds, Counters, Failure, Group},
    removed::Removed,
    tables::{FORMAT, META, META_DROPPED, META_FORMAT, META_NEXT_SEQUENCE, decode, encode},
};

/// The name of the database in the data folder.
pub const DATABASE_FILE: &str = "node.redb";
/// Owner alone: it holds messages and keys of every tenant.
pub(super) const FILE_MODE: u32 = 0o600;
/// Owner alone.
pub(super) const FOLDER_MODE: u32 = 0o700;

/// The store cannot be opened. What is in the data folder was left as it was.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// The folder cannot be made or entered.
    #[error("the data folder `{path}` cannot be used")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it open.
    #[error(
        "the data folder `{folder}` is in use by another process: stop that one, or name another folder"
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("opening `{path}`")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not a whole store.
    #[error(
        "`{path}` is damaged ({reason}): restore the data folder from a backup, or move the file away to start empty"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file was written by another version of this program.
    #[error(
        "`{path}` has format {found}; this program knows format {FORMAT}: start the program that wrote it"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: String,
    },
    /// The system gives no thread.
    #[error("the store's thread cannot be started")]
    Thread(#[source] io::Error),
}

/// What databases are opened from, again after a failure. A test puts a failing disk here.
pub(super) trait Medium: Send + 'static {
    /// Opens the database, which exists.
    fn open(&self) -> Result<Database, DatabaseError>;

    /// How long it is left alone after its first failure in a row.
    fn pause(&self) -> Duration {
        Duration::from_millis(50)
    }
}

/// A file.
#[derive(Debug)]
pub(super) struct FileMedium {
    path: PathBuf,
    cache_bytes: usize,
    unflushed: Unflushed,
}

impl FileMedium {
    pub(super) fn new(path: PathBuf, cache_bytes: usize) -> Self {
        Self {
            path,
            cache_bytes,
            unflushed: Unflushed::default(),
        }
    }
}

impl Medium for FileMedium {
    fn open(&self) -> Result<Database, DatabaseError> {
        let file = OpenOptions::new().read(true).write(true).open(&self.path)?;
        if file.metadata()?.len() == 0 {
            // redb would make a new database in it, as if nothing had ever been kept.
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is empty").into());
        }
        let backend = FlushedBackend::new(FileBackend::new(file)?, self.unflushed.clone());
        Builder::new()
            .set_cache_size(self.cache_bytes)
            .create_with_backend(backend)
    }
}

/// Makes the folder, and an empty store in it where there is none.
pub(super) fn prepare(folder: &Path) -> Result<PathBuf, OpenStoreError> {
    let wrong_folder = |source| OpenStoreError::Folder {
        path: folder.to_owned(),
        source,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(folder)
        .map_err(wrong_folder)?;
    let path = folder.join(DATABASE_FILE);
    match fs::metadata(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(folder, &path)?,
        Err(source) => return Err(OpenStoreError::Io { path, source }),
    }
    Ok(path)
}

/// Whether another process has the store in `folder` open. A folder without a store is free.
pub(super) fn is_in_use(folder: &Path) -> bool {
    File::open(folder.join(DATABASE_FILE))
        .is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)))
}

/// Makes an empty store beside its place and moves it there once it is whole. So a crash leaves either
/// no store or an empty one, and a file that is too short is never taken for a new one.
fn create(folder: &Path, path: &Path) -> Result<(), OpenStoreError> {
    let draft = folder.join(format!("{DATABASE_FILE}.new-{}", std::process::id()));
    let wrong = |source| OpenStoreError::Io {
        path: draft.clone(),
        source,
    };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .open(&draft)
        .map_err(wrong)?;
    let database = Builder::new()
        .create_file(file)
        .map_err(|error| explain(&draft, error))?;
    initialize(&database).map_err(|error| explain(&draft, DatabaseError::Storage(error)))?;
    drop(database);
    File::open(&draft)
        .and_then(|file| file.sync_all())
        .map_err(wrong)?;
    match renameat_with(CWD, &draft, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => sync_folder(folder).map_err(wrong),
        // Another process was quicker. Opening its file will say that it is in use.
        Err(rustix::io::Errno::EXIST) => fs::remove_file(&draft).map_err(wrong),
        Err(error) => Err(wrong(error.into())),
    }
}

/// Makes every table and writes the format, so that reads never meet a missing table.
pub(super) fn initialize(database: &Database) -> Result<(), StorageError> {
    let bounds = Bounds {
        kv_bytes_max: 0,
        dead_letters_max: 0,
        tombstones_max: 0,
        tombstone_window_ms: 0,
    };
    let txn = database.begin_write().map_err(storage)?;
    let removed = Removed::default();
    let mut group = Group::open(&txn, &removed, Counters::default(), bounds, 0).map_err(storage)?;
    let written = encode(&FORMAT)
        .map_err(Failure::from)
        .and_then(|row| group.put_meta(META_FORMAT, &row));
    drop(group);
    match written {
        Ok(()) => txn.commit().map_err(storage),
        Err(Failure::Group(error)) => Err(error),
        Err(Failure::Operation(error)) => Err(StorageError::Corrupted(error.to_string())),
    }
}

/// Makes renames and new files in `folder` durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Opens the database and reads what the writer carries on from.
pub(super) fn open(
    path: &Path,
    medium: &dyn Medium,
) -> Result<(Database, Counters), OpenStoreError> {
    // SECURITY: the file's bytes are foreign. Whatever they make redb do, the node says it in words.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let database = medium.open()?;
        let counters = read_counters(&database)?;
        Ok((database, counters))
    }));
    let damaged = |reason: String| OpenStoreError::Damaged {
        path: path.to_owned(),
        reason,
    };
    match opened {
        Ok(Ok((database, Ok(counters)))) => Ok((database, counters)),
        Ok(Ok((_, Err(format)))) => Err(OpenStoreError::Format {
            path: path.to_owned(),
            found: format,
        }),
        Ok(Err(error)) => Err(explain(path, error)),
        Err(_) => Err(damaged("it cannot be made sense of".into())),
    }
}

/// Reads the counters; the inner error is a format that is not ours, in words.
fn read_counters(database: &Database) -> Result<Result<Counters, String>, DatabaseError> {
    let txn = database.begin_read().map_err(storage)?;
    let meta = match txn.open_table(META) {
        Ok(meta) => meta,
        Err(redb::TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Ok(Err("of another program".into())),
    };
    let number = |name: &str| -> Result<Option<u64>, DatabaseError> {
        let Some(row) = meta.get(name)? else {
            return Ok(None);
        };
        let value = decode("meta", row.value());
        value
            .map(Some)
            .map_err(|error| StorageError::Corrupted(error.to_string()).into())
    };
    match number(META_FORMAT)? {
        Some(found) if found == u64::from(FORMAT) => {}
        Some(found) => return Ok(Err(found.to_string())),
        None => return Ok(Err("of another program".into())),
    }
    // Sequences begin at 1, so that 0 stands before all of them.
    let next_sequence = number(META_NEXT_SEQUENCE)?.unwrap_or(1);
    let dropped = number(META_DROPPED)?.unwrap_or(0);
    Ok(Ok(Counters {
        next_sequence,
        dropped,
    }))
}

/// The part of a redb error that says what the disk did.
pub(super) fn storage(error: impl Into<redb::Error>) -> StorageError {
    match error.into() {
        redb::Error::Io(error) => StorageError::Io(error),
        redb::Error::PreviousIo => StorageError::PreviousIo,
        redb::Error::DatabaseClosed => StorageError::DatabaseClosed,
        redb::Error::Corrupted(reason) => StorageError::Corrupted(reason),
        redb::Error::ValueTooLarge(bytes) => StorageError::ValueTooLarge(bytes),
        other => StorageError::Corrupted(other.to_string()),
    }
}

fn explain(path: &Path, error: DatabaseError) -> OpenStoreError {
    let owned = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => OpenStoreError::InUse {
            folder: path.parent().unwrap_or(path).to_owned(),
        },
        // redb says so of a file that does not begin as its files do, or ends too soon.
        DatabaseError::Storage(StorageError::Io(source))
            if matches!(
                source.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            OpenStoreError::Damaged {
                path: owned,
                reason: source.to_string(),
            }
        }
        DatabaseError::Storage(StorageError::Io(source)) => OpenStoreError::Io {
            path: owned,
            source,
        },
        DatabaseError::UpgradeRequired(found) => OpenStoreError::Format {
            path: owned,
            found: format!("redb {found}"),
        },
        other => OpenStoreError::Damaged {
            path: owned,
            reason: other.to_string(),
        },
    }
}
