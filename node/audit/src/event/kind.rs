//! What can be told: a closed list of kinds of events, the category of each, and how long its text is kept.
//!
//! An unknown word is an error, so that nothing is written that no exporter or alert knows. A new kind is a
//! line in the table below and one in `export/ocsf.rs`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The first word of an event's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// Who somebody is.
    Authentication,
    /// Whether somebody may.
    Authorization,
    /// What was done to a resource.
    Resource,
    /// An agent's life.
    Agent,
    /// A remote agent's connection.
    Session,
    /// Certificates.
    Certificate,
    /// Policies.
    Policy,
    /// Settings.
    Configuration,
    /// What operators and the node itself do to the node.
    Administration,
}

/// How long the text of an event is kept. Its hash stays for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Retention {
    /// 90 days: frequent, and of use while something is looked into.
    Days90,
    /// 365 days: what an auditor asks for a year later.
    Year1,
    /// For ever: what says which other lines were erased.
    Kept,
}

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

impl Retention {
    /// The age after which the text may go, in milliseconds; `None` for never.
    #[must_use]
    pub fn age_ms(self) -> Option<i64> {
        match self {
            Self::Days90 => Some(90 * DAY_MS),
            Self::Year1 => Some(365 * DAY_MS),
            Self::Kept => None,
        }
    }
}

impl Category {
    /// How long the text of its events is kept.
    #[must_use]
    pub fn retention(self) -> Retention {
        match self {
            Self::Resource | Self::Agent | Self::Session => Retention::Days90,
            Self::Authentication
            | Self::Authorization
            | Self::Certificate
            | Self::Policy
            | Self::Configuration
            | Self::Administration => Retention::Year1,
        }
    }
}

macro_rules! kinds {
    ($($name:ident = $word:literal in $category:ident, $doc:literal;)+) => {
        /// What happened, in one of the words of this list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "std::borrow::Cow<'_, str>", into = "&'static str")]
        pub enum EventType { $(#[doc = $doc] $name,)+ }

        impl EventType {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its dotted word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// Its category.
            #[must_use]
            pub fn category(self) -> Category {
                match self { $(Self::$name => Category::$category,)+ }
            }
        }
    };
}

kinds! {
    AuthenticationSuccess = "authentication.success" in Authentication, "Somebody proved who they are.";
    AuthenticationFailure = "authentication.failure" in Authentication, "Somebody did not.";
    AuthenticationRefresh = "authentication.refresh" in Authentication, "A token was renewed.";
    AuthenticationLogout = "authentication.logout" in Authentication, "A login was given up.";
    AuthenticationLocked = "authentication.locked" in Authentication, "Too many failures.";
    AuthorizationAllow = "authorization.allow" in Authorization, "It was allowed.";
    AuthorizationDeny = "authorization.deny" in Authorization, "It was denied.";
    ResourceCreated = "resource.created" in Resource, "A resource was made.";
    ResourceRead = "resource.read" in Resource, "A resource was read.";
    ResourceUpdated = "resource.updated" in Resource, "A resource was changed.";
    ResourceDeleted = "resource.deleted" in Resource, "A resource was removed.";
    AgentDeployed = "agent.deployed" in Agent, "An agent came.";
    AgentRemoved = "agent.removed" in Agent, "An agent went.";
    AgentStarted = "agent.started" in Agent, "An agent runs.";
    AgentStopped = "agent.stopped" in Agent, "An agent rests.";
    AgentFailed = "agent.failed" in Agent, "An agent failed too often and stays down.";
    AgentUpdated = "agent.updated" in Agent, "An agent has another version.";
    AgentRestored = "agent.restored" in Agent, "What was taken back from an agent was given back.";
    AgentEnrolled = "agent.enrolled" in Agent, "A remote agent has an identity.";
    AgentRevoked = "agent.revoked" in Agent, "An agent's authority was taken back, of all its versions or of one.";
    AgentCompromised = "agent.compromised" in Agent, "An agent is taken for an enemy's.";
    SessionOpened = "session.opened" in Session, "A remote agent is connected.";
    SessionRenewed = "session.renewed" in Session, "Its session has a fresh token.";
    SessionSuspended = "session.suspended" in Session, "It missed a heartbeat.";
    SessionEnded = "session.ended" in Session, "It is gone.";
    SessionTunnelUp = "session.tunnel_up" in Session, "A tunnel stands.";
    SessionTunnelDown = "session.tunnel_down" in Session, "A tunnel is gone.";
    SessionTunnelRekeyed = "session.tunnel_rekeyed" in Session, "A tunnel has fresh keys.";
    CertificateIssued = "certificate.issued" in Certificate, "A certificate was issued.";
    CertificateRenewed = "certificate.renewed" in Certificate, "A certificate was renewed.";
    CertificateRotated = "certificate.rotated" in Certificate, "An authority was replaced.";
    CertificateRevoked = "certificate.revoked" in Certificate, "A certificate was taken back, or an authority.";
    PolicyUpdated = "policy.updated" in Policy, "A policy is in force.";
    PolicyRemoved = "policy.removed" in Policy, "A policy is not any more.";
    ConfigurationChanged = "configuration.changed" in Configuration, "A setting was changed.";
    ConfigurationApplied = "configuration.applied" in Configuration, "The settings that a node runs with.";
    RoleGranted = "administration.role_granted" in Administration, "Somebody got a role.";
    RoleRemoved = "administration.role_removed" in Administration, "Somebody lost a role.";
    OperatorUpdated = "administration.operator_updated" in Administration, "An operator was made, or has other roles.";
    OperatorRevoked = "administration.operator_revoked" in Administration, "An operator's authority was taken back.";
    OperatorRestored = "administration.operator_restored" in Administration, "An operator's authority was given back.";
    KeyCreated = "administration.key_created" in Administration, "A key of an operator was made or added: to the API, or to deploy with.";
    KeyRevoked = "administration.key_revoked" in Administration, "A key of an operator was taken back.";
    TokenRevoked = "administration.token_revoked" in Administration, "A capability token was taken back.";
    TenantUpdated = "administration.tenant_updated" in Administration, "A tenant was made, or has another quota.";
    TenantBlocked = "administration.tenant_blocked" in Administration, "A tenant may do nothing.";
    TenantUnblocked = "administration.tenant_unblocked" in Administration, "A tenant goes on.";
    Frozen = "administration.frozen" in Administration, "The programs of all tenants are stopped.";
    Unfrozen = "administration.unfrozen" in Administration, "The programs of all tenants go on.";
    PrivilegeEscalation = "administration.escalation" in Administration, "Somebody tried to get more than they have.";
    KeyUsed = "administration.key_used" in Administration, "A key that guards others was used.";
    NodeStarted = "administration.node_started" in Administration, "The node runs.";
    NodeStopped = "administration.node_stopped" in Administration, "The node stops.";
    MemberAdmitted = "administration.member_admitted" in Administration, "A node joined.";
    MemberRemoved = "administration.member_removed" in Administration, "A node was taken out.";
    MemberDown = "administration.member_down" in Administration, "A node is not there any more, as far as the one that tells sees.";
    MemberReturned = "administration.member_returned" in Administration, "A node is there again.";
    AuditDoubted = "administration.audit_doubted" in Administration, "A log of another node is not what was seen of it before.";
    AuditRetention = "administration.audit_retention" in Administration, "Text past its age was erased from this log.";
    AuditRepaired = "administration.audit_repaired" in Administration, "A batch that was never acknowledged was taken off.";
    AuditSuppressed = "administration.audit_suppressed" in Administration, "Events of one kind were counted, not written.";
}

impl EventType {
    /// How long its text is kept.
    #[must_use]
    pub fn retention(self) -> Retention {
        match self {
            Self::AuditRetention => Retention::Kept,
            other => other.category().retention(),
        }
    }
}

/// The word is not in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no type of event")]
pub struct ParseEventTypeError;

impl FromStr for EventType {
    type Err = ParseEventTypeError;

    fn from_str(word: &str) -> Result<Self, ParseEventTypeError> {
        let found = Self::ALL.iter().find(|kind| kind.as_str() == word);
        found.copied().ok_or(ParseEventTypeError)
    }
}

impl TryFrom<std::borrow::Cow<'_, str>> for EventType {
    type Error = ParseEventTypeError;

    fn try_from(word: std::borrow::Cow<'_, str>) -> Result<Self, ParseEventTypeError> {
        word.parse()
    }
}

impl From<EventType> for &'static str {
    fn from(kind: EventType) -> Self {
        kind.as_str()
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_begins_with_its_category_and_reads_back() {
        for kind in EventType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            let category = format!("{:?}.", kind.category()).to_lowercase();
            assert!(kind.as_str().starts_with(&category), "{kind}");
        }
        assert_eq!(
            "agent.exploded".parse::<EventType>(),
            Err(ParseEventTypeError)
        );
    }

    #[test]
    fn what_says_what_was_erased_is_never_erased() {
        assert_eq!(EventType::AuditRetention.retention().age_ms(), None);
        assert_eq!(
            EventType::AgentStarted.retention().age_ms(),
            Some(90 * DAY_MS)
        );
        assert_eq!(
            EventType::PolicyUpdated.retention().age_ms(),
            Some(365 * DAY_MS)
        );
    }
}
