//! What a leaf certificate says: one identity, some host names, two usages.
//!
//! The subject is the same text for all leaves of a role and means nothing; the SPIFFE ID in the
//! one URI name is the identity. Host names are there for HTTPS clients, which look for nothing
//! else. Nothing of this is taken from a request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::string::Ia5String;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SanType, SerialNumber,
};

use crate::ServerName;
use crate::authority::IssueError;
use crate::spiffe::{Role, SpiffeId};
use crate::validity::Validity;

/// Host names in one certificate: a few names and addresses of one machine, each up to 253 bytes,
/// so at most 8 KB on top of an ML-DSA-87 leaf's 7.6 KB.
pub(crate) const HOSTS_MAX: usize = 32;
/// Enough that two authorities never draw the same number (RFC 5280, section 4.1.2.2, allows 20).
const SERIAL_BYTES: usize = 16;

/// `localhost`, `127.0.0.1` and `::1`: what a node on a developer's machine is called.
#[must_use]
pub fn loopback_hosts() -> Vec<ServerName<'static>> {
    let localhost = ServerName::try_from("localhost").expect("`localhost` is a DNS name");
    let addresses = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    std::iter::once(localhost)
        .chain(addresses.map(ServerName::from))
        .collect()
}

/// The contents of a leaf certificate, checked.
pub(crate) fn leaf_params(
    id: &SpiffeId,
    hosts: &[ServerName<'_>],
    validity: Validity,
) -> Result<CertificateParams, IssueError> {
    if hosts.len() > HOSTS_MAX {
        return Err(IssueError::TooManyHosts);
    }
    let mut params = base_params(&format!("Caxton {}", id.role()), validity)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = match id.role() {
        Role::Node => vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ],
        Role::Agent | Role::Operator => vec![ExtendedKeyUsagePurpose::ClientAuth],
    };
    params.subject_alt_names = vec![SanType::URI(ia5(&id.to_string())?)];
    for host in hosts {
        params.subject_alt_names.push(host_name(host)?);
    }
    Ok(params)
}

/// What leaves and authorities have in common: a name, times, a random serial number, and the
/// identifier of the issuer's key.
pub(crate) fn base_params(
    common_name: &str,
    validity: Validity,
) -> Result<CertificateParams, IssueError> {
    let mut serial = [0; SERIAL_BYTES];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_unspecified| IssueError::Random)?;
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Caxton");
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.use_authority_key_identifier_extension = true;
    validity.write_to(&mut params);
    Ok(params)
}

fn host_name(host: &ServerName<'_>) -> Result<SanType, IssueError> {
    match host {
        ServerName::DnsName(name) => Ok(SanType::DnsName(ia5(name.as_ref())?)),
        ServerName::IpAddress(address) => Ok(SanType::IpAddress((*address).into())),
        _ => Err(IssueError::HostName),
    }
}

pub(crate) fn ia5(text: &str) -> Result<Ia5String, IssueError> {
    Ia5String::try_from(text).map_err(|_not_ascii| IssueError::HostName)
}
