//! The CA's book: join tokens, and which name belongs to which key. Pure: the caller keeps it durable
//! before it acts on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Tokens that exist at the same time, expired ones that were not cleared away included.
pub(crate) const TOKENS_MAX: usize = 1_000;
/// Names that were ever given: each costs about 150 bytes in one row of the store.
pub(crate) const NAMES_MAX: usize = 4_096;

/// SHA-256, of a secret or of a key.
pub(crate) type Digest = [u8; 32];

/// A join token, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenRow {
    /// SHA-256 of the secret: the key of the proof that somebody has it.
    pub(crate) hash: Digest,
    pub(crate) created_ms: u64,
    pub(crate) expires_ms: u64,
    pub(crate) uses: u32,
    pub(crate) uses_left: u32,
    /// The operator who made it.
    pub(crate) made_by: String,
}

/// A name that was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NameRow {
    /// SHA-256 of the member's ML-DSA-87 key as SubjectPublicKeyInfo, the one of its last certificate.
    pub(crate) key: Digest,
    pub(crate) admitted_ms: u64,
    /// The token it came with; none for the node that founded the cluster.
    pub(crate) token: Option<String>,
    /// When its last certificate ends; 0 when that was taken back.
    #[serde(default)]
    pub(crate) ends_ms: u64,
    /// An operator took the name back: its certificates are revoked, and another node may have it.
    pub(crate) removed_ms: Option<u64>,
}

/// The whole book.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Book {
    pub(crate) tokens: BTreeMap<String, TokenRow>,
    pub(crate) names: BTreeMap<String, NameRow>,
}

/// Why nobody is let in. Said to the one who asks: it tells no more than that one may know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// There is no such token, or its secret is another: not told apart.
    #[error("the join token is not known here: `caxton token create --join` makes another")]
    UnknownToken,
    #[error("the join token has expired: `caxton token create --join` makes another")]
    Expired,
    #[error("the join token is used up: `caxton token create --join` makes another")]
    UsedUp,
    #[error(
        "the name `{0}` belongs to another node: choose another with --name, or have that one taken out with `caxton cluster remove {0}`"
    )]
    NameTaken(String),
    #[error("the cluster has given as many names as it may")]
    Full,
    /// Removed, another key, or expired: not told apart.
    #[error(
        "this is not the key of a member whose certificate would still hold: have the name taken out with `caxton cluster remove`, and join anew with a token"
    )]
    NotTheHolder,
}

/// There are as many tokens as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {TOKENS_MAX} join tokens: revoke some with `caxton token revoke`")]
pub(crate) struct TooManyTokens;

impl Book {
    /// Lets a key have a name for a token, or says why not. Asking again with the same key and name, as after
    /// an answer that was lost, is granted without counting twice.
    pub(crate) fn admit(
        &mut self,
        now_ms: u64,
        (token, is_proven): (&str, impl FnOnce(&Digest) -> bool),
        (name, key): (&str, &Digest),
    ) -> Result<(), Refused> {
        let row = self.tokens.get(token).ok_or(Refused::UnknownToken)?;
        if !is_proven(&row.hash) {
            return Err(Refused::UnknownToken);
        }
        if now_ms >= row.expires_ms {
            return Err(Refused::Expired);
        }
        if let Some(held) = self.names.get(name)
            && held.removed_ms.is_none()
        {
            let again = held.key == *key && held.token.as_deref() == Some(token);
            return match again {
                true => Ok(()),
                false => Err(Refused::NameTaken(name.to_owned())),
            };
        }
        if row.uses_left == 0 {
            return Err(Refused::UsedUp);
        }
        if !self.names.contains_key(name) && self.names.len() >= NAMES_MAX {
            return Err(Refused::Full);
        }
        if let Some(row) = self.tokens.get_mut(token) {
            row.uses_left -= 1;
        }
        self.give(now_ms, name, key, Some(token.to_owned()));
        Ok(())
    }

    /// The node that founds the cluster has its name from itself.
    pub(crate) fn found(&mut self, now_ms: u64, name: &str, key: &Digest) {
        let held = self.names.get(name).is_some_and(|held| held.key == *key);
        if !held {
            self.give(now_ms, name, key, None);
        }
    }

    fn give(&mut self, now_ms: u64, name: &str, key: &Digest, token: Option<String>) {
        let row = NameRow {
            key: *key,
            admitted_ms: now_ms,
            token,
            ends_ms: 0,
            removed_ms: None,
        };
        self.names.insert(name.to_owned(), row);
    }

    /// Notes the key of a member's latest certificate, and when that ends.
    pub(crate) fn issued(&mut self, name: &str, key: &Digest, ends_ms: u64) {
        if let Some(row) = self.names.get_mut(name) {
            (row.key, row.ends_ms) = (*key, ends_ms);
        }
    }

    /// Whether a member with this name, which has shown who it is, may renew: its certificate was not taken back. It
    /// renews with a fresh key, so the key is not asked for. The founder is not one of those that are asked about.
    pub(crate) fn may_renew(&self, now_ms: u64, name: &str) -> bool {
        let row = self.names.get(name);
        row.is_some_and(|row| row.removed_ms.is_none() && now_ms < row.ends_ms)
    }

    /// No certificate of this name counts any more, so nobody renews with one.
    pub(crate) fn lock_out(&mut self, name: &str) {
        if let Some(row) = self.names.get_mut(name) {
            row.ends_ms = 0;
        }
    }

    /// Whether `name` is a member's.
    pub(crate) fn is_member(&self, name: &str) -> bool {
        self.names
            .get(name)
            .is_some_and(|row| row.removed_ms.is_none())
    }

    /// Whether this is the key of the member's latest certificate, and that has not ended.
    pub(crate) fn is_holder(&self, now_ms: u64, name: &str, key: &Digest) -> Result<(), Refused> {
        let row = self.names.get(name).ok_or(Refused::NotTheHolder)?;
        let holds = row.removed_ms.is_none() && row.key == *key && now_ms < row.ends_ms;
        holds.then_some(()).ok_or(Refused::NotTheHolder)
    }

    /// Takes a name back; false where it is no member's.
    pub(crate) fn remove(&mut self, now_ms: u64, name: &str) -> bool {
        let row = self.names.get_mut(name);
        let Some(row) = row.filter(|row| row.removed_ms.is_none()) else {
            return false;
        };
        row.removed_ms = Some(now_ms);
        true
    }

    /// The members, or those who were removed.
    pub(crate) fn names(&self, removed: bool) -> Vec<String> {
        let rows = self.names.iter();
        rows.filter(|(_, row)| row.removed_ms.is_some() == removed)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Adds a token; those that have long expired make room.
    pub(crate) fn add_token(
        &mut self,
        now_ms: u64,
        id: String,
        row: TokenRow,
    ) -> Result<(), TooManyTokens> {
        if self.tokens.len() >= TOKENS_MAX {
            self.tokens.retain(|_, held| held.expires_ms > now_ms);
        }
        if self.tokens.len() >= TOKENS_MAX {
            return Err(TooManyTokens);
        }
        self.tokens.insert(id, row);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: Digest = [1; 32];
    const KEY: Digest = [2; 32];
    const OTHER: Digest = [3; 32];

    fn book(uses: u32) -> Book {
        let mut book = Book::default();
        let row = TokenRow {
            hash: SECRET,
            created_ms: 0,
            expires_ms: 100,
            uses,
            uses_left: uses,
            made_by: "admin".to_owned(),
        };
        book.add_token(0, "t".to_owned(), row).unwrap();
        book
    }

    fn check(book: &mut Book, now: u64, token: (&str, &Digest), node: (&str, &Digest), word: &str) {
        let before = book.clone();
        let is_proven = |key: &Digest| key == token.1;
        let found = match book.admit(now, (token.0, is_proven), node) {
            Ok(()) => "ok",
            Err(refused) => {
                assert_eq!(*book, before, "a refusal changes nothing");
                match refused {
                    Refused::UnknownToken => "unknown",
                    Refused::Expired => "expired",
                    Refused::UsedUp => "used up",
                    Refused::NameTaken(_) => "name taken",
                    Refused::Full => "full",
                    Refused::NotTheHolder => "not the holder",
                }
            }
        };
        assert_eq!(found, word);
    }

    #[test]
    fn a_token_lets_in_as_many_as_it_says_until_it_expires() {
        let mut book = book(2);
        check(&mut book, 1, ("t", &OTHER), ("a", &KEY), "unknown");
        check(&mut book, 1, ("x", &SECRET), ("a", &KEY), "unknown");
        check(&mut book, 100, ("t", &SECRET), ("a", &KEY), "expired");
        check(&mut book, 99, ("t", &SECRET), ("a", &KEY), "ok");
        check(&mut book, 1, ("t", &SECRET), ("b", &OTHER), "ok");
        check(&mut book, 1, ("t", &SECRET), ("c", &[9; 32]), "used up");
    }

    #[test]
    fn asking_again_after_a_lost_answer_costs_no_use() {
        let mut book = book(1);
        check(&mut book, 1, ("t", &SECRET), ("a", &KEY), "ok");
        check(&mut book, 2, ("t", &SECRET), ("a", &KEY), "ok");
        check(&mut book, 2, ("t", &SECRET), ("a", &OTHER), "name taken");
        assert_eq!(book.tokens["t"].uses_left, 0);
    }

    #[test]
    fn a_name_is_another_nodes_only_after_it_was_taken_back() {
        let mut book = book(5);
        book.found(1, "a", &KEY);
        check(&mut book, 1, ("t", &SECRET), ("a", &KEY), "name taken");
        assert!(book.remove(61, "a"));
        assert!(!book.is_member("a"));
        assert!(!book.remove(62, "a"));
        assert_eq!(book.names(true), ["a"]);
        check(&mut book, 63, ("t", &SECRET), ("a", &OTHER), "ok");
        assert!(book.is_member("a"));
    }

    #[test]
    fn a_member_is_known_by_the_key_of_its_last_certificate_while_that_holds() {
        let mut book = book(1);
        check(&mut book, 1, ("t", &SECRET), ("a", &KEY), "ok");
        book.issued("a", &OTHER, 50);
        let not = Err(Refused::NotTheHolder);
        assert_eq!(book.is_holder(49, "a", &OTHER), Ok(()));
        assert_eq!(book.is_holder(49, "a", &KEY), not);
        assert_eq!(book.is_holder(50, "a", &OTHER), not);
        assert_eq!(book.is_holder(49, "b", &OTHER), not);
        assert!(book.may_renew(49, "a") && !book.may_renew(50, "a"));
        let mut revoked = book.clone();
        revoked.lock_out("a");
        assert_eq!(revoked.is_holder(1, "a", &OTHER), not);
        assert!(!revoked.may_renew(1, "a") && revoked.is_member("a"));
        book.remove(40, "a");
        assert_eq!(book.is_holder(49, "a", &OTHER), not);
        assert!(!book.may_renew(41, "a"));
    }

    #[test]
    fn expired_tokens_make_room_and_live_ones_do_not() {
        let mut book = book(1);
        let row = book.tokens["t"].clone();
        for number in 1..TOKENS_MAX {
            book.add_token(0, format!("t{number}"), row.clone())
                .unwrap();
        }
        assert_eq!(
            book.add_token(99, "new".to_owned(), row.clone()),
            Err(TooManyTokens)
        );
        assert_eq!(book.add_token(100, "new".to_owned(), row), Ok(()));
    }
}
