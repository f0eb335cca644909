//! What the node writes about itself: to standard error, for people on a terminal and as JSON otherwise.

use std::io::{IsTerminal as _, stderr};

use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::config::{Log, LogFormat};

/// Starts logging, once for each process; later calls keep the first.
pub(crate) fn start(config: &Log) {
    let pretty = match config.format {
        LogFormat::Pretty => true,
        LogFormat::Json => false,
        LogFormat::Auto => stderr().is_terminal(),
    };
    // The libraries speak at WARN: their INFO is about their insides, not about the node.
    let filter = EnvFilter::new(format!(
        "warn,caxton_node={0},caxton_actors={0},caxton_sandbox={0}",
        config.level
    ));
    let registry = tracing_subscriber::registry().with(filter);
    let started = if pretty {
        registry
            .with(
                fmt::layer()
                    .with_writer(stderr)
                    .with_ansi(stderr().is_terminal())
                    .compact(),
            )
            .try_init()
    } else {
        registry
            .with(fmt::layer().with_writer(stderr).json())
            .try_init()
    };
    if started.is_ok() {
        log_panics();
    }
}

/// A panic is caught and supervised; where it was goes to the log. Its text may quote a tenant's message.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::error!(place, "a part of the node panicked; its supervisor acts");
    }));
}
