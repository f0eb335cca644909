//! Programs: upload one, show one, list them.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use caxton_api::{
    paths,
    types::{Page, Problem, Program},
};
use caxton_capabilities::{PolicyAction, ResourceId};
use serde::Deserialize;
use tokio::time::Instant;

use super::{
    convert::micros,
    extract::{Asked, Caller, Part, Wasm, name},
    nodes::PageQuery,
    page::{limit, page},
    plane::{Permitted, Plane, Shared},
    problem::{Answer, Failure},
};
use crate::{demos::Demo, wasm};

/// For whom.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ProgramQuery {
    /// The tenant for which the caller may deploy; absent, the node.
    tenant: Option<String>,
}

/// How the document describes a body of bytes.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only its schema is used")]
struct WasmBytes(Vec<u8>);

/// Checks, compiles and keeps a program. The same bytes again are known already.
#[utoipa::path(post, path = paths::PROGRAMS, tag = "programs", params(ProgramQuery),
    request_body(content = inline(WasmBytes), content_type = "application/wasm", description = "A component of the world `caxton:agent`, or a core module that embeds that component type"),
    responses((status = 200, description = "It was known", body = Program),
        (status = 201, description = "It was compiled and is kept", body = Program),
        (status = 413, description = "The program is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not `application/wasm`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The program cannot run here", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn upload_program(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<ProgramQuery>,
    Wasm(bytes): Wasm,
) -> Answer<(StatusCode, Json<Program>)> {
    let node = deploys(&plane, &caller, asked).await?;
    let uploaded = node.wasm.upload(Arc::from(&*bytes)).await?;
    let demo = wasm::Wasm::demos()
        .iter()
        .find(|demo| demo.digest() == Some(uploaded.digest));
    let status = if uploaded.cached {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    let program = Program {
        digest: uploaded.digest.to_string(),
        bytes: uploaded.bytes,
        imports: uploaded.imports,
        cached: uploaded.cached,
        took_us: micros(uploaded.took),
        demo: demo.map(|demo| format!("demo:{}", demo.name)),
    };
    Ok((status, Json(program)))
}

/// Shows one program. A demo is unpacked and compiled when it is first asked for.
#[utoipa::path(get, path = paths::PROGRAM, tag = "programs",
    params(("program" = String, Path, description = "`sha256:…`, or `demo:NAME`"), ProgramQuery),
    responses((status = 200, description = "The program", body = Program),
        (status = 422, description = "It cannot run here any more", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn show_program(
    State(plane): Shared,
    caller: Caller,
    Part(program): Part,
    Asked(asked): Asked<ProgramQuery>,
) -> Answer<Json<Program>> {
    let begun = Instant::now();
    let node = deploys(&plane, &caller, asked).await?;
    let resolved = node.wasm.resolve(&program).await?;
    let program = node.wasm.program(resolved.digest).await?;
    Ok(Json(Program {
        digest: resolved.digest.to_string(),
        bytes: node.wasm.bytes(resolved.digest)?,
        imports: program.imports().to_vec(),
        cached: true,
        took_us: micros(begun.elapsed()),
        demo: resolved.demo.map(|demo| format!("demo:{}", demo.name)),
    }))
}

/// The way to the node of one who may deploy.
async fn deploys<'a>(
    plane: &'a Plane,
    caller: &Caller,
    asked: ProgramQuery,
) -> Answer<Permitted<'a>> {
    let resource = match &asked.tenant {
        Some(tenant) => ResourceId::Tenant(name("tenant", tenant)?),
        None => ResourceId::Node(None),
    };
    plane.permit(caller, PolicyAction::Deploy, resource).await
}

/// Lists the demos inside the binary, then the programs that are kept, by digest.
///
/// What an upload measures (`bytes`, `imports`, `took_us`) is zero or empty here.
#[utoipa::path(get, path = paths::PROGRAMS, tag = "programs", params(PageQuery),
    responses((status = 200, description = "A page of programs", body = Page<Program>)))]
pub(super) async fn list_programs(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<PageQuery>,
) -> Answer<Json<Page<Program>>> {
    let limit = limit(asked.limit)?;
    let node = plane.read_node(&caller).await?;
    let programs = Arc::clone(&node.wasm);
    let read = move || listed(&programs, asked.cursor.as_deref(), limit);
    let items = tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| Failure::internal("the folder of programs was not read", &error))??;
    Ok(Json(page(items, limit, |program| program.digest.clone())))
}

/// One more than `limit` programs behind `after`. Demos sort before digests. Blocks.
fn listed(programs: &wasm::Wasm, after: Option<&str>, limit: usize) -> Answer<Vec<Program>> {
    let demos = wasm::Wasm::demos();
    let listed = |digest: String, demo: Option<&Demo>| Program {
        digest,
        bytes: 0,
        imports: Vec::new(),
        cached: true,
        took_us: 0,
        demo: demo.map(|demo| format!("demo:{}", demo.name)),
    };
    let named = demos
        .iter()
        .map(|demo| listed(format!("demo:{}", demo.name), Some(demo)));
    let stored = programs.stored()?.into_iter().map(|digest| {
        let demo = demos.iter().find(|demo| demo.digest() == Some(digest));
        listed(digest.to_string(), demo)
    });
    let mut items: Vec<Program> = named.chain(stored).collect();
    items.retain(|program| after.is_none_or(|after| program.digest.as_str() > after));
    items.sort_by(|a, b| a.digest.cmp(&b.digest));
    items.truncate(limit + 1);
    Ok(items)
}
