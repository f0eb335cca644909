//! The lists of all authorities of a cluster: renewed before they run out, longer by what is taken
//! back.
//!
//! A new list has a higher number than the last, and at least the seconds since 1970: an authority
//! that lost its newest lists, or came back from an old copy, is still believed by those who hold
//! them.

use super::{
    Authority, ClusterAuthority, ClusterError, Duration, IssuerId, ListTerms, RevocationReason,
    Revocations, Serial, Signer, SystemTime,
};
use crate::revocation::{Revocation, RevocationList};
use crate::validity::unix_seconds;

impl<S: Signer, W: Signer> ClusterAuthority<S, W> {
    /// A new list of each authority whose key is here.
    ///
    /// # Errors
    /// When a list cannot be signed. Nothing was replaced then.
    pub fn renew_lists(&mut self, now: SystemTime) -> Result<(), ClusterError> {
        let mut renewed = Vec::new();
        for root in &self.roots {
            renewed.push(root_list(root, &self.revocations, &self.terms, &[], now)?);
        }
        for generation in self.generations() {
            let authority = &generation.authority;
            renewed.push(issuing_list(
                authority,
                &self.revocations,
                &self.terms,
                None,
                now,
            )?);
        }
        if let Some(root) = &self.web_root {
            renewed.push(issuing_list(
                root,
                &self.revocations,
                &self.terms,
                None,
                now,
            )?);
        }
        self.hold(renewed);
        Ok(())
    }

    /// When the first of the lists that can be renewed here is half through its time. A caller
    /// that renews then has as long again to bring the new ones everywhere. Nothing while a list
    /// is missing altogether: it is due now.
    #[must_use]
    pub fn lists_due(&self) -> Option<SystemTime> {
        let roots = self.roots.iter().map(Authority::issuer_id);
        let issuing = self.generations().map(|g| g.authority.issuer_id());
        let web = self.web_root.iter().map(Authority::issuer_id);
        roots
            .chain(issuing)
            .chain(web)
            .map(|issuer| {
                let list = self.revocations.list(issuer)?;
                let span = list.next_update().duration_since(list.this_update()).ok()?;
                Some(list.this_update() + span / 2)
            })
            .min()
            .flatten()
    }

    /// Takes a leaf back, on a new list of its issuer. False when it stood there already; then the
    /// first reason and time remain.
    ///
    /// # Errors
    /// [`ClusterError::NotOurs`] when no authority whose key is here is that issuer, or when the
    /// list cannot be signed.
    pub fn revoke(
        &mut self,
        issuer: IssuerId,
        serial: &Serial,
        reason: RevocationReason,
        now: SystemTime,
    ) -> Result<bool, ClusterError> {
        let held = self.revocations.list(issuer);
        if held.is_some_and(|list| list.entry(serial).is_some()) {
            return Ok(false);
        }
        let entry = Revocation {
            serial: serial.clone(),
            reason,
            at: now,
        };
        let (held, terms) = (&self.revocations, &self.terms);
        let issuing = self
            .generations()
            .find(|g| g.authority.issuer_id() == issuer);
        let web = self.web_root.iter().find(|root| root.issuer_id() == issuer);
        let list = match (issuing, web) {
            (Some(found), _) => issuing_list(&found.authority, held, terms, Some(entry), now)?,
            (None, Some(root)) => issuing_list(root, held, terms, Some(entry), now)?,
            (None, None) => return Err(ClusterError::NotOurs),
        };
        self.hold(vec![list]);
        Ok(true)
    }

    /// Holds lists that were made from those held, so that none of them can be older.
    pub(super) fn hold(&mut self, lists: Vec<RevocationList>) {
        for list in lists {
            self.revocations
                .replace(list)
                .expect("a list made from the one held is newer, and authorities are few");
        }
    }
}

/// The next list of an authority that signs leaves. Entries are dropped when nothing of that age
/// can be alive.
pub(super) fn issuing_list<T: Signer>(
    authority: &Authority<T>,
    held: &Revocations,
    terms: &ListTerms,
    more: Option<Revocation>,
    now: SystemTime,
) -> Result<RevocationList, ClusterError> {
    let matters = |entry: &Revocation| {
        let age = now.duration_since(entry.at).unwrap_or(Duration::ZERO);
        age <= terms.remember
    };
    let list = held.list(authority.issuer_id());
    let entries = list.into_iter().flat_map(RevocationList::revocations);
    let entries: Vec<Revocation> = entries.filter(matters).chain(more).collect();
    sign(authority, list, &entries, terms.issuing, now)
}

/// The next list of a root. It forgets nothing: authorities live long, and few are taken back.
pub(super) fn root_list<T: Signer>(
    authority: &Authority<T>,
    held: &Revocations,
    terms: &ListTerms,
    more: &[Revocation],
    now: SystemTime,
) -> Result<RevocationList, ClusterError> {
    let list = held.list(authority.issuer_id());
    let mut entries: Vec<Revocation> = list
        .into_iter()
        .flat_map(RevocationList::revocations)
        .collect();
    for revocation in more {
        if !entries
            .iter()
            .any(|entry| entry.serial == revocation.serial)
        {
            entries.push(revocation.clone());
        }
    }
    sign(authority, list, &entries, terms.root, now)
}

fn sign<T: Signer>(
    authority: &Authority<T>,
    last: Option<&RevocationList>,
    entries: &[Revocation],
    lifetime: Duration,
    now: SystemTime,
) -> Result<RevocationList, ClusterError> {
    let seconds = unix_seconds(now)
        .map_err(|clock| ClusterError::Issue(crate::IssueError::Validity(clock)))?;
    let next = last.map_or(0, |list| list.number().saturating_add(1));
    authority
        .revocation_list(next.max(seconds), entries, lifetime, now)
        .map_err(ClusterError::Issue)
}
