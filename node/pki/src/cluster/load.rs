//! A cluster's authority put together again from its bundle and the keys that are at hand.

use super::{
    Authority, CertificateDer, ClusterAuthority, Generation, IssuerId, ListTerms, Signer,
    TrustBundle, issued_by,
};
use crate::authority::LoadAuthorityError;
use crate::key::PublicKey;
use crate::summary::parse_certificate;
use crate::validity::Validity;

/// Why a bundle and some keys make no authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadClusterError {
    /// A key is of no authority in the bundle, or the same key came twice.
    #[error("a key belongs to no authority of the trust bundle, or came twice")]
    ForeignKey,
    /// None of the keys is an intermediate's, so no leaf could be signed.
    #[error("none of the keys is that of an intermediate")]
    NoIntermediate,
    /// A certificate and its key make no authority.
    #[error("an authority of the trust bundle is unusable")]
    Authority(#[source] LoadAuthorityError),
}

impl<S: Signer, W: Signer> ClusterAuthority<S, W> {
    /// The authority of a bundle, with the keys at hand: an intermediate's, and those of roots
    /// that are not offline. Of several roots or intermediates the one whose key comes first is
    /// the newest.
    ///
    /// # Errors
    /// When a key is of no authority in the bundle, or none is an intermediate's.
    pub fn load(
        bundle: &TrustBundle,
        mesh_keys: Vec<S>,
        web_key: Option<W>,
        terms: ListTerms,
    ) -> Result<Self, LoadClusterError> {
        let mut keyless: Vec<CertificateDer<'static>> = [
            bundle.mesh_roots(),
            bundle.web_roots(),
            bundle.intermediates(),
        ]
        .concat();
        let (mut roots, mut generations) = (Vec::new(), Vec::new());
        for key in mesh_keys {
            let (authority, cross) = take(&mut keyless, key, bundle.mesh_roots())?;
            if issued_by(authority.certificate(), authority.certificate()) {
                roots.push(authority);
            } else {
                generations.push(Generation { authority, cross });
            }
        }
        let web_root = web_key
            .map(|key| take(&mut keyless, key, &[]).map(|(authority, _)| authority))
            .transpose()?;
        if generations.is_empty() {
            return Err(LoadClusterError::NoIntermediate);
        }
        let current = generations.remove(0);
        Ok(Self {
            trust_domain: bundle.trust_domain().clone(),
            current,
            former: generations,
            roots,
            web_root,
            keyless,
            revocations: bundle.revocations().clone(),
            terms,
        })
    }
}

/// Takes all certificates of a key out of the rest. The one that the newest root signed is the
/// authority's own, the others are by older roots.
fn take<T: Signer>(
    rest: &mut Vec<CertificateDer<'static>>,
    key: T,
    roots: &[CertificateDer<'static>],
) -> Result<(Authority<T>, Vec<CertificateDer<'static>>), LoadClusterError> {
    let wanted = key.public_key();
    let is_of_key = |der: &mut CertificateDer<'static>| {
        let parsed = parse_certificate(der).ok();
        parsed.and_then(|parsed| PublicKey::from_parsed(parsed.public_key()))
            == Some(wanted.clone())
    };
    let mut found: Vec<_> = rest.extract_if(.., is_of_key).collect();
    found.sort_by_key(|der| {
        roots
            .iter()
            .filter(|root| issued_by(der, root))
            .map(age)
            .max()
    });
    let own = found.pop().ok_or(LoadClusterError::ForeignKey)?;
    let authority = Authority::load(own, key).map_err(LoadClusterError::Authority)?;
    Ok((authority, found))
}

/// Later for newer roots. Roots of one second are told apart by name, so that the answer is at
/// least always the same.
fn age(root: &CertificateDer<'static>) -> Option<(std::time::SystemTime, IssuerId)> {
    let parsed = parse_certificate(root).ok()?;
    let validity = Validity::from_parsed(parsed.validity())?;
    Some((validity.not_before(), IssuerId::of_parsed(&parsed)))
}
