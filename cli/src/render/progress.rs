//! Progress on standard error: a spinner with the time on a terminal, milestone lines elsewhere
//! (where a spinner would draw nothing at all), silence where quiet is asked for.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write;

/// What is shown while something lasts.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    silent: bool,
}

impl Progress {
    pub(crate) fn new(animated: bool, silent: bool) -> Self {
        let bar = (animated && !silent).then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Self { bar, silent }
    }

    /// Says what is being done now.
    pub fn step(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(text.to_owned()),
            None => self.write(text),
        }
    }

    /// Says that something is done; the line stays.
    pub fn done(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => self.write(text),
        }
    }

    fn write(&self, text: &str) {
        if !self.silent {
            // Progress that cannot be shown is no reason to fail.
            let _shown = writeln!(anstream::stderr(), "{text}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
