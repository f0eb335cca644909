//! Capability tokens, as strangers send them.

use std::{collections::BTreeSet, sync::OnceLock};

use crate::{
    cast::{BEGIN, at, full, issuers, none_revoked, open, sealed},
    id::TokenId,
    issuers::Issuers,
    token::Token,
    verify::verify,
};

/// What was read is written as it came, and what counts was issued, whole or cut back.
pub(crate) fn target(bytes: &[u8]) -> bool {
    let Ok(token) = Token::from_bytes(bytes) else {
        return false;
    };
    assert_eq!(token.to_bytes(), bytes);
    assert_eq!(Token::from_text(&token.to_text()).as_ref(), Ok(&token));
    let (issuers, known) = world();
    if verify(&token, issuers, &none_revoked(), at(BEGIN)).is_ok() {
        let forged = token.ids().into_iter().find(|id| !known.contains(id));
        assert_eq!(forged, None, "{token:?}");
    }
    true
}

/// Whom the target believes, and every token that was ever issued.
fn world() -> &'static (Issuers, BTreeSet<TokenId>) {
    static WORLD: OnceLock<(Issuers, BTreeSet<TokenId>)> = OnceLock::new();
    WORLD.get_or_init(|| {
        let all = [sealed(1), open(3), sealed(8), full()];
        let known = all.iter().flat_map(Token::ids).collect();
        (issuers(), known)
    })
}
