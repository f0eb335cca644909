//! "Did you mean": the nearest of some names, where one is near.

/// How alike two names are at least to be suggested, from 0 to 1 (Jaro-Winkler). 0.8 joins a slip
/// of the finger and keeps apart what merely begins alike.
const ALIKE_MIN: f64 = 0.8;

/// The name nearest to what was typed.
pub(crate) fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names
        .map(|name| (strsim::jaro_winkler(typed, name), name))
        .filter(|(alike, name)| *alike >= ALIKE_MIN && *name != typed)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let names = ["billing", "dispatcher", "counter-c", "counter-js"];
        let nearest = |typed: &str| nearest(typed, names.into_iter());
        assert_eq!(nearest("biling"), Some("billing"));
        assert_eq!(nearest("dispacher"), Some("dispatcher"));
        assert_eq!(nearest("counter-jss"), Some("counter-js"));
        assert_eq!(nearest("zebra"), None);
    }
}
