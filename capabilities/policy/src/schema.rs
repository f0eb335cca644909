//! The words of a policy, and the Cedar schema that is written from them.
//!
//! Tables of this file are the one source: the schema's text, the facts handed to Cedar and the guide's
//! tables come from them. Time zones are the one part that depends on the policies: the schema lists
//! exactly those that occur, so that a misspelt zone is an error and not a rule without effect.

use std::fmt::Write as _;

use caxton_capabilities::{PolicyAction, PrincipalId, ResourceId, Role};

/// What may ask. All four are resources too.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum PrincipalKind {
    /// A tenant's agent.
    Agent,
    /// A human or machine that manages.
    Operator,
    /// A service.
    ApiKey,
    /// The runtime.
    Node,
}

impl PrincipalKind {
    /// Every one of them.
    pub const ALL: &'static [Self] = &[Self::Agent, Self::Operator, Self::ApiKey, Self::Node];

    /// Its kind.
    #[must_use]
    pub const fn of(id: &PrincipalId) -> Self {
        match id {
            PrincipalId::Agent(_) => Self::Agent,
            PrincipalId::Operator(_) => Self::Operator,
            PrincipalId::ApiKey(_) => Self::ApiKey,
            PrincipalId::Node => Self::Node,
        }
    }

    /// Its type in policies.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Agent => Kind::Agent,
            Self::Operator => Kind::Operator,
            Self::ApiKey => Kind::ApiKey,
            Self::Node => Kind::Node,
        }
    }
}

/// A type of entity.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// A tenant's agent.
    Agent,
    /// A human or machine that manages.
    Operator,
    /// A key of a service.
    ApiKey,
    /// A node.
    Node,
    /// A tenant.
    Tenant,
    /// The cluster as a whole.
    Cluster,
    /// A policy document.
    Policy,
    /// A token.
    Token,
    /// The audit log.
    AuditLog,
    /// A certificate.
    Certificate,
    /// What an agent is to be.
    Deployment,
    /// A message.
    Message,
    /// A role over everything: `Role::"viewer"`.
    Role,
    /// A group of an identity provider.
    Group,
}

impl Kind {
    /// Every one of them.
    pub const ALL: &'static [Self] = &[
        Self::Agent,
        Self::Operator,
        Self::ApiKey,
        Self::Node,
        Self::Tenant,
        Self::Cluster,
        Self::Policy,
        Self::Token,
        Self::AuditLog,
        Self::Certificate,
        Self::Deployment,
        Self::Message,
        Self::Role,
        Self::Group,
    ];

    /// Its name in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "Agent",
            Self::Operator => "Operator",
            Self::ApiKey => "ApiKey",
            Self::Node => "Node",
            Self::Tenant => "Tenant",
            Self::Cluster => "Cluster",
            Self::Policy => "Policy",
            Self::Token => "Token",
            Self::AuditLog => "AuditLog",
            Self::Certificate => "Certificate",
            Self::Deployment => "Deployment",
            Self::Message => "Message",
            Self::Role => "Role",
            Self::Group => "Group",
        }
    }

    /// The kind of a resource.
    #[must_use]
    pub const fn of(id: &ResourceId) -> Self {
        match id {
            ResourceId::Agent(_) => Self::Agent,
            ResourceId::Tenant(_) => Self::Tenant,
            ResourceId::Node(_) => Self::Node,
            ResourceId::Cluster => Self::Cluster,
            ResourceId::Policy(_) => Self::Policy,
            ResourceId::Token(_) => Self::Token,
            ResourceId::AuditLog => Self::AuditLog,
            ResourceId::Certificate(_) => Self::Certificate,
            ResourceId::Operator(_) => Self::Operator,
            ResourceId::ApiKey(_) => Self::ApiKey,
            ResourceId::Deployment(_) => Self::Deployment,
            ResourceId::Message(..) => Self::Message,
        }
    }

    const fn is_principal(self) -> bool {
        matches!(
            self,
            Self::Agent | Self::Operator | Self::ApiKey | Self::Node
        )
    }

    /// What it may be a member of.
    #[must_use]
    pub const fn parents(self) -> &'static [Self] {
        if self.is_principal() {
            &[Self::Role, Self::Group]
        } else {
            &[]
        }
    }

    /// Whether every one of them has a tenant; the rest may have one.
    const fn has_tenant_always(self) -> bool {
        matches!(
            self,
            Self::Agent | Self::Tenant | Self::Deployment | Self::Message
        )
    }

    /// Whether it has the attribute at all.
    pub(crate) fn has(self, attribute: &str) -> bool {
        match self {
            Self::Role | Self::Group => false,
            _ if attribute == "tenant" || attribute == "owner" => true,
            Self::Operator | Self::ApiKey => {
                Role::ALL.iter().any(|role| role_of(*role) == attribute)
            }
            _ => false,
        }
    }
}

/// What an action is done to.
#[must_use]
pub const fn resources(action: PolicyAction) -> &'static [Kind] {
    use Kind::{
        Agent, ApiKey, AuditLog, Certificate, Cluster, Deployment, Message, Node, Operator, Policy,
        Tenant, Token,
    };
    match action {
        PolicyAction::Send => &[Agent, Tenant, Operator, ApiKey, Node],
        PolicyAction::Deploy => &[Agent, Tenant, Operator, Node, Deployment],
        PolicyAction::Start | PolicyAction::Stop | PolicyAction::Remove => &[Agent, Deployment],
        PolicyAction::Freeze => &[Agent, Tenant, Cluster],
        PolicyAction::Replay => &[Agent, Message],
        PolicyAction::Read => &[
            Agent,
            Operator,
            ApiKey,
            Node,
            Tenant,
            Cluster,
            Policy,
            Token,
            AuditLog,
            Certificate,
            Deployment,
            Message,
        ],
        PolicyAction::Logs => &[Agent, Tenant, Node],
        PolicyAction::Trace => &[Agent, Tenant, Message],
        PolicyAction::Operate => &[Agent, Tenant, Operator, Node, Cluster],
        PolicyAction::PolicyWrite => &[Policy],
        PolicyAction::TokenCreate => &[Token, ApiKey, Agent],
        PolicyAction::Revoke => &[Token, ApiKey, Certificate, Operator],
        PolicyAction::AuditRead => &[AuditLog],
        PolicyAction::CertificateRotate => &[Certificate, Node, Cluster],
        PolicyAction::TenantAdmin => &[Tenant],
        PolicyAction::OperatorAdmin => &[Operator, ApiKey],
        PolicyAction::ClusterAdmin => &[Cluster, Node],
        PolicyAction::Connect => &[Agent, Tenant, Node],
    }
}

/// The groups that an action is in.
pub(crate) fn groups_of(action: PolicyAction) -> impl Iterator<Item = &'static str> {
    PolicyAction::GROUPS
        .iter()
        .filter(move |(_, members)| members.contains(&action))
        .map(|(group, _)| *group)
}

/// The attribute of an operator or key that holds the tenants in which it has the role.
#[must_use]
pub const fn role_of(role: Role) -> &'static str {
    match role {
        Role::Administrator => "administrator_of",
        Role::ProjectManager => "project_manager_of",
        Role::AgentDesigner => "agent_designer_of",
        Role::Operator => "operator_of",
        Role::Viewer => "viewer_of",
    }
}

/// An attribute of the context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Circumstance {
    /// Its name.
    pub name: &'static str,
    /// Its type in Cedar; `None` is the clock, whose type the policies' zones make.
    pub cedar_type: Option<&'static str>,
    /// Whether it is always known.
    pub always: bool,
}

const fn circumstance(
    name: &'static str,
    cedar_type: Option<&'static str>,
    always: bool,
) -> Circumstance {
    Circumstance {
        name,
        cedar_type,
        always,
    }
}

/// The attributes of the context. Sixteen at most: each is a bit of what a policy reads.
pub const CONTEXT: &[Circumstance] = &[
    circumstance("time", Some("Long"), true),
    circumstance("clock", None, true),
    circumstance("device", Some("{os: String, posture: String}"), false),
    circumstance("address", Some("ipaddr"), false),
    circumstance("risk", Some("Long"), false),
    circumstance("classification", Some("String"), false),
    circumstance("performative", Some("String"), false),
    circumstance("size", Some("Long"), false),
    circumstance("dst_ip", Some("ipaddr"), false),
    circumstance("dst_port", Some("Long"), false),
    circumstance("protocol", Some("String"), false),
];

/// The Cedar schema, for policies that read the clocks of `zones`.
#[must_use]
pub fn text<'zones>(zones: impl IntoIterator<Item = &'zones str>) -> String {
    let mut text = String::from("// Written from Caxton's own types; do not edit.\n");
    for kind in Kind::ALL {
        entity(&mut text, *kind);
    }
    for (group, _) in PolicyAction::GROUPS {
        // INVARIANT: writing into a `String` cannot fail; so for each `let _` of this file.
        let _ = writeln!(text, "action \"{group}\";");
    }
    context(&mut text, zones);
    for action in PolicyAction::ALL {
        let groups: Vec<_> = groups_of(*action)
            .map(|group| format!("\"{group}\""))
            .collect();
        let within = match groups.as_slice() {
            [] => String::new(),
            groups => format!(" in [{}]", groups.join(", ")),
        };
        let _ = writeln!(
            text,
            "action \"{action}\"{within} appliesTo {{ principal: [{}], resource: [{}], context: Circumstances }};",
            names(PrincipalKind::ALL.iter().map(|principal| principal.kind())),
            names(resources(*action).iter().copied()),
        );
    }
    text
}

fn names(kinds: impl Iterator<Item = Kind>) -> String {
    kinds.map(Kind::as_str).collect::<Vec<_>>().join(", ")
}

fn entity(text: &mut String, kind: Kind) {
    let _ = write!(text, "entity {}", kind.as_str());
    if kind.is_principal() {
        let _ = write!(text, " in [{}]", names(kind.parents().iter().copied()));
    }
    if !matches!(kind, Kind::Role | Kind::Group) {
        let may = if kind.has_tenant_always() { "" } else { "?" };
        let _ = write!(text, " {{ tenant{may}: Tenant, owner?: Operator");
        if matches!(kind, Kind::Operator | Kind::ApiKey) {
            for role in Role::ALL {
                let _ = write!(text, ", {}: Set<Tenant>", role_of(*role));
            }
        }
        text.push_str(" }");
    }
    if kind.is_principal() {
        text.push_str(" tags String");
    }
    text.push_str(";\n");
}

fn context<'zones>(text: &mut String, zones: impl IntoIterator<Item = &'zones str>) {
    text.push_str("type Circumstances = {\n");
    let mut zones = Some(zones);
    for one in CONTEXT {
        let may = if one.always { "" } else { "?" };
        let _ = write!(text, "  {}{may}: ", one.name);
        match (one.cedar_type, zones.take()) {
            (Some(of), untouched) => {
                zones = untouched;
                text.push_str(of);
            }
            (None, clocks) => {
                text.push_str("{ ");
                for zone in clocks.into_iter().flatten() {
                    let _ = write!(text, "{zone:?}: {{ weekday: String, minute: Long }}, ");
                }
                text.push('}');
            }
        }
        text.push_str(",\n");
    }
    text.push_str("};\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_is_one_that_cedar_takes_with_any_zones() {
        for zones in [&[][..], &["Europe/Berlin", "Etc/GMT+5"][..]] {
            let text = text(zones.iter().copied());
            let read = cedar_policy::Schema::from_cedarschema_str(&text);
            let (_, warnings) = read.unwrap_or_else(|error| panic!("{text}\n{error:?}"));
            assert_eq!(warnings.count(), 0);
        }
    }

    #[test]
    fn every_action_applies_to_something_and_every_group_has_members() {
        for action in PolicyAction::ALL {
            assert!(!resources(*action).is_empty(), "{action}");
        }
        for (group, members) in PolicyAction::GROUPS {
            assert!(!members.is_empty(), "{group}");
            assert_eq!(
                PolicyAction::from_word(group),
                None,
                "{group} is an action too"
            );
        }
    }
}
