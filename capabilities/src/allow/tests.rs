use super::*;
use crate::{
    cast::{
        BEGIN, END, all_caveats, at, audience, context, first, holder, issued, issuers,
        none_revoked, open, sealed, terms,
    },
    right::{Action, Resource},
    token::Token,
    verify::verify,
};

fn verified(token: &Token) -> Verified {
    verify(token, &issuers(), &none_revoked(), at(BEGIN)).unwrap()
}

fn send(to: &str) -> Right {
    Right::send(&to.parse().unwrap())
}

/// A token with a caveat of each kind in its first block, and a request that keeps to all of them.
struct Scene {
    by: Verified,
    right: Right,
    audience: Vec<Audience>,
    tenant: TenantId,
    presenter: Principal,
}

impl Scene {
    fn new() -> Self {
        let mut one = first(&["send acme/*"], Some(&holder(11)));
        one.caveats = all_caveats();
        one.subject = "operator:ann".parse().ok();
        let mut two = terms(&["send acme/one"], None);
        two.subject = "acme/two".parse().ok();
        let token = issued(one).attenuate(&holder(11), two, [2; 16]).unwrap();
        Self {
            by: verified(&token),
            right: send("acme/one"),
            audience: vec![audience("acme/one"), audience("node-b")],
            tenant: "acme".parse().unwrap(),
            presenter: "acme/two".parse().unwrap(),
        }
    }

    fn request(&self) -> Request<'_> {
        Request {
            audience: &self.audience,
            presenter: Some(&self.presenter),
            tenant: Some(&self.tenant),
            performative: "query".parse().ok(),
            bytes: Some(4_096),
            conversation: "cnv_01h455vb4pex5vsknk084sn02q".parse().ok(),
            ..Request::new(&self.right, at(BEGIN))
        }
    }

    fn denied(&self, request: &Request<'_>) -> (usize, DeniedReason) {
        let denied = self.by.authorize(request).unwrap_err();
        (denied.block, denied.reason)
    }
}

#[test]
fn a_request_that_keeps_to_everything_is_allowed_and_tells_on_whose_behalf() {
    let scene = Scene::new();
    let allowed = scene.by.authorize(&scene.request()).unwrap();
    assert_eq!(allowed.right(), &scene.right);
    assert_eq!(allowed.grant(), Some(&"send acme/one".parse().unwrap()));
    assert_eq!(allowed.tokens(), scene.by.token().ids());
    let subjects: Vec<_> = allowed
        .subjects()
        .map(|one| one.unwrap().to_string())
        .collect();
    assert_eq!(subjects, ["operator:ann", "acme/two"]);
    let limits: Vec<_> = allowed.limits().collect();
    assert_eq!(limits.len(), 1);
    assert_eq!(limits[0].token, allowed.tokens()[0]);
    assert_eq!((limits[0].rate.count(), limits[0].rate.seconds()), (10, 60));
    assert_eq!(allowed.issuer(), crate::cast::issuer(1).public().id());
}

#[test]
fn a_fact_that_a_caveat_asks_for_and_the_request_lacks_denies_it() {
    let scene = Scene::new();
    let request = scene.request();
    for (lacking, block, reason) in [
        (
            Request {
                audience: &[],
                ..request
            },
            0,
            DeniedReason::Audience,
        ),
        (
            Request {
                presenter: None,
                ..request
            },
            1,
            DeniedReason::Subject,
        ),
        (
            Request {
                tenant: None,
                ..request
            },
            0,
            DeniedReason::Tenant,
        ),
        (
            Request {
                performative: None,
                ..request
            },
            0,
            DeniedReason::Performative,
        ),
        (
            Request {
                bytes: None,
                ..request
            },
            0,
            DeniedReason::Bytes,
        ),
        (
            Request {
                conversation: None,
                ..request
            },
            0,
            DeniedReason::Conversation,
        ),
    ] {
        assert_eq!(scene.denied(&lacking), (block, reason));
    }
}

#[test]
fn a_fact_beside_its_caveat_denies_it() {
    let scene = Scene::new();
    let request = scene.request();
    let elsewhere = [audience("node-c")];
    let tenant = "other".parse().unwrap();
    let first_subject = "operator:ann".parse().unwrap();
    let other = send("acme/two");
    for (beside, block, reason) in [
        (
            Request {
                audience: &elsewhere,
                ..request
            },
            0,
            DeniedReason::Audience,
        ),
        (
            Request {
                presenter: Some(&first_subject),
                ..request
            },
            1,
            DeniedReason::Subject,
        ),
        (
            Request {
                tenant: Some(&tenant),
                ..request
            },
            0,
            DeniedReason::Tenant,
        ),
        (
            Request {
                performative: "cancel".parse().ok(),
                ..request
            },
            0,
            DeniedReason::Performative,
        ),
        (
            Request {
                bytes: Some(4_097),
                ..request
            },
            0,
            DeniedReason::Bytes,
        ),
        (
            Request {
                conversation: "cnv_01h455vb4pex5vsknk084sn02r".parse().ok(),
                ..request
            },
            0,
            DeniedReason::Conversation,
        ),
        (
            Request {
                now: at(BEGIN - 1),
                ..request
            },
            0,
            DeniedReason::NotYet,
        ),
        (
            Request {
                now: at(END),
                ..request
            },
            0,
            DeniedReason::Expired,
        ),
        (
            Request {
                right: &other,
                ..request
            },
            1,
            DeniedReason::Right,
        ),
    ] {
        assert_eq!(scene.denied(&beside), (block, reason));
    }
}

#[test]
fn a_later_blocks_caveats_hold_beside_the_first_ones() {
    let mut two = terms(&["send acme/*"], None);
    two.caveats.bytes_max = Some(10);
    let token = issued(first(&["send acme/*"], Some(&holder(11))));
    let token = token.attenuate(&holder(11), two, [2; 16]).unwrap();
    let right = send("acme/one");
    let request = Request {
        bytes: Some(11),
        ..Request::new(&right, at(BEGIN))
    };
    let denied = verified(&token).authorize(&request).unwrap_err();
    assert_eq!((denied.block, denied.reason), (1, DeniedReason::Bytes));
}

#[test]
fn an_open_token_needs_a_proof_for_itself_this_verifier_and_now() {
    let (token, node) = (open(2), audience("node-a"));
    let by = verified(&token);
    let shown = token
        .present(&holder(12), &context(&node), at(BEGIN))
        .unwrap();
    let proof = by.prove(&shown, &context(&node), at(BEGIN)).unwrap();
    let (right, here) = (send("acme/one"), [node.clone()]);
    let request = Request {
        audience: &here,
        proof: Some(&proof),
        ..Request::new(&right, at(BEGIN + 59))
    };
    assert!(by.authorize(&request).is_ok());
    let elsewhere = [audience("node-b")];
    for lacking in [
        Request {
            proof: None,
            ..request
        },
        Request {
            audience: &elsewhere,
            ..request
        },
        Request {
            now: at(BEGIN + 60),
            ..request
        },
    ] {
        let denied = by.authorize(&lacking).unwrap_err();
        assert_eq!((denied.block, denied.reason), (1, DeniedReason::Proof));
    }
    let denied = verified(&open(3)).authorize(&request).unwrap_err();
    assert_eq!(denied.reason, DeniedReason::Proof, "another token's");
}

#[test]
fn a_token_ends_with_its_issuer_also_when_it_was_verified_before() {
    let over = BEGIN + 86_400;
    let mut long = first(&["send acme/*"], None);
    long.caveats.expires = Some(at(over + 10));
    let (by, right) = (verified(&issued(long)), send("acme/one"));
    assert!(by.authorize(&Request::new(&right, at(over - 1))).is_ok());
    let denied = by.authorize(&Request::new(&right, at(over))).unwrap_err();
    assert_eq!(denied.reason, DeniedReason::IssuerExpired);
}

#[test]
fn a_sealed_token_without_a_subject_is_whoevers_has_it() {
    let right = send("acme/one");
    let by = verified(&sealed(2));
    assert!(by.authorize(&Request::new(&right, at(BEGIN))).is_ok());
    let node = Right::new(Action::Operate, Resource::Node);
    let denied = by.authorize(&Request::new(&node, at(BEGIN))).unwrap_err();
    assert_eq!(denied.to_string(), "block 0: no right gives it");
}
