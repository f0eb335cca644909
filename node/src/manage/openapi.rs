//! The OpenAPI 3.1 document, made from the handlers, and the table of all routes. What is mounted is what
//! is described: both come from [`routes`].

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderName, header},
};
use caxton_api::{paths, types::Problem};
use utoipa::{
    PartialSchema as _, ToSchema as _,
    openapi::{
        ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required,
        ResponseBuilder,
        path::Operation,
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{api_keys, certificates, freeze, operators, policies, revocations, tenants, tokens},
    actors, agents, audit, authority, cluster, dead_letters, deploy,
    extract::{Caller, NoQuery},
    grammar, health, join_tokens, logs, messages, metrics, nodes,
    plane::{Plane, Shared},
    problem::PROBLEM_JSON,
    programs, traces,
};

/// The names of the security schemes, of which one is enough.
const API_KEY: &str = "api_key";
const CERTIFICATE: &str = "client_certificate";
const NO_SCOPES: [&str; 0] = [];
/// The name of the answer that every path may give.
const PROBLEM: &str = "Problem";

/// The document as it is checked in and served.
#[must_use]
pub fn openapi_json() -> String {
    let document = routes().into_openapi();
    let mut text =
        serde_json::to_string_pretty(&document).expect("a document of strings has a form in JSON");
    text.push('\n');
    text
}

/// Every route.
pub(super) fn routes() -> OpenApiRouter<Arc<Plane>> {
    let mut all = OpenApiRouter::with_openapi(frame())
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .routes(routes!(metrics::get_metrics))
        .routes(routes!(get_openapi))
        .routes(routes!(nodes::whoami))
        .routes(routes!(nodes::list_nodes))
        .routes(routes!(nodes::get_node))
        .routes(routes!(nodes::list_limits))
        .routes(routes!(actors::list_actors))
        .routes(routes!(actors::restart_actor))
        .routes(routes!(programs::list_programs, programs::upload_program))
        .routes(routes!(programs::show_program))
        .routes(routes!(agents::list_agents))
        .routes(routes!(
            agents::get_agent,
            deploy::deploy_agent,
            agents::remove_agent
        ))
        .routes(routes!(agents::start_agent))
        .routes(routes!(agents::stop_agent))
        .routes(routes!(agents::roll_back_agent))
        .routes(routes!(logs::list_log))
        .routes(routes!(logs::stream_log))
        .routes(routes!(messages::send_message))
        .routes(routes!(messages::stream_messages))
        .routes(routes!(messages::get_message))
        .routes(routes!(traces::list_traces))
        .routes(routes!(traces::get_trace))
        .routes(routes!(dead_letters::list_dead_letters))
        .routes(routes!(dead_letters::get_dead_letter))
        .routes(routes!(dead_letters::replay_dead_letter))
        .routes(routes!(operators::list_operators))
        .routes(routes!(operators::get_operator, operators::set_operator))
        .routes(routes!(operators::add_deployer_key))
        .routes(routes!(operators::remove_deployer_key))
        .routes(routes!(operators::reinstate_operator))
        .routes(routes!(certificates::make_operator_certificate))
        .routes(routes!(operators::make_service_token))
        .routes(routes!(api_keys::list_api_keys, api_keys::make_api_key))
        .routes(routes!(tenants::list_tenants))
        .routes(routes!(tenants::get_tenant, tenants::set_tenant))
        .routes(routes!(tenants::block_tenant, tenants::unblock_tenant))
        .routes(routes!(policies::list_policies))
        .routes(routes!(policies::evaluate_policies))
        .routes(routes!(
            policies::get_policy,
            policies::apply_policy,
            policies::delete_policy
        ))
        .routes(routes!(revocations::list_revocations, revocations::revoke))
        .routes(routes!(revocations::reinstate_agent))
        .routes(routes!(
            freeze::get_freeze,
            freeze::freeze,
            freeze::unfreeze
        ))
        .routes(routes!(tokens::list_tokens))
        .routes(routes!(cluster::get_cluster))
        .routes(routes!(cluster::list_members))
        .routes(routes!(cluster::stream_members))
        .routes(routes!(cluster::get_member, cluster::remove_member))
        .routes(routes!(cluster::leave_cluster))
        .routes(routes!(cluster::drain_node, cluster::undrain_node))
        .routes(routes!(audit::list_audit))
        .routes(routes!(audit::get_audit_head))
        .routes(routes!(authority::get_authority))
        .routes(routes!(authority::rotate_authority))
        .routes(routes!(authority::revoke_certificates))
        .routes(routes!(
            join_tokens::list_join_tokens,
            join_tokens::make_join_token
        ))
        .routes(routes!(join_tokens::revoke_join_token));
    let document = all.get_openapi_mut();
    grammar::bodies(document);
    for (path, item) in &mut document.paths.paths {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            add_problems(operation, path);
            grammar::parameters(operation);
        }
        let post = item.post.as_mut().filter(|_| path == paths::AGENT_ROLLBACK);
        if let Some(RefOr::T(body)) = post.and_then(|post| post.request_body.as_mut()) {
            // Without a body it goes back to the version before.
            body.required = Some(Required::False);
        }
    }
    all
}

/// The document without its paths.
fn frame() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Caxton")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The management API of a Caxton node. Answers that are no success are problem details \
             (RFC 9457) with a stable code; `caxton explain CODE` tells more about each.",
        ))
        .license(Some(
            LicenseBuilder::new()
                .name("Apache-2.0")
                .identifier(Some("Apache-2.0"))
                .build(),
        ))
        .build();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("cxk1_…")
        .description(Some("An operator's API key"))
        .build();
    let problem = ResponseBuilder::new()
        .description("The request was not carried out")
        .content(
            PROBLEM_JSON,
            ContentBuilder::new()
                .schema(Some(Ref::from_schema_name(Problem::name())))
                .build(),
        )
        .build();
    let mut document = OpenApiBuilder::new()
        .info(info)
        .security(Some(
            [API_KEY, CERTIFICATE].map(|scheme| SecurityRequirement::new(scheme, NO_SCOPES)),
        ))
        .build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(API_KEY, SecurityScheme::Http(bearer));
    let certificate = SecurityScheme::MutualTls {
        description: Some("A client certificate of an operator".to_owned()),
        deprecated: None,
        extensions: None,
    };
    components.add_security_scheme(CERTIFICATE, certificate);
    components
        .schemas
        .insert(Problem::name().into_owned(), Problem::schema());
    components
        .responses
        .insert(PROBLEM.to_owned(), RefOr::T(problem));
    document
}

/// Adds the problems that any path may answer. `default` stands for those that are rare: a node that
/// drains, a store that takes no writes, a fault of ours.
fn add_problems(operation: &mut Operation, path: &str) {
    let mut statuses = vec!["400", "default"];
    if !matches!(path, paths::LIVE | paths::READY) {
        statuses.extend(["401", "403", "429"]);
    }
    if path.contains('{') {
        statuses.extend(["404", "422"]);
    }
    let mut parameters = operation.parameters.iter().flatten();
    if parameters.any(|parameter| matches!(parameter, RefOr::T(one) if one.name == "limit")) {
        statuses.push("422");
    }
    for status in statuses {
        let problem = || RefOr::Ref(Ref::from_response_name(PROBLEM));
        operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert_with(problem);
    }
}

/// Shows this document.
#[utoipa::path(get, path = paths::OPENAPI, tag = "nodes",
    responses((status = 200, description = "An OpenAPI 3.1 document", body = serde_json::Value)))]
pub(super) async fn get_openapi(
    State(plane): Shared,
    _caller: Caller,
    _none: NoQuery,
) -> ([(HeaderName, &'static str); 1], axum::body::Bytes) {
    (
        [(header::CONTENT_TYPE, "application/json")],
        plane.document(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::BTreeSet, fs, path::Path};

    const CHECKED_IN: &str = "api/openapi.json";

    #[test]
    fn the_document_that_is_checked_in_is_the_one_that_is_served() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(CHECKED_IN);
        let made = openapi_json();
        if std::env::var_os("CAXTON_BLESS").is_some() {
            fs::write(&file, &made).unwrap();
        }
        let kept = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            kept == made,
            "node/{CHECKED_IN} is not what the handlers say: look at what changed, then write it with\n\
             CAXTON_BLESS=1 cargo nextest run --release -p caxton-node openapi"
        );
    }

    #[test]
    fn every_path_of_the_api_is_mounted_and_nothing_else() {
        let source = include_str!("../../api/src/paths.rs");
        let declared = source.lines().filter_map(|line| {
            let (name, value) = line.strip_prefix("pub const ")?.split_once(": &str = \"")?;
            (name != "PREFIX").then(|| value.trim_end_matches("\";").to_owned())
        });
        let declared: BTreeSet<String> = declared.collect();
        assert!(declared.len() > 20, "{declared:?}");
        let mounted: BTreeSet<String> = routes().into_openapi().paths.paths.into_keys().collect();
        assert_eq!(mounted, declared);
    }

    #[test]
    fn operations_have_names_of_their_own_and_say_what_can_go_wrong() {
        let document: serde_json::Value = serde_json::from_str(&openapi_json()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let mut names = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for operation in item.as_object().unwrap().values() {
                assert!(names.insert(operation["operationId"].to_string()), "{path}");
                assert!(operation["summary"].is_string(), "{path}");
                assert!(operation["responses"]["default"].is_object(), "{path}");
                let open = matches!(path.as_str(), paths::LIVE | paths::READY);
                assert_eq!(operation["responses"]["401"].is_object(), !open, "{path}");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let text = openapi_json();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        for part in text.split("\"$ref\": \"#").skip(1) {
            let pointer = part.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }
}
