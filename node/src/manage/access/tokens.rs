//! The capability tokens that this node has issued to its agents.

use axum::{Json, extract::State};
use caxton_api::{
    paths,
    types::{CapabilityToken, Page},
};
use caxton_capabilities::{PolicyAction, ResourceId, Standing, Token};

use crate::manage::{
    convert::rfc3339,
    extract::{Asked, Caller},
    nodes::PageQuery,
    page::{limit, page},
    plane::{Shared, Wish},
    problem::Answer,
};

/// Lists the tokens of the agents that the caller may see, by agent. The bytes of a token are shown to nobody.
#[utoipa::path(get, path = paths::TOKENS, tag = "access", params(PageQuery),
    responses((status = 200, description = "A page of tokens, by agent", body = Page<CapabilityToken>)))]
pub(in crate::manage) async fn list_tokens(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<PageQuery>,
) -> Answer<Json<Page<CapabilityToken>>> {
    let limit = limit(asked.limit)?;
    let after = asked.cursor.unwrap_or_default();
    let node = plane.seen(&caller);
    let trust = node.tree.trust.latest();
    let mut ports = node.tree.gateway.routes().all();
    ports.sort_by(|one, other| one.address.cmp(&other.address));
    let mut found = Vec::new();
    for port in ports {
        let agent = port.address.to_string();
        let wish = Wish::new(PolicyAction::Read, ResourceId::Agent(port.address.clone()));
        if agent <= after || !plane.may(&caller, &wish) {
            continue;
        }
        let version = port.version();
        let Ok(token) = Token::from_bytes(&version.token) else {
            continue;
        };
        found.push(shape((agent, version.number), &token, trust.standing()));
        if found.len() > limit {
            break;
        }
    }
    Ok(Json(page(found, limit, |token| token.agent.clone())))
}

fn shape((agent, version): (String, u64), token: &Token, standing: &Standing) -> CapabilityToken {
    let ids = token.ids();
    let is_revoked = standing.revoked.any_token(ids.iter().copied());
    let last = token.blocks().last();
    let ends = token
        .blocks()
        .filter_map(|block| block.terms().caveats.expires);
    CapabilityToken {
        subjects: token
            .blocks()
            .filter_map(|block| Some(block.terms().subject.as_ref()?.to_string()))
            .collect(),
        rights: last.map_or_else(Vec::new, |block| {
            let rights = block.terms().rights.iter();
            rights.map(ToString::to_string).collect()
        }),
        agent,
        version,
        state: if is_revoked { "revoked" } else { "active" }.to_owned(),
        expires_at: ends.min().map(|end| rfc3339(end.system_time())),
        ids: ids.iter().map(ToString::to_string).collect(),
    }
}
