//! Fuzz targets: each takes any bytes, panics when a promise is broken, and tells whether the bytes were
//! taken for what they could be. The tests here are the smoke
//! run; `fuzz_targets/` gives the same functions to cargo-fuzz, which sets `cfg(fuzzing)`. What a running
//! node makes of such bytes is shown by `src/transport/tests` and `src/membership/tests`.

#[cfg(test)]
#[path = "../../../capabilities/fuzz/smoke.rs"]
mod smoke;
mod targets;

/// Greetings and answers to them, as they come off the wire.
pub fn hello(bytes: &[u8]) -> bool {
    targets::hello(bytes)
}

/// Requests of members and answers to them, as they come off the wire.
pub fn request(bytes: &[u8]) -> bool {
    targets::request(bytes)
}

/// What is said through the door, both ways, as it comes off the wire.
pub fn join(bytes: &[u8]) -> bool {
    targets::join(bytes)
}

/// What is said on a lane, both ways, as it comes off the wire.
pub fn lane(bytes: &[u8]) -> bool {
    targets::lane(bytes)
}

/// Join tokens.
pub fn join_token(bytes: &[u8]) -> bool {
    targets::join_token(bytes)
}

/// Messages of gossip, up to where chitchat has them.
pub fn gossip(bytes: &[u8]) -> bool {
    targets::gossip(bytes)
}

/// Key shares of the hybrid, of a dialler and of an answerer.
pub fn key_share(bytes: &[u8]) -> bool {
    targets::key_share(bytes)
}

/// What a dialler says first in TLS.
pub fn client_hello(bytes: &[u8]) -> bool {
    targets::client_hello(bytes)
}

/// What an answerer says first in TLS.
pub fn server_hello(bytes: &[u8]) -> bool {
    targets::server_hello(bytes)
}

#[cfg(test)]
mod tests {
    use super::{smoke::smoke, *};

    const FOLDER: &str = env!("CARGO_MANIFEST_DIR");

    #[test]
    fn any_bytes_are_a_greeting_that_is_written_as_it_was_read_or_none() {
        smoke(FOLDER, "hello", hello);
    }

    #[test]
    fn any_bytes_are_a_request_or_reply_that_comes_back_or_none() {
        smoke(FOLDER, "request", request);
    }

    #[test]
    fn any_bytes_are_a_knock_or_its_answer_that_comes_back_or_none() {
        smoke(FOLDER, "join", join);
    }

    #[test]
    fn any_bytes_on_a_lane_are_messages_or_words_that_come_back_or_none() {
        smoke(FOLDER, "lane", lane);
    }

    #[test]
    fn any_text_is_a_join_token_that_is_written_as_it_was_read_or_none() {
        smoke(FOLDER, "join_token", join_token);
    }

    #[test]
    fn any_bytes_are_gossip_of_bounded_size_or_none() {
        smoke(FOLDER, "gossip", gossip);
    }

    #[test]
    fn any_bytes_are_a_key_share_that_gives_a_secret_or_none() {
        smoke(FOLDER, "key_share", key_share);
    }

    #[test]
    fn any_first_flight_is_answered_under_the_profile_or_refused() {
        smoke(FOLDER, "client_hello", client_hello);
    }

    #[test]
    fn any_answer_to_a_first_flight_keeps_to_the_profile_or_is_refused() {
        smoke(FOLDER, "server_hello", server_hello);
    }
}
