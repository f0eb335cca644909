//! `caxton tenant …`: tenants, what they may use, and the stop of one.

use std::collections::BTreeMap;

use caxton_api::{
    codes, paths,
    types::{Tenant, TenantWish},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{App, agreed, done, suggest_named};
use crate::{
    args::{Bounds, TenantCommand},
    client::{Client, Request},
    error::CliError,
    exit::Exit,
    render::shapes,
};

/// Where names are to be found.
const LIST: &str = "caxton tenant list";

pub(super) async fn run(app: &App, command: TenantCommand) -> Result<Exit, CliError> {
    let client = app.client()?;
    match command {
        TenantCommand::List { paging } => {
            let request = Request::get(paths::TENANTS);
            let tenants: Vec<Tenant> = client.list(request, paging.limit).await?;
            app.terminal.list(&shapes::TENANT, &tenants)?;
        }
        TenantCommand::Show { name } => {
            let tenant = known(&client, &name).await?;
            app.terminal.item(&shapes::TENANT, &tenant)?;
        }
        TenantCommand::Create { name, quota } => create(app, &client, &name, &quota).await?,
        TenantCommand::Quota { name, quota, none } => {
            bound(app, &client, &name, &quota, none).await?;
        }
        TenantCommand::Block { name, undo, yes } => {
            block(app, &client, &name, undo, yes).await?;
        }
    }
    Ok(Exit::Ok)
}

async fn look(client: &Client, name: &str) -> Result<Tenant, CliError> {
    let path = paths::fill(paths::TENANT, &[name]);
    client.call(Request::get(path)).await
}

async fn known(client: &Client, name: &str) -> Result<Tenant, CliError> {
    match look(client, name).await {
        Err(error) => Err(suggest_named(client, paths::TENANTS, name, error, LIST).await),
        found => found,
    }
}

async fn put(client: &Client, name: &str, quota: BTreeMap<String, u64>) -> Result<Value, CliError> {
    let path = paths::fill(paths::TENANT, &[name]);
    let request = Request::new(Method::PUT, path).json(&TenantWish { quota })?;
    client.call_or_empty(request).await
}

/// The API's `PUT` also changes a tenant; one that is there already keeps its quota.
async fn create(app: &App, client: &Client, name: &str, quota: &Bounds) -> Result<(), CliError> {
    match look(client, name).await {
        Ok(_there) => {
            let what = format!("there is a tenant `{name}` already");
            return Err(
                CliError::new(&codes::CONFLICT, Exit::Conflict, what).fix(format!(
                    "caxton tenant quota {name} changes what it may use"
                )),
            );
        }
        Err(error) if error.exit == Exit::NotFound => {}
        Err(error) => return Err(error),
    }
    let answer = put(client, name, merged(BTreeMap::new(), quota, false)).await?;
    done(
        app,
        &shapes::TENANT,
        &answer,
        &format!("tenant {name} is there"),
    )
}

async fn bound(
    app: &App,
    client: &Client,
    name: &str,
    quota: &Bounds,
    none: bool,
) -> Result<(), CliError> {
    let mut tenant = known(client, name).await?;
    if none || given(quota).iter().any(|(_, most)| most.is_some()) {
        put(client, name, merged(tenant.quota, quota, none)).await?;
        tenant = look(client, name).await?;
    }
    let unbounded = tenant.quota.is_empty();
    let shown = json!({ "name": tenant.name, "quota": tenant.quota, "usage": tenant.usage });
    app.terminal.item(&shapes::TENANT_QUOTA, &shown)?;
    if unbounded {
        app.terminal.hint("  no quota: bounded by the node alone");
    }
    Ok(())
}

/// What the flags say, by the API's names.
fn given(quota: &Bounds) -> [(&'static str, Option<u64>); 6] {
    [
        ("agents", quota.agents),
        ("memory_bytes", quota.memory),
        ("in_flight_bytes", quota.in_flight),
        ("storage_bytes", quota.storage),
        ("messages_per_s", quota.messages),
        ("cpu_ms_per_s", quota.cpu),
    ]
}

/// What is there with what is given changed; what is not given stays, unless `none` takes it away.
fn merged(mut there: BTreeMap<String, u64>, quota: &Bounds, none: bool) -> BTreeMap<String, u64> {
    if none {
        there.clear();
    }
    for (name, most) in given(quota) {
        if let Some(most) = most {
            there.insert(name.to_owned(), most);
        }
    }
    there
}

async fn block(
    app: &App,
    client: &Client,
    name: &str,
    undo: bool,
    yes: bool,
) -> Result<(), CliError> {
    let (method, said) = match undo {
        false => {
            let consequence =
                format!("nothing of tenant `{name}` runs, sends or receives from now on");
            agreed(app, &consequence, name, yes)?;
            (
                Method::POST,
                "is blocked: nothing of it runs, sends or receives",
            )
        }
        true => (Method::DELETE, "goes on"),
    };
    let request = Request::new(method, paths::fill(paths::TENANT_BLOCK, &[name]));
    match client.call_or_empty(request).await {
        Ok(answer) => done(app, &shapes::TENANT, &answer, &format!("{name} {said}")),
        Err(error) => Err(suggest_named(client, paths::TENANTS, name, error, LIST).await),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(all: &[(&str, u64)]) -> BTreeMap<String, u64> {
        all.iter()
            .map(|(name, most)| ((*name).to_owned(), *most))
            .collect()
    }

    #[test]
    fn a_quota_changes_where_a_flag_is_given_and_nowhere_else() {
        let there = || map(&[("agents", 5), ("memory_bytes", 1024), ("later_than_us", 7)]);
        let flags = Bounds {
            agents: Some(0),
            cpu: Some(250),
            ..Bounds::default()
        };
        assert_eq!(
            merged(there(), &flags, false),
            map(&[
                ("agents", 0),
                ("cpu_ms_per_s", 250),
                ("later_than_us", 7),
                ("memory_bytes", 1024)
            ])
        );
        assert_eq!(merged(there(), &Bounds::default(), false), there());
        assert_eq!(merged(there(), &Bounds::default(), true), map(&[]));
        assert_eq!(
            merged(there(), &flags, true),
            map(&[("agents", 0), ("cpu_ms_per_s", 250)])
        );
    }

    /// A name that the API does not have would bound nothing.
    #[test]
    fn each_flag_goes_by_a_name_of_the_api() {
        let api = include_str!("../../../node/api/src/types/access.rs");
        for (name, _) in given(&Bounds::default()) {
            assert!(api.contains(&format!("`{name}`")), "{name}");
        }
    }
}
