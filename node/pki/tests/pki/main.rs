//! What Caxton's certificates promise, checked from outside the crate.

mod bundle;
mod chains;
mod fixture;
mod handshake;
mod hostile_input;
mod inspecting;
mod interop;
mod issuing;
mod keeping;
mod lists;
mod persistence;
mod requests;
mod revocation;
mod rotation;
mod sealed;
mod statement;
