//! A request in Cedar's words. Types are right by construction; tests hold them against the schema.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use caxton_capabilities::{
    Name, PolicyAction, PolicyContext, PolicyRequest, PolicyResource, PrincipalFacts, PrincipalId,
    ResourceId, Role, TenantId,
};
use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression,
};

use crate::{
    clock::{Zones, wall},
    reads::{Reads, Sight},
    schema::{Kind, PrincipalKind, groups_of, role_of},
};

/// Why a request could not be put to Cedar: always a bug or a time outside the calendar, always a denial.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the request's facts could not be put into Cedar's form")]
pub(crate) struct Unspeakable;

static TYPES: LazyLock<Vec<EntityTypeName>> = LazyLock::new(|| {
    let names = Kind::ALL.iter().map(|kind| kind.as_str());
    names
        .chain(["Action"])
        .map(|name| {
            name.parse()
                .expect("the names of kinds are Cedar's identifiers")
        })
        .collect()
});

fn uid_at(at: usize, id: &str) -> Result<EntityUid, Unspeakable> {
    let of = TYPES.get(at).ok_or(Unspeakable)?;
    Ok(EntityUid::from_type_name_and_id(
        of.clone(),
        EntityId::new(id),
    ))
}

pub(crate) fn uid(kind: Kind, id: &str) -> Result<EntityUid, Unspeakable> {
    uid_at(kind as usize, id)
}

fn action_uid(id: &str) -> Result<EntityUid, Unspeakable> {
    uid_at(Kind::ALL.len(), id)
}

fn principal_uid(id: &PrincipalId) -> Result<EntityUid, Unspeakable> {
    match id {
        PrincipalId::Agent(address) => uid(Kind::Agent, &address.to_string()),
        PrincipalId::Operator(name) => uid(Kind::Operator, name.as_str()),
        PrincipalId::ApiKey(name) => uid(Kind::ApiKey, name.as_str()),
        PrincipalId::Node => uid(Kind::Node, "node"),
    }
}

fn resource_uid(id: &ResourceId) -> Result<EntityUid, Unspeakable> {
    let kind = Kind::of(id);
    match id {
        ResourceId::Agent(address) | ResourceId::Deployment(address) => {
            uid(kind, &address.to_string())
        }
        ResourceId::Tenant(tenant) => uid(kind, tenant.as_str()),
        ResourceId::Node(name) => uid(kind, name.as_ref().map_or("node", Name::as_str)),
        ResourceId::Cluster => uid(kind, "cluster"),
        ResourceId::AuditLog => uid(kind, "audit"),
        ResourceId::Policy(name) | ResourceId::Operator(name) | ResourceId::ApiKey(name) => {
            uid(kind, name.as_str())
        }
        ResourceId::Token(id) | ResourceId::Certificate(id) | ResourceId::Message(_, id) => {
            uid(kind, id)
        }
    }
}

/// What Cedar is asked: the request, with the part of the context that `sight` covers, and the entities.
pub(crate) fn speak(
    request: &PolicyRequest,
    sight: &Sight,
    zones: &Zones,
) -> Result<(Request, Entities), Unspeakable> {
    let principal = principal_uid(&request.principal.id)?;
    let resource = resource_uid(&request.resource.id)?;
    let action = action_uid(request.action.as_str())?;
    let context = context(&request.context, sight, zones)?;
    let entities = entities(request, &principal, &resource, &action)?;
    let request = Request::new(principal, action, resource, context, None);
    // Without a schema there is nothing to check, so it cannot fail; if that changes, it denies.
    Ok((request.map_err(|_error| Unspeakable)?, entities))
}

fn entities(
    request: &PolicyRequest,
    principal: &EntityUid,
    resource: &EntityUid,
    action: &EntityUid,
) -> Result<Entities, Unspeakable> {
    let who = &request.principal;
    let mut tenant = who.tenant();
    let mut owner = who.owner.as_ref();
    let is_itself = principal == resource;
    if is_itself {
        // One entity, told of twice: what the resource's side knows completes it.
        tenant = tenant.or_else(|| request.resource.tenant());
        owner = owner.or(request.resource.owner.as_ref());
    }
    let kind = PrincipalKind::of(&who.id).kind();
    let mut all = vec![
        action_entity(action, request.action)?,
        principal_entity(principal, kind, tenant, owner, &who.facts)?,
    ];
    if !is_itself {
        all.push(resource_entity(resource, &request.resource)?);
    }
    Entities::from_entities(all, None).map_err(|_error| Unspeakable)
}

fn action_entity(uid: &EntityUid, action: PolicyAction) -> Result<Entity, Unspeakable> {
    let groups: Result<HashSet<_>, _> = groups_of(action).map(action_uid).collect();
    Ok(Entity::new_no_attrs(uid.clone(), groups?))
}

fn principal_entity(
    uid: &EntityUid,
    kind: Kind,
    tenant: Option<&TenantId>,
    owner: Option<&Name>,
    facts: &PrincipalFacts,
) -> Result<Entity, Unspeakable> {
    let mut attributes = belongings(tenant, owner)?;
    if matches!(kind, Kind::Operator | Kind::ApiKey) {
        roles(&mut attributes, facts)?;
    }
    let groups = facts
        .groups
        .iter()
        .map(|group| self::uid(Kind::Group, group));
    let held = facts
        .roles
        .iter()
        .map(|role| self::uid(Kind::Role, role.as_str()));
    let parents: Result<Vec<_>, _> = groups.chain(held).collect();
    let tags = facts.attributes.iter().map(|(name, value)| {
        let value = RestrictedExpression::new_string(value.to_string());
        (name.to_string(), value)
    });
    Entity::new_with_tags(uid.clone(), attributes, parents?, tags).map_err(|_error| Unspeakable)
}

fn roles(
    attributes: &mut HashMap<String, RestrictedExpression>,
    facts: &PrincipalFacts,
) -> Result<(), Unspeakable> {
    for role in Role::ALL {
        let held = facts.tenant_roles.iter().filter(|(held, _)| held == role);
        let tenants: Result<Vec<_>, _> = held.map(|(_, tenant)| tenant_value(tenant)).collect();
        let tenants = RestrictedExpression::new_set(tenants?);
        attributes.insert(role_of(*role).to_owned(), tenants);
    }
    Ok(())
}

fn resource_entity(uid: &EntityUid, resource: &PolicyResource) -> Result<Entity, Unspeakable> {
    let mut attributes = belongings(resource.tenant(), resource.owner.as_ref())?;
    if matches!(Kind::of(&resource.id), Kind::Operator | Kind::ApiKey) {
        // What somebody else may do is nobody's business who acts on them: no policy sees their roles.
        roles(&mut attributes, &PrincipalFacts::default())?;
    }
    Entity::new(uid.clone(), attributes, HashSet::new()).map_err(|_error| Unspeakable)
}

fn belongings(
    tenant: Option<&TenantId>,
    owner: Option<&Name>,
) -> Result<HashMap<String, RestrictedExpression>, Unspeakable> {
    let mut attributes = HashMap::new();
    if let Some(tenant) = tenant {
        attributes.insert("tenant".to_owned(), tenant_value(tenant)?);
    }
    if let Some(owner) = owner {
        let owner = uid(Kind::Operator, owner.as_str())?;
        attributes.insert(
            "owner".to_owned(),
            RestrictedExpression::new_entity_uid(owner),
        );
    }
    Ok(attributes)
}

fn tenant_value(tenant: &TenantId) -> Result<RestrictedExpression, Unspeakable> {
    let uid = uid(Kind::Tenant, tenant.as_str())?;
    Ok(RestrictedExpression::new_entity_uid(uid))
}

fn context(context: &PolicyContext, sight: &Sight, zones: &Zones) -> Result<Context, Unspeakable> {
    if sight.reads.is_empty() {
        return Ok(Context::empty());
    }
    let mut pairs = circumstances(context, sight.reads);
    if sight.reads.has("clock") {
        pairs.push(("clock", clocks(context.now_ms, sight, zones)?));
    }
    let pairs = pairs
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    Context::from_pairs(pairs).map_err(|_error| Unspeakable)
}

/// All of the context that is read and known, but the clocks.
fn circumstances(
    context: &PolicyContext,
    reads: Reads,
) -> Vec<(&'static str, RestrictedExpression)> {
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let number = RestrictedExpression::new_long;
    let address = |address: &std::net::IpAddr| RestrictedExpression::new_ip(address.to_string());
    let destination = context.destination.as_ref();
    let known = [
        ("time", Some(number(context.now_ms))),
        ("device", context.device.as_ref().map(device)),
        ("address", context.address.as_ref().map(address)),
        ("risk", context.risk.map(|risk| number(risk.into()))),
        (
            "classification",
            context.classification.as_deref().map(text),
        ),
        ("performative", context.performative.as_deref().map(text)),
        ("size", context.size_bytes.map(|size| number(size.into()))),
        ("dst_ip", destination.map(|to| address(&to.address))),
        ("dst_port", destination.map(|to| number(to.port.into()))),
        ("protocol", destination.map(|to| text(&to.protocol))),
    ];
    let known = known
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)));
    known.filter(|(name, _)| reads.has(name)).collect()
}

fn device(device: &caxton_capabilities::Device) -> RestrictedExpression {
    let fields = [("os", &device.os), ("posture", &device.posture)];
    let fields = fields.map(|(name, value)| {
        let value = RestrictedExpression::new_string(value.to_string());
        (name.to_owned(), value)
    });
    RestrictedExpression::new_record(fields).expect("the two fields have different names")
}

fn clocks(now_ms: i64, sight: &Sight, zones: &Zones) -> Result<RestrictedExpression, Unspeakable> {
    let mut shown = Vec::new();
    for (name, zone) in zones.iter() {
        if !sight.all_zones && !sight.zones.contains(name) {
            continue;
        }
        let wall = wall(zone, now_ms).ok_or(Unspeakable)?;
        let weekday = RestrictedExpression::new_string(wall.weekday.to_owned());
        let minute = RestrictedExpression::new_long(wall.minute);
        let clock = [("weekday", weekday), ("minute", minute)];
        let clock = clock.map(|(name, value)| (name.to_owned(), value));
        let clock = RestrictedExpression::new_record(clock).map_err(|_error| Unspeakable)?;
        shown.push((name.to_owned(), clock));
    }
    RestrictedExpression::new_record(shown).map_err(|_error| Unspeakable)
}
