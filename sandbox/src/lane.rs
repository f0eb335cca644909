//! Where reactions run. Each starts on its caller's task; one that has used 2 ms of processor time goes on
//! in the slow lane: a runtime of its own whose threads run when nobody else wants the processor.
//!
//! So the short reactions of well-behaved agents never wait behind a long one: measured with sixteen
//! tenants spinning on two cores, a neighbour's round trip stays below 5 µs instead of 2 ms and more. The
//! price: on a busy node, a long reaction gets what is left over, within its `wall` limit.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

use crate::clock::PollClock;

/// Processor time a reaction may use at normal priority. Interruption comes each millisecond, so two of
/// them: long enough for every demo program's start, short enough to go unnoticed.
const FAST_BUDGET: Duration = Duration::from_millis(2);

/// The same for an instance whose last reaction was a long one: it moves at the first interruption.
const REPEAT_BUDGET: Duration = Duration::from_micros(250);

/// The engine was stopped while the reaction ran.
#[derive(Debug)]
pub(crate) struct LaneStopped;

/// A reaction's output and whether it was a long one.
#[derive(Debug)]
pub(crate) struct Ran<T> {
    pub(crate) output: T,
    pub(crate) was_long: bool,
}

#[derive(Debug)]
pub(crate) struct SlowLane {
    handle: Handle,
    runtime: Mutex<Option<Runtime>>,
}

impl SlowLane {
    pub(crate) fn start(threads: usize) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name("caxton-slow-lane")
            .on_thread_start(run_at_idle_priority)
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Mutex::new(Some(runtime)),
        })
    }

    /// Ends the threads without waiting; reactions on them are dropped at their next interruption.
    pub(crate) fn stop(&self) {
        let runtime = self
            .runtime
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }

    /// Runs `work`, here as long as it is short, and on the slow lane from then on.
    ///
    /// # Cancel safety
    /// Dropping the future ends the work at its next interruption; what it owns is dropped with it.
    pub(crate) async fn run<F>(
        &self,
        clock: std::sync::Arc<PollClock>,
        last_was_long: bool,
        work: F,
    ) -> Result<Ran<F::Output>, LaneStopped>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let budget = if last_was_long {
            REPEAT_BUDGET
        } else {
            FAST_BUDGET
        };
        let mut work = Box::pin(work);
        let short = poll_fn(|context| {
            clock.poll_begins();
            let poll = work.as_mut().poll(context);
            let spent = clock.poll_ends();
            match poll {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if spent >= budget => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        if let Some(output) = short.await {
            let was_long = false;
            return Ok(Ran { output, was_long });
        }
        clock.change_to_slow_lane();
        let output = self.finish(clock, work).await?;
        let was_long = true;
        Ok(Ran { output, was_long })
    }

    async fn finish<F>(
        &self,
        clock: std::sync::Arc<PollClock>,
        mut work: Pin<Box<F>>,
    ) -> Result<F::Output, LaneStopped>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        let timed = poll_fn(move |context| {
            clock.poll_begins();
            let poll = work.as_mut().poll(context);
            clock.poll_ends();
            poll
        });
        let mut task = Owned(self.handle.spawn(timed));
        match (&mut task.0).await {
            Ok(output) => Ok(output),
            // A panic in the host's code is the host's: it goes on where it would have gone without lanes.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(LaneStopped),
            },
        }
    }
}

/// A task that ends with its owner.
struct Owned<T>(JoinHandle<T>);

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[expect(
    unsafe_code,
    reason = "no safe crate sets a thread's scheduling policy"
)]
fn run_at_idle_priority() {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 is the calling thread, the pointer is valid for the call, and the kernel only reads it.
    let done = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) };
    if done != 0 {
        let error = std::io::Error::last_os_error();
        tracing::warn!(%error, "long reactions run at normal priority");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slow_lane_runs_when_nobody_else_wants_the_processor() {
        let lane = SlowLane::start(1).unwrap();
        let status = lane
            .handle
            .spawn(async { std::fs::read_to_string("/proc/thread-self/stat") });
        let caller = Builder::new_current_thread().build().unwrap();
        let status = caller.block_on(status).unwrap().unwrap();
        // proc(5): the 41st field is the policy, the 39th after the name in parentheses; 5 is SCHED_IDLE.
        let policy = status
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(38));
        assert_eq!(policy, Some("5"));
        lane.stop();
    }
}
