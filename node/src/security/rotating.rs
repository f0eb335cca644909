//! From one authority to the next, on the folder. What each step means for members stands in
//! `caxton_pki::ClusterAuthority`; here it gets its keys and becomes durable.

use std::time::SystemTime;

use super::{
    ca::{CaFolder, LIFETIMES},
    refusal::CaError,
    rows::CaReport,
    state::Place,
};

/// Of an emergency's reason.
const REASON_CHARS_MAX: usize = 500;
const BRING: &str = "bring trust.pem to every member, and give each a certificate by the new authority; only then: caxton security retire";

impl CaFolder {
    /// A new intermediate under the newest root. Leaves of the old one stay believed until it is retired.
    ///
    /// # Errors
    /// The key of the root is elsewhere, older authorities are to be retired first, or something cannot be
    /// signed or written.
    pub fn rotate_intermediate(&mut self, now: SystemTime) -> Result<CaReport, CaError> {
        self.next_intermediate(("a new intermediate", ""), false, now)?;
        self.told(BRING)
    }

    pub(super) fn next_intermediate(
        &mut self,
        (what, reason): (&str, &str),
        emergency: bool,
        now: SystemTime,
    ) -> Result<(), CaError> {
        let (entry, key) = self
            .protection
            .make_mesh(Place::MeshIntermediate, &self.keys())?;
        let file = self.keys().join(entry.file());
        let done = self.change(Some((what.to_owned(), reason)), now, |authority, state| {
            authority.next_intermediate(key, LIFETIMES.intermediate, now)?;
            state.keys.insert(0, entry);
            state.emergency = emergency;
            Ok(())
        });
        self.or_forget(done, &[file])
    }

    /// A new root with a new intermediate, which the old root certifies as well.
    ///
    /// # Errors
    /// As [`Self::rotate_intermediate`].
    pub fn rotate_root(&mut self, now: SystemTime) -> Result<CaReport, CaError> {
        let keys = self.keys();
        let (root_entry, root) = self.protection.make_mesh(Place::MeshRoot, &keys)?;
        let (entry, below) = self.protection.make_mesh(Place::MeshIntermediate, &keys)?;
        let files = [keys.join(root_entry.file()), keys.join(entry.file())];
        let done = self.change(
            Some(("a new root".to_owned(), "")),
            now,
            |authority, state| {
                authority.next_root([root, below], LIFETIMES, now)?;
                state.keys.splice(0..0, [root_entry, entry]);
                Ok(())
            },
        );
        self.or_forget(done, &files)?;
        self.told(BRING)
    }

    /// Leaves only the newest intermediate and its root; the keys of the others are removed.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn retire(&mut self, now: SystemTime) -> Result<CaReport, CaError> {
        self.change(
            Some(("older authorities retired".to_owned(), "")),
            now,
            |authority, _| {
                authority.retire();
                Ok(())
            },
        )?;
        self.told(
            "bring trust.pem to every member: until it has it, a member believes the older ones",
        )
    }

    /// A new intermediate at once; every other one is taken back, with all that it signed.
    ///
    /// # Errors
    /// The key of a root is elsewhere, no reason was given, or something cannot be signed or written.
    pub fn emergency(&mut self, reason: &str, now: SystemTime) -> Result<CaReport, CaError> {
        let reason = emergency_reason(reason)?;
        let (entry, key) = self
            .protection
            .make_mesh(Place::MeshIntermediate, &self.keys())?;
        let file = self.keys().join(entry.file());
        let what = (
            "emergency: every intermediate taken back".to_owned(),
            reason,
        );
        let done = self.change(Some(what), now, |authority, state| {
            authority.emergency(key, LIFETIMES.intermediate, now)?;
            state.keys.insert(0, entry);
            state.emergency = false;
            Ok(())
        });
        self.or_forget(done, &[file])?;
        let next = "every node needs a new certificate now: bring trust.pem and caxton security gen-cert to each";
        let mut report = self.told(next)?;
        let web = "web certificates are signed by another authority, and still hold";
        report.notes.push(web.to_owned());
        Ok(report)
    }

    /// Removes keys that came to nothing. When the step may be on the disk after all they stay: a key that is
    /// not needed harms nobody, one that is gone ends the authority.
    fn or_forget(
        &self,
        done: Result<(), CaError>,
        files: &[std::path::PathBuf],
    ) -> Result<(), CaError> {
        if done.is_err() && !self.is_broken() {
            for file in files {
                let _left_behind = std::fs::remove_file(file);
            }
        }
        done
    }

    fn told(&self, next: &str) -> Result<CaReport, CaError> {
        let mut report = self.report()?;
        report.notes.push(next.to_owned());
        Ok(report)
    }
}

/// SECURITY: it is shown to operators, so it is a line of text and nothing that steers a terminal.
pub(super) fn emergency_reason(reason: &str) -> Result<&str, CaError> {
    let reason = reason.trim();
    let length = reason.chars().count();
    if length == 0 || length > REASON_CHARS_MAX || reason.contains(char::is_control) {
        let what = format!(
            "say in one line of 1 to {REASON_CHARS_MAX} characters why: it is kept with the authority"
        );
        return Err(CaError::Input(what));
    }
    Ok(reason)
}
