//! Statements: who may make them, and that nothing else passes for one.

use caxton_pki::{CertificateDer, sign_statement, statement_issuer};

use crate::fixture::{DAY, authority, now};

#[test]
fn a_statement_is_its_authoritys_for_its_context_and_its_very_bytes() {
    let (ours, other) = (authority(), authority());
    let ours = ours.mesh_intermediate();
    let issuers: [CertificateDer<'_>; 2] = [
        other.mesh_intermediate().certificate().clone(),
        ours.certificate().clone(),
    ];
    let signature = sign_statement(ours, "roster", b"body").unwrap();
    let found = |context: &str, body: &[u8], signature: &[u8]| {
        statement_issuer(&issuers, context, body, signature, now())
    };
    assert_eq!(found("roster", b"body", &signature), Some(ours.issuer_id()));
    assert_eq!(found("roster2", b"body", &signature), None);
    assert_eq!(found("rosterb", b"ody", &signature), None);
    assert_eq!(found("roster", b"bodY", &signature), None);
    let mut forged = signature.clone();
    forged[100] ^= 1;
    assert_eq!(found("roster", b"body", &forged), None);
    assert_eq!(found("roster", b"body", &[]), None);
    let later = now() + 400 * DAY;
    assert_eq!(
        statement_issuer(&issuers, "roster", b"body", &signature, later),
        None,
        "an authority that has ended says nothing"
    );
    let strangers = &issuers[..1];
    assert_eq!(
        statement_issuer(strangers, "roster", b"body", &signature, now()),
        None
    );
}
