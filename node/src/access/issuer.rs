//! This node's key for capability tokens: made at its first start, never shown, and its public half beside it.

use std::{fs, path::Path, sync::Arc};

use caxton_actors::ports::{Authority, Version};
use caxton_capabilities::{
    Address, AgentKeys, CHANCE_BYTES, Deployed, Grant, HolderKey, Issuer, IssuerKey, Issuers,
    LIFETIME_SECONDS_MAX, Moment, Rights, Token, TrustDomain,
};
use zeroize::Zeroizing;

use crate::{
    environment::Environment,
    hex::{hex, unhex},
    identity::{IdentityError, read_text, refuse_exposed, write_file},
};

const KEY: &str = "token-issuer.key";
const PUBLIC: &str = "token-issuer.pub";
/// What the file of the key starts with.
const PREFIX: &str = "cxik1_";

/// Issues tokens to the agents of this node, and holds them.
pub(crate) struct TokenIssuer {
    key: IssuerKey,
    agents: AgentKeys,
    trust_domain: TrustDomain,
    environment: Arc<Environment>,
}

impl std::fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenIssuer")
            .field("key", &self.key.public().id())
            .finish_non_exhaustive()
    }
}

impl TokenIssuer {
    /// The key of the data folder, made where there is none. `spiffe_id` is the node's.
    pub(crate) fn open(
        data: &Path,
        spiffe_id: &str,
        environment: &Arc<Environment>,
    ) -> Result<Self, IdentityError> {
        let path = data.join(KEY);
        if !path.exists() {
            let secret: Zeroizing<[u8; 64]> = Zeroizing::new(environment.bytes());
            let text = Zeroizing::new(format!("{PREFIX}{}\n", hex(&*secret)));
            write_file(&path, text.as_bytes(), 0o600)?;
        }
        refuse_exposed(&path)?;
        let content = |reason: &str| IdentityError::Content {
            path: path.clone(),
            reason: reason.to_owned(),
        };
        let text = read_text(&path)?;
        let digits = text.trim().strip_prefix(PREFIX);
        let secret = digits.and_then(unhex).map(Zeroizing::new).ok_or_else(|| {
            content("it holds no key for tokens; remove it, and agents that are deployed again get tokens of a new one")
        })?;
        let key = IssuerKey::from_secret(&secret).map_err(|error| content(&error.to_string()))?;
        let public = format!("{}\n", hex(&key.public().to_bytes()));
        if fs::read(data.join(PUBLIC)).ok().as_deref() != Some(public.as_bytes()) {
            write_file(&data.join(PUBLIC), public.as_bytes(), 0o644)?;
        }
        let trust_domain = spiffe_id.strip_prefix("spiffe://").unwrap_or(spiffe_id);
        let trust_domain = trust_domain.split('/').next().unwrap_or_default();
        Ok(Self {
            key,
            agents: AgentKeys::from_secret(&secret),
            trust_domain: trust_domain
                .parse()
                .map_err(|error: caxton_capabilities::TermsError| content(&error.to_string()))?,
            environment: Arc::clone(environment),
        })
    }

    /// Whose tokens count on this node: its own.
    pub(crate) fn issuers(&self) -> Result<Issuers, String> {
        let until = Moment::from_seconds(0).map(|begin| begin.after(u64::MAX));
        let until = until.ok_or("there is no last moment")?;
        let own = Issuer::of_cluster(self.key.public().clone(), until);
        let own = own.map_err(|error| error.to_string())?;
        Issuers::try_new(self.trust_domain.clone(), 1, [own]).map_err(|error| error.to_string())
    }
}

impl Authority for TokenIssuer {
    fn issue(&self, agent: &Address, version: &Version) -> Result<Vec<u8>, String> {
        let grants = version.rights.iter().map(|text| text.parse::<Grant>());
        let grants: Vec<Grant> = grants
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        let begin =
            Moment::of(self.environment.now()).ok_or("the clock is outside all calendars")?;
        let deployed = Deployed {
            trust_domain: self.trust_domain.clone(),
            behalf: &version.deployed_by,
            agent,
            holder: self.key(agent).public(),
            rights: Rights::try_new(grants).map_err(|error| error.to_string())?,
            times: (begin, begin.after(LIFETIME_SECONDS_MAX)),
        };
        let chance: Zeroizing<[u8; CHANCE_BYTES]> = Zeroizing::new(self.environment.bytes());
        let token = Token::for_agent(&self.key, deployed, &chance);
        token
            .map(|token| token.to_bytes())
            .map_err(|error| error.to_string())
    }

    fn key(&self, agent: &Address) -> HolderKey {
        self.agents.of(agent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_and_its_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let environment = Arc::new(Environment::new());
        let open =
            || TokenIssuer::open(folder.path(), "spiffe://dev.caxton/node/one", &environment);
        let id = open().unwrap().key.public().id();
        assert_eq!(open().unwrap().key.public().id(), id);
        let path = folder.path().join(KEY);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{:?}", open().unwrap()).contains("cxik1"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(open().is_err(), "others could read it");
    }

    #[test]
    fn a_file_that_holds_no_key_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Arc::new(Environment::new());
        for text in ["", "cxik1_12", &format!("cxik1_{}", "é".repeat(64))] {
            write_file(&folder.path().join(KEY), text.as_bytes(), 0o600).unwrap();
            let refused =
                TokenIssuer::open(folder.path(), "spiffe://dev.caxton/node/one", &environment);
            assert!(
                refused.unwrap_err().to_string().contains("no key"),
                "{text}"
            );
        }
    }
}
