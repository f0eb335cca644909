//! The serial number of a certificate, as its bytes stand in the certificate and in a list.
//!
//! Comparing bytes is enough, because DER has one form for a number: a list and a certificate
//! that mean the same number have the same bytes.

use std::fmt;
use std::str::FromStr;

use x509_parser::certificate::X509Certificate;

use crate::CertificateDer;
use crate::summary::{SummaryError, parse_certificate};

/// RFC 5280, section 4.1.2.2: at most 20 octets. One more for the zero before a set top bit,
/// which some issuers do not count.
const SERIAL_BYTES_MAX: usize = 21;

/// A certificate's serial number. Shown in lower-case hexadecimal, two digits a byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(Vec<u8>);

/// The text is no serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a serial number is 1 to {SERIAL_BYTES_MAX} bytes in hexadecimal, two digits a byte")]
pub struct ParseSerialError;

impl Serial {
    /// The serial number of a certificate.
    ///
    /// # Errors
    /// When the bytes are not exactly one certificate, or its number is longer than allowed.
    pub fn of(certificate: &CertificateDer<'_>) -> Result<Self, SummaryError> {
        Self::of_parsed(&parse_certificate(certificate)?).ok_or(SummaryError::Malformed)
    }

    pub(crate) fn of_parsed(certificate: &X509Certificate<'_>) -> Option<Self> {
        Self::from_der_contents(certificate.raw_serial())
    }

    /// The contents of a DER integer. Nothing when there are too many bytes, or none.
    pub(crate) fn from_der_contents(bytes: &[u8]) -> Option<Self> {
        (1..=SERIAL_BYTES_MAX)
            .contains(&bytes.len())
            .then(|| Self(bytes.to_vec()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl FromStr for Serial {
    type Err = ParseSerialError;

    /// Takes the number with or without the zero byte that DER puts before a set top bit: people
    /// copy it from tools that leave it out.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: Vec<u8> = text
            .chars()
            .map(|digit| {
                digit
                    .to_digit(16)
                    .and_then(|value| u8::try_from(value).ok())
            })
            .collect::<Option<_>>()
            .ok_or(ParseSerialError)?;
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.is_empty() || !rest.is_empty() || pairs.len() > SERIAL_BYTES_MAX {
            return Err(ParseSerialError);
        }
        let bytes = pairs.iter().map(|[high, low]| high << 4 | low);
        let mut number: Vec<u8> = bytes.skip_while(|byte| *byte == 0).collect();
        if number.first().is_none_or(|first| first & 0x80 != 0) {
            number.insert(0, 0);
        }
        Self::from_der_contents(&number).ok_or(ParseSerialError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_same_however_people_write_it() {
        let check = |text: &str, shown: &str| {
            assert_eq!(text.parse::<Serial>().unwrap().to_string(), shown);
        };
        check("7f01", "7f01");
        check("007F01", "7f01");
        check("80", "0080");
        check("0080", "0080");
        check("00", "00");
    }

    #[test]
    fn other_texts_are_no_serial_numbers() {
        let long = "11".repeat(SERIAL_BYTES_MAX + 1);
        let longest_with_top_bit = "ff".repeat(SERIAL_BYTES_MAX);
        for bad in ["", "1", "0x11", "1g", &long, &longest_with_top_bit] {
            assert_eq!(bad.parse::<Serial>(), Err(ParseSerialError), "{bad}");
        }
        assert!("11".repeat(SERIAL_BYTES_MAX).parse::<Serial>().is_ok());
    }
}
