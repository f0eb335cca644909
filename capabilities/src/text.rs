//! The text form of binary things: a prefix that tells the kind, and base64url (RFC 4648, section 5) without padding.
//! Exactly one text for each thing: other alphabets, padding, blanks and loose trailing bits are refused.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// A text was refused. Nothing was decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TextError {
    /// Another kind of thing, or nothing of the sort.
    #[error("it does not start with `{expected}`")]
    Prefix {
        /// The prefix that was due.
        expected: &'static str,
    },
    /// More than such a thing can have.
    #[error("it is longer than {chars_max} characters")]
    Long {
        /// The bound.
        chars_max: usize,
    },
    /// Not base64url, or not in its one form.
    #[error("it is not base64url in its one form, without padding")]
    Base64,
}

pub(crate) fn encode(prefix: &str, bytes: &[u8]) -> String {
    let mut text = prefix.to_owned();
    URL_SAFE_NO_PAD.encode_string(bytes, &mut text);
    text
}

/// The bytes, at most `bytes_max`; a longer text is refused before any of it is decoded.
pub(crate) fn decode(
    prefix: &'static str,
    text: &str,
    bytes_max: usize,
) -> Result<Vec<u8>, TextError> {
    let chars_max = prefix.len() + (bytes_max * 4).div_ceil(3);
    if text.len() > chars_max {
        return Err(TextError::Long { chars_max });
    }
    let digits = text
        .strip_prefix(prefix)
        .ok_or(TextError::Prefix { expected: prefix })?;
    let decoded = URL_SAFE_NO_PAD.decode(digits);
    decoded.map_err(|_what| TextError::Base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_text_for_each_thing() {
        assert_eq!(encode("x.", &[0xfb, 0xff]), "x.-_8");
        assert_eq!(decode("x.", "x.-_8", 2), Ok(vec![0xfb, 0xff]));
        for text in ["x.-_9", "x.-_8=", "x.+/8", "x.-_8\n", "x. -_8", "x.-"] {
            assert_eq!(decode("x.", text, 8), Err(TextError::Base64), "{text:?}");
        }
        let prefix = TextError::Prefix { expected: "x." };
        assert_eq!(decode("x.", "y.-_8", 2), Err(prefix));
        let long = TextError::Long { chars_max: 5 };
        assert_eq!(decode("x.", "x.AAAA", 2), Err(long));
    }
}
