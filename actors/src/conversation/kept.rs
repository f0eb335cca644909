//! An open conversation as a key and a value of the agent's own store.
//!
//! The value is one line: protocol, state, role, label. A role that awaits an answer carries the wait:
//! `initiator@<by>@<trace>@<message>`. The label comes last, because it alone is foreign text.

use std::sync::Arc;

use super::{
    awaited::Awaited,
    protocol::{Role, State},
    table::{Key, Open},
};
use crate::envelope::Protocol;

/// Keys of an agent's store that start with this character are the runtime's, not the program's.
pub const RESERVED: char = '\u{1}';
/// Where open conversations are kept in an agent's store.
pub(crate) const KEPT_UNDER: &str = "\u{1}cnv/";

/// What a line says.
pub(super) struct Kept {
    pub(super) key: Key,
    pub(super) protocol: Protocol,
    pub(super) state: State,
    pub(super) role: Role,
    pub(super) label: Arc<str>,
    pub(super) awaited: Option<Awaited>,
}

pub(super) fn key_of(key: &Key) -> String {
    format!("{KEPT_UNDER}{}/{}", key.0, key.1)
}

pub(super) fn value_of(open: &Open) -> Vec<u8> {
    let (protocol, state, role) = (open.protocol, open.state.as_str(), open.role.as_str());
    let role = open.awaited.map_or_else(
        || role.to_owned(),
        |Awaited {
             by_ms,
             message,
             trace,
         }| format!("{role}@{by_ms}@{trace}@{message}"),
    );
    format!("{protocol} {state} {role} {}", open.label).into_bytes()
}

/// Reads a line; `None` for what is none of ours.
pub(super) fn read(key: &str, value: &[u8]) -> Option<Kept> {
    let (conversation, peer) = key.strip_prefix(KEPT_UNDER)?.split_once('/')?;
    let mut words = std::str::from_utf8(value).ok()?.splitn(4, ' ');
    let protocol = words.next()?.parse().ok()?;
    let state = State::parse(words.next()?)?;
    let mut role = words.next()?.split('@');
    let label = Arc::from(words.next()?);
    Some(Kept {
        key: (conversation.parse().ok()?, peer.parse().ok()?),
        protocol,
        state,
        role: Role::parse(role.next()?)?,
        label,
        awaited: match role.next() {
            None => None,
            Some(by_ms) => Some(Awaited {
                by_ms: by_ms.parse().ok()?,
                trace: role.next()?.parse().ok()?,
                message: role.next()?.parse().ok()?,
            }),
        },
    })
}
