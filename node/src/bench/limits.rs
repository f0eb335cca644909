//! The physical limits: the same work with nothing of Caxton around it.

use std::{
    fs::File,
    io::{self, Seek as _, SeekFrom, Write as _},
    path::Path,
    time::Duration,
};

use caxton_sandbox::{AgentError, Host, Level, Message, Outgoing, Performative};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};

use super::{BenchError, figure::Times};

/// A host that answers at once.
pub(super) struct Silent;

impl Host for Silent {
    fn log(&self, _: Level, _: String) {}
    fn admit(&self, _: &Outgoing) -> Result<String, AgentError> {
        Ok("msg_0".to_owned())
    }
    fn find(&self, _: &str) -> Vec<String> {
        Vec::new()
    }
    fn kv_get(&self, _: &str) -> Result<Option<Vec<u8>>, AgentError> {
        Ok(None)
    }
    fn kv_keys(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<String>, AgentError> {
        Ok(Vec::new())
    }
    fn secret(&self, _: &str) -> Result<Vec<u8>, AgentError> {
        Err(AgentError::NotFound(String::new()))
    }
    fn tool(&self, _: &str, _: &str) -> Result<String, AgentError> {
        Err(AgentError::NotFound(String::new()))
    }
}

/// A message as a program sees it.
pub(super) fn message(content: &[u8]) -> Message {
    Message {
        id: "msg_01926f3e8b7a7c1d9e2f3a4b5c6d7e8f".to_owned(),
        performative: Performative::Request,
        sender: "operator:admin".to_owned(),
        receiver: "bench/echo-0".to_owned(),
        conversation_id: "cnv_01926f3e8b7a7c1d9e2f3a4b5c6d7e8f".to_owned(),
        protocol: None,
        reply_with: None,
        in_reply_to: None,
        reply_by: None,
        content_type: "text/plain".to_owned(),
        content: content.to_vec(),
        delivery: caxton_sandbox::Delivery::AtMostOnce,
    }
}

/// Tasks that answer over tokio's channels: what any actor needs at least.
pub(super) struct Channels {
    doors: Vec<mpsc::Sender<oneshot::Sender<()>>>,
    _tasks: JoinSet<()>,
}

impl Channels {
    pub(super) fn start(count: usize) -> Self {
        let mut tasks = JoinSet::new();
        let doors = (0..count)
            .map(|_| {
                let (door, mut asked) = mpsc::channel::<oneshot::Sender<()>>(1_024);
                tasks.spawn(async move {
                    while let Some(reply) = asked.recv().await {
                        let _gone = reply.send(());
                    }
                });
                door
            })
            .collect();
        Self {
            doors,
            _tasks: tasks,
        }
    }

    /// One round trip to the task of that number.
    pub(super) async fn ask(&self, number: usize) {
        let (reply, answer) = oneshot::channel();
        if let Some(door) = self.doors.get(number % self.doors.len().max(1)) {
            let _closed = door.send(reply).await;
            let _gone = answer.await;
        }
    }
}

/// Flushes of one page, one after the other, for `time`, into a file of `folder`.
pub(super) async fn flushes(folder: &Path, time: Duration) -> Result<Times, BenchError> {
    let path = folder.join("flush-rate");
    let flushed = tokio::task::spawn_blocking(move || {
        let mut times = Times::default();
        let mut file = File::create(&path)?;
        file.write_all(&[0; 4_096])?;
        file.sync_all()?;
        let until = Instant::now() + time;
        while Instant::now() < until {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&[1; 4_096])?;
            let begun = Instant::now();
            file.sync_data()?;
            times.add(begun.elapsed());
        }
        std::fs::remove_file(&path)?;
        Ok::<_, io::Error>(times)
    });
    flushed.await?.map_err(BenchError::Limit)
}
