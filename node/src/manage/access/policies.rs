//! Policy documents: put in force, taken out, shown, and asked what they would decide.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use caxton_actors::ports::unix_ms;
use caxton_api::{
    paths,
    types::{
        ConsideredRule, EvaluatePolicies, Evaluated, Page, Policy, PolicyApplied, PolicyDraft,
        PolicyWish, Problem,
    },
};
use caxton_audit::EventType;
use caxton_capabilities::{Name, Policies as _, PolicyAction, ResourceId};
use caxton_policy::{Engine, Said, decode_request, lint};
use sha2::{Digest as _, Sha256};

use super::{missing, operator};
use crate::{
    access::{
        book::{Access, PolicyRow},
        keeper::documents,
    },
    hex::hex,
    manage::{
        convert::{count, rfc3339_ms},
        extract::{Asked, Caller, Given, NoQuery, Part, name},
        nodes::PageQuery,
        page::{limit, page},
        plane::{Permitted, Shared},
        problem::{Answer, Failure},
    },
};

/// Lists the documents in force, without their texts.
#[utoipa::path(get, path = paths::POLICIES, tag = "access", params(PageQuery),
    responses((status = 200, description = "A page of documents, by name", body = Page<Policy>)))]
pub(in crate::manage) async fn list_policies(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<PageQuery>,
) -> Answer<Json<Page<Policy>>> {
    let limit = limit(asked.limit)?;
    let node = plane.read_cluster(&caller).await?;
    let in_force = node.keeper.in_force();
    let after = asked.cursor.unwrap_or_default();
    let rows = in_force.access.policies.iter();
    let policies: Vec<Policy> = rows
        .filter(|(name, _)| name.as_str() > after.as_str())
        .take(limit + 1)
        .map(|(name, row)| Policy {
            text: None,
            ..shape(name, row, &in_force.engine)
        })
        .collect();
    Ok(Json(page(policies, limit, |one| one.name.clone())))
}

/// Shows one document with its text.
#[utoipa::path(get, path = paths::POLICY, tag = "access",
    params(("policy" = String, Path, description = "Its name")),
    responses((status = 200, description = "The document", body = Policy)))]
pub(in crate::manage) async fn get_policy(
    State(plane): Shared,
    caller: Caller,
    Part(text): Part,
    _none: NoQuery,
) -> Answer<Json<Policy>> {
    let wanted: Name = name("policy", &text)?;
    let id = ResourceId::Policy(wanted.clone());
    let node = plane.permit(&caller, PolicyAction::Read, id).await?;
    known(&node, &wanted).map(Json)
}

fn known(node: &Permitted<'_>, wanted: &Name) -> Answer<Policy> {
    let in_force = node.keeper.in_force();
    let row = in_force.access.policies.get(wanted);
    let row = row.ok_or_else(|| missing("policy", wanted.as_str()))?;
    Ok(shape(wanted, row, &in_force.engine))
}

/// Puts a document in force, in the place of the one with its name. What does not load, and what would keep the caller
/// from changing policies, changes nothing.
#[utoipa::path(put, path = paths::POLICY, tag = "access", request_body = PolicyWish,
    params(("policy" = String, Path, description = "Its name")),
    responses((status = 200, description = "It was changed, or was so already, or this is the plan", body = PolicyApplied),
        (status = 201, description = "It was made", body = PolicyApplied),
        (status = 409, description = "It would lock the caller out, or this node does not change who may do what", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "`if_version` is not the one in force", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The policies do not load", body = Problem, content_type = "application/problem+json")))]
pub(in crate::manage) async fn apply_policy(
    State(plane): Shared,
    caller: Caller,
    Part(text): Part,
    _none: NoQuery,
    Given(wish): Given<PolicyWish>,
) -> Answer<(StatusCode, Json<PolicyApplied>)> {
    let wanted: Name = name("policy", &text)?;
    let id = ResourceId::Policy(wanted.clone());
    let node = plane.permit(&caller, PolicyAction::PolicyWrite, id).await?;
    let by = operator(&node)?;
    let before = node.keeper.in_force();
    let row = before.access.policies.get(&wanted);
    let outcome = match row {
        None => "created",
        Some(row) if row.text == wish.text => "unchanged",
        Some(_) => "updated",
    };
    let put = (by.clone(), unix_ms(node.environment.now()));
    let change = |access: &mut Access| {
        let is_same = row.is_some_and(|row| row.text == wish.text);
        if !is_same || wish.if_version.is_some() {
            access.put_policy(&wanted, wish.text.clone(), put.clone(), wish.if_version)?;
        }
        Ok(())
    };
    let mut planned = Access::clone(&before.access);
    change(&mut planned).map_err(crate::access::keeper::KeepError::Change)?;
    let engine = match wish.dry_run {
        true => node.keeper.try_policies(&by, change).await?,
        false => {
            node.change(&caller, EventType::PolicyUpdated, change)
                .await?;
            node.keeper.in_force().engine.clone()
        }
    };
    let now = match wish.dry_run {
        true => Arc::new(planned),
        false => Arc::clone(&node.keeper.in_force().access),
    };
    let row = now.policies.get(&wanted);
    let row = row.ok_or_else(|| missing("policy", wanted.as_str()))?;
    let own = documents(&[(wanted.clone(), row.clone())].into());
    let applied = PolicyApplied {
        outcome: outcome.to_owned(),
        dry_run: wish.dry_run,
        policy: shape(&wanted, row, &engine),
        warnings: lint(&own, None)
            .iter()
            .map(|found| format!("{}: {}: {}", found.code, found.rule, found.message))
            .collect(),
    };
    let status = match outcome == "created" && !wish.dry_run {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, Json(applied)))
}

/// Takes a document out of force.
#[utoipa::path(delete, path = paths::POLICY, tag = "access",
    params(("policy" = String, Path, description = "Its name")),
    responses((status = 200, description = "The document as it was", body = Policy),
        (status = 409, description = "It would lock the caller out, or this node does not change who may do what", body = Problem, content_type = "application/problem+json")))]
pub(in crate::manage) async fn delete_policy(
    State(plane): Shared,
    caller: Caller,
    Part(text): Part,
    _none: NoQuery,
) -> Answer<Json<Policy>> {
    let wanted: Name = name("policy", &text)?;
    let id = ResourceId::Policy(wanted.clone());
    let node = plane.permit(&caller, PolicyAction::PolicyWrite, id).await?;
    let was = known(&node, &wanted)?;
    node.change(&caller, EventType::PolicyRemoved, |access| {
        access.delete_policy(&wanted)
    })
    .await?;
    Ok(Json(was))
}

/// Tells what the policies in force, or with a document beside or instead of one of them, decide of a request. Nothing is
/// done, and nothing is remembered.
#[utoipa::path(post, path = paths::POLICIES_EVALUATE, tag = "access", request_body = EvaluatePolicies,
    responses((status = 200, description = "What was decided", body = Evaluated),
        (status = 422, description = "That is no request, or the document does not load", body = Problem, content_type = "application/problem+json")))]
pub(in crate::manage) async fn evaluate_policies(
    State(plane): Shared,
    caller: Caller,
    _none: NoQuery,
    Given(asked): Given<EvaluatePolicies>,
) -> Answer<Json<Evaluated>> {
    let node = plane.read_cluster(&caller).await?;
    // JSON is YAML, and the form is the one of files.
    let request = decode_request(asked.request.to_string().as_bytes());
    let request = request.map_err(|problem| {
        Failure::invalid("that is no request").findings(vec![problem.to_string()])
    })?;
    let engine = match asked.with {
        None => node.keeper.in_force().engine.clone(),
        Some(draft) => drafted(&node, draft).await?,
    };
    let explanation = engine.explain(&request);
    let considered = explanation.considered.iter().map(|one| ConsideredRule {
        rule: one.rule.to_string(),
        effect: if one.permits { "permit" } else { "forbid" }.to_owned(),
        said: match &one.said {
            Said::Applies => "applies".to_owned(),
            Said::DoesNotApply => "does not apply".to_owned(),
            Said::Failed(why) => format!("failed: {why}"),
        },
        decided: one.is_determining,
    });
    Ok(Json(Evaluated {
        permitted: explanation.ruling.is_permit(),
        ruling: explanation.ruling.told(),
        epoch: engine.epoch(),
        considered: considered.collect(),
        passed_over: count(explanation.passed_over),
    }))
}

/// The engine as it would be with a document that is not in force.
async fn drafted(node: &Permitted<'_>, draft: PolicyDraft) -> Answer<Arc<Engine>> {
    let (by, wanted): (Name, Name) = (operator(node)?, name("policy", &draft.name)?);
    let put = (by.clone(), 0);
    let change = move |access: &mut Access| {
        let put = access.put_policy(&wanted, draft.text, put, None);
        put.map(drop)
    };
    Ok(node.keeper.try_policies(&by, change).await?)
}

fn shape(name: &Name, row: &PolicyRow, engine: &Engine) -> Policy {
    let own = documents(&[(name.clone(), row.clone())].into());
    let digest = own.first().map(|one| Sha256::digest(one.bytes_to_sign()));
    let start = format!("{name}/");
    Policy {
        name: name.to_string(),
        version: row.version,
        author: row.author.to_string(),
        applied_at: rfc3339_ms(row.applied_ms),
        digest: digest.map(|digest| hex(&digest)).unwrap_or_default(),
        rules: engine
            .rules()
            .filter(|rule| rule.starts_with(&start))
            .map(|rule| rule.to_string())
            .collect(),
        text: Some(row.text.clone()),
    }
}
