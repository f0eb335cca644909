//! What is counted of messages, each under a [rate](crate::rates).

use caxton_capabilities::{AgentId, Principal, TenantId, TokenId};

/// Keys that are counted at the same time: some 10 MiB.
pub(super) const KEYS_MAX: usize = 65_536;

/// What is counted together.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Counted {
    /// All that is done with a token, and with what was made of it.
    Token(TokenId),
    /// What comes to the agents of a tenant.
    Tenant(TenantId),
    /// What one sender sends to one agent.
    Pair(AgentId, Principal),
}
