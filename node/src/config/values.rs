//! One text to one value: what the lines of [`super::sections`] read with.
//!
//! A reader is made from its bounds, and its error names them. It sees the text and the folder that
//! relative paths start from; it does not know which source the text came from.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use super::units::{
    Wrong, parse_bytes, parse_count, parse_duration, show_bytes, show_duration, shown,
};

/// A text that was given for a setting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a> {
    pub(super) text: &'a str,
    /// Where relative paths start: the file's folder; `None` for flags and environment.
    pub(super) folder: Option<&'a Path>,
}

/// A setting's type that is one of a few words.
pub(super) trait Words: Sized + Copy + 'static {
    const WORDS: &'static [(&'static str, Self)];
}

pub(super) fn duration(
    min: Duration,
    max: Duration,
) -> impl Fn(Given<'_>) -> Result<Duration, Wrong> {
    move |given| {
        let value = parse_duration(given.text)?;
        within(value, min, max, given.text, show_duration)?;
        Ok(value)
    }
}

/// A size; `N` is what it is counted in, `usize` where it is memory.
pub(super) fn bytes<N: TryFrom<u64>>(min: u64, max: u64) -> impl Fn(Given<'_>) -> Result<N, Wrong> {
    move |given| {
        let value = parse_bytes(given.text)?;
        within(value, min, max, given.text, show_bytes)?;
        narrow(value)
    }
}

pub(super) fn count<N: TryFrom<u64>>(min: u64, max: u64) -> impl Fn(Given<'_>) -> Result<N, Wrong> {
    move |given| {
        let value = parse_count(given.text)?;
        within(value, min, max, given.text, |bound| bound.to_string())?;
        narrow(value)
    }
}

/// A word of the type's list. YAML's `yes` and `on` are not among those of `bool`.
pub(super) fn word<W: Words>(given: Given<'_>) -> Result<W, Wrong> {
    let found = W::WORDS.iter().find(|(word, _)| *word == given.text);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<_> = W::WORDS
            .iter()
            .map(|(word, _)| format!("`{word}`"))
            .collect();
        let all = words.split_last().map_or_else(String::new, |(last, rest)| {
            format!("{} or {last}", rest.join(", "))
        });
        Wrong::new(
            format!("is not {all}: `{}`", shown(given.text)),
            format!("write {all}"),
        )
    })
}

impl Words for bool {
    const WORDS: &'static [(&'static str, Self)] = &[("true", true), ("false", false)];
}

/// Anything that says itself what is wrong with its text, as a name does.
pub(super) fn parsed<T: FromStr<Err: std::fmt::Display>>(given: Given<'_>) -> Result<T, Wrong> {
    given.text.parse().map_err(|error: T::Err| {
        Wrong::new(
            format!("is refused: `{}`", shown(given.text)),
            error.to_string(),
        )
    })
}

/// A text that is compared and shown: visible ASCII characters alone.
pub(super) fn visible(given: Given<'_>) -> Result<String, Wrong> {
    match given.text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(given.text.to_owned()),
        false => Err(Wrong::new(
            format!("is refused: `{}`", shown(given.text)),
            "write it without spaces, in visible ASCII characters".to_owned(),
        )),
    }
}

/// An IP address and a port. Names are not looked up: what is bound must not depend on DNS.
pub(super) fn socket_address(given: Given<'_>) -> Result<SocketAddr, Wrong> {
    given.text.parse().ok().ok_or_else(|| {
        let fix = match given.text.trim_start_matches(':').parse::<u16>() {
            Ok(port) => format!("write `127.0.0.1:{port}`"),
            Err(_) => "write for example `127.0.0.1:8443` or `[::1]:8443`".to_owned(),
        };
        let what = format!("is not an IP address with a port: `{}`", shown(given.text));
        Wrong::new(what, fix)
    })
}

/// An IP address and a port, or nothing.
pub(super) fn optional_address(given: Given<'_>) -> Result<Option<SocketAddr>, Wrong> {
    match given.text {
        "" => Ok(None),
        _ => socket_address(given).map(Some),
    }
}

/// A path, or nothing. In a file it starts from the file's folder.
pub(super) fn path(given: Given<'_>) -> Result<Option<PathBuf>, Wrong> {
    if given.text.is_empty() {
        return Ok(None);
    }
    if given.text.starts_with(['~', '$']) || given.text.contains("${") {
        let what = format!("is not a plain path: `{}`", shown(given.text));
        return Err(Wrong::new(
            what,
            "`~` and `$` are not expanded: write the whole path",
        ));
    }
    // U+FFFD is what a flag's path that is not UTF-8 has become: it would name another file.
    if given.text.contains(['\0', '\u{fffd}']) {
        let what = format!("is not a path: `{}`", shown(given.text));
        return Err(Wrong::new(
            what,
            "a path is UTF-8 text without a NUL character",
        ));
    }
    Ok(Some(given.folder.map_or_else(
        || given.text.into(),
        |folder| folder.join(given.text),
    )))
}

fn within<T: PartialOrd + Copy>(
    value: T,
    min: T,
    max: T,
    text: &str,
    show: impl Fn(T) -> String,
) -> Result<(), Wrong> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    let fix = if value < min {
        format!("at least `{}`", show(min))
    } else {
        format!("at most `{}`", show(max))
    };
    let what = format!(
        "is `{}`, and may be `{}` to `{}`",
        shown(text),
        show(min),
        show(max)
    );
    Err(Wrong::new(what, fix))
}

/// INVARIANT: bounds fit their type on every platform that is supported, 64 bits and up; a smaller
/// one refuses the value instead of cutting it.
fn narrow<N: TryFrom<u64>>(value: u64) -> Result<N, Wrong> {
    let refused = || Wrong::new("is too large for this machine", "write a smaller value");
    N::try_from(value).ok().ok_or_else(refused)
}
