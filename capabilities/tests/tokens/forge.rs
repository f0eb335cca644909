//! Tokens that no honest maker makes, put together from bytes as docs/token.md has them, and signed with the right
//! keys. It shares no code with the library's encoder: what both understand alike, the page says.

use aws_lc_rs::signature::{ML_DSA_65_SIGNING, PqdsaKeyPair};
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256, Sha512};

/// Length of the issuer's two signatures.
pub(crate) const ISSUED: usize = 64 + 3_309;

/// A token in pieces: each body with the signatures behind it.
#[derive(Clone)]
pub(crate) struct Pieces(pub(crate) Vec<(Vec<u8>, Vec<u8>)>);

impl Pieces {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut left = &bytes[5..];
        let mut blocks = Vec::new();
        while !left.is_empty() {
            let length = usize::from(u16::from_be_bytes([left[0], left[1]]));
            let signed = if blocks.is_empty() { ISSUED } else { 64 };
            let end = 2 + length + signed;
            blocks.push((left[2..2 + length].to_vec(), left[2 + length..end].to_vec()));
            left = &left[end..];
        }
        Self(blocks)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = b"CXT\x01".to_vec();
        out.push(u8::try_from(self.0.len()).unwrap());
        for (body, signatures) in &self.0 {
            out.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
            out.extend(body);
            out.extend(signatures);
        }
        out
    }

    /// The hash of the first `blocks` blocks.
    fn chain(&self, blocks: usize) -> [u8; 32] {
        let mut chain = [0; 32];
        for (body, _) in &self.0[..blocks] {
            let parts = [b"caxton-token-v1 chain\0".as_slice(), &chain, body].concat();
            chain = Sha256::digest(parts).into();
        }
        chain
    }

    /// What the holder before signs for block `at`.
    fn delegated(&self, at: usize) -> Vec<u8> {
        let word = b"caxton-token-v1 delegate\0".as_slice();
        [word, &self.chain(at), &self.0[at].0].concat()
    }

    /// Signs block `at` with the holder's key of this seed.
    pub(crate) fn sign(&mut self, at: usize, seed: u8) {
        let message = self.delegated(at);
        self.0[at].1 = holder(seed).sign(&message).to_bytes().to_vec();
    }

    /// Signs the first block with the issuer's key of this seed.
    pub(crate) fn issue(&mut self, seed: u8) {
        let message = [b"caxton-token-v1 issue\0".as_slice(), &self.0[0].0].concat();
        let mut signatures = holder(seed).sign(&message).to_bytes().to_vec();
        let quantum = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, &[seed ^ 0xff; 32]).unwrap();
        let mut signature = vec![0; ISSUED - 64];
        quantum.sign(&message, &mut signature).unwrap();
        signatures.extend(signature);
        self.0[0].1 = signatures;
    }

    /// A signature of block `at` whose `R` is the neutral element: the equation holds, and anyone who knows the key
    /// can make it of any message. RFC 8032 lets it pass; "strictly" does not.
    pub(crate) fn sign_with_neutral_r(&mut self, at: usize, seed: u8) {
        let mut r = [0; 32];
        r[0] = 1;
        let key = holder(seed);
        let public = key.verifying_key();
        let message = self.delegated(at);
        let hash = Sha512::digest([r.as_slice(), public.as_bytes(), &message].concat());
        let s = Scalar::from_bytes_mod_order_wide(&hash.into()) * key.to_scalar();
        self.0[at].1 = [r, s.to_bytes()].concat();
    }

    /// The same signature of block `at` with the group's order added to `S`.
    pub(crate) fn add_order(&mut self, at: usize) {
        let minus_one = (Scalar::ZERO - Scalar::ONE).to_bytes();
        let s = &mut self.0[at].1[32..64];
        let mut carry = 1_u16; // The order is one more than `minus_one`.
        for (byte, more) in s.iter_mut().zip(minus_one) {
            carry += u16::from(*byte) + u16::from(more);
            *byte = carry.to_le_bytes()[0];
            carry >>= 8;
        }
    }
}

fn holder(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}
