//! Speech acts, delivery modes and protocols, as requests and programs write them.

use std::{fmt::Display, str::FromStr};

use crate::envelope::{Delivery, Performative, Protocol, UnknownWord};

/// A word is known exactly as it is written, and the refusal names the known ones, not the input.
pub(crate) fn target(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let known = [
        same::<Performative>(text),
        same::<Delivery>(text),
        same::<Protocol>(text),
    ];
    known.contains(&true)
}

fn same<T: FromStr<Err = UnknownWord> + Display>(text: &str) -> bool {
    match text.parse::<T>() {
        Ok(word) => assert_eq!(word.to_string(), text),
        Err(error) => {
            assert!(!error.known.contains(&text) && error.to_string().len() < 300);
            return false;
        }
    }
    true
}
