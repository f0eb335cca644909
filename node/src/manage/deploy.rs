//! Deploying: what an agent is to be, checked word by word before the registry tries it.

use std::collections::{BTreeMap, BTreeSet};

use axum::{Json, extract::State, http::StatusCode};
use caxton_actors::{
    envelope::Protocol,
    ports::AgentRecord,
    registry::{self, Outcome, Plan},
};
use caxton_api::{
    codes, paths,
    types::{Deployed, Deployment, Problem},
};
use caxton_audit::EventType;
use caxton_capabilities::{Address, Grant, Name, PolicyAction, Refusal};
use tokio::time::Instant;

use super::{
    convert,
    extract::{AgentAt, Caller, Given, NoQuery, name, shown},
    plane::{Permitted, Plane, Shared},
    problem::{Answer, Failure},
    rights::{Asks, accepts, rights, widened},
};
use crate::access::manifests::Asked;

/// Characters of a program's source.
const SOURCE_CHARS_MAX: usize = 200;
/// Services that an agent offers: each is an entry in the node's directory.
const SERVICES_MAX: usize = 64;

/// Makes an agent what the body says. The same body again changes nothing.
///
/// A new version first runs a trial: an instance is started and handed a health message. The version
/// before goes on until it has passed.
#[utoipa::path(put, path = paths::AGENT, tag = "agents", request_body = Deployment,
    params(("tenant" = String, Path, description = "Its tenant"), ("agent" = String, Path, description = "Its name")),
    responses((status = 200, description = "It was changed, or was so already, or this is the plan", body = Deployed),
        (status = 201, description = "It was made", body = Deployed),
        (status = 409, description = "Another deployment of it is under way, or the node is being drained", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "`if_version` is not the current one", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A value is out of bounds, the program is refused, or its trial failed", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn deploy_agent(
    State(plane): Shared,
    caller: Caller,
    AgentAt(address): AgentAt,
    _none: NoQuery,
    Given(wish): Given<Deployment>,
) -> Answer<(StatusCode, Json<Deployed>)> {
    let begun = Instant::now();
    let node = plane.agent(&caller, PolicyAction::Deploy, &address).await?;
    let (dry_run, grant) = (wish.dry_run, wish.grant);
    let (deployment, imports) = checked((&plane, &caller), &node, address.clone(), wish).await?;
    if !grant {
        refuse_widened(&node, &deployment, imports).await?;
    }
    if node.drain.is_on() {
        let plan = node.tree.registry.deploy(deployment.clone(), true).await?;
        if plan.outcome == Outcome::Created {
            let detail = "this node is being drained and takes no new agents: deploy to another, or end it with caxton cluster drain --undo";
            return Err(Failure::new(codes::CONFLICT, detail));
        }
    }
    if !dry_run && node.tree.registry.get(address).await.is_err() {
        // Counted before it is tried: the trial is what costs.
        plane
            .limits
            .new_agent(&caller.known.operator, plane.now_ns())?;
    }
    let plan = node.tree.registry.deploy(deployment, dry_run).await?;
    node.freed.notify_one(); // An old version may have fallen out.
    if !dry_run {
        tell(&node, &caller, &plan).await;
    }
    let made = plan.outcome == Outcome::Created && !dry_run;
    let status = if made {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(deployed(&node, plan, dry_run, begun))))
}

/// Tells the audit log what a plan that was carried out came to.
pub(super) async fn tell(node: &Permitted<'_>, caller: &Caller, plan: &Plan) {
    let kind = match plan.outcome {
        Outcome::Created => EventType::AgentDeployed,
        Outcome::Updated => EventType::AgentUpdated,
        Outcome::Unchanged => return,
    };
    let words = format!("version {}", plan.record.current);
    node.told(caller, kind, &words).await;
}

/// A version that asks for more than the one in use is to be asked for in so many words.
async fn refuse_widened(
    node: &Permitted<'_>,
    new: &registry::Deployment,
    imports: Vec<String>,
) -> Answer<()> {
    let Ok(record) = node.tree.registry.get(new.address.clone()).await else {
        return Ok(());
    };
    let Some(old) = record.current_version() else {
        return Ok(());
    };
    let had = match node.wasm.program(old.program).await {
        Ok(program) => program.imports().to_vec(),
        // SECURITY: of a program that is not there any more nothing is known: all that the new one imports is new.
        Err(_) => Vec::new(),
    };
    let asks = |limits, protocols: &[Protocol], services: &[Name], rights, imports| Asks {
        address: &new.address,
        limits: node.wasm.effective_limits(limits),
        protocols: protocols.iter().map(ToString::to_string).collect(),
        services: services.iter().cloned().collect(),
        rights,
        imports,
    };
    let old = asks(&old.limits, &old.protocols, &old.services, &old.rights, had);
    let new = asks(
        &new.limits,
        &new.protocols,
        &new.services,
        &new.rights,
        imports,
    );
    let more = widened(old, new);
    if more.is_empty() {
        return Ok(());
    }
    let detail = "the new version asks for more than the one in use: deploy it with --grant (`grant` in the body)";
    let findings = more.iter().map(|one| format!("+ {one}")).collect();
    Err(Failure::new(codes::CONFLICT, detail).findings(findings))
}

/// The wish in the registry's words, and what its program imports. What costs most, the program, is looked at last.
async fn checked(
    (plane, caller): (&Plane, &Caller),
    node: &Permitted<'_>,
    address: Address,
    wish: Deployment,
) -> Answer<(registry::Deployment, Vec<String>)> {
    let source = source(wish.source.as_deref().unwrap_or(&wish.program))?;
    node.wasm.check_limits(&wish.limits)?;
    let signed = signed_words(&wish)?;
    let rights = rights(plane, caller, &address, wish.rights.clone()).await?;
    let accepts = accepts(wish.accepts.clone())?;
    let protocols = wish.protocols.as_deref().map(protocols).transpose()?;
    let services = wish.services.as_deref().map(services).transpose()?;
    let resolved = node.wasm.resolve(&wish.program).await?;
    let imports = node.wasm.program(resolved.digest).await?.imports().to_vec();
    let program = (&resolved.digest.0, &*imports);
    let manifest = signed
        .deployed((plane, caller), node, &address, (&wish, program))
        .await?;
    let own = |words: fn(&crate::demos::Demo) -> &'static [&'static str]| {
        resolved
            .demo
            .map(words)
            .unwrap_or_default()
            .iter()
            .map(|word| (*word).to_owned())
            .collect()
    };
    let own_protocols: Vec<String> = own(|demo| demo.protocols);
    let own_services: Vec<String> = own(|demo| demo.services);
    let demo_limits = resolved.demo.map(|demo| demo.limits).unwrap_or_default();
    let mut limits: BTreeMap<String, u64> = demo_limits
        .iter()
        .map(|(name, value)| ((*name).to_owned(), *value))
        .collect();
    limits.extend(wish.limits);
    node.wasm.check_limits(&limits)?;
    let deployment = registry::Deployment {
        address,
        by: node.principal().clone(),
        program: resolved.digest,
        source,
        limits,
        protocols: protocols.map_or_else(|| self::protocols(&own_protocols), Ok)?,
        services: services.map_or_else(|| self::services(&own_services), Ok)?,
        rights,
        accepts,
        manifest,
        if_version: wish.if_version,
    };
    Ok((deployment, imports))
}

/// The words of a wish as a manifest has them.
struct SignedWords {
    protocols: BTreeSet<String>,
    services: BTreeSet<Name>,
    rights: Option<Vec<String>>,
}

fn signed_words(wish: &Deployment) -> Answer<SignedWords> {
    let services = wish.services.iter().flatten();
    let services = services.map(|word| name("service", word));
    let rights = wish.rights.as_ref().filter(|rights| !rights.is_empty());
    let grant = |text: &String| {
        let parsed = text.parse::<Grant>();
        let parsed = parsed
            .map_err(|error| Failure::invalid(format!("right `{}`: {error}", shown(text))))?;
        Ok(parsed.to_string())
    };
    let rights = rights.map(|rights| rights.iter().map(grant).collect::<Answer<BTreeSet<_>>>());
    Ok(SignedWords {
        protocols: wish.protocols.iter().flatten().cloned().collect(),
        services: services.collect::<Answer<_>>()?,
        rights: rights
            .transpose()?
            .map(|rights| rights.into_iter().collect()),
    })
}

impl SignedWords {
    /// The bytes of what was signed, where the wish is that and whoever signed may deploy the agent too.
    async fn deployed(
        &self,
        (plane, caller): (&Plane, &Caller),
        node: &Permitted<'_>,
        address: &Address,
        (wish, (program, imports)): (&Deployment, (&[u8; 32], &[String])),
    ) -> Answer<Vec<u8>> {
        let record = node.tree.registry.get(address.clone()).await.ok();
        let before = record.as_ref().and_then(AgentRecord::current_version);
        let asked = Asked {
            address,
            program,
            limits: &wish.limits,
            protocols: &self.protocols,
            services: &self.services,
            imports,
            rights: self.rights.as_deref(),
        };
        let signed = node
            .manifests
            .deployed(wish.manifest.as_deref(), &asked, before)?;
        let Some((signer, bytes)) = signed else {
            return Ok(Vec::new());
        };
        if !plane.operator_may(&signer, &node.wish().clone()) {
            return Err(plane
                .refuse(caller, node.wish(), Refusal::Signer(signer))
                .await);
        }
        Ok(bytes)
    }
}

fn source(text: &str) -> Answer<String> {
    if text.chars().count() > SOURCE_CHARS_MAX {
        return Err(Failure::invalid(format!(
            "source may have {SOURCE_CHARS_MAX} characters"
        )));
    }
    // It is shown on terminals.
    if text.chars().any(char::is_control) {
        return Err(Failure::invalid("source may not have control characters"));
    }
    Ok(text.to_owned())
}

fn protocols(words: &[String]) -> Answer<Vec<Protocol>> {
    let mut protocols = words
        .iter()
        .map(|word| {
            let known = word.parse::<Protocol>();
            known.map_err(|error| Failure::invalid(format!("protocol `{}`: {error}", shown(word))))
        })
        .collect::<Answer<Vec<_>>>()?;
    // In one order, so that the same wish in other words is the same version.
    protocols.sort_unstable();
    protocols.dedup();
    Ok(protocols)
}

fn services(words: &[String]) -> Answer<Vec<Name>> {
    let mut services = words
        .iter()
        .map(|word| name("service", word))
        .collect::<Answer<Vec<Name>>>()?;
    services.sort_unstable();
    services.dedup();
    if services.len() > SERVICES_MAX {
        return Err(Failure::invalid(format!(
            "an agent may offer {SERVICES_MAX} services"
        )));
    }
    Ok(services)
}

/// What a plan came to.
pub(super) fn deployed(
    node: &Permitted<'_>,
    plan: Plan,
    dry_run: bool,
    begun: Instant,
) -> Deployed {
    Deployed {
        outcome: plan.outcome.as_str().to_owned(),
        dry_run,
        agent: convert::whole_agent(node, &plan.record),
        changes: plan.changes.into_iter().map(convert::change).collect(),
        took_us: convert::micros(begun.elapsed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_services_in_another_order_are_the_same_wish() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(
            services(&words("bbb aaa bbb")).unwrap(),
            services(&words("aaa bbb")).unwrap()
        );
        assert!(services(&words("Not_A_Name")).is_err());
        let many: Vec<String> = (0..=SERVICES_MAX)
            .map(|number| format!("service-{number}"))
            .collect();
        assert!(services(&many).is_err());
    }

    #[test]
    fn an_unknown_protocol_is_told_the_known_ones() {
        let failure = protocols(&["gossip".to_owned()]).unwrap_err();
        assert!(
            format!("{failure:?}").contains("contract-net"),
            "{failure:?}"
        );
    }

    #[test]
    fn a_source_is_a_short_line() {
        assert!(source(&"ä".repeat(SOURCE_CHARS_MAX)).is_ok());
        assert!(source(&"ä".repeat(SOURCE_CHARS_MAX + 1)).is_err());
        assert!(source("a\nb").is_err() && source("\u{1b}[2J").is_err());
    }
}
