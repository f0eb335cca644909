//! Who shows a credential: an API key, a service token, a JSON Web Token or a client certificate, and whether it still
//! counts. What whoever it is may do is not asked here.

use std::{net::IpAddr, sync::Arc};

use caxton_actors::ports::unix_ms;
use caxton_api::codes;
use caxton_capabilities::{Name, Principal};
use caxton_pki::{CertificateDer, CertificateSummary, Role, VerifiedChain, VerifyChainError};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::{
    audited,
    authenticate::{JWT_PREFIX, Unproven},
    extract::{Caller, Method, Stranger},
    problem::{Answer, Failure},
};
use crate::{
    access::{
        jwt::Logins,
        keys::Known,
        service_tokens::{self, Basis, ServiceTokens},
    },
    app::App,
    cluster::{start::Cluster, state::Held},
    hex::hex,
};

/// What a client is told to wait that wants one more service token.
const RETRY_S: u64 = 5;

/// What is told of a credential: 64 bits of its digest. It has 256 random bits, so that they help nobody to guess it.
pub(super) fn short(kind: &str, digest: &[u8; 32]) -> String {
    let start = digest.first_chunk::<8>().map(|bytes| hex(bytes));
    format!("{kind}_{}", start.unwrap_or_default())
}

/// The client certificate of a connection, looked at once. Whether it still counts is asked with each request.
#[derive(Debug)]
pub(super) struct Presented {
    verified: Result<Arc<VerifiedChain>, VerifyChainError>,
    /// With the serial number by which it can be taken back.
    credential: String,
}

fn refused(error: &VerifyChainError) -> Unproven {
    format!("the client certificate does not count: {error}").into()
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
        let logins = jwt.map(|jwt| Arc::new(Logins::open(jwt.issuer, jwt.keys)));
        Self {
            app,
            service_tokens: ServiceTokens::default(),
            logins,
        }
    }

    /// Whose JSON Web Tokens count.
    pub(super) fn logins(&self) -> Option<Arc<Logins>> {
        self.logins.clone()
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

    /// What becomes of the client certificate of a connection, leaf first.
    pub(super) fn present(&self, chain: &[CertificateDer<'_>]) -> Presented {
        let leaf = chain.first().map(|leaf| CertificateSummary::parse(leaf));
        let serial = leaf.and_then(Result::ok).map(|leaf| leaf.serial);
        Presented {
            credential: format!("crt_{}", serial.unwrap_or_default()),
            verified: self.verify(chain).map(Arc::new),
        }
    }

    fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<VerifiedChain, VerifyChainError> {
        let (leaf, above) = chain.split_first().ok_or(VerifyChainError::Malformed)?;
        let held = self.held().ok_or(VerifyChainError::UnknownIssuer)?;
        let now = self.app.environment.now();
        held.bundle.verify_caller(leaf, above, now)
    }

    /// Whom the cluster trusts, and what it took back.
    fn held(&self) -> Option<Arc<Held>> {
        let cluster = self.app.cluster.as_ref()?;
        Some(Arc::clone(&cluster.held().borrow()))
    }

    /// Who shows this: a key of ours, a service token or a JSON Web Token in the request, or a certificate with the
    /// connection.
    ///
    /// # Errors
    /// Nobody, now and from there; why.
    pub(super) fn authenticate(
        &self,
        shown: Option<&[u8]>,
        presented: Option<&Presented>,
        stranger: &Stranger,
    ) -> Result<Caller, Unproven> {
        // SECURITY: first, so that a certificate that does not count is not passed over for a key that does.
        let certified = presented.map(|presented| self.certified(presented, stranger));
        let certified = certified.transpose()?;
        let Some(shown) = shown else {
            let none = "the request carries no API key: Authorization: Bearer cxk1_…";
            return certified.ok_or_else(|| none.into());
        };
        let caller = match shown.starts_with(JWT_PREFIX) {
            true => self.logged_in(shown, stranger)?,
            false => self.by_key(shown, stranger)?,
        };
        match certified {
            None => Ok(caller),
            Some(other) if other.principal != caller.principal => {
                Err("the client certificate and the Authorization header name two operators".into())
            }
            Some(other) => Ok(Caller {
                basis: caller.basis.and(other.basis),
                ..caller
            }),
        }
    }

    /// Who shows a key of ours or a service token.
    fn by_key(&self, shown: &[u8], stranger: &Stranger) -> Result<Caller, Unproven> {
        let digest: [u8; 32] = Sha256::digest(shown).into();
        let now_ms = unix_ms(self.app.environment.now());
        let is_service = shown.starts_with(service_tokens::PREFIX.as_bytes());
        let (known, credential, basis, method) = if is_service {
            let service = self.service_tokens.get(&digest, now_ms);
            let service =
                service.ok_or("this node does not know the service token, or it has ended")?;
            // SECURITY: what was got with a credential ends with it.
            self.holds(&service.basis, stranger.address)?;
            let credential = format!("{} {}", service.credential, short("svc", &digest));
            let (basis, method) = (service.basis, Method::ServiceToken);
            (service.known, credential, basis, method)
        } else {
            let keys = self.app.keeper.in_force().keys.clone();
            let known = keys.authenticate(&digest, now_ms, stranger.address)?;
            let basis = Basis {
                key: Some(digest),
                ..Basis::default()
            };
            (known, short("key", &digest), basis, Method::ApiKey)
        };
        // SECURITY: policies would refuse them too, where they are asked; this is before everything.
        let trust = self.app.tree.trust.now();
        if trust.standing().revoked_operators.contains(&known.operator) {
            return Err("the operator was revoked".into());
        }
        Ok(Caller {
            principal: Principal::Operator(known.operator.clone()),
            known,
            credential,
            basis,
            method,
            groups: Arc::default(),
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
        if !self.is_operator(&login.operator) {
            let why = "its `sub` is no operator here, or one whose authority was taken back";
            return Err(Unproven::token(why));
        }
        Ok(Caller {
            principal: Principal::Operator(login.operator.clone()),
            known: Arc::new(Known::whole(login.operator)),
            credential: short("jwt", &login.digest),
            basis: Basis {
                until_ms: Some(login.until_ms),
                ..Basis::default()
            },
            method: Method::Jwt,
            groups: Arc::new(login.groups),
            stranger: stranger.clone(),
        })
    }

    /// Whom a client certificate names: an operator of our own document, or the owner.
    fn certified(&self, presented: &Presented, stranger: &Stranger) -> Result<Caller, Unproven> {
        let chain = presented.verified.as_ref().map_err(refused)?;
        let basis = Basis {
            certificate: Some(Arc::clone(chain)),
            until_ms: Some(unix_ms(chain.not_after())),
            ..Basis::default()
        };
        // SECURITY: the connection may be older than what was taken back since.
        self.holds(&basis, stranger.address)?;
        let id = chain.id();
        // SECURITY: nodes have certificates to call with, too; and names like operators.
        let name = (id.role() == Role::Operator).then(|| id.name().parse().ok());
        let name: Name = (name.flatten()).ok_or("the client certificate is not an operator's")?;
        if !self.is_operator(&name) {
            let told = "the client certificate names no operator here, or one who was revoked";
            return Err(told.into());
        }
        Ok(Caller {
            principal: Principal::Operator(name.clone()),
            known: Arc::new(Known::whole(name)),
            credential: presented.credential.clone(),
            basis,
            method: Method::Certificate,
            groups: Arc::default(),
            stranger: stranger.clone(),
        })
    }

    /// Whether there is such an operator, whose authority was not taken back.
    fn is_operator(&self, name: &Name) -> bool {
        let keeper = &self.app.keeper;
        match keeper.in_force().access.operators.get(name) {
            Some(row) => row.revoked.is_none(),
            None => name == keeper.owner(),
        }
    }

    /// Whether what a credential stands on still counts.
    fn holds(&self, basis: &Basis, from: Option<IpAddr>) -> Result<(), Unproven> {
        let now = self.app.environment.now();
        if let Some(chain) = &basis.certificate {
            let held = self.held().ok_or(VerifyChainError::UnknownIssuer);
            let checked = held.and_then(|held| held.bundle.check_chain(chain, now));
            checked.map_err(|error| refused(&error))?;
        }
        if let Some(key) = &basis.key {
            let keys = &self.app.keeper.in_force().keys;
            keys.authenticate(key, unix_ms(now), from)?;
        }
        match basis.until_ms {
            Some(until) if unix_ms(now) >= until => Err("the credential has ended".into()),
            _ => Ok(()),
        }
    }

    /// Whether what `caller` has shown still counts.
    pub(super) fn still_count(&self, caller: &Caller) -> bool {
        self.holds(&caller.basis, caller.stranger.address).is_ok()
    }

    /// Tells when the cluster trusts somebody else, or took something back.
    pub(super) fn trust_changes(&self) -> Option<watch::Receiver<Arc<Held>>> {
        self.app.cluster.as_ref().map(Cluster::held)
    }

    /// Makes a token of a quarter of an hour for one who is known. One that the audit log does not take is not given out.
    pub(super) async fn service_token(&self, caller: &Caller) -> Answer<(Zeroizing<String>, u64)> {
        let service = (
            Arc::clone(&caller.known),
            caller.credential.clone(),
            caller.basis.clone(),
        );
        let now = self.app.environment.now();
        let made = (self.service_tokens).make(service, unix_ms(now), &self.app.environment);
        let event = audited::session(caller, made.is_some(), &self.app.about.name, now);
        self.app.audit.record(event).await?;
        made.ok_or_else(|| {
            let detail = "there are as many service tokens as there may be";
            Failure::new(codes::BUSY, detail).retry_after(RETRY_S)
        })
    }
}
