//! Who asks: operators with each role, and every kind of credential, those that do not count included.

use anyhow::{Context as _, Result};
use caxton_api::paths::{self, fill};
use caxton_cli::{
    client::{Client, JSON, Request},
    context::{Secret, Target},
};
use caxton_cluster_tests::{Home, operator::until};
use serde_json::{Value, json};

use super::{OWN, table::Scope};
use crate::{
    certificates::{certificate, shown},
    logins::login,
};

/// Roles, and the letters of the table for them.
const ROLES: [(&str, char); 5] = [
    ("administrator", 'a'),
    ("project-manager", 'p'),
    ("agent-designer", 'd'),
    ("operator", 'o'),
    ("viewer", 'v'),
];

/// How the name of a caller ends who shows a service token.
pub(super) const BY_SERVICE_TOKEN: &str = ", by service token";

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    /// For whom the node was founded.
    Owner,
    /// One role by its letter in the table, over everything or in [`OWN`].
    Role(char, bool),
    /// An operator without a role.
    Roleless,
    /// An administrator who was revoked.
    Revoked,
    /// An administrator's key with one scope.
    Scoped(Scope),
    /// With a key that is to expire.
    Expiring,
    /// Without a credential, or with one that does not count.
    Nobody,
}

pub(super) struct Caller {
    pub(super) name: String,
    pub(super) who: Who,
    pub(super) client: Client,
    /// Who stands for another is asked once a row.
    pub(super) once: bool,
}

/// An administrator's own call, which must succeed.
pub(crate) async fn call(client: &Client, method: &str, path: &str, body: Value) -> Result<Value> {
    let request = Request::new(method.parse()?, path);
    let request = match body {
        Value::Null => request,
        body => request.body(JSON, body.to_string().into_bytes()),
    };
    let answer = client.call_or_empty(request).await;
    answer.with_context(|| format!("{method} {path}"))
}

pub(crate) fn text(value: &Value, field: &str) -> Result<String> {
    let text = value.get(field).and_then(Value::as_str);
    Ok(text.with_context(|| format!("no `{field}`"))?.to_owned())
}

/// A client of the same node with another credential, or none.
pub(crate) fn with_key(client: &Client, key: Option<String>) -> Result<Client> {
    let target = Target {
        api_key: key.map(Secret::new),
        ..client.target().clone()
    };
    Ok(Client::new(target)?)
}

/// Makes callers, and the operators and keys behind them.
pub(super) struct Maker<'a> {
    pub(super) home: &'a Home,
    pub(super) admin: &'a Client,
    pub(super) callers: Vec<Caller>,
}

impl Maker<'_> {
    pub(super) fn push(
        &mut self,
        name: &str,
        who: Who,
        key: Option<String>,
        once: bool,
    ) -> Result<()> {
        self.callers.push(Caller {
            name: name.to_owned(),
            client: with_key(self.admin, key)?,
            who,
            once,
        });
        Ok(())
    }

    pub(super) async fn operator(&self, name: &str, roles: &[String]) -> Result<()> {
        let path = fill(paths::OPERATOR, &[name]);
        let made = call(self.admin, "PUT", &path, json!({ "roles": roles })).await;
        made.map(drop)
    }

    /// A key of an operator; `more` is what else is wished.
    pub(super) async fn key(&self, name: &str, operator: &str, more: Value) -> Result<String> {
        let mut wish = json!({ "name": name, "operator": operator });
        let fields = wish.as_object_mut().context("an object")?;
        fields.extend(more.as_object().cloned().unwrap_or_default());
        let made = call(self.admin, "POST", paths::API_KEYS, wish).await?;
        text(&made, "key")
    }

    /// Somebody who is known, by their key and by a service token got with it.
    async fn known(&mut self, name: &str, who: Who, key: String) -> Result<()> {
        let own = with_key(self.admin, Some(key.clone()))?;
        let token = call(&own, "POST", paths::SERVICE_TOKENS, Value::Null).await?;
        self.push(name, who, Some(key), false)?;
        let name = format!("{name}{BY_SERVICE_TOKEN}");
        self.push(&name, who, Some(text(&token, "token")?), true)
    }

    /// Somebody by a client certificate alone.
    fn certified(&mut self, operator: &str, who: Who) -> Result<()> {
        let (_serial, files) = certificate(self.home, operator, &[])?;
        self.callers.push(Caller {
            name: format!("{operator}, by certificate"),
            client: shown(self.admin, &files, false)?,
            who,
            once: true,
        });
        Ok(())
    }

    /// Somebody by a JSON Web Token.
    fn logged_in(&mut self, operator: &str, who: Who) -> Result<()> {
        let name = format!("{operator}, by JSON Web Token");
        self.push(&name, who, Some(login(operator)), true)
    }

    async fn take_back(&self, kind: &str, name: &str) -> Result<()> {
        let wish = json!({ kind: name });
        let taken = call(self.admin, "POST", paths::ACCESS_REVOCATIONS, wish).await;
        taken.map(drop)
    }
}

pub(super) async fn callers(home: &Home, admin: &Client) -> Result<Vec<Caller>> {
    let callers = Vec::new();
    let mut maker = Maker {
        home,
        admin,
        callers,
    };
    for (role, letter) in ROLES {
        for in_one in [false, true] {
            let (name, held) = match in_one {
                false => (format!("{role}-all"), role.to_owned()),
                true => (format!("{role}-{OWN}"), format!("{role}@{OWN}")),
            };
            maker.operator(&name, &[held]).await?;
            let key = maker.key(&name, &name, Value::Null).await?;
            maker.known(&name, Who::Role(letter, in_one), key).await?;
            maker.certified(&name, Who::Role(letter, in_one))?;
            maker.logged_in(&name, Who::Role(letter, in_one))?;
        }
    }
    maker.operator("roleless", &[]).await?;
    let key = maker.key("roleless", "roleless", Value::Null).await?;
    maker.known("roleless", Who::Roleless, key).await?;
    for (name, text, scope) in [
        ("observer", "observe acme/*", Scope::Observe),
        ("sender", "send acme/one", Scope::Send),
    ] {
        let wish = json!({ "scopes": [text] });
        let key = maker.key(name, "administrator-all", wish).await?;
        maker.known(name, Who::Scoped(scope), key).await?;
    }
    refused(&mut maker).await?;
    // The shortest life that a key can have: it is over when the others were asked.
    let brief = json!({ "ttl_s": 60 });
    let brief = maker.key("brief", "administrator-all", brief).await?;
    maker.push("expired key", Who::Expiring, Some(brief), false)?;
    let owner = admin.target().api_key.clone().context("no key")?;
    let owner = owner.expose().to_owned();
    maker.known("owner", Who::Owner, owner).await?;
    let founder = call(admin, "GET", paths::WHOAMI, Value::Null).await?;
    let founder = text(&founder, "principal")?;
    let founder = founder.strip_prefix("operator:").context("no operator")?;
    maker.certified(founder, Who::Owner)?;
    maker.logged_in(founder, Who::Owner)?;
    Ok(maker.callers)
}

/// Those whose credentials do not count, or count no more.
async fn refused(maker: &mut Maker<'_>) -> Result<()> {
    maker
        .operator("gone", &["administrator".to_owned()])
        .await?;
    let gone = maker.key("gone", "gone", Value::Null).await?;
    maker.known("revoked operator", Who::Revoked, gone).await?;
    maker.certified("gone", Who::Nobody)?;
    maker.logged_in("gone", Who::Nobody)?;
    maker.take_back("operator", "gone").await?;
    let lost = maker.key("lost", "administrator-all", Value::Null).await?;
    maker.known("revoked key", Who::Nobody, lost).await?;
    maker.take_back("key", "lost").await?;
    let far = json!({ "networks": ["192.0.2.0/24"] });
    let far = maker.key("far", "administrator-all", far).await?;
    maker.push("key of another network", Who::Nobody, Some(far), false)?;
    maker.push("nobody", Who::Nobody, None, false)?;
    let forged = format!("cxk1_{}", "0".repeat(64));
    maker.push("forged key", Who::Nobody, Some(forged), true)?;
    Ok(())
}

/// Waits until a key has expired, whose caller is nobody from then on.
pub(super) async fn expired(caller: &mut Caller) -> Result<()> {
    until("a key expires", async || {
        let answer = caller.client.send(Request::get(paths::WHOAMI)).await?;
        Ok((answer.status() == 401).then_some(()))
    })
    .await?;
    caller.who = Who::Nobody;
    Ok(())
}
