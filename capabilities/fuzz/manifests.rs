//! Signed manifests, as strangers send them.

use std::sync::OnceLock;

use crate::{
    manifest::{Deployers, Manifest, SignedManifest, widening},
    manifest_cast::{deployers, full, least, manifest},
};

/// What was read is written as it came, is not wider than itself, and what counts was signed.
pub(crate) fn target(bytes: &[u8]) -> bool {
    let Ok(signed) = SignedManifest::from_bytes(bytes) else {
        return false;
    };
    assert_eq!(signed.to_bytes(), bytes);
    assert_eq!(
        SignedManifest::from_text(&signed.to_text()).as_ref(),
        Ok(&signed)
    );
    let own = signed.manifest();
    assert_eq!(widening(own.contents(), own.contents(), |_| None), []);
    let told = widening(world().1[0].contents(), own.contents(), |_| None);
    assert!(told.iter().all(|one| !one.to_string().contains('\n')));
    let (deployers, known) = world();
    if signed.verify(deployers).is_ok() {
        assert!(known.contains(own), "{own:?}");
    }
    true
}

/// Whom the target believes, and every manifest that was ever signed.
fn world() -> &'static (Deployers, [Manifest; 2]) {
    static WORLD: OnceLock<(Deployers, [Manifest; 2])> = OnceLock::new();
    WORLD.get_or_init(|| (deployers(), [full(), least()].map(manifest)))
}
