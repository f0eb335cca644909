//! Where a job lies in kv. No decisions.
//!
//! | key | value |
//! |---|---|
//! | `job/<id>/head` | [`Job`] |
//! | `job/<id>/tender/<chunk>` | [`Tender`], while the chunk is under way |
//! | `job/<id>/text/<chunk>/<part>` | the chunk, until it is counted |
//! | `job/<id>/counts/<chunk>/<part>` | its counts |
//! | `open/<conversation>/<id>` | nothing; finds the jobs of a conversation |

use caxton_sdk::{Context, Error};

use crate::job::Job;
use crate::tender::Tender;

/// Within a node's default for a value, which is 64 KiB; a larger text lies in several parts.
const PART_BYTES: usize = 60 << 10;

/// One job's keys.
pub(crate) struct Store<'a> {
    ctx: &'a Context,
    id: &'a str,
}

/// The jobs begun in a conversation.
pub(crate) fn open_jobs(ctx: &Context, conversation: &str) -> Result<Vec<String>, Error> {
    let prefix = format!("open/{conversation}/");
    let keys = ctx.kv().keys(&prefix)?;
    Ok(keys
        .iter()
        .filter_map(|key| key.strip_prefix(&prefix))
        .map(str::to_owned)
        .collect())
}

impl<'a> Store<'a> {
    pub(crate) fn new(ctx: &'a Context, id: &'a str) -> Self {
        Self { ctx, id }
    }

    /// None: there is no such job, or it is over.
    pub(crate) fn job(&self) -> Result<Option<Job>, Error> {
        self.read("head", |text| Job::decode(self.id, text))
    }

    pub(crate) fn put_job(&self, job: &Job) -> Result<(), Error> {
        self.ctx.kv().set(&self.key("head"), job.encode())
    }

    /// Makes the job known to [`open_jobs`].
    pub(crate) fn open(&self, job: &Job) -> Result<(), Error> {
        self.ctx.kv().set(&open_key(job), "")
    }

    /// None: the chunk is not tendered yet, or counted already.
    pub(crate) fn tender(&self, chunk: usize) -> Result<Option<Tender>, Error> {
        self.read(&format!("tender/{chunk:02}"), Tender::decode)
    }

    pub(crate) fn put_tender(&self, chunk: usize, tender: &Tender) -> Result<(), Error> {
        self.ctx
            .kv()
            .set(&self.key(&format!("tender/{chunk:02}")), tender.encode())
    }

    pub(crate) fn text(&self, chunk: usize) -> Result<Vec<u8>, Error> {
        self.parts(&format!("text/{chunk:02}/"))
    }

    pub(crate) fn put_text(&self, chunk: usize, text: &[u8]) -> Result<(), Error> {
        self.put_parts(&format!("text/{chunk:02}/"), text)
    }

    /// Keeps a chunk's counts and drops what is no longer needed of it.
    pub(crate) fn put_result(&self, chunk: usize, counts: &str) -> Result<(), Error> {
        self.put_parts(&format!("counts/{chunk:02}/"), counts.as_bytes())?;
        self.ctx
            .kv()
            .delete(&self.key(&format!("tender/{chunk:02}")))?;
        self.delete_all(&format!("text/{chunk:02}/"))
    }

    /// The counts of all chunks.
    pub(crate) fn results(&self) -> Result<Vec<String>, Error> {
        let mut results: Vec<(String, Vec<u8>)> = Vec::new();
        for key in self.ctx.kv().keys(&self.key("counts/"))? {
            let chunk = key.rsplit_once('/').map_or("", |(chunk, _)| chunk);
            let part = self.ctx.kv().get(&key)?.unwrap_or_default();
            match results.last_mut() {
                Some((last, counts)) if last == chunk => counts.extend(part),
                _ => results.push((chunk.to_owned(), part)),
            }
        }
        let texts = results
            .into_iter()
            .map(|(chunk, counts)| String::from_utf8(counts).map_err(|_| damaged(&chunk)));
        texts.collect()
    }

    /// Removes every key of the job.
    pub(crate) fn clear(&self, job: &Job) -> Result<(), Error> {
        self.ctx.kv().delete(&open_key(job))?;
        self.delete_all("")
    }

    fn key(&self, rest: &str) -> String {
        format!("job/{}/{rest}", self.id)
    }

    fn read<T>(&self, rest: &str, decode: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Error> {
        let key = self.key(rest);
        let Some(value) = self.ctx.kv().get(&key)? else {
            return Ok(None);
        };
        let decoded = str::from_utf8(&value).ok().and_then(decode);
        decoded.map(Some).ok_or_else(|| damaged(&key))
    }

    fn parts(&self, rest: &str) -> Result<Vec<u8>, Error> {
        let mut whole = Vec::new();
        for key in self.ctx.kv().keys(&self.key(rest))? {
            whole.extend(self.ctx.kv().get(&key)?.unwrap_or_default());
        }
        Ok(whole)
    }

    fn put_parts(&self, rest: &str, whole: &[u8]) -> Result<(), Error> {
        for (number, part) in whole.chunks(PART_BYTES).enumerate() {
            self.ctx
                .kv()
                .set(&self.key(&format!("{rest}{number:04}")), part)?;
        }
        Ok(())
    }

    fn delete_all(&self, rest: &str) -> Result<(), Error> {
        for key in self.ctx.kv().keys(&self.key(rest))? {
            self.ctx.kv().delete(&key)?;
        }
        Ok(())
    }
}

fn open_key(job: &Job) -> String {
    format!("open/{}/{}", job.conversation, job.id)
}

fn damaged(key: &str) -> Error {
    Error::Failed(format!("`{key}` is damaged"))
}
