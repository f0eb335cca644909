//! What an agent holds, for its runtime: its own token, and what another handed on to it. Either can be narrowed, handed on
//! to the next agent, or sealed to send with. None of it leaves the node but sealed.

use std::sync::{Arc, PoisonError};

use caxton_capabilities::{
    Address, HolderPublic, Moment, Narrowing, Next, Principal, Refusal, Trust, Verified,
};

use super::handle::Gateway;

/// Tokens that were handed on and are remembered as verified: 5 MiB of the longest, 1 MiB of ordinary ones.
pub(super) const HANDED_ON_MAX: usize = 256;

impl Gateway {
    /// The token of `agent`, open: as its runtime holds it.
    ///
    /// # Errors
    /// It has none, or it does not count.
    pub fn own(&self, agent: &Address) -> Result<Verified, Refusal> {
        let port = self.0.routes.get(agent).ok_or(Refusal::NoToken)?;
        let trust = self.0.parts.trust.now();
        let own = port.tokens(trust.standing(), &*self.0.parts.authority, self.now())?;
        Ok(own.held.clone())
    }

    /// What was handed on to an agent with a message, from the bytes that came with it.
    ///
    /// # Errors
    /// It does not count any more.
    pub fn handed_on(&self, bytes: &[u8]) -> Result<Verified, Refusal> {
        let trust = self.trust();
        let (standing, now) = (trust.standing(), self.moment()?);
        let mut known = self
            .0
            .handed_on
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(known.verified(bytes, &standing.issuers, &standing.revoked, now)?)
    }

    /// What `agent` holds with less of it, still held by it.
    ///
    /// # Errors
    /// It would be more in some way, or there is no room for another block.
    pub fn narrow(
        &self,
        agent: &Address,
        held: &Verified,
        less: Narrowing,
    ) -> Result<Verified, Refusal> {
        let holder = self.0.parts.authority.key(agent).public();
        self.extend(agent, held, (agent, Some(holder)), less)
    }

    /// What `agent` holds, to send with.
    ///
    /// # Errors
    /// There is no room for another block, or it does not count any more.
    pub fn seal(&self, agent: &Address, held: &Verified) -> Result<Verified, Refusal> {
        self.extend(agent, held, (agent, None), Narrowing::default())
    }

    /// A part of what `agent` holds for `to`, as bytes that go with a message: they are worth nothing but to its runtime.
    ///
    /// # Errors
    /// It would be more in some way, or there is no room for another block and for the one that `to` sends with.
    pub fn hand_on(
        &self,
        agent: &Address,
        held: &Verified,
        (to, less): (&Address, Narrowing),
    ) -> Result<Arc<[u8]>, Refusal> {
        let holder = self.0.parts.authority.key(to).public();
        let part = self.extend(agent, held, (to, Some(holder)), less)?;
        self.seal(to, &part)?;
        let bytes: Arc<[u8]> = part.token().to_bytes().into();
        let trust = self.trust();
        let (issuers, revoked) = (&trust.standing().issuers, &trust.standing().revoked);
        let mut known = self
            .0
            .handed_on
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        known.remember(&bytes, &part, issuers, revoked);
        Ok(bytes)
    }

    fn extend(
        &self,
        agent: &Address,
        held: &Verified,
        (to, holder): (&Address, Option<HolderPublic>),
        less: Narrowing,
    ) -> Result<Verified, Refusal> {
        let key = self.0.parts.authority.key(agent);
        let next = Next {
            subject: Principal::Agent(to.clone()),
            holder,
            less,
        };
        let trust = self.trust();
        Ok(held.extended(&key, next, &trust.standing().revoked, self.moment()?)?)
    }

    fn trust(&self) -> Arc<Trust> {
        self.0.parts.trust.latest()
    }

    fn moment(&self) -> Result<Moment, Refusal> {
        Moment::of(self.now()).ok_or(Refusal::NoToken)
    }
}
