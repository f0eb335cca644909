//! PEM text (RFC 7468) to and from certificates and private keys.
//!
//! Reading is bounded and exact: a file of certificates holds nothing but certificates, a file
//! with a key exactly one key. An error never repeats what stood in the file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::pem::{PemObject, SectionKind};
use zeroize::Zeroizing;

use crate::CertificateDer;
use crate::key::{ExportableKey, KeyError};
use crate::revocation::RevocationList;

/// 1 MiB: a hundred ML-DSA-87 certificates, ten times what a file of roots ever needs.
pub const PEM_BYTES_MAX: usize = 1 << 20;
/// Bytes in a line of 64 characters (RFC 7468, section 2).
const LINE_BYTES: usize = 48;

/// Why some text is not the PEM that was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// The text is longer than [`PEM_BYTES_MAX`].
    #[error("PEM text has at most {PEM_BYTES_MAX} bytes")]
    TooLong,
    /// A section is not closed or its base64 is broken.
    #[error("the PEM text is malformed")]
    Malformed,
    /// There is a section of another kind, perhaps a key where certificates were expected.
    #[error("the PEM text holds something else than it should")]
    WrongSection,
    /// There is no section at all.
    #[error("the PEM text is empty")]
    Empty,
    /// There is more than the one section that was expected.
    #[error("the PEM text holds more than one section")]
    TooMany,
    /// The section is a private key, but not one of the expected kind.
    #[error("the PEM text holds an unusable key")]
    Key(#[source] KeyError),
}

/// One certificate as PEM text.
#[must_use]
pub fn encode_certificate(certificate: &CertificateDer<'_>) -> String {
    encode("CERTIFICATE", certificate)
}

/// Certificates as PEM text, in the given order: a chain goes leaf first.
#[must_use]
pub fn encode_certificates(certificates: &[CertificateDer<'_>]) -> String {
    certificates.iter().map(encode_certificate).collect()
}

/// A revocation list as PEM text (`X509 CRL`).
#[must_use]
pub fn encode_list(list: &RevocationList) -> String {
    encode("X509 CRL", list.der())
}

/// A private key as PEM text (`PRIVATE KEY`, PKCS#8). Whoever reads it has the key.
///
/// # Errors
/// [`KeyError::Encode`]; the key stays usable.
pub fn encode_key(key: &impl ExportableKey) -> Result<Zeroizing<String>, KeyError> {
    Ok(Zeroizing::new(encode("PRIVATE KEY", &key.to_pkcs8()?)))
}

/// All certificates of a text, at least one.
///
/// # Errors
/// When the text is too long, malformed, empty, or holds anything but certificates.
pub fn decode_certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let certificates: Vec<_> = sections_of(pem, SectionKind::Certificate)?
        .map(|section| section.map(|mut der| CertificateDer::from(std::mem::take(&mut *der))))
        .collect::<Result<_, _>>()?;
    if certificates.is_empty() {
        Err(PemError::Empty)
    } else {
        Ok(certificates)
    }
}

/// The one certificate of a text.
///
/// # Errors
/// As [`decode_certificates`], and when there is more than one.
pub fn decode_certificate(pem: &str) -> Result<CertificateDer<'static>, PemError> {
    let mut certificates = decode_certificates(pem)?;
    match (certificates.pop(), certificates.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(PemError::TooMany),
        (None, _) => Err(PemError::Empty),
    }
}

/// The one private key of a text. The base64 text itself passes through a buffer of the PEM
/// reader that is freed without being overwritten.
///
/// # Errors
/// When the text is too long, malformed, empty, or holds anything but one key of this kind.
pub fn decode_key<K: ExportableKey>(pem: &str) -> Result<K, PemError> {
    let mut sections = sections_of(pem, SectionKind::PrivateKey)?;
    let der = sections.next().ok_or(PemError::Empty)??;
    match sections.next() {
        None => K::from_pkcs8(&der).map_err(PemError::Key),
        Some(Ok(_)) => Err(PemError::TooMany),
        Some(Err(error)) => Err(error),
    }
}

/// The bytes of a text that is one section of this name and nothing else. Exact, because the
/// reader of the standard sections passes over names that it does not know: the text is what
/// [`encode_section`] writes, or the same with other line ends.
///
/// # Errors
/// When the text is too long, or is anything else.
pub fn decode_section(pem: &str, label: &str) -> Result<Zeroizing<Vec<u8>>, PemError> {
    if pem.len() > PEM_BYTES_MAX {
        return Err(PemError::TooLong);
    }
    let text = Zeroizing::new(pem.trim_ascii_end().replace("\r\n", "\n"));
    let (begin, end) = (
        format!("-----BEGIN {label}-----\n"),
        format!("\n-----END {label}-----"),
    );
    let body = text.strip_prefix(&begin).ok_or(PemError::WrongSection)?;
    let body = body.strip_suffix(&end).ok_or(PemError::Malformed)?;
    let body = Zeroizing::new(body.replace('\n', ""));
    let bytes = STANDARD
        .decode(body.as_bytes())
        .map_err(|_quoting| PemError::Malformed)?;
    let bytes = Zeroizing::new(bytes);
    let same = Zeroizing::new(encode(label, &bytes));
    if same.trim_ascii_end() == *text {
        Ok(bytes)
    } else {
        Err(PemError::Malformed)
    }
}

/// A kind and some bytes, perhaps a key's.
type Section = (SectionKind, Zeroizing<Vec<u8>>);

/// The sections of a text with their kinds, when the text is not longer than the bound.
pub(crate) fn sections(
    pem: &str,
    bytes_max: usize,
) -> Result<impl Iterator<Item = Result<Section, PemError>>, PemError> {
    if pem.len() > bytes_max {
        return Err(PemError::TooLong);
    }
    Ok(
        <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes()).map(|section| {
            // The reader's own error may quote the line, which may be part of a key.
            let (kind, der) = section.map_err(|_quoting| PemError::Malformed)?;
            Ok((kind, Zeroizing::new(der)))
        }),
    )
}

fn sections_of(
    pem: &str,
    wanted: SectionKind,
) -> Result<impl Iterator<Item = Result<Zeroizing<Vec<u8>>, PemError>>, PemError> {
    Ok(
        sections(pem, PEM_BYTES_MAX)?.map(move |section| match section? {
            (kind, der) if kind == wanted => Ok(der),
            _ => Err(PemError::WrongSection),
        }),
    )
}

/// Some bytes as the PEM section of this name, for what is neither certificate nor key nor list.
#[must_use]
pub fn encode_section(label: &str, bytes: &[u8]) -> String {
    encode(label, bytes)
}

fn encode(label: &str, der: &[u8]) -> String {
    let lines = der.len().div_ceil(LINE_BYTES);
    // Reserved at once: a text that grew would leave copies of a key behind.
    let frame = "-----BEGIN -----\n-----END -----\n".len() + 2 * label.len();
    let mut text = String::with_capacity(frame + lines * (LINE_BYTES / 3 * 4 + 1));
    text.extend(["-----BEGIN ", label, "-----\n"]);
    for line in der.chunks(LINE_BYTES) {
        STANDARD.encode_string(line, &mut text);
        text.push('\n');
    }
    text.extend(["-----END ", label, "-----\n"]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{MlDsa87Key, P384Key, Signer};

    #[test]
    fn lines_have_64_characters_and_the_text_never_grows() {
        for bytes in [0, 1, 47, 48, 49, 96, 7_602] {
            let text = encode("CERTIFICATE", &vec![0xa5; bytes]);
            assert!(text.lines().all(|line| line.len() <= 64), "{bytes}");
            assert!(
                text.len() <= text.capacity() && text.capacity() < text.len() + 80,
                "{bytes}"
            );
        }
    }

    #[test]
    fn certificates_keep_their_order() {
        let chain = [
            CertificateDer::from(vec![1; 100]),
            CertificateDer::from(vec![2; 10]),
        ];
        let text = encode_certificates(&chain);
        assert_eq!(decode_certificates(&text).unwrap(), chain);
        assert_eq!(decode_certificate(&text), Err(PemError::TooMany));
        assert_eq!(
            decode_certificate(&encode_certificate(&chain[1])).unwrap(),
            chain[1]
        );
        assert_eq!(decode_certificates("no section here"), Err(PemError::Empty));
    }

    #[test]
    fn a_key_comes_back_and_only_as_what_it_is() {
        let key = MlDsa87Key::generate().unwrap();
        let text = encode_key(&key).unwrap();
        assert_eq!(
            decode_key::<MlDsa87Key>(&text).unwrap().public_key(),
            key.public_key()
        );
        assert!(matches!(
            decode_key::<P384Key>(&text),
            Err(PemError::Key(_))
        ));
        assert_eq!(decode_certificates(&text), Err(PemError::WrongSection));

        let twice = format!("{}{}", *text, *text);
        assert_eq!(
            decode_key::<MlDsa87Key>(&twice).unwrap_err(),
            PemError::TooMany
        );
        let cut = &text[..text.len() - 30];
        assert_eq!(
            decode_key::<MlDsa87Key>(cut).unwrap_err(),
            PemError::Malformed
        );
        let certificate = encode("CERTIFICATE", &[1]);
        assert_eq!(
            decode_key::<MlDsa87Key>(&certificate).unwrap_err(),
            PemError::WrongSection
        );
    }

    #[test]
    fn a_section_of_our_own_has_one_text() {
        let bytes = vec![7; 100];
        let text = encode_section("SOME THING", &bytes);
        let read = |text: &str| decode_section(text, "SOME THING").map(|bytes| bytes.to_vec());
        assert_eq!(read(&text), Ok(bytes.clone()));
        assert_eq!(read(text.trim_end()), Ok(bytes));
        assert_eq!(
            decode_section(&text, "OTHER THING"),
            Err(PemError::WrongSection)
        );
        let cut = text.len() - 30;
        for other in [
            text.replacen("BwcH\n", "BwcH", 1),
            text.replacen("BwcH", "BwcH\n", 1),
            format!("{text}more"),
            text.replace("BwcH", "Bwc-"),
            text[..cut].to_owned(),
        ] {
            assert_eq!(read(&other), Err(PemError::Malformed), "{other}");
        }
    }

    #[test]
    fn a_text_beyond_the_bound_is_not_looked_at() {
        let text = " ".repeat(PEM_BYTES_MAX + 1);
        assert_eq!(decode_certificates(&text), Err(PemError::TooLong));
        assert_eq!(decode_certificates(&text[1..]), Err(PemError::Empty));
    }
}
