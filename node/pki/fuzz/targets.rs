//! Certificates, requests, PEM files and identities: from disk and from whoever connects.

use std::{fmt::Display, str::FromStr};

use crate::{
    Artefact, CertificateDer, CertificateRequest, CertificateSummary, Fingerprint, MlDsa87Key,
    P384Key, RevocationList, Serial, SpiffeId, TrustBundle, TrustDomain, inspect, pem, sealed,
};

/// A P-384 authority whose key nobody has; the lists of the corpus are its.
const LIST_ISSUER: &[u8] = include_bytes!("list-issuer.der");

/// What is shown of a certificate is the same each time and cannot steer a terminal.
pub(crate) fn certificate(bytes: &[u8]) -> bool {
    let der = CertificateDer::from(bytes.to_vec());
    let Ok(summary) = CertificateSummary::parse(bytes) else {
        return false;
    };
    assert_eq!(CertificateSummary::parse(bytes).as_ref(), Ok(&summary));
    let shown = [&summary.subject, &summary.issuer, &summary.serial];
    let plain = |text: &&String| !text.contains(char::is_control);
    assert!(shown.iter().all(plain), "{shown:?}");
    let again = pem::decode_certificate(&pem::encode_certificate(&der));
    assert_eq!(again.ok(), Some(der));
    let longer = [bytes, b"\0"].concat();
    assert!(
        CertificateSummary::parse(&longer).is_err(),
        "trailing bytes"
    );
    true
}

/// A request that is believed ends where it says that it ends.
pub(crate) fn request(bytes: &[u8]) -> bool {
    let believed = CertificateRequest::parse_and_verify(bytes).is_ok();
    if believed {
        let longer = [bytes, b"\0"].concat();
        assert!(
            CertificateRequest::parse_and_verify(&longer).is_err(),
            "trailing bytes"
        );
    }
    believed
}

/// Certificates of a text come back from the text that is made of them; an error quotes nothing.
pub(crate) fn pem_text(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let mut taken = false;
    match pem::decode_certificates(text) {
        Ok(certificates) => {
            taken = true;
            let made: String = certificates.iter().map(pem::encode_certificate).collect();
            assert_eq!(pem::decode_certificates(&made).ok(), Some(certificates));
        }
        Err(error) => assert!(error.to_string().len() < 200),
    }
    let keys = [
        pem::decode_key::<P384Key>(text).err(),
        pem::decode_key::<MlDsa87Key>(text).err(),
    ];
    for error in keys.into_iter().flatten() {
        assert!(error.to_string().len() < 200);
    }
    taken
}

/// What is shown of a file cannot steer a terminal, and no private key is in it.
pub(crate) fn inspected(bytes: &[u8]) -> bool {
    let Ok(found) = inspect(bytes) else {
        return false;
    };
    assert!(!found.is_empty());
    assert!(!bytes.windows(13).any(|part| part == b"PRIVATE KEY--"));
    for one in found {
        let shown = match one {
            Artefact::Certificate(summary) => {
                assert!(
                    summary
                        .hosts
                        .iter()
                        .all(|host| !host.contains(char::is_control))
                );
                summary.subject
            }
            Artefact::List(summary) => summary.issuer,
            Artefact::Request(_) | Artefact::Bundle(_) => String::new(),
        };
        assert!(!shown.contains(char::is_control), "{shown:?}");
    }
    true
}

/// A list that is believed is the bytes that were read, and ends where they end.
pub(crate) fn revocation_list(bytes: &[u8]) -> bool {
    let issuer = CertificateDer::from(LIST_ISSUER);
    let Ok(list) = RevocationList::parse_and_verify(bytes, &issuer) else {
        return false;
    };
    assert_eq!(list.der(), bytes);
    assert!(list.this_update() < list.next_update());
    let longer = [bytes, b"\0"].concat();
    assert!(
        RevocationList::parse_and_verify(&longer, &issuer).is_err(),
        "trailing bytes"
    );
    true
}

/// A bundle has one encoding, and comes back from its text.
pub(crate) fn bundle(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).ok();
    let read = TrustBundle::decode(bytes).inspect(|bundle| assert_eq!(bundle.encode(), bytes));
    let Some(bundle) = read
        .ok()
        .or_else(|| text.and_then(|text| TrustBundle::from_pem(text).ok()))
    else {
        return false;
    };
    assert_eq!(
        TrustBundle::from_pem(&bundle.to_pem()).as_ref(),
        Ok(&bundle)
    );
    assert_eq!(TrustBundle::decode(&bundle.encode()), Ok(bundle));
    true
}

/// A sealed key that is taken asks for no more than is given.
pub(crate) fn sealed_key(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(sealed::asks_for_a_passphrase)
}

/// What was read is written as it came.
pub(crate) fn identity(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let known = [
        same::<SpiffeId>(text),
        same::<TrustDomain>(text),
        same::<Fingerprint>(text),
    ];
    if let Ok(serial) = text.parse::<Serial>() {
        assert_eq!(serial.to_string().parse(), Ok(serial), "{text:?}");
    }
    known.contains(&true)
}

fn same<T: FromStr + Display>(text: &str) -> bool {
    let Ok(read) = text.parse::<T>() else {
        return false;
    };
    // Fingerprints are written in small letters, and compared by hand with others' in capitals.
    assert!(read.to_string().eq_ignore_ascii_case(text), "{text:?}");
    true
}
