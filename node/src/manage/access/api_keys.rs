//! Keys to this API: made, listed, and taken back under `revocations`.

use axum::{Json, extract::State, http::StatusCode};
use caxton_actors::ports::unix_ms;
use caxton_api::{
    paths,
    types::{ApiKey, NewApiKey, Page, Problem},
};
use caxton_audit::EventType;
use caxton_capabilities::{Name, PolicyAction, Principal, Refusal, ResourceId, Scopes};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{deed, operator};
use crate::{
    access::{book::KeyRow, keys::Network},
    manage::{
        convert::rfc3339_ms,
        credentials::short,
        deeds::Deed,
        extract::{Asked, Caller, Given, Method, NoQuery, name, shown},
        nodes::PageQuery,
        page::{limit, page},
        plane::{Shared, Wish},
        problem::{Answer, Failure},
    },
};

/// How long a key holds unless it is said, and bounds of it.
const TTL_S: u64 = 90 * 86_400;
const TTL_BOUNDS_S: std::ops::RangeInclusive<u64> = 60..=3_650 * 86_400;
/// Networks of one key.
const NETWORKS_MAX: usize = 32;

/// Lists the keys that the caller may see, their own among them, without what opens anything.
#[utoipa::path(get, path = paths::API_KEYS, tag = "access", params(PageQuery),
    responses((status = 200, description = "A page of keys, by name", body = Page<ApiKey>)))]
pub(in crate::manage) async fn list_api_keys(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<PageQuery>,
) -> Answer<Json<Page<ApiKey>>> {
    let limit = limit(asked.limit)?;
    let node = plane.seen(&caller);
    let now_ms = unix_ms(node.environment.now());
    let access = plane.access();
    let after = asked.cursor.unwrap_or_default();
    let sees_all = plane.may(&caller, &Wish::new(PolicyAction::Read, ResourceId::Cluster));
    let may_see = |name: &Name| {
        let resource = plane.resource(ResourceId::ApiKey(name.clone()));
        let action = PolicyAction::Read;
        sees_all || plane.may(&caller, &Wish { action, resource })
    };
    let rows = access.keys.iter();
    let keys: Vec<ApiKey> = rows
        .filter(|(name, _)| name.as_str() > after.as_str() && may_see(name))
        .take(limit + 1)
        .map(|(name, row)| shape(name, row, now_ms))
        .collect();
    Ok(Json(page(keys, limit, |key| key.name.clone())))
}

/// Makes a key. The answer is the only one that shows it.
#[utoipa::path(post, path = paths::API_KEYS, tag = "access", request_body = NewApiKey,
    responses((status = 201, description = "The key", body = ApiKey),
        (status = 409, description = "There is one of that name, or this node does not change who may do what", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A value is out of bounds", body = Problem, content_type = "application/problem+json")))]
pub(in crate::manage) async fn make_api_key(
    State(plane): Shared,
    caller: Caller,
    _none: NoQuery,
    Given(new): Given<NewApiKey>,
) -> Answer<(StatusCode, Json<ApiKey>)> {
    let wanted: Name = name("name", &new.name)?;
    let (scopes, networks) = (scopes(&new.scopes)?, networks(new.networks)?);
    let ttl_s = new.ttl_s.unwrap_or(TTL_S);
    if !TTL_BOUNDS_S.contains(&ttl_s) {
        return Err(Failure::invalid("`ttl_s` is 60 to 315360000"));
    }
    // SECURITY: a key with less than its operator's authority would otherwise make one with all of it, and a token of a
    // quarter of an hour one for years.
    if !caller.known.scopes.is_everything() || caller.method == Method::ServiceToken {
        let wish = Wish::new(PolicyAction::TokenCreate, ResourceId::ApiKey(wanted));
        return Err(plane.refuse(&caller, &wish, Refusal::Scope).await);
    }
    let owner = new.operator.as_deref();
    let owner: Option<Name> = owner.map(|text| name("operator", text)).transpose()?;
    let is_own = owner
        .as_ref()
        .is_none_or(|owner| matches!(&caller.principal, Principal::Operator(own) if own == owner));
    // A key of one's own gives nothing new; one of somebody else's acts in their name.
    let mut wish = match is_own {
        true => Wish::new(
            PolicyAction::TokenCreate,
            ResourceId::ApiKey(wanted.clone()),
        ),
        false => Wish::new(
            PolicyAction::OperatorAdmin,
            ResourceId::ApiKey(wanted.clone()),
        ),
    };
    wish.resource.owner = match &caller.principal {
        Principal::Operator(own) if is_own => Some(own.clone()),
        _ => None,
    };
    let node = plane.permit_wish(&caller, wish).await?;
    let (by, made) = (operator(&node)?, deed(&node, None)?);
    let owner = owner.unwrap_or_else(|| by.clone());
    let random: Zeroizing<[u8; 32]> = Zeroizing::new(node.environment.bytes());
    let digits: Zeroizing<String> =
        Zeroizing::new(random.iter().map(|byte| format!("{byte:02x}")).collect());
    let key = Zeroizing::new(format!("cxk1_{}", *digits));
    let row = KeyRow {
        hash: Sha256::digest(key.as_bytes()).into(),
        operator: owner.clone(),
        scopes,
        networks,
        expires_ms: made.at_ms.saturating_add(ttl_s.saturating_mul(1_000)),
        made,
        revoked: None,
    };
    let shown = shape(&wanted, &row, row.made.at_ms);
    let is_founder = owner == *node.keeper.owner();
    let words = format!("for operator:{owner}");
    let deed = Deed {
        kind: EventType::KeyCreated,
        words: &words,
    };
    let added = node.change(&caller, deed, |access| {
        if !is_founder && !access.operators.contains_key(&owner) {
            let (kind, name) = ("operator", owner.to_string());
            return Err(crate::access::book::ChangeError::Unknown { kind, name });
        }
        access.add_key(&wanted, row)
    });
    added.await?;
    let key = Some(key.to_string());
    Ok((StatusCode::CREATED, Json(ApiKey { key, ..shown })))
}

fn scopes(texts: &[String]) -> Answer<Vec<String>> {
    let scopes = Scopes::parse(texts.iter().map(String::as_str));
    let scopes = scopes.map_err(|error| Failure::invalid(format!("scopes: {error}")))?;
    Ok(scopes.iter().map(ToString::to_string).collect())
}

fn networks(texts: Vec<String>) -> Answer<Vec<String>> {
    if texts.len() > NETWORKS_MAX {
        return Err(Failure::invalid(format!(
            "networks: {NETWORKS_MAX} at most"
        )));
    }
    for text in &texts {
        text.parse::<Network>()
            .map_err(|error| Failure::invalid(format!("network `{}`: {error}", shown(text))))?;
    }
    Ok(texts)
}

fn shape(name: &Name, row: &KeyRow, now_ms: u64) -> ApiKey {
    let state = match &row.revoked {
        Some(_) => "revoked",
        None if now_ms >= row.expires_ms => "expired",
        None => "active",
    };
    ApiKey {
        name: name.to_string(),
        credential: short("key", &row.hash),
        operator: row.operator.to_string(),
        scopes: row.scopes.clone(),
        networks: row.networks.clone(),
        state: state.to_owned(),
        created_at: rfc3339_ms(row.made.at_ms),
        created_by: row.made.by.clone(),
        expires_at: Some(rfc3339_ms(row.expires_ms)),
        key: None,
    }
}
