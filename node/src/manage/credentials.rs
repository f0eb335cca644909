//! Who shows a credential: an API key, a service token, or a JSON Web Token, and whether it still counts. What whoever it
//! is may do is not asked here.

use std::sync::Arc;

use caxton_actors::ports::unix_ms;
use caxton_api::codes;
use caxton_capabilities::Principal;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{
    authenticate::{JWT_PREFIX, Unproven},
    extract::{Caller, Method, Stranger},
    problem::{Answer, Failure},
};
use crate::{
    access::{
        jwt::Logins,
        keys::Known,
        service_tokens::{self, ServiceTokens},
    },
    app::App,
};

/// What a client is told to wait that wants one more service token.
const RETRY_S: u64 = 5;

/// What is told of a credential: 64 bits of its digest. It has 256 random bits, so that they help nobody to guess it.
pub(super) fn short(kind: &str, digest: &[u8; 32]) -> String {
    let digits = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
    [format!("{kind}_")].into_iter().chain(digits).collect()
}

/// What credentials are looked up in.
#[derive(Debug)]
pub(super) struct Credentials {
    app: Arc<App>,
    service_tokens: ServiceTokens,
    /// Whose JSON Web Tokens count; none: nobody's.
    logins: Option<Arc<Logins>>,
}

impl Credentials {
    /// Those that `app` knows.
    pub(super) fn new(app: Arc<App>) -> Self {
        let jwt = app.config.jwt.clone();
        let logins = jwt.map(|jwt| Arc::new(Logins::open(jwt.issuer, jwt.keys_file)));
        Self {
            app,
            service_tokens: ServiceTokens::default(),
            logins,
        }
    }

    /// Looks whether the issuer of JSON Web Tokens has other keys by now, at most once a second.
    pub(super) async fn look_at_logins(&self, now_ns: u64) {
        let due = self.logins.as_ref();
        if let Some(logins) = due.filter(|logins| logins.is_due(now_ns)) {
            let logins = Arc::clone(logins);
            // A node that stops looks no more.
            let _stopping = tokio::task::spawn_blocking(move || logins.look()).await;
        }
    }

    /// Who shows this credential: a key of ours, a service token, or a JSON Web Token of the issuer's.
    ///
    /// # Errors
    /// Nobody, now and from there; why.
    pub(super) fn authenticate(
        &self,
        shown: &[u8],
        stranger: &Stranger,
    ) -> Result<Caller, Unproven> {
        if shown.starts_with(JWT_PREFIX) {
            return self.logged_in(shown, stranger);
        }
        let digest: [u8; 32] = Sha256::digest(shown).into();
        let (now_ms, from) = (unix_ms(self.app.environment.now()), stranger.address);
        let keys = self.app.keeper.in_force().keys.clone();
        let is_service = shown.starts_with(service_tokens::PREFIX.as_bytes());
        let (known, credential, key, method, until_ms) = if is_service {
            let service = self.service_tokens.get(&digest, now_ms);
            let service =
                service.ok_or("this node does not know the service token, or it has ended")?;
            // SECURITY: what was got with a key ends with the key.
            if let Some(key) = &service.key {
                keys.authenticate(key, now_ms, from)?;
            }
            let credential = format!("{} {}", service.credential, short("svc", &digest));
            let (method, until_ms) = (Method::ServiceToken, service.until_ms);
            (service.known, credential, service.key, method, until_ms)
        } else {
            let known = keys.authenticate(&digest, now_ms, from)?;
            let (credential, method) = (short("key", &digest), Method::ApiKey);
            (known, credential, Some(digest), method, None)
        };
        // SECURITY: policies would refuse them too, where they are asked; this is before everything.
        let trust = self.app.tree.trust.borrow().clone();
        if trust.standing().revoked_operators.contains(&known.operator) {
            return Err("the operator was revoked".into());
        }
        Ok(Caller {
            principal: Principal::Operator(known.operator.clone()),
            known,
            credential,
            key,
            method,
            groups: Arc::default(),
            until_ms,
            stranger: stranger.clone(),
        })
    }

    /// Who shows a JSON Web Token: an operator of our own document, or the owner. All of them hear the same sentence who
    /// are none.
    fn logged_in(&self, shown: &[u8], stranger: &Stranger) -> Result<Caller, Unproven> {
        let logins = self.logins.as_ref();
        let logins = logins.ok_or("this node takes no JSON Web Tokens")?;
        let token = str::from_utf8(shown).map_err(|_other| Unproven::token("it is no text"))?;
        let login = logins.login(token, unix_ms(self.app.environment.now()));
        let login = login.map_err(|why| Unproven::token(why.to_string()))?;
        let keeper = &self.app.keeper;
        let in_force = keeper.in_force();
        let row = in_force.access.operators.get(&login.operator);
        let is_revoked = row.is_some_and(|row| row.revoked.is_some());
        if is_revoked || (row.is_none() && login.operator != *keeper.owner()) {
            let why = "its `sub` is no operator here, or one whose authority was taken back";
            return Err(Unproven::token(why));
        }
        Ok(Caller {
            principal: Principal::Operator(login.operator.clone()),
            known: Arc::new(Known::whole(login.operator)),
            credential: short("jwt", &login.digest),
            key: None,
            method: Method::Jwt,
            groups: Arc::new(login.groups),
            until_ms: Some(login.until_ms),
            stranger: stranger.clone(),
        })
    }

    /// Whether what `caller` has shown still counts.
    pub(super) fn still_count(&self, caller: &Caller) -> bool {
        let (from, now_ms) = (caller.stranger.address, unix_ms(self.app.environment.now()));
        if caller.until_ms.is_some_and(|until| now_ms >= until) {
            return false;
        }
        caller.key.is_none_or(|digest| {
            let keys = &self.app.keeper.in_force().keys;
            keys.authenticate(&digest, now_ms, from).is_ok()
        })
    }

    /// Makes a token of a quarter of an hour for one who is known.
    pub(super) fn service_token(&self, caller: &Caller) -> Answer<(Zeroizing<String>, u64)> {
        let service = (
            Arc::clone(&caller.known),
            caller.credential.clone(),
            caller.key,
            caller.until_ms,
        );
        let now_ms = unix_ms(self.app.environment.now());
        let made = (self.service_tokens).make(service, now_ms, &self.app.environment);
        made.ok_or_else(|| {
            let detail = "there are as many service tokens as there may be";
            Failure::new(codes::BUSY, detail).retry_after(RETRY_S)
        })
    }
}
