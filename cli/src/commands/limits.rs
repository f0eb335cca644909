//! Limits as people write them (`memory=100MiB`, `handle=2s`) turned into what the API takes,
//! with the units and bounds that the node names.

use std::collections::BTreeMap;

use caxton_api::types::LimitInfo;

use super::node::amount_of;
use crate::{
    error::CliError,
    exit::Exit,
    explain, suggest,
    values::{millis, parse_duration, parse_size},
};

/// Turns what was written into limits by name.
///
/// # Errors
/// A name is not known or not unique, or a value does not fit its unit or its maximum.
pub(super) fn resolve(
    known: &[LimitInfo],
    written: &[(String, String)],
) -> Result<BTreeMap<String, u64>, CliError> {
    let mut limits = BTreeMap::new();
    for (name, value) in written {
        let limit = find(known, name)?;
        let amount = parse(limit, value)?;
        if limits
            .insert(limit.name.clone(), amount)
            .is_some_and(|before| before != amount)
        {
            let what = format!(
                "limit `{}` is given twice, with different values",
                limit.name
            );
            return Err(CliError::new(&explain::INPUT, Exit::Usage, what));
        }
    }
    Ok(limits)
}

/// By its name, with hyphens for underscores, or by the beginning of its name where that is unique
/// among whole words.
fn find<'a>(known: &'a [LimitInfo], written: &str) -> Result<&'a LimitInfo, CliError> {
    let name = written.replace('-', "_").to_lowercase();
    if let Some(limit) = known.iter().find(|limit| limit.name == name) {
        return Ok(limit);
    }
    let start = format!("{name}_");
    let fits: Vec<&LimitInfo> = known
        .iter()
        .filter(|limit| limit.name.starts_with(&start))
        .collect();
    match fits.as_slice() {
        [limit] => return Ok(limit),
        [] => {}
        several => {
            let names: Vec<&str> = several.iter().map(|limit| limit.name.as_str()).collect();
            let what = format!("`{written}` may mean several limits");
            return Err(CliError::new(&explain::AMBIGUOUS, Exit::Usage, what)
                .why(names.join(", "))
                .fix("write the whole name"));
        }
    }
    let error = CliError::new(
        &explain::INPUT,
        Exit::Usage,
        format!("there is no limit `{written}`"),
    )
    .fix("caxton node limits");
    let names = known.iter().map(|limit| limit.name.as_str());
    Err(match suggest::nearest(&name, names) {
        Some(near) => error.fix_first(format!("did you mean `{near}`?")),
        None => error,
    })
}

fn parse(limit: &LimitInfo, value: &str) -> Result<u64, CliError> {
    let plain = value.replace('_', "").parse::<u64>().ok();
    let amount = match (plain, limit.unit.as_str()) {
        (Some(plain), _) => Ok(plain),
        (None, "bytes") => parse_size(value),
        (None, "milliseconds") => parse_duration(value).map(millis),
        (None, _) => Err(format!("`{value}` is not a whole number")),
    };
    let amount = amount.map_err(|why| {
        let what = format!("limit `{}` cannot be `{value}`", limit.name);
        CliError::new(&explain::INPUT, Exit::Usage, what).why(why)
    })?;
    if amount > limit.max {
        let max = amount_of(&limit.unit, limit.max);
        let what = format!(
            "limit `{}` cannot be {}",
            limit.name,
            amount_of(&limit.unit, amount)
        );
        return Err(CliError::new(&explain::INPUT, Exit::Usage, what)
            .why(format!("the node allows {max} at most"))
            .fix(format!(
                "ask for {max} or less; caxton node limits lists them all"
            )));
    }
    Ok(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Vec<LimitInfo> {
        let limit = |name: &str, unit: &str, max| LimitInfo {
            name: name.into(),
            unit: unit.into(),
            default: 1,
            max,
            doc: String::new(),
        };
        vec![
            limit("memory_bytes", "bytes", 100 << 20),
            limit("handle_ms", "milliseconds", 60_000),
            limit("host_calls", "count", 1_000),
            limit("host_bytes", "bytes", 1_000),
            limit("mailbox", "count", 10_000),
        ]
    }

    fn one(name: &str, value: &str) -> Result<(String, u64), CliError> {
        let written = [(name.to_owned(), value.to_owned())];
        resolve(&known(), &written).map(|limits| limits.into_iter().next().unwrap())
    }

    #[test]
    fn names_may_be_short_and_values_have_units() {
        for (name, value, expected) in [
            ("memory", "64MiB", ("memory_bytes", 64 << 20)),
            ("memory-bytes", "1_024", ("memory_bytes", 1_024)),
            ("handle", "1m", ("handle_ms", 60_000)),
            ("handle_ms", "250", ("handle_ms", 250)),
            ("mailbox", "12", ("mailbox", 12)),
        ] {
            assert_eq!(
                one(name, value).unwrap(),
                (expected.0.to_owned(), expected.1),
                "{name}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_says_what_would() {
        let check = |name, value, code, text: &str| {
            let error = one(name, value).unwrap_err();
            assert_eq!(
                (error.code.as_str(), error.exit),
                (code, Exit::Usage),
                "{name}={value}"
            );
            let all = format!(
                "{} {} {}",
                error.what,
                error.why.join(" "),
                error.fix.join(" ")
            );
            assert!(all.contains(text), "{name}={value}: {all}");
        };
        check("memory", "500MiB", "CX1002", "100 MiB at most");
        check("memory", "soon", "CX1002", "not a size");
        check("handle", "many", "CX1002", "not a duration");
        check("mailbox", "2s", "CX1002", "whole number");
        check("mailbocks", "2", "CX1002", "did you mean `mailbox`?");
        check("host", "2", "CX1014", "host_calls, host_bytes");
    }

    #[test]
    fn a_limit_given_twice_must_agree_with_itself() {
        let twice = |a: &str, b: &str| {
            resolve(
                &known(),
                &[
                    ("memory".into(), a.into()),
                    ("memory_bytes".into(), b.into()),
                ],
            )
        };
        assert_eq!(twice("1MiB", "1048576").unwrap().len(), 1);
        assert_eq!(twice("1MiB", "2MiB").unwrap_err().exit, Exit::Usage);
    }
}
