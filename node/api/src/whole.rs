//! Whole numbers in request bodies: JSON knows one kind of number, so `5.0` is 5 (RFC 8259, section 6;
//! JSON Schema says so too). Above fifteen digits readers of JSON differ about the value: refused.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, de};

/// The largest whole number that is taken: fifteen digits, which every reader of JSON has exactly,
/// with or without a fraction.
pub const MAX: u64 = 999_999_999_999_999;

struct Whole(u64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from 0 to {MAX}")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Whole, E> {
        if value > MAX {
            return Err(E::invalid_value(de::Unexpected::Unsigned(value), &self));
        }
        Ok(Whole(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Whole, E> {
        let unsigned = u64::try_from(value);
        let unsigned =
            unsigned.map_err(|_negative| E::invalid_value(de::Unexpected::Signed(value), &self))?;
        self.visit_u64(unsigned)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Whole, E> {
        let whole = value.fract() == 0.0 && (0.0..=999_999_999_999_999.0).contains(&value);
        let text = format!("{value:.0}");
        let parsed = text.trim_start_matches('-').parse().ok().filter(|_| whole);
        parsed
            .map(Whole)
            .ok_or_else(|| E::invalid_value(de::Unexpected::Float(value), &self))
    }
}

/// Reads a field that may be absent or null.
pub(crate) fn option<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let read = Option::<Whole>::deserialize(deserializer)?;
    Ok(read.map(|Whole(value)| value))
}

/// Reads a map by name.
pub(crate) fn map<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, u64>, D::Error> {
    let read = BTreeMap::<String, Whole>::deserialize(deserializer)?;
    Ok(read
        .into_iter()
        .map(|(name, Whole(value))| (name, value))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<u64>) {
        let read = serde_json::from_str::<Whole>(text);
        assert_eq!(read.ok().map(|Whole(value)| value), expected, "{text}");
    }

    #[test]
    fn a_whole_number_may_be_written_in_any_way_that_json_has() {
        check("5", Some(5));
        check("5.0", Some(5));
        check("5e3", Some(5_000));
        check("-0", Some(0));
        check("-0.0", Some(0));
        check("999999999999999", Some(MAX));
        check("999999999999999.0", Some(MAX));
    }

    #[test]
    fn what_readers_differ_about_is_refused() {
        for text in [
            "5.5",
            "-1",
            "-1.0",
            "1000000000000000",
            "1000000000000000.0",
            "1e300",
            "\"5\"",
            "true",
        ] {
            check(text, None);
        }
    }
}
