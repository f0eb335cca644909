//! JSON in which no member stands twice, at any depth. Two parsers that each take another of two `alg`s or `exp`s see
//! two tokens under one signature; section 4 of RFC 7515 and of RFC 7519 lets a reader refuse them, and this one does.
//!
//! How deep it nests is bounded by `serde_json`, at 128. A value type of its own, because `serde_json::Value` keeps the
//! last of two members, and reads some names as messages to itself.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};

/// A value, as far as anybody here asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Json {
    Text(String),
    /// A number that is written without sign, fraction and exponent.
    Whole(u64),
    List(Vec<Self>),
    Object(Members),
    /// `null`, a truth value, or a number that is not whole, below zero or too large.
    Other,
}

/// The members of an object, each once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Members(BTreeMap<String, Json>);

/// Why bytes are no such object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JsonError {
    /// Not JSON, nested too deeply, or not an object.
    NotObject,
    /// Some member stands twice.
    Twice,
}

impl Members {
    /// Reads an object and nothing after it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        match serde_json::from_slice(bytes) {
            Ok(Json::Object(members)) => Ok(members),
            // Every shape is a `Json`, so the one thing that can be wrong with data is a second member.
            Err(error) if error.is_data() => Err(JsonError::Twice),
            Ok(_) | Err(_) => Err(JsonError::NotObject),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Json> {
        self.0.get(name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Json {
    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// The texts of a list that holds nothing else.
    pub(crate) fn as_texts(&self) -> Option<Vec<&str>> {
        if let Self::List(list) = self {
            list.iter().map(Self::as_text).collect()
        } else {
            None
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Whole(number))
    }

    fn visit_i64<E>(self, _below_zero: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _not_whole: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E>(self, _truth: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = entries.next_entry::<String, Json>()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member stands twice"));
            }
        }
        Ok(Json::Object(Members(members)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<(), JsonError>) {
        let read = Members::parse(text.as_bytes()).map(|_members| ());
        assert_eq!(read, expected, "{text}");
    }

    #[test]
    fn a_member_that_stands_twice_is_refused_at_any_depth_and_however_it_is_written() {
        check(r#"{"a":1,"b":1}"#, Ok(()));
        check(r#"{"a":1,"A":1}"#, Ok(()));
        check(r#"{"a":1,"a":1}"#, Err(JsonError::Twice));
        check(r#"{"a":1,"\u0061":2}"#, Err(JsonError::Twice));
        check(r#"{"b":[{"a":1,"a":2}]}"#, Err(JsonError::Twice));
    }

    #[test]
    fn what_is_no_object_or_has_something_after_it_is_refused() {
        for text in [
            "",
            "[]",
            "1",
            "null",
            "\"a\"",
            "{} x",
            "{}{}",
            "{\"a\":1,}",
            "{a:1}",
            "\u{feff}{}",
            r#"{"a":"\ud800"}"#,
            r#"{"a":1e999}"#,
        ] {
            check(text, Err(JsonError::NotObject));
        }
        let invalid = [b"{\"a\":\"".as_slice(), b"\xff", b"\"}"].concat();
        assert_eq!(Members::parse(&invalid), Err(JsonError::NotObject));
    }

    #[test]
    fn nesting_is_bounded_and_costs_no_stack() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        check(&nested(100), Ok(()));
        check(&nested(128), Err(JsonError::NotObject));
        check(&nested(100_000), Err(JsonError::NotObject));
    }

    #[test]
    fn a_number_is_whole_only_as_it_is_written() {
        for (text, expected) in [
            ("0", Json::Whole(0)),
            ("18446744073709551615", Json::Whole(u64::MAX)),
            ("18446744073709551616", Json::Other),
            ("-1", Json::Other),
            ("-0", Json::Other),
            ("1.0", Json::Other),
            ("1e3", Json::Other),
            ("true", Json::Other),
        ] {
            let object = Members::parse(format!("{{\"a\":{text}}}").as_bytes()).unwrap();
            assert_eq!(object.get("a"), Some(&expected), "{text}");
        }
    }

    #[test]
    fn a_name_that_serde_json_keeps_for_itself_means_nothing() {
        let text = r#"{"a":{"$serde_json::private::RawValue":"\"b\""}}"#;
        let object = Members::parse(text.as_bytes()).unwrap();
        assert!(
            matches!(object.get("a"), Some(Json::Object(_))),
            "{object:?}"
        );
    }
}
