//! Starts one child, stops one child, and reads from ractor's words how one ended.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use ractor::{ActorCell, ActorProcessingErr};
use tokio_util::sync::CancellationToken;

use super::event::Exit;
use super::handle::KILL_WAIT;
use super::rules::Shutdown;
use super::spec::{ChildContext, Start};

/// How a stop went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The actor has ended; its supervisor hears of it from ractor.
    Ended,
    /// It did not even answer a kill: it never comes to an `.await`.
    Abandoned,
}

/// Starts a child within `limit`, unless it is stopped before. No actor is left when it fails.
pub(super) async fn run_start(
    start: Start,
    context: ChildContext,
    limit: Duration,
    cancel: CancellationToken,
) -> Result<ActorCell, Exit> {
    let attempt = async {
        match start {
            Start::Actor { factory, .. } => factory(context.clone()).await,
            Start::Supervisor(handle) => handle.start_under(context.clone()).await,
        }
    };
    // A factory is foreign code: its panic must be reported, or the plan would wait for ever.
    let attempt = tokio::time::timeout(limit, AssertUnwindSafe(attempt).catch_unwind());
    let result = match cancel.run_until_cancelled(attempt).await {
        None => Err(Exit::Shutdown),
        Some(Err(_)) => Err(Exit::Failed(format!("it did not start within {limit:?}"))),
        Some(Ok(Err(panic))) => Err(Exit::Panicked(panic_text(panic.as_ref()))),
        Some(Ok(Ok(Err(ractor::SpawnErr::StartupFailed(error))))) => Err(exit_of_error(&error)),
        Some(Ok(Ok(Err(error)))) => Err(Exit::Failed(error.to_string())),
        Some(Ok(Ok(Ok(cell)))) => Ok(cell),
    };
    if result.is_err() {
        context.kill_spawned();
    }
    result
}

/// Stops a child as `shutdown` says. `overran` is called before it is killed for not having ended in its time.
pub(super) async fn run_stop(
    start: &Start,
    cell: &ActorCell,
    shutdown: Shutdown,
    overran: impl FnOnce(),
) -> Stopped {
    if let Shutdown::Drain(limit) = shutdown {
        match start {
            // An error means that it has ended already.
            Start::Actor { .. } => drop(cell.drain()),
            Start::Supervisor(handle) => handle.ask_to_stop(),
        }
        if cell.wait(Some(limit)).await.is_ok() {
            return Stopped::Ended;
        }
        overran();
    }
    cell.kill();
    match cell.wait(Some(KILL_WAIT)).await {
        Ok(()) => Stopped::Ended,
        Err(_) => Stopped::Abandoned,
    }
}

/// ractor tells by a text how an actor ended without an error.
pub(super) fn exit_of(reason: Option<&str>) -> Exit {
    match reason {
        None => Exit::Normal,
        Some(killed @ ("killed" | "actor_task_cancelled")) => Exit::Failed(killed.to_owned()),
        Some(_) => Exit::Shutdown,
    }
}

/// A panic reaches us as a bare string, boxed; a handler's error, by the rules of this house, has a type of its own.
/// The debug form of a bare string is the string in quotes.
pub(super) fn exit_of_error(error: &ActorProcessingErr) -> Exit {
    let text = error.to_string();
    if error.source().is_none() && format!("{error:?}") == format!("{text:?}") {
        Exit::Panicked(text)
    } else {
        Exit::Failed(with_sources(text, error.source()))
    }
}

fn with_sources(
    mut text: String,
    mut source: Option<&(dyn std::error::Error + 'static)>,
) -> String {
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text")
        .to_owned()
}
