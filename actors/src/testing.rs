//! What this crate's own tests stand on.

use std::sync::Arc;

use caxton_capabilities::{Issuers, Policies, PolicyRequest, Ruling, Standing, Trust};

/// Permits everything: what is tested with it is not policies.
#[derive(Debug)]
struct Everything;

impl Policies for Everything {
    fn epoch(&self) -> u64 {
        1
    }

    fn decide(&self, _request: &PolicyRequest) -> Ruling {
        Ruling::Permit(["test/all".into()].into())
    }
}

/// Trust in everything, of this epoch.
pub(crate) fn trust_of_epoch(epoch: u64) -> Trust {
    let domain = "acme.example".parse().expect("a trust domain");
    let issuers = Issuers::try_new(domain, 1, []).expect("no issuers");
    let standing = Standing {
        epoch,
        ..Standing::new(issuers)
    };
    Trust::new(Arc::new(Everything), Arc::new(standing), None)
}
