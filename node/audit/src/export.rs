//! Forms in which others take the log. They are made from stored lines and are never stored or hashed themselves.

pub mod ndjson;
pub mod ocsf;
pub mod syslog;
