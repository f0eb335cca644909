//! Fuzz targets: each takes any bytes, panics when a promise is broken, and tells whether the bytes were
//! taken for what they could be. The tests here are the smoke
//! run; `fuzz_targets/` gives the same functions to cargo-fuzz, which sets `cfg(fuzzing)`. That nothing
//! forged is believed is shown by `tests/pki/hostile_input.rs`, which has keys.

#[cfg(test)]
#[path = "../../../capabilities/fuzz/smoke.rs"]
mod smoke;
mod targets;

/// Certificates.
pub fn certificate(bytes: &[u8]) -> bool {
    targets::certificate(bytes)
}

/// Requests for certificates.
pub fn request(bytes: &[u8]) -> bool {
    targets::request(bytes)
}

/// PEM files.
pub fn pem(bytes: &[u8]) -> bool {
    targets::pem_text(bytes)
}

/// Identities and fingerprints.
pub fn identity(bytes: &[u8]) -> bool {
    targets::identity(bytes)
}

/// Revocation lists of one issuer.
pub fn revocation_list(bytes: &[u8]) -> bool {
    targets::revocation_list(bytes)
}

/// Trust bundles, as bytes and as text.
pub fn bundle(bytes: &[u8]) -> bool {
    targets::bundle(bytes)
}

/// Keys under a passphrase, up to where the passphrase is needed.
pub fn sealed_key(bytes: &[u8]) -> bool {
    targets::sealed_key(bytes)
}

/// Files of which nobody has said what they are.
pub fn inspected(bytes: &[u8]) -> bool {
    targets::inspected(bytes)
}

#[cfg(test)]
mod tests {
    use super::{smoke::smoke, *};

    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

    #[test]
    fn any_bytes_are_a_certificate_that_can_be_shown_or_none() {
        smoke(FOLDER, "certificate", certificate);
    }

    #[test]
    fn any_bytes_are_a_whole_request_or_none() {
        smoke(FOLDER, "request", request);
    }

    #[test]
    fn any_text_is_pem_that_comes_back_or_refused_without_a_quote() {
        smoke(FOLDER, "pem", pem);
    }

    #[test]
    fn any_text_is_an_identity_that_is_written_as_it_was_read_or_none() {
        smoke(FOLDER, "identity", identity);
    }

    #[test]
    fn any_bytes_are_a_whole_revocation_list_or_none() {
        smoke(FOLDER, "revocation_list", revocation_list);
    }

    #[test]
    fn any_bytes_are_a_bundle_that_is_written_as_it_was_read_or_none() {
        smoke(FOLDER, "bundle", bundle);
    }

    #[test]
    fn any_text_is_a_sealed_key_of_bearable_cost_or_none() {
        smoke(FOLDER, "sealed_key", sealed_key);
    }

    #[test]
    fn any_file_is_something_that_can_be_shown_or_nothing() {
        smoke(FOLDER, "inspected", inspected);
    }
}
