//! The token of a deployed agent: on behalf of who deployed it, for the agent alone.
//!
//! Two blocks: the issuer's, whose subject is the deployer, and one for the agent, which its runtime holds. The key between
//! the two is made from chance and forgotten; the runtime's is made anew from a secret of the node whenever it is
//! needed ([`AgentKeys`]). So the bytes alone are worth nothing, and what an agent sends with is a third block, which its runtime
//! adds: sealed, and with less where the program chose so ([`Verified::extended`](crate::verify::Verified::extended)).

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::{
    caveat::Caveats,
    id::{Address, Principal},
    key::{HolderKey, HolderPublic, IssuerKey},
    moment::Moment,
    terms::{Rights, Terms, TrustDomain},
    token::{MakeError, Token},
    transcript::AGENT_KEY,
};

/// Bytes of chance that a token is made with.
pub const CHANCE_BYTES: usize = 64;

/// Makes the key of each agent by which its runtime holds its tokens: always the same one, kept nowhere.
pub struct AgentKeys(hmac::Key);

impl AgentKeys {
    /// From a secret of the node, which may be that of its issuer: HMAC-SHA-256 keeps the two apart.
    #[must_use]
    pub fn from_secret(secret: &[u8; 64]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The key of `agent`.
    #[must_use]
    pub fn of(&self, agent: &Address) -> HolderKey {
        let named = [AGENT_KEY, agent.to_string().as_bytes()].concat();
        let mut secret = Zeroizing::new([0; 32]);
        secret.copy_from_slice(hmac::sign(&self.0, &named).as_ref()); // HMAC-SHA-256 gives 32 bytes.
        HolderKey::from_secret(&secret)
    }
}

impl std::fmt::Debug for AgentKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AgentKeys").finish_non_exhaustive()
    }
}

/// What a token is issued for.
#[derive(Clone, Debug)]
pub struct Deployed<'a> {
    /// The cluster.
    pub trust_domain: TrustDomain,
    /// Who deployed the agent.
    pub behalf: &'a Principal,
    /// The agent.
    pub agent: &'a Address,
    /// The key by which its runtime holds it.
    pub holder: HolderPublic,
    /// What it gives.
    pub rights: Rights,
    /// From when on it counts, and up to when.
    pub times: (Moment, Moment),
}

impl Token {
    /// A token for an agent, which its runtime holds. `chance` must be new and secret.
    ///
    /// # Errors
    /// The times are none, or the key does not sign.
    pub fn for_agent(
        issuer: &IssuerKey,
        deployed: Deployed<'_>,
        chance: &[u8; CHANCE_BYTES],
    ) -> Result<Self, MakeError> {
        let (between, nonces) = chance.split_at(32);
        let array = |bytes: &[u8]| bytes.try_into().unwrap_or([0; 16]);
        let (first, second) = nonces.split_at(16);
        let between = HolderKey::from_secret(between.try_into().unwrap_or(&[0; 32]));
        let (begin, end) = deployed.times;
        let caveats = Caveats {
            not_before: Some(begin),
            expires: Some(end),
            tenant: Some(deployed.agent.tenant.clone()),
            ..Caveats::default()
        };
        let terms = Terms {
            subject: Some(deployed.behalf.clone()),
            rights: deployed.rights.clone(),
            caveats,
            holder: Some(between.public()),
        };
        let issued = Self::issue(issuer, deployed.trust_domain, terms, array(first))?;
        let terms = Terms {
            subject: Some(Principal::Agent(deployed.agent.clone())),
            rights: deployed.rights,
            caveats: Caveats::default(),
            holder: Some(deployed.holder),
        };
        issued.attenuate(&between, terms, array(second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::{BEGIN, END, at, domain, issuer, issuers, rights};
    use crate::{
        allow::Request,
        extend::{Narrowing, Next},
        issuers::Revoked,
        right::Right,
        verify::verify,
    };

    #[test]
    fn it_allows_the_agent_what_it_says_and_nobody_else_anything() {
        let (behalf, agent) = (
            "operator:ann".parse().unwrap(),
            "acme/one".parse::<Principal>().unwrap(),
        );
        let key = AgentKeys::from_secret(&[9; 64]).of(agent.as_agent().unwrap());
        let deployed = Deployed {
            trust_domain: domain(),
            behalf: &behalf,
            agent: agent.as_agent().unwrap(),
            holder: key.public(),
            rights: rights(&["send acme/*"]),
            times: (at(BEGIN), at(END)),
        };
        let token = Token::for_agent(&issuer(1), deployed, &[7; CHANCE_BYTES]).unwrap();
        let revoked = Revoked::default();
        let held = verify(&token, &issuers(), &revoked, at(BEGIN)).unwrap();
        let next = Next {
            subject: agent.clone(),
            holder: None,
            less: Narrowing::default(),
        };
        let verified = held.extended(&key, next, &revoked, at(BEGIN)).unwrap();
        let right = Right::send(&"acme/two".parse().unwrap());
        let tenant = "acme".parse().unwrap();
        let ask = |presenter: Option<&Principal>, tenant| {
            let request = Request {
                presenter,
                tenant,
                ..Request::new(&right, at(BEGIN))
            };
            // The bytes that are kept are no use without the key.
            assert!(held.authorize(&request).is_err());
            verified.authorize(&request)
        };
        let allowed = ask(Some(&agent), Some(&tenant)).unwrap();
        let subjects: Vec<_> = allowed.subjects().flatten().cloned().collect();
        assert_eq!(subjects, [behalf.clone(), agent.clone(), agent.clone()]);
        assert_eq!(allowed.behalf().count(), 0, "nobody but who asks");
        assert!(ask(Some(&behalf), Some(&tenant)).is_err());
        assert!(ask(None, Some(&tenant)).is_err());
        assert!(ask(Some(&agent), None).is_err());
    }

    #[test]
    fn each_agent_has_a_key_of_its_own_that_comes_of_the_secret_alone() {
        let of = |secret: u8, agent: &str| {
            let keys = AgentKeys::from_secret(&[secret; 64]);
            keys.of(&agent.parse().unwrap()).public()
        };
        assert_eq!(of(1, "acme/one"), of(1, "acme/one"));
        assert_ne!(of(1, "acme/one"), of(1, "acme/two"));
        assert_ne!(of(1, "acme/one"), of(1, "other/one"));
        assert_ne!(of(1, "acme/one"), of(2, "acme/one"));
        let keys = AgentKeys::from_secret(&[1; 64]);
        assert!(!format!("{keys:?}").contains('1'));
    }
}
