//! The section `limits`: what programs get that ask for nothing else.
//!
//! Names, units and bounds are the sandbox's own table; only what differs from it is handed on.

use std::{collections::BTreeMap, time::Duration};

use caxton_sandbox::{LIMITS, LimitError, LimitInfo, Limits};

use super::{
    resolve::{Origin, Resolver},
    units::{Wrong, show_bytes, show_duration},
    values::{Given, bytes, count, duration},
};

/// The key of a limit in files.
pub(super) fn key(name: &str) -> String {
    format!("limits.{name}")
}

/// The default of a limit as a file would say it.
pub(super) fn default_text(limit: &LimitInfo) -> String {
    match limit.unit {
        "bytes" => show_bytes(limit.default),
        "ms" => show_duration(Duration::from_millis(limit.default)),
        _ => limit.default.to_string(),
    }
}

/// The keys of all limits.
pub(super) fn keys() -> impl Iterator<Item = String> {
    LIMITS.iter().map(|limit| key(limit.name))
}

/// Reads the limits that somebody gave, in each limit's own unit.
pub(super) fn read(from: &mut Resolver<'_>) -> BTreeMap<String, u64> {
    let mut overrides = BTreeMap::new();
    for limit in LIMITS {
        let key = key(limit.name);
        let value = from.read(&key, &default_text(limit), |given| number(limit, given));
        if let Some(value) = value
            && from.origin(&key) != Origin::Default
        {
            overrides.insert(limit.name.to_owned(), value);
        }
    }
    contradiction(from, &overrides);
    overrides
}

fn number(limit: &LimitInfo, given: Given<'_>) -> Result<u64, Wrong> {
    match limit.unit {
        "bytes" => bytes(limit.min, limit.max)(given),
        "ms" => {
            let [min, max] = [limit.min, limit.max].map(Duration::from_millis);
            let value = duration(min, max)(given)?;
            // In range, so it fits.
            Ok(u64::try_from(value.as_millis()).unwrap_or(limit.max))
        }
        _ => count(limit.min, limit.max)(given),
    }
}

fn contradiction(from: &mut Resolver<'_>, overrides: &BTreeMap<String, u64>) {
    let given = overrides
        .iter()
        .map(|(name, value)| (name.as_str(), *value));
    if let Err(LimitError::Order { smaller, larger }) = Limits::checked(given) {
        let [smaller, larger] = [key(smaller), key(larger)];
        let message = format!("`{smaller}` must not be above `{larger}`");
        let help = format!("lower `{smaller}` or raise `{larger}`");
        from.contradiction(&[&smaller, &larger], message, &help);
    }
}
