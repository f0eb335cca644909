//! Which OCSF class and activity each type of event is.

use crate::event::EventType;

pub(super) const FINDING: u32 = 2_004;
pub(super) const AUTHENTICATION: u32 = 3_002;
pub(super) const ENTITY: u32 = 3_004;
pub(super) const ACCESS: u32 = 3_005;
pub(super) const TUNNEL: u32 = 4_014;
pub(super) const APPLICATION: u32 = 6_002;
pub(super) const API: u32 = 6_003;
/// What OCSF has no number for.
pub(super) const OTHER: u32 = 99;

/// A class, an activity of it, and what a control decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) uid: u32,
    pub(super) activity: u32,
    /// 1 for allowed, 2 for denied.
    pub(super) action: Option<u32>,
}

impl Class {
    pub(super) fn of(kind: EventType) -> Self {
        use EventType as E;
        let class = |uid, activity| Self {
            uid,
            activity,
            action: None,
        };
        match kind {
            E::AuthenticationSuccess
            | E::AuthenticationFailure
            | E::AuthenticationLocked
            | E::SessionOpened => class(AUTHENTICATION, 1),
            E::AuthenticationLogout | E::SessionEnded => class(AUTHENTICATION, 2),
            E::AuthenticationRefresh | E::SessionRenewed => class(AUTHENTICATION, 5),
            E::SessionSuspended => class(AUTHENTICATION, OTHER),
            E::AuthorizationAllow => Self {
                action: Some(1),
                ..class(API, OTHER)
            },
            E::AuthorizationDeny => Self {
                action: Some(2),
                ..class(API, OTHER)
            },
            E::ResourceCreated => class(API, 1),
            E::ResourceRead => class(API, 2),
            E::ResourceUpdated => class(API, 3),
            E::ResourceDeleted => class(API, 4),
            E::AgentDeployed => class(APPLICATION, 1),
            E::AgentRemoved => class(APPLICATION, 2),
            E::AgentStarted | E::NodeStarted => class(APPLICATION, 3),
            E::AgentStopped | E::NodeStopped => class(APPLICATION, 4),
            E::AgentUpdated => class(APPLICATION, 8),
            E::AgentFailed => class(APPLICATION, OTHER),
            E::AgentCompromised | E::AuditDoubted | E::PrivilegeEscalation => class(FINDING, 1),
            E::SessionTunnelUp => class(TUNNEL, 1),
            E::SessionTunnelDown => class(TUNNEL, 2),
            E::SessionTunnelRekeyed => class(TUNNEL, 3),
            E::CertificateIssued | E::KeyCreated => class(ENTITY, 1),
            E::CertificateRenewed
            | E::CertificateRotated
            | E::PolicyUpdated
            | E::ConfigurationChanged
            | E::OperatorUpdated
            | E::TenantUpdated
            | E::AuditRetention
            | E::AuditRepaired => class(ENTITY, 3),
            E::PolicyRemoved => class(ENTITY, 4),
            E::AgentEnrolled | E::MemberAdmitted => class(ENTITY, 6),
            E::MemberRemoved => class(ENTITY, 7),
            E::AgentRevoked
            | E::CertificateRevoked
            | E::OperatorRevoked
            | E::KeyRevoked
            | E::TokenRevoked => class(ENTITY, 9),
            E::AgentRestored
            | E::OperatorRestored
            | E::TenantBlocked
            | E::TenantUnblocked
            | E::Frozen
            | E::Unfrozen
            | E::KeyUsed
            | E::ConfigurationApplied
            | E::MemberDown
            | E::MemberReturned
            | E::AuditSuppressed => class(ENTITY, OTHER),
            E::RoleGranted => class(ACCESS, 3),
            E::RoleRemoved => class(ACCESS, 4),
        }
    }

    /// The class has a place for who did it.
    pub(super) fn has_actor(self) -> bool {
        matches!(self.uid, AUTHENTICATION | ENTITY | ACCESS | API)
    }

    /// The class has a place for where they came from.
    pub(super) fn has_source(self) -> bool {
        matches!(self.uid, AUTHENTICATION | ENTITY | ACCESS | API | TUNNEL)
    }
}
