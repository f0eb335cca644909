//! Manifests that no honest maker makes, put together from bytes as docs/manifest.md has them, and signed with the
//! right keys. It shares no code with the library's encoder: what both understand alike, the page says.

use aws_lc_rs::signature::{ML_DSA_65_SIGNING, PqdsaKeyPair};
use caxton_capabilities::Contents;
use ed25519_dalek::{Signer as _, SigningKey};

use crate::cast::deployer;

/// Length of an Ed25519 signature.
pub(crate) const CLASSICAL: usize = 64;
/// Length of both signatures.
pub(crate) const SIGNATURES: usize = CLASSICAL + 3_309;
/// What a deployer signs under.
pub(crate) const WORD: &[u8] = b"caxton-manifest-v1 deploy\0";

/// A signed manifest in pieces, in their order; the signatures come last.
#[derive(Clone)]
pub(crate) struct Pieces(Vec<(&'static str, Vec<u8>)>);

pub(crate) fn text(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

/// So many entries, and each.
pub(crate) fn counted(all: &[Vec<u8>]) -> Vec<u8> {
    [vec![u8::try_from(all.len()).unwrap()], all.concat()].concat()
}

/// A limit.
pub(crate) fn limit(name: &str, value: u64) -> Vec<u8> {
    [text(name), value.to_be_bytes().to_vec()].concat()
}

/// Texts, counted.
pub(crate) fn texts(all: &[&str]) -> Vec<u8> {
    counted(&all.iter().map(|one| text(one)).collect::<Vec<_>>())
}

impl Pieces {
    /// The pieces of `contents`, but for rights, signed with the key of this seed.
    pub(crate) fn of(contents: &Contents, seed: u8) -> Self {
        let limits = contents.limits.iter();
        let limits: Vec<_> = limits.map(|(name, value)| limit(name, *value)).collect();
        let domain = contents.trust_domain.as_ref();
        let domain = domain.map(|domain| [vec![1], text(domain.as_str())].concat());
        let all = |names: &mut dyn Iterator<Item = &str>| texts(&names.collect::<Vec<_>>());
        let mut made = Self(vec![
            ("magic", b"CXM\x01".to_vec()),
            ("key", deployer(seed).public().id().as_bytes().to_vec()),
            ("domain", domain.unwrap_or(vec![0])),
            ("tenant", text(contents.address.tenant.as_str())),
            ("agent", text(contents.address.agent.as_str())),
            ("program", contents.program.to_vec()),
            ("number", contents.number.to_be_bytes().to_vec()),
            (
                "signed at",
                contents.signed_at.seconds().to_be_bytes().to_vec(),
            ),
            ("limits", counted(&limits)),
            (
                "imports",
                all(&mut contents.imports.iter().map(String::as_str)),
            ),
            (
                "protocols",
                all(&mut contents.protocols.iter().map(String::as_str)),
            ),
            (
                "services",
                all(&mut contents.services.iter().map(|name| name.as_str())),
            ),
            ("rights", vec![0]),
            ("signatures", Vec::new()),
        ]);
        made.sign(seed, WORD);
        made
    }

    /// Puts other bytes in the place of a piece.
    pub(crate) fn set(&mut self, name: &str, bytes: Vec<u8>) {
        let piece = self.0.iter_mut().find(|(piece, _)| *piece == name);
        piece.expect("a piece").1 = bytes;
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0
            .iter()
            .flat_map(|(_, bytes)| bytes)
            .copied()
            .collect()
    }

    /// Signs what is between the magic and the signatures, with both keys of this seed, under a word.
    pub(crate) fn sign(&mut self, seed: u8, word: &[u8]) {
        self.set("signatures", Vec::new());
        let message = [word, &self.bytes()[4..]].concat();
        let mut signatures = SigningKey::from_bytes(&[seed; 32])
            .sign(&message)
            .to_bytes()
            .to_vec();
        let quantum = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, &[seed ^ 0xff; 32]).unwrap();
        let mut signature = vec![0; SIGNATURES - CLASSICAL];
        quantum.sign(&message, &mut signature).unwrap();
        signatures.extend(signature);
        self.set("signatures", signatures);
    }
}
