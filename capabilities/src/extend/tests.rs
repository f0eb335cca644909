use super::*;
use crate::{
    allow::Request,
    cast::{BEGIN, END, all_caveats, at, first, holder, issued, issuers, rights, sealed, terms},
    caveat::Rate,
    narrow::Widening,
    right::Right,
    verify::verify,
};

fn who(text: &str) -> Principal {
    text.parse().unwrap()
}

/// Held by key 11, with every caveat, for `acme/one`.
fn held() -> Verified {
    let mut one = first(&["send acme/*", "read acme/*"], Some(&holder(10)));
    one.subject = Some(who("operator:ann"));
    one.caveats = all_caveats();
    let mut two = terms(&["send acme/*"], Some(&holder(11)));
    two.subject = Some(who("acme/one"));
    let token = issued(one).attenuate(&holder(10), two, [2; 16]).unwrap();
    verify(&token, &issuers(), &Revoked::default(), at(BEGIN)).unwrap()
}

fn next(subject: &str, held_by: Option<u8>, less: Narrowing) -> Next {
    Next {
        subject: who(subject),
        holder: held_by.map(|seed| holder(seed).public()),
        less,
    }
}

fn extended(token: &Verified, key: u8, next: Next) -> Result<Verified, ExtendError> {
    token.extended(&holder(key), next, &Revoked::default(), at(BEGIN))
}

fn only(texts: &[&str]) -> Narrowing {
    Narrowing {
        rights: Some(rights(texts)),
        ..Narrowing::default()
    }
}

fn allows(token: &Verified, presenter: &str, to: &str) -> bool {
    let (right, tenant, presenter) = (
        Right::send(&who(to)),
        "acme".parse().unwrap(),
        who(presenter),
    );
    let audience = [crate::cast::audience("node-a")];
    let request = Request {
        audience: &audience,
        presenter: Some(&presenter),
        tenant: Some(&tenant),
        performative: "request".parse().ok(),
        bytes: Some(5),
        conversation: all_caveats().conversation,
        ..Request::new(&right, at(BEGIN))
    };
    token.authorize(&request).is_ok()
}

#[test]
fn what_is_extended_is_what_verifying_it_anew_would_give() {
    let less = Narrowing {
        rights: Some(rights(&["send acme/two"])),
        caveats: Caveats {
            bytes_max: Some(7),
            rate: Rate::try_new(1, 1).ok(),
            ..Caveats::default()
        },
    };
    let made = extended(&held(), 11, next("acme/two", Some(12), less)).unwrap();
    let sealed = extended(&made, 12, next("acme/two", None, Narrowing::default())).unwrap();
    for one in [&made, &sealed] {
        let again = verify(one.token(), &issuers(), &Revoked::default(), at(BEGIN));
        assert_eq!(again.as_ref(), Ok(one));
    }
}

#[test]
fn a_block_costs_no_verification() {
    let token = held();
    crate::key::count::taken();
    let made = extended(&token, 11, next("acme/two", Some(12), Narrowing::default()));
    assert!(made.is_ok());
    assert_eq!(crate::key::count::taken(), (0, 0));
}

#[test]
fn who_was_handed_a_part_has_that_part_and_nobody_else_has_it() {
    let part = next("acme/two", Some(12), only(&["send acme/three"]));
    let handed = extended(&held(), 11, part).unwrap();
    assert!(!allows(&handed, "acme/two", "acme/three"), "not sealed yet");
    let used = extended(&handed, 12, next("acme/two", None, Narrowing::default())).unwrap();
    assert!(allows(&used, "acme/two", "acme/three"));
    assert!(!allows(&used, "acme/two", "acme/four"));
    assert!(!allows(&used, "acme/one", "acme/three"));
    let by_another = extended(&handed, 11, next("acme/one", None, Narrowing::default()));
    assert_eq!(by_another, Err(ExtendError::Make(MakeError::Holder)));
}

#[test]
fn nothing_is_widened() {
    let refused = |less| match extended(&held(), 11, next("acme/one", None, less)) {
        Err(ExtendError::Chain(ChainError::Widened { block: 2, what })) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(only(&["send *"])), Widening::Right);
    assert_eq!(refused(only(&["read acme/*"])), Widening::Right, "given up");
    let caveats = |caveats| Narrowing {
        caveats,
        ..Narrowing::default()
    };
    let later = Caveats {
        expires: Some(at(END + 1)),
        ..Caveats::default()
    };
    assert_eq!(refused(caveats(later)), Widening::Expires);
    let longer = Caveats {
        bytes_max: Some(4_097),
        ..Caveats::default()
    };
    assert_eq!(refused(caveats(longer)), Widening::Bytes);
}

#[test]
fn a_chain_is_handed_on_until_it_is_full_and_a_sealed_one_not_at_all() {
    let mut token = held();
    for key in 11..17 {
        let on = next("acme/one", Some(key + 1), Narrowing::default());
        token = extended(&token, key, on).unwrap();
    }
    let full = extended(&token, 17, next("acme/one", None, Narrowing::default()));
    assert_eq!(full, Err(ExtendError::Make(MakeError::Blocks)));
    let token = verify(&sealed(2), &issuers(), &Revoked::default(), at(BEGIN)).unwrap();
    let on = extended(&token, 11, next("acme/one", None, Narrowing::default()));
    assert_eq!(on, Err(ExtendError::Make(MakeError::Sealed)));
}

#[test]
fn what_was_taken_back_or_is_over_is_not_extended() {
    let token = held();
    let seal = || next("acme/one", None, Narrowing::default());
    let made = extended(&token, 11, seal()).unwrap();
    for id in made.ids() {
        let revoked = Revoked::try_new(2, [*id], []).unwrap();
        let refused = token.extended(&holder(11), seal(), &revoked, at(BEGIN));
        assert!(
            matches!(refused, Err(ExtendError::Refused(TokenRefused::RevokedToken { id: found, .. })) if found == *id)
        );
    }
    let key = holder(12).public().id();
    let revoked = Revoked::try_new(2, [], [key]).unwrap();
    let on = next("acme/two", Some(12), Narrowing::default());
    let refused = token.extended(&holder(11), on, &revoked, at(BEGIN));
    assert!(matches!(
        refused,
        Err(ExtendError::Refused(TokenRefused::RevokedKey {
            block: 2,
            ..
        }))
    ));
    let late = token.extended(&holder(11), seal(), &Revoked::default(), at(END));
    assert_eq!(
        late,
        Err(ExtendError::Refused(TokenRefused::Expired { block: 0 }))
    );
}

#[test]
fn the_same_terms_on_the_same_chain_are_the_same_token() {
    let seal = || next("acme/one", None, only(&["send acme/two"]));
    let [one, other] = [(); 2].map(|()| extended(&held(), 11, seal()).unwrap());
    assert_eq!(one.ids().last(), other.ids().last());
}
