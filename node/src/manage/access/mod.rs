//! Who may do what, for those who may change it.

pub(super) mod api_keys;
pub(super) mod certificates;
pub(super) mod freeze;
pub(super) mod operators;
pub(super) mod policies;
pub(super) mod revocations;
pub(super) mod tenants;
pub(super) mod tokens;

use caxton_actors::ports::unix_ms;
use caxton_capabilities::{Name, Principal};

use super::{
    extract::shown,
    plane::Permitted,
    problem::{Answer, Failure},
};
use crate::access::book::Deed;

/// Characters of a reason.
const REASON_CHARS_MAX: usize = 200;

/// The deed of whoever was permitted.
fn deed(node: &Permitted<'_>, reason: Option<String>) -> Answer<Deed> {
    let reason = reason.unwrap_or_default();
    let is_line = !reason.chars().any(char::is_control);
    if reason.chars().count() > REASON_CHARS_MAX || !is_line {
        let detail = format!("reason is one line of {REASON_CHARS_MAX} characters at most");
        return Err(Failure::invalid(detail));
    }
    Ok(Deed {
        by: node.principal().to_string(),
        at_ms: unix_ms(node.environment.now()),
        reason,
    })
}

/// The operator who asks.
pub(super) fn operator(node: &Permitted<'_>) -> Answer<Name> {
    match node.principal() {
        Principal::Operator(name) => Ok(name.clone()),
        other => Err(Failure::invalid(format!("`{other}` is no operator"))),
    }
}

fn missing(kind: &str, name: &str) -> Failure {
    Failure::not_found(format!("there is no {kind} `{}`", shown(name)))
}
