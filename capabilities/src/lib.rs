//! Who may do what: names and ids that are parsed once and then trusted, rights, policies, and the
//! permit that only [`authorize`](Trust::authorize) can make.
//!
//! Pure: no clock, no socket, no file and no random number is read here, so that authority can be
//! proven in a unit test. Signed capability tokens will join it; the seam is [`Trust`].
#![forbid(unsafe_code)]

pub mod authorize;
#[cfg(any(test, fuzzing))]
#[path = "../fuzz/mod.rs"]
pub mod fuzz;
pub mod id;
pub mod policy;
pub mod request;
pub mod right;

pub use authorize::{Denied, Permit, Trust};
pub use id::{
    Address, AgentId, ConversationId, MessageId, Name, ParseIdError, ParseNameError, Principal,
    TenantId, TraceId,
};
pub use policy::{Decision, PolicySet, Rule};
pub use request::{
    Destination, Device, Policies, PolicyAction, PolicyContext, PolicyPrincipal, PolicyRequest,
    PolicyResource, PrincipalFacts, PrincipalId, ResourceId, Role, RuleName, Ruling,
};
pub use right::{Action, Resource, Right};
