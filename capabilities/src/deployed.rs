//! The token of a deployed agent: on behalf of who deployed it, for the agent alone.
//!
//! Two blocks: the issuer's, whose subject is the deployer, and one for the agent, which names no holder. So the token is
//! sealed: its bytes are worth something to that agent alone, whose runtime attests who it is, and it cannot go on by
//! itself. The key between the two blocks is made from chance and forgotten.

use crate::{
    caveat::Caveats,
    id::{Address, Principal},
    key::{HolderKey, IssuerKey},
    moment::Moment,
    terms::{Rights, Terms, TrustDomain},
    token::{MakeError, Token},
};

/// Bytes of chance that a token is made with.
pub const CHANCE_BYTES: usize = 64;

/// What a token is issued for.
#[derive(Clone, Debug)]
pub struct Deployed<'a> {
    /// The cluster.
    pub trust_domain: TrustDomain,
    /// Who deployed the agent.
    pub behalf: &'a Principal,
    /// The agent.
    pub agent: &'a Address,
    /// What it gives.
    pub rights: Rights,
    /// From when on it counts, and up to when.
    pub times: (Moment, Moment),
}

impl Token {
    /// A sealed token for an agent. `chance` must be new and secret.
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
            holder: None,
        };
        issued.attenuate(&between, terms, array(second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cast::{BEGIN, END, at, domain, issuer, issuers, rights};
    use crate::{allow::Request, issuers::Revoked, right::Right, verify::verify};

    #[test]
    fn it_allows_the_agent_what_it_says_and_nobody_else_anything() {
        let (behalf, agent) = (
            "operator:ann".parse().unwrap(),
            "acme/one".parse::<Principal>().unwrap(),
        );
        let deployed = Deployed {
            trust_domain: domain(),
            behalf: &behalf,
            agent: agent.as_agent().unwrap(),
            rights: rights(&["send acme/*"]),
            times: (at(BEGIN), at(END)),
        };
        let token = Token::for_agent(&issuer(1), deployed, &[7; CHANCE_BYTES]).unwrap();
        assert!(token.is_sealed());
        let verified = verify(&token, &issuers(), &Revoked::default(), at(BEGIN)).unwrap();
        let right = Right::send(&"acme/two".parse().unwrap());
        let tenant = "acme".parse().unwrap();
        let ask = |presenter: Option<&Principal>, tenant| {
            let request = Request {
                presenter,
                tenant,
                ..Request::new(&right, at(BEGIN))
            };
            verified.authorize(&request)
        };
        let allowed = ask(Some(&agent), Some(&tenant)).unwrap();
        let subjects: Vec<_> = allowed.subjects().flatten().cloned().collect();
        assert_eq!(subjects, [behalf.clone(), agent.clone()]);
        assert!(ask(Some(&behalf), Some(&tenant)).is_err());
        assert!(ask(None, Some(&tenant)).is_err());
        assert!(ask(Some(&agent), None).is_err());
    }
}
