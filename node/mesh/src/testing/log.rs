//! What is logged while a test runs, on the test's own thread: tests that use it have a runtime of one.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tracing::subscriber::DefaultGuard;

/// How often a line that has not come yet is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long a line may take.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log from here on, until it is dropped.
pub(crate) struct Log {
    lines: Lines,
    _subscribed: DefaultGuard,
}

impl Log {
    pub(crate) fn start() -> Self {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || writer.clone())
            .finish();
        Self {
            lines,
            _subscribed: tracing::subscriber::set_default(subscriber),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.lines.0.lock().unwrap().clone()).unwrap()
    }

    /// Lines that have all of these parts.
    pub(crate) fn count(&self, parts: &[&str]) -> usize {
        let text = self.text();
        let is_meant = |line: &&str| parts.iter().all(|part| line.contains(part));
        text.lines().filter(is_meant).count()
    }

    /// Waits for a line that has all of these parts.
    pub(crate) async fn until(&self, parts: &[&str]) {
        let waiting = async {
            while self.count(parts) == 0 {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            panic!("no line has {parts:?}; there is\n{}", self.text());
        }
    }
}
