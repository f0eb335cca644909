//! Ids, as requests, programs and cursors write them.

use std::{fmt::Display, str::FromStr};

use crate::id::{AgentId, ConversationId, MessageId, TokenId, TraceId};

/// What was read is written as it came, and no id is taken for one of another kind.
pub(crate) fn target(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let kinds = [
        same::<AgentId>(text),
        same::<MessageId>(text),
        same::<ConversationId>(text),
        same::<TokenId>(text),
        same::<TraceId>(text),
    ];
    let fits = kinds.into_iter().filter(|is| *is).count();
    assert!(fits <= 1, "{text:?}");
    fits == 1
}

fn same<T: FromStr + Display>(text: &str) -> bool {
    text.parse::<T>()
        .is_ok_and(|id| id.to_string() == text || panic!("{text:?} is written as {id}"))
}
