//! Whose a thing is, and which tenant's: what policies may ask of it besides its name.

use caxton_capabilities::{Name, PolicyResource, Principal, ResourceId, TenantId, Token};

use super::plane::Plane;
use crate::access::book::{Access, OperatorRow};

impl Plane {
    /// What has this id, with what the node knows of it.
    pub(super) fn resource(&self, id: ResourceId) -> PolicyResource {
        let (owner, of_tenant) = match &id {
            ResourceId::Agent(address) | ResourceId::Deployment(address) => {
                let port = self.routes().get(address);
                (port.and_then(|port| operator(&port.owner)), None)
            }
            ResourceId::ApiKey(name) => key(&self.access(), name),
            ResourceId::Token(text) => self.token(text),
            _ => (None, None),
        };
        PolicyResource {
            owner,
            of_tenant,
            ..PolicyResource::new(id)
        }
    }

    /// A token belongs to the agent that holds it, or one that was made of it.
    fn token(&self, text: &str) -> (Option<Name>, Option<TenantId>) {
        let Ok(id) = text.parse() else {
            return (None, None);
        };
        let holds = |bytes: &[u8]| {
            let token = Token::from_bytes(bytes);
            token.is_ok_and(|token| token.ids().contains(&id))
        };
        let holder = (self.routes().all().into_iter()).find(|port| holds(&port.version().token));
        holder.map_or((None, None), |port| {
            let tenant = port.address.tenant.clone();
            (operator(&port.owner), Some(tenant))
        })
    }
}

fn operator(owner: &Principal) -> Option<Name> {
    match owner {
        Principal::Operator(name) => Some(name.clone()),
        Principal::Agent(_) | Principal::Node => None,
    }
}

/// A key is its operator's, and of the tenant to which all their roles are confined.
fn key(access: &Access, name: &Name) -> (Option<Name>, Option<TenantId>) {
    let Some(row) = access.keys.get(name) else {
        return (None, None);
    };
    let tenant = access.operators.get(&row.operator).and_then(confined_to);
    (Some(row.operator.clone()), tenant)
}

/// The one tenant in which an operator has roles; none where they have one elsewhere or everywhere, or are in a group, for
/// which a policy may do anything.
fn confined_to(row: &OperatorRow) -> Option<TenantId> {
    let mut tenants = row.roles.iter().map(|held| held.tenant.as_ref());
    let first = tenants.next()??;
    let is_confined = row.groups.is_empty() && tenants.all(|tenant| tenant == Some(first));
    is_confined.then(|| first.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::book::Deed;
    use std::collections::BTreeMap;

    fn check(roles: &[&str], groups: &[&str], tenant: Option<&str>) {
        let row = OperatorRow {
            roles: roles.iter().map(|role| role.parse().unwrap()).collect(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            deployers: BTreeMap::new(),
            made: Deed {
                by: "ann".to_owned(),
                at_ms: 1,
                reason: String::new(),
            },
            revoked: None,
        };
        let found = confined_to(&row);
        assert_eq!(found.as_ref().map(TenantId::as_str), tenant, "{roles:?}");
    }

    #[test]
    fn who_reaches_beyond_one_tenant_is_no_tenants_own() {
        check(&["viewer@acme", "operator@acme"], &[], Some("acme"));
        check(&["viewer@acme"], &["staff"], None);
        check(&["viewer@acme", "viewer@other"], &[], None);
        check(&["viewer@acme", "viewer"], &[], None);
        check(&["viewer"], &[], None);
        check(&[], &[], None);
    }
}
