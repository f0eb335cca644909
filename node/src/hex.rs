//! Bytes as hexadecimal digits, and back.

use std::fmt::Write as _;

/// The digits, in lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    // Of its whole length from the start: what is secret leaves no copy where it grew.
    let mut digits = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _text_takes_all = write!(digits, "{byte:02x}");
    }
    digits
}

/// The bytes of exactly so many digits in lower case: of each there is one text.
pub(crate) fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != 2 * N || !digits.bytes().all(is_digit) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_from_their_digits_and_nothing_else_is_any() {
        assert_eq!(hex(&[0, 1, 0xab]), "0001ab");
        assert_eq!(unhex("0001ab"), Some([0, 1, 0xab]));
        for none in [
            "", "0001a", "0001abc", "0001ag", "0001aB", "+001ab", "0001á",
        ] {
            assert_eq!(unhex::<3>(none), None, "{none}");
        }
    }
}
