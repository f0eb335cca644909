//! An authority's list of what it takes back. What a list must be to be believed stands in
//! `revocation`; it is read back here before it leaves, so that no verifier is the first to refuse it.

use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, RevokedCertParams, SerialNumber,
};

use super::{Authority, IssueError};
use crate::issuer::key_identifier;
use crate::key::Signer;
use crate::revocation::{REVOCATIONS_MAX, Revocation, RevocationList, RevocationListError};
use crate::summary::parse_certificate;
use crate::validity::{Validity, unix_seconds};

impl<S: Signer> Authority<S> {
    /// The list of the certificates that this authority takes back, all of them: whoever has it
    /// forgets the lists before. `number` must be higher than theirs, or verifiers refuse it, and
    /// a list past its `lifetime` makes them refuse everything that this authority signed.
    ///
    /// # Errors
    /// When there are too many or doubled entries, a time is impossible, the authority does not
    /// hold now, may sign no lists, or its key does not sign.
    pub fn revocation_list(
        &self,
        number: u64,
        revoked: &[Revocation],
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<RevocationList, IssueError> {
        if revoked.len() > REVOCATIONS_MAX {
            return Err(IssueError::TooManyRevocations);
        }
        // Not cut to the authority's own end: a list that outlives its issuer harms nobody.
        self.validity_of_issued(lifetime, now)?;
        let validity = Validity::starting(now, lifetime).map_err(IssueError::Validity)?;
        let parsed = parse_certificate(&self.certificate).map_err(|_own| IssueError::Sign)?;
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let mut params = CertificateRevocationListParams {
            this_update: epoch,
            next_update: epoch,
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect::<Result<_, _>>()?,
            // What the certificate calls its own key: for those made here, the same SHA-256.
            key_identifier_method: key_identifier(&parsed).map_or(KeyIdMethod::Sha256, |named| {
                KeyIdMethod::PreSpecified(named.to_vec())
            }),
        };
        validity.write_to_list(&mut params);
        let list = Issuer::from_ca_cert_der(&self.certificate, &self.signer)
            .and_then(|issuer| params.signed_by(&issuer))
            .map_err(|error| match error {
                rcgen::Error::IssuerNotCrlSigner => IssueError::CertificatesOnly,
                _ => IssueError::Sign,
            })?;
        RevocationList::parse_and_verify(list.der(), &self.certificate).map_err(|error| match error
        {
            RevocationListError::MayNotSign => IssueError::CertificatesOnly,
            RevocationListError::Malformed => IssueError::RevokedTwice,
            _ => IssueError::Sign,
        })
    }
}

fn entry(revocation: &Revocation) -> Result<RevokedCertParams, IssueError> {
    let at = unix_seconds(revocation.at).map_err(IssueError::Validity)?;
    Ok(RevokedCertParams {
        serial_number: SerialNumber::from_slice(revocation.serial.as_bytes()),
        revocation_time: rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(at),
        reason_code: Some(revocation.reason.for_rcgen()),
        invalidity_date: None,
    })
}
