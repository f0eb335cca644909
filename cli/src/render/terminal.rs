//! The two streams a command writes to, how wide and how colourful they may be, and the six output
//! formats. The only place that touches standard output.

use std::io::{self, IsTerminal, Read, Write};

use anstream::{AutoStream, ColorChoice};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::{
    error::CliError,
    render::{Shape, details, document, progress::Progress, table},
    values,
};

/// How data is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For people with wide screens: more columns, exact times.
    Wide,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
    /// Names alone, one a line.
    Name,
    /// One JSON document a line.
    Ndjson,
}

impl Format {
    /// Whether a program reads it: no hints then, and errors as problem documents.
    #[must_use]
    pub fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Ndjson)
    }

    /// Whether a person reads it.
    #[must_use]
    pub fn is_human(self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }
}

/// When to colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR or TERM=dumb say otherwise.
    #[default]
    Auto,
    /// Even into a pipe.
    Always,
    /// Not at all.
    Never,
}

/// Where a command writes and whom it may ask.
#[derive(Clone, Debug)]
pub struct Terminal {
    /// How data is written.
    pub format: Format,
    /// Whether questions are forbidden.
    pub no_input: bool,
    /// Whether progress and hints are left out.
    pub quiet: bool,
    color: Color,
}

impl Terminal {
    /// Makes one from the flags that every command has.
    #[must_use]
    pub fn new(format: Format, color: Color, no_input: bool, quiet: bool) -> Self {
        Self {
            format,
            no_input,
            quiet,
            color,
        }
    }

    fn choice(&self, of: ColorChoice) -> ColorChoice {
        match self.color {
            Color::Auto => of,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        }
    }

    /// Standard output; colours are taken out where they do not belong.
    #[must_use]
    pub fn out(&self) -> AutoStream<io::StdoutLock<'static>> {
        let stream = io::stdout();
        let choice = self.choice(AutoStream::choice(&stream));
        AutoStream::new(stream.lock(), choice)
    }

    /// Standard error, likewise.
    #[must_use]
    pub fn err(&self) -> AutoStream<io::StderrLock<'static>> {
        let stream = io::stderr();
        let choice = self.choice(AutoStream::choice(&stream));
        AutoStream::new(stream.lock(), choice)
    }

    /// Whether a person looks at standard output.
    #[must_use]
    pub fn out_is_terminal(&self) -> bool {
        io::stdout().is_terminal()
    }

    /// Whether a person looks at standard error.
    #[must_use]
    pub fn err_is_terminal(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// Whether somebody is there to answer a question.
    #[must_use]
    pub fn can_ask(&self) -> bool {
        !self.no_input && io::stdin().is_terminal() && self.err_is_terminal()
    }

    /// Columns of the terminal behind standard output; `None` off a terminal, where nothing is cut.
    #[must_use]
    pub fn width(&self) -> Option<usize> {
        width_of(&io::stdout())
    }

    /// Columns of the terminal behind standard error.
    #[must_use]
    pub fn err_width(&self) -> Option<usize> {
        width_of(&io::stderr())
    }

    /// A progress line for something that may last.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress::new(
            self.err_is_terminal() && !self.quiet,
            self.quiet || self.format.is_json(),
        )
    }

    /// Writes one line of text to standard output.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn line(&self, text: &str) -> Result<(), CliError> {
        let mut out = self.out();
        writeln!(out, "{text}")?;
        out.flush()?;
        Ok(())
    }

    /// Writes a remark to standard error, unless a program reads or quiet is asked for.
    pub fn hint(&self, text: &str) {
        if !self.quiet && !self.format.is_json() {
            // A remark that cannot be shown is no reason to fail.
            let _shown = writeln!(self.err(), "{text}");
        }
    }

    /// Writes bytes to standard output as they are. A terminal gets them harmless and with a line
    /// end; anything else gets exactly them.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn raw(&self, bytes: &[u8]) -> Result<(), CliError> {
        self.raw_part(bytes)?;
        if bytes.ends_with(b"\n") {
            Ok(())
        } else {
            self.raw_end()
        }
    }

    /// Writes a part of such bytes.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn raw_part(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        if out.is_terminal() {
            let text = values::harmless(&String::from_utf8_lossy(bytes), true);
            out.write_all(text.as_bytes())?;
        } else {
            out.write_all(bytes)?;
        }
        out.flush()?;
        Ok(())
    }

    /// Ends the line on a terminal, where a prompt follows; nothing anywhere else.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn raw_end(&self) -> Result<(), CliError> {
        let mut out = io::stdout().lock();
        if out.is_terminal() {
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Writes a list in the format asked for.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn list<T: Serialize>(&self, shape: &Shape, items: &[T]) -> Result<(), CliError> {
        let items = items
            .iter()
            .map(document::value)
            .collect::<Result<Vec<_>, _>>()?;
        let text = match self.format {
            Format::Table | Format::Wide => {
                if items.is_empty() {
                    self.hint(&format!("no {}", shape.plural));
                    return Ok(());
                }
                let wide = self.format == Format::Wide;
                table::render(shape.columns, &items, wide, self.width(), Timestamp::now())
            }
            Format::Json => document::json(&document::list(shape, items)),
            Format::Yaml => document::yaml(&document::list(shape, items))?,
            Format::Name => document::lines(items.iter().map(|item| shape.line(item))),
            Format::Ndjson => document::lines(
                items
                    .into_iter()
                    .map(|item| document::item(shape.kind, item).to_string()),
            ),
        };
        self.write(&text)
    }

    /// Writes one thing in the format asked for.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn item<T: Serialize>(&self, shape: &Shape, item: &T) -> Result<(), CliError> {
        self.item_as(shape, item, |value| {
            details::render(
                shape.columns,
                value,
                self.format == Format::Wide,
                Timestamp::now(),
            )
        })
    }

    /// Like [`Self::item`], with another picture for people.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn item_as<T: Serialize>(
        &self,
        shape: &Shape,
        item: &T,
        human: impl FnOnce(&Value) -> String,
    ) -> Result<(), CliError> {
        let value = document::value(item)?;
        let text = match self.format {
            Format::Table | Format::Wide => human(&value),
            Format::Json => document::json(&document::item(shape.kind, value)),
            Format::Yaml => document::yaml(&document::item(shape.kind, value))?,
            Format::Name => document::lines([shape.line(&value)]),
            Format::Ndjson => document::lines([document::item(shape.kind, value).to_string()]),
        };
        self.write(&text)
    }

    /// Writes finished text to standard output.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, text: &str) -> Result<(), CliError> {
        let mut out = self.out();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    /// Asks for one line on the terminal.
    ///
    /// # Errors
    /// The terminal cannot be read or written.
    pub fn ask(&self, question: &str) -> Result<String, CliError> {
        let mut err = self.err();
        write!(err, "{question} ")?;
        err.flush()?;
        let mut line = String::new();
        io::stdin().read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Reads standard input to its end.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_input(&self) -> Result<Vec<u8>, CliError> {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

fn width_of(stream: &(impl IsTerminal + std::os::fd::AsFd)) -> Option<usize> {
    if !stream.is_terminal() {
        return None;
    }
    let columns = rustix::termios::tcgetwinsize(stream).map_or(80, |size| usize::from(size.ws_col));
    Some(if columns == 0 { 80 } else { columns })
}
