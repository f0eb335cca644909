//! The key exchange group `SecP384r1MLKEM1024` (0x11ED, draft-ietf-tls-ecdhe-mlkem): P-384 and ML-KEM-1024,
//! both of which have to be broken. rustls has the halves and not the pair.
//!
//! ECDH comes first, ML-KEM second, in the shares and in the secret.

use rustls::{
    Error, NamedGroup, PeerMisbehaved, ProtocolVersion,
    crypto::{
        ActiveKeyExchange, CompletedKeyExchange, SharedSecret, SupportedKxGroup,
        aws_lc_rs::kx_group::{MLKEM1024, SECP384R1},
    },
    ffdhe_groups::FfdheGroup,
};

/// An uncompressed P-384 point (SEC 1, section 2.3.3).
const POINT_BYTES: usize = 97;
/// An ML-KEM-1024 key to encapsulate to, and a ciphertext: of the same length (FIPS 203, table 3).
const KEM_BYTES: usize = 1568;
/// As registered for TLS.
const SECP384R1MLKEM1024: NamedGroup = NamedGroup::Unknown(0x11ed);

/// The group.
pub(crate) static GROUP: &dyn SupportedKxGroup = &SecP384r1MlKem1024;

#[derive(Debug)]
struct SecP384r1MlKem1024;

impl SupportedKxGroup for SecP384r1MlKem1024 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let (classical, quantum) = (SECP384R1.start()?, MLKEM1024.start()?);
        let share = [classical.pub_key(), quantum.pub_key()].concat();
        Ok(Box::new(Active {
            classical,
            quantum,
            share,
        }))
    }

    fn start_and_complete(&self, share: &[u8]) -> Result<CompletedKeyExchange, Error> {
        let (point, key) = split(share)?;
        let classical = SECP384R1.start_and_complete(point)?;
        let quantum = MLKEM1024.start_and_complete(key)?;
        Ok(CompletedKeyExchange {
            group: SECP384R1MLKEM1024,
            pub_key: [classical.pub_key, quantum.pub_key].concat(),
            secret: joined(&classical.secret, &quantum.secret),
        })
    }

    fn name(&self) -> NamedGroup {
        SECP384R1MLKEM1024
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }
}

struct Active {
    classical: Box<dyn ActiveKeyExchange>,
    quantum: Box<dyn ActiveKeyExchange>,
    share: Vec<u8>,
}

impl ActiveKeyExchange for Active {
    fn complete(self: Box<Self>, share: &[u8]) -> Result<SharedSecret, Error> {
        let (point, ciphertext) = split(share)?;
        let classical = self.classical.complete(point)?;
        let quantum = self.quantum.complete(ciphertext)?;
        Ok(joined(&classical, &quantum))
    }

    fn pub_key(&self) -> &[u8] {
        &self.share
    }

    fn group(&self) -> NamedGroup {
        SECP384R1MLKEM1024
    }
}

fn joined(classical: &SharedSecret, quantum: &SharedSecret) -> SharedSecret {
    SharedSecret::from([classical.secret_bytes(), quantum.secret_bytes()].concat())
}

fn split(share: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    share
        .split_at_checked(POINT_BYTES)
        .filter(|(_, kem)| kem.len() == KEM_BYTES)
        .ok_or(Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_the_hybrid_get_one_secret_and_another_each_time() {
        let secrets: Vec<_> = (0..2)
            .map(|_| {
                let active = GROUP.start().unwrap();
                let answer = GROUP.start_and_complete(active.pub_key()).unwrap();
                let secret = active.complete(&answer.pub_key).unwrap();
                assert_eq!(secret.secret_bytes(), answer.secret.secret_bytes());
                assert_eq!(secret.secret_bytes().len(), 48 + 32);
                secret.secret_bytes().to_vec()
            })
            .collect();
        assert_ne!(secrets[0], secrets[1]);
    }

    #[test]
    fn a_share_of_a_wrong_length_is_refused() {
        let share = GROUP.start().unwrap().pub_key().to_vec();
        let longer = [share.as_slice(), &[0]].concat();
        for bad in [
            &share[..0],
            &share[..97],
            &share[..share.len() - 1],
            &longer,
        ] {
            assert!(GROUP.start_and_complete(bad).is_err(), "{}", bad.len());
            assert!(
                GROUP.start().unwrap().complete(bad).is_err(),
                "{}",
                bad.len()
            );
        }
    }
}
