//! YAML into typed values. The only file of this crate that knows the YAML library.
//!
//! Bounded by size before anything is read, and by the library's own budget after: no aliases, because
//! they grow what was small.

use serde::de::DeserializeOwned;

use crate::problem::{Place, Problem};

/// Things in one file. A rule of an import is about thirty.
const NODES_MAX: usize = 50_000;
/// Nesting of mappings and lists; the deepest form of ours is six.
const DEPTH_MAX: usize = 16;

/// Reads one document.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8], bytes_max: usize) -> Result<T, Problem> {
    if bytes.len() > bytes_max {
        let message = format!(
            "the file has {} bytes, {bytes_max} are the most",
            bytes.len()
        );
        return Err(Problem::new(message));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let sound = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let sound = String::from_utf8_lossy(sound);
        Problem::new("not UTF-8").at(Some(Place::of(&sound, sound.len())))
    })?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: NODES_MAX,
            max_depth: DEPTH_MAX,
            max_aliases: 0,
            max_anchors: 0,
        },
        with_snippet: false,
        strict_booleans: true,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| problem(&error))
}

fn problem(error: &serde_saphyr::Error) -> Problem {
    let place = error.location().and_then(|location| {
        let line = usize::try_from(location.line()).ok()?;
        let column = usize::try_from(location.column()).ok()?;
        Some(Place { line, column }).filter(|_| line > 0)
    });
    let message = error.to_string();
    // The library ends its text with the place, which is told beside it.
    let message = message.split(" at line ").next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    Problem::new(message).at(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn refused(text: &str) -> Problem {
        read::<BTreeMap<String, Vec<u64>>>(text.as_bytes(), 1_000).unwrap_err()
    }

    #[test]
    fn what_is_refused_is_told_with_its_place() {
        let wrong = refused("a: [1]\nb: [x]\n");
        assert_eq!(wrong.place, Some(Place { line: 2, column: 5 }), "{wrong}");
        let torn = refused("a: [1");
        assert!(torn.place.is_some(), "{torn}");
        assert!(refused(&"a".repeat(1_001)).message.contains("1001 bytes"));
    }

    #[test]
    fn aliases_and_deep_nesting_are_refused() {
        refused("a: &one [1]\nb: *one\n");
        refused(&format!("a: {}", "[".repeat(DEPTH_MAX + 1)));
    }
}
