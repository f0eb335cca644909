//! What is signed and hashed, and under which words. No two of these words begin alike up to their NUL, so that
//! nothing signed for one purpose is ever taken for another.
//!
//! The one idea: a running hash over the bodies of all blocks. Each delegated block is signed together with the hash
//! of those before, so it belongs to one chain and to one place in it.

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{id::TokenId, moment::Moment};

/// Over a whole first block, by the issuer, twice.
const ISSUE: &[u8] = b"caxton-token-v1 issue\0";
/// Over a later block and all before it, by the holder that the block before names.
const DELEGATE: &[u8] = b"caxton-token-v1 delegate\0";
/// The running hash.
const CHAIN: &[u8] = b"caxton-token-v1 chain\0";
/// By the last holder, over what a verifier asks.
const PRESENT: &[u8] = b"caxton-token-v1 present\0";
/// Over a manifest, by a deployer, twice. An issuer's key may be a deployer's, so the two never sign the same bytes.
const DEPLOY: &[u8] = b"caxton-manifest-v1 deploy\0";
/// Over a message, by its sender, twice.
const SPEAK: &[u8] = b"caxton-message-v1 speak\0";
/// What a manifest is called.
pub(crate) const MANIFEST_DIGEST: &[u8] = b"caxton-manifest-v1 digest\0";
/// Ids of issuers' keys.
pub(crate) const ISSUER_KEY: &[u8] = b"caxton-token-v1 issuer-key\0";
/// Ids of holders' keys.
pub(crate) const HOLDER_KEY: &[u8] = b"caxton-token-v1 holder-key\0";
/// Keys by which a runtime holds the tokens of its agents.
pub(crate) const AGENT_KEY: &[u8] = b"caxton-token-v1 agent-key\0";

/// SHA-256 of a word of this file and what follows it.
pub(crate) fn hash(word: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(word);
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

/// What the issuer signs: the first block, whole.
pub(crate) fn to_issue(body: &[u8]) -> Vec<u8> {
    [ISSUE, body].concat()
}

/// What a deployer signs: its key's id and the contents of a manifest.
pub(crate) fn to_deploy(body: &[u8]) -> Vec<u8> {
    [DEPLOY, body].concat()
}

/// What the sender of a message signs.
pub(crate) fn to_speak(framed: &[u8]) -> Vec<u8> {
    [SPEAK, framed].concat()
}

/// The hash of a chain up to one of its blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Transcript([u8; 32]);

impl Transcript {
    /// Before the first block.
    pub(crate) const EMPTY: Self = Self([0; 32]);

    /// With one more block.
    pub(crate) fn and(&self, body: &[u8]) -> Self {
        Self(hash(CHAIN, &[&self.0, body]))
    }

    /// What the holder of this chain signs to add a block.
    pub(crate) fn to_delegate(self, body: &[u8]) -> Vec<u8> {
        [DELEGATE, &self.0, body].concat()
    }

    /// What the holder of this chain signs to present it. The audience's length keeps it apart from the digest.
    pub(crate) fn to_present(self, at: Moment, audience: &str, digest: &[u8; 32]) -> Vec<u8> {
        let seconds = at.seconds().to_be_bytes();
        let length = u64::try_from(audience.len()).unwrap_or(u64::MAX);
        let length = length.to_be_bytes();
        [
            PRESENT,
            &self.0,
            &seconds,
            &length,
            audience.as_bytes(),
            digest,
        ]
        .concat()
    }

    /// The id of the token that ends here: the first 16 bytes.
    pub(crate) fn id(self) -> TokenId {
        let [first @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = self.0;
        TokenId::from_uuid(Uuid::from_bytes(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_purpose_begins_as_another() {
        let words = [
            ISSUE,
            DELEGATE,
            CHAIN,
            PRESENT,
            DEPLOY,
            SPEAK,
            MANIFEST_DIGEST,
            ISSUER_KEY,
            HOLDER_KEY,
            AGENT_KEY,
        ];
        for (nth, one) in words.iter().enumerate() {
            assert_eq!(one.iter().position(|byte| *byte == 0), Some(one.len() - 1));
            assert!(words.iter().skip(nth + 1).all(|other| one != other));
        }
    }

    #[test]
    fn a_chain_is_its_blocks_in_their_order() {
        let (a, b) = (b"a".as_slice(), b"b".as_slice());
        let chain = |bodies: &[&[u8]]| {
            let mut bodies = bodies.iter();
            bodies.try_fold(Transcript::EMPTY, |so_far, body| Some(so_far.and(body)))
        };
        assert_ne!(chain(&[a, b]), chain(&[b, a]));
        assert_ne!(chain(&[a, b]), chain(&[b"ab"]));
        assert_ne!(chain(&[a, b]), chain(&[b]));
    }
}
