use super::*;
use crate::{
    cast::{
        BEGIN, at, audience, context, domain, first, holder, issued, issuer, open, sealed, terms,
    },
    grant::Grant,
    terms::Rights,
};

#[test]
fn a_token_survives_its_text_and_shows_ids_alone() {
    for token in [open(1), open(3), sealed(2), sealed(8)] {
        assert_eq!(Token::from_text(&token.to_text()), Ok(token.clone()));
        let ids = token.ids();
        assert_eq!(format!("{token:?}"), format!("Token({ids:?})"));
        assert_eq!(ids.len(), token.blocks().len());
    }
}

#[test]
fn only_the_holder_adds_to_an_open_token() {
    let token = open(2);
    let more = || terms(&["send acme/one"], None);
    assert!(token.attenuate(&holder(12), more(), [9; 16]).is_ok());
    for other in [11, 13] {
        let made = token.attenuate(&holder(other), more(), [9; 16]);
        assert_eq!(made.unwrap_err(), MakeError::Holder);
    }
}

#[test]
fn nobody_adds_to_a_sealed_token_or_presents_it() {
    let token = sealed(2);
    assert!(token.is_sealed());
    let made = token.attenuate(&holder(11), terms(&["send acme/one"], None), [9; 16]);
    assert_eq!(made.unwrap_err(), MakeError::Sealed);
    let node = audience("node-a");
    let shown = token.present(&holder(11), &context(&node), at(BEGIN));
    assert_eq!(shown.unwrap_err(), MakeError::Sealed);
}

#[test]
fn sealing_keeps_subject_and_rights() {
    let mut begun = first(&["send acme/*", "read node"], Some(&holder(11)));
    begun.subject = "acme/one".parse().ok();
    let sealed = issued(begun.clone()).seal(&holder(11), [9; 16]).unwrap();
    let last = sealed.last().unwrap();
    assert_eq!(
        (&last.subject, &last.rights),
        (&begun.subject, &begun.rights)
    );
}

#[test]
fn a_token_has_eight_blocks_at_most() {
    let token = open(8);
    let made = token.attenuate(&holder(18), terms(&["send acme/*"], None), [9; 16]);
    assert_eq!(made.unwrap_err(), MakeError::Blocks);
}

#[test]
fn a_token_that_would_be_too_long_is_not_made() {
    let name = "x".repeat(60);
    let many = (0..32).map(|nth| {
        let grant: Grant = format!("kv tenant-{name:.55}#{name}{name}-{nth:02}")
            .parse()
            .unwrap();
        grant
    });
    let many = Rights::try_new(many).unwrap();
    let mut begun = first(&["kv *"], Some(&holder(11)));
    begun.rights = many.clone();
    let mut more = terms(&["kv *"], Some(&holder(11)));
    more.rights = many;
    let mut token = issued(begun);
    let refused = loop {
        match token.attenuate(&holder(11), more.clone(), [2; 16]) {
            Ok(longer) => token = longer,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, MakeError::Long(bytes) if bytes > TOKEN_BYTES_MAX));
    assert!(token.to_bytes().len() <= TOKEN_BYTES_MAX);
}

#[test]
fn an_issued_token_says_from_when_to_when() {
    for leave_out in [0, 1] {
        let mut terms = first(&["read node"], None);
        match leave_out {
            0 => terms.caveats.not_before = None,
            _ => terms.caveats.expires = None,
        }
        let made = Token::issue(&issuer(1), domain(), terms, [1; 16]);
        assert_eq!(made.unwrap_err(), MakeError::Times);
    }
}

#[test]
fn the_nonce_makes_two_tokens_of_the_same_terms() {
    let make = |nonce| {
        let terms = first(&["read node"], None);
        Token::issue(&issuer(1), domain(), terms, nonce).unwrap()
    };
    assert_ne!(make([1; 16]).ids(), make([2; 16]).ids());
    assert_eq!(
        make([1; 16]).ids(),
        make([1; 16]).ids(),
        "signatures are no part"
    );
}
