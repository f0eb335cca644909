//! From one authority to the next: the steps that the head of `cluster` names.

use super::listing::{issuing_list, root_list};
use super::{
    Authority, AuthorityLifetimes, CertificateDer, ClusterAuthority, ClusterError, Duration,
    FORMER_MAX, Generation, ROOTS_MAX, RevocationReason, Serial, Signer, SystemTime, issued_by,
};
use crate::revocation::{Revocation, RevocationList};

impl<S: Signer, W: Signer> ClusterAuthority<S, W> {
    /// A new intermediate under the newest root. Leaves of the old one stay believed until it is
    /// retired.
    ///
    /// # Errors
    /// When the root's key is not here, two former intermediates are not retired, or something
    /// cannot be signed.
    pub fn next_intermediate(
        &mut self,
        key: S,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<(), ClusterError> {
        if self.former.len() >= FORMER_MAX {
            return Err(ClusterError::TooManyAuthorities);
        }
        let next = self.make_generation(key, lifetime, now)?;
        let list = issuing_list(&next.authority, &self.revocations, &self.terms, None, now)?;
        let last = std::mem::replace(&mut self.current, next);
        self.former.insert(0, last);
        self.hold(vec![list]);
        Ok(())
    }

    /// A new root with a new intermediate. The old root certifies that intermediate as well, so
    /// leaves issued from now on are believed by members that know the old root, the new one, or
    /// both. Leaves of the old intermediate are believed by those that know the old root.
    ///
    /// # Errors
    /// When the old root's key is not here, there are two roots already, or something cannot be
    /// signed.
    pub fn next_root(
        &mut self,
        [root, intermediate]: [S; 2],
        lifetimes: AuthorityLifetimes,
        now: SystemTime,
    ) -> Result<(), ClusterError> {
        let old = self.roots.first().ok_or(ClusterError::RootOffline)?;
        if self.mesh_roots_known() >= ROOTS_MAX || self.former.len() >= FORMER_MAX {
            return Err(ClusterError::TooManyAuthorities);
        }
        let make = || {
            let root = Authority::mesh_root(&self.trust_domain, root, lifetimes.root, now)?;
            let authority = root.intermediate(intermediate, lifetimes.intermediate, now)?;
            let cross = vec![old.cross_certify(&authority, lifetimes.intermediate, now)?];
            Ok((root, Generation { authority, cross }))
        };
        let (root, next) = make().map_err(ClusterError::Issue)?;
        let (held, terms) = (&self.revocations, &self.terms);
        let lists = vec![
            root_list(&root, held, terms, &[], now)?,
            issuing_list(&next.authority, held, terms, None, now)?,
        ];
        let last = std::mem::replace(&mut self.current, next);
        self.former.insert(0, last);
        self.roots.insert(0, root);
        self.hold(lists);
        Ok(())
    }

    /// Leaves only the intermediate that signs now and the root that made it. Whatever hangs on
    /// the others is refused by every member that has the new bundle: it knows no list of theirs.
    pub fn retire(&mut self) {
        let current = self.current.authority.certificate().clone();
        let keeps = |root: &CertificateDer<'_>| issued_by(&current, root);
        self.roots.retain(|root| keeps(root.certificate()));
        self.keyless
            .retain(|certificate| keeps(certificate) || is_classical(certificate));
        self.former.clear();
        self.current.cross.clear();
        self.forget_lists();
    }

    /// A new intermediate at once, because the key of one may be in other hands. Every other
    /// intermediate is taken back by the roots that certified it, and all their leaves with it.
    ///
    /// # Errors
    /// When the key of a root that certified one of them is not here: it alone can take that
    /// certificate back.
    pub fn emergency(
        &mut self,
        key: S,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<(), ClusterError> {
        let next = self.make_generation(key, lifetime, now)?;
        let lost: Vec<_> = self
            .generations()
            .flat_map(Generation::certificates)
            .chain(self.keyless_intermediates())
            .collect();
        let mut lists = self.taking_back(&lost, now)?;
        lists.push(issuing_list(
            &next.authority,
            &self.revocations,
            &self.terms,
            None,
            now,
        )?);
        self.current = next;
        self.leave_current(lists);
        Ok(())
    }

    /// Takes back every intermediate but the one that signs now, and all their leaves with them: the end
    /// of an emergency in which members were first given time for leaves of the new one.
    ///
    /// # Errors
    /// As [`Self::emergency`].
    pub fn disown_former(&mut self, now: SystemTime) -> Result<(), ClusterError> {
        let lost: Vec<_> = self
            .former
            .iter()
            .flat_map(Generation::certificates)
            .chain(self.keyless_intermediates())
            .collect();
        let lists = self.taking_back(&lost, now)?;
        self.leave_current(lists);
        Ok(())
    }

    fn keyless_intermediates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.keyless.iter().filter(|der| !is_root(der))
    }

    /// New lists of the roots, on which these certificates stand.
    fn taking_back(
        &self,
        lost: &[&CertificateDer<'static>],
        now: SystemTime,
    ) -> Result<Vec<RevocationList>, ClusterError> {
        let by = |root: &Authority<S>| {
            let root = root.certificate().clone();
            lost.iter().filter(move |der| issued_by(der, &root))
        };
        if lost
            .iter()
            .any(|der| !self.roots.iter().any(|root| by(root).any(|one| one == der)))
        {
            return Err(ClusterError::RootOffline);
        }
        let list = |root: &Authority<S>| {
            let entries: Vec<Revocation> = by(root)
                .filter_map(|der| Serial::of(der).ok())
                .map(|serial| Revocation {
                    serial,
                    reason: RevocationReason::CaCompromise,
                    at: now,
                })
                .collect();
            root_list(root, &self.revocations, &self.terms, &entries, now)
        };
        self.roots.iter().map(list).collect()
    }

    /// Nobody is left but the roots and the intermediate that signs now.
    fn leave_current(&mut self, lists: Vec<RevocationList>) {
        self.former.clear();
        self.keyless.retain(is_root);
        self.forget_lists();
        self.hold(lists);
    }

    /// An intermediate under the newest root at hand, certified by the other one too.
    fn make_generation(
        &self,
        key: S,
        lifetime: Duration,
        now: SystemTime,
    ) -> Result<Generation<S>, ClusterError> {
        let (newest, others) = self.roots.split_first().ok_or(ClusterError::RootOffline)?;
        let authority = newest
            .intermediate(key, lifetime, now)
            .map_err(ClusterError::Issue)?;
        let cross = others
            .iter()
            .map(|root| root.cross_certify(&authority, lifetime, now))
            .collect::<Result<_, _>>()
            .map_err(ClusterError::Issue)?;
        Ok(Generation { authority, cross })
    }

    /// Whether an older intermediate or root is believed beside the newest.
    #[must_use]
    pub fn has_former(&self) -> bool {
        let keyless = self.keyless_intermediates().next().is_some();
        !self.former.is_empty() || keyless || self.mesh_roots_known() > 1
    }

    /// Whether the key of each mesh root is here, so that each intermediate can be taken back.
    #[must_use]
    pub fn holds_every_root(&self) -> bool {
        self.mesh_roots_known() == self.roots.len()
    }

    fn mesh_roots_known(&self) -> usize {
        let keyless = self.keyless.iter();
        let elsewhere = keyless.filter(|der| is_root(der) && !is_classical(der));
        self.roots.len() + elsewhere.count()
    }
}

fn is_root(certificate: &CertificateDer<'_>) -> bool {
    issued_by(certificate, certificate)
}

/// True for web roots, which none of these steps is about.
fn is_classical(certificate: &CertificateDer<'_>) -> bool {
    crate::CertificateSummary::parse(certificate).is_ok_and(|summary| !summary.is_post_quantum)
}
