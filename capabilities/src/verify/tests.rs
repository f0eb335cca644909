use super::*;
use crate::{
    cast::{
        BEGIN, END, at, audience, context, domain, first, holder, issued, issuer, issuers,
        none_revoked, open, sealed, terms,
    },
    key::count,
    terms::Terms,
    wire::{BLOCKS_MAX, Signed},
};

fn now() -> Moment {
    at(BEGIN + 1)
}

fn verdict(token: &Token) -> Result<Verified, TokenRefused> {
    verify(token, &issuers(), &none_revoked(), now())
}

fn class(token: &Token) -> &'static str {
    verdict(token).map_or_else(|refused| refused.class(), |_| "ok")
}

/// Blocks put together by hand, as no honest maker does.
fn forged(blocks: Vec<Signed>) -> Token {
    Token::from_bytes(&wire::encode(&blocks)).expect("its bytes are sound")
}

#[test]
fn the_worst_token_costs_one_quantum_and_eight_classical_verifications_and_a_proof_one_more() {
    let token = open(u8::try_from(BLOCKS_MAX).unwrap());
    count::taken();
    let verified = verdict(&token).unwrap();
    assert_eq!(count::taken(), (8, 1));
    let node = audience("node-a");
    let shown = token.present(&holder(18), &context(&node), now()).unwrap();
    assert!(verified.prove(&shown, &context(&node), now()).is_ok());
    assert_eq!(count::taken(), (1, 0));
}

#[test]
fn what_can_be_refused_without_a_signature_costs_none() {
    count::taken();
    let mut foreign = first(&["read node"], None);
    foreign.subject = None;
    let other = Token::issue(&issuer(3), domain(), foreign.clone(), [1; 16]).unwrap();
    assert_eq!(class(&other), "unknown-issuer");
    let elsewhere = Token::issue(
        &issuer(1),
        "other.example".parse().unwrap(),
        foreign,
        [1; 16],
    );
    assert_eq!(class(&elsewhere.unwrap()), "trust-domain");
    let late = verify(&sealed(2), &issuers(), &none_revoked(), at(END));
    assert_eq!(late.unwrap_err(), TokenRefused::Expired { block: 0 });
    let early = verify(&sealed(2), &issuers(), &none_revoked(), at(BEGIN - 1));
    assert_eq!(early.unwrap_err(), TokenRefused::NotYet { block: 0 });
    assert_eq!(count::taken(), (0, 0));
}

#[test]
fn blocks_are_bound_to_their_chain_and_their_place_in_it() {
    let (long, other) = (open(4).signed().to_vec(), {
        let begun = issued(first(&["send acme/*", "read node"], Some(&holder(11))));
        let next = terms(&["send acme/*"], Some(&holder(12)));
        begun.attenuate(&holder(11), next, [1; 16]).unwrap()
    });
    let dropped = |at: usize| {
        let mut blocks = long.clone();
        blocks.remove(at);
        forged(blocks)
    };
    assert_eq!(class(&dropped(1)), "signature");
    assert_eq!(class(&dropped(2)), "signature");
    let mut swapped = long.clone();
    swapped.swap(1, 2);
    assert_eq!(class(&forged(swapped)), "signature");
    let mut twice = long.clone();
    twice.insert(2, long[1].clone());
    assert_eq!(class(&forged(twice)), "signature");
    let moved = vec![other.signed()[0].clone(), long[1].clone()];
    assert_eq!(
        class(&forged(moved)),
        "signature",
        "the same holder, another chain"
    );
}

#[test]
fn one_key_that_holds_several_blocks_does_not_let_one_be_dropped() {
    let same = holder(11);
    let next = |texts: &[&str]| terms(texts, Some(&same));
    let token = issued(first(&["send acme/*"], Some(&same)));
    let token = token
        .attenuate(&same, next(&["send acme/one"]), [2; 16])
        .unwrap();
    let token = token
        .attenuate(&same, next(&["send acme/one"]), [3; 16])
        .unwrap();
    let mut blocks = token.signed().to_vec();
    blocks.remove(1);
    assert_eq!(class(&forged(blocks)), "signature");
}

#[test]
fn a_sealed_token_that_is_cut_back_needs_a_key_that_is_not_in_it() {
    let sealed = sealed(3);
    for length in 1..3 {
        let cut = forged(sealed.signed()[..length].to_vec());
        let verified = verdict(&cut).unwrap();
        assert!(!cut.is_sealed());
        let right = crate::right::Right::send(&"acme/one".parse().unwrap());
        let denied = verified.authorize(&crate::allow::Request::new(&right, now()));
        assert_eq!(denied.unwrap_err().reason.class(), "proof");
    }
}

#[test]
fn a_wider_or_continued_chain_is_refused_however_well_it_is_signed() {
    // What an honest maker refuses, signed by the right keys all the same.
    let sign = |token: &Token, by: u8, terms: Terms| {
        let block = crate::terms::Block {
            origin: None,
            nonce: [9; 16],
            terms,
        };
        let message = token.transcript().to_delegate(&wire::body(&block));
        let seal = Seal::Delegated(holder(by).sign(&message));
        let mut blocks = token.signed().to_vec();
        blocks.push(Signed { block, seal });
        forged(blocks)
    };
    let wider = sign(&open(2), 12, terms(&["send *"], None));
    assert_eq!(class(&wider), "widened");
    let mut longer = terms(&["send acme/*"], None);
    longer.caveats.expires = Some(at(END + 1));
    assert_eq!(class(&sign(&open(2), 12, longer)), "widened");
    let continued = sign(&sealed(2), 11, terms(&["send acme/*"], None));
    assert_eq!(class(&continued), "sealed");
    assert_eq!(
        class(&sign(&open(2), 12, terms(&["send acme/*"], None))),
        "ok"
    );
}

#[test]
fn a_block_by_another_key_than_the_one_before_names_is_refused() {
    let mut blocks = open(2).signed().to_vec();
    let body = wire::body(&blocks[1].block);
    let message = Transcript::EMPTY
        .and(&wire::body(&blocks[0].block))
        .to_delegate(&body);
    blocks[1].seal = Seal::Delegated(holder(99).sign(&message));
    let refused = TokenRefused::Signature {
        block: 1,
        algorithm: "Ed25519",
    };
    assert_eq!(verdict(&forged(blocks)).unwrap_err(), refused);
}

#[test]
fn both_signatures_of_the_issuer_must_hold() {
    let check = |change: fn(&mut crate::key::Twice), algorithm| {
        let mut blocks = open(1).signed().to_vec();
        if let Seal::Issued(twice) = &mut blocks[0].seal {
            change(twice);
        }
        let refused = TokenRefused::Signature {
            block: 0,
            algorithm,
        };
        assert_eq!(verdict(&forged(blocks)).unwrap_err(), refused);
    };
    check(|twice| twice.classical = [0; 64], "Ed25519");
    check(|twice| twice.quantum.fill(0), "ML-DSA-65");
    // Sound signatures of the issuer, over another token.
    check(
        |twice| {
            if let Seal::Issued(other) = &sealed(1).signed()[0].seal {
                twice.quantum.clone_from(&other.quantum);
            }
        },
        "ML-DSA-65",
    );
}

#[test]
fn an_issuer_gives_no_more_than_it_may_and_no_longer() {
    let by_tenant = |texts: &[&str]| {
        let terms = first(texts, None);
        Token::issue(&issuer(2), domain(), terms, [1; 16]).unwrap()
    };
    assert_eq!(class(&by_tenant(&["send acme/one", "kv acme#*"])), "ok");
    for beyond in ["send other/one", "send *", "operate node", "issue cluster"] {
        assert_eq!(
            class(&by_tenant(&["send acme/one", beyond])),
            "issuer-reach"
        );
    }
    let over = BEGIN + 86_400;
    let mut long = first(&["read node"], None);
    long.caveats.expires = Some(at(over + 10));
    let late = verify(&issued(long), &issuers(), &none_revoked(), at(over));
    assert_eq!(late.unwrap_err().class(), "issuer-expired");
}

#[test]
fn whatever_is_taken_back_takes_what_was_made_of_it() {
    let token = open(3);
    for (block, id) in token.ids().into_iter().enumerate() {
        let revoked = Revoked::try_new(1, [id], []).unwrap();
        let refused = verify(&token, &issuers(), &revoked, now());
        assert_eq!(
            refused.unwrap_err(),
            TokenRefused::RevokedToken { block, id }
        );
    }
    let keys = [
        issuer(1).public().id(),
        holder(11).public().id(),
        holder(13).public().id(),
    ];
    for (block, key) in [0, 0, 2].into_iter().zip(keys) {
        let revoked = Revoked::try_new(1, [], [key]).unwrap();
        let refused = verify(&token, &issuers(), &revoked, now());
        assert_eq!(
            refused.unwrap_err(),
            TokenRefused::RevokedKey { block, key }
        );
    }
    let sibling = open(2).seal(&holder(12), [7; 16]).unwrap();
    let revoked = Revoked::try_new(1, [token.ids()[2]], []).unwrap();
    assert!(
        verify(&sibling, &issuers(), &revoked, now()).is_ok(),
        "its sibling stays"
    );
}

#[test]
fn a_presentation_proves_its_token_audience_digest_and_moment_alone() {
    let (token, node, other) = (open(2), audience("node-a"), audience("node-b"));
    let verified = verdict(&token).unwrap();
    let shown = token.present(&holder(12), &context(&node), now()).unwrap();
    let prove = |context: &Context<'_>, seconds: u64| {
        verified.prove(&shown, context, at(seconds)).map(drop)
    };
    let (asked, refused) = (context(&node), Err(ProofRefused::Signature));
    assert_eq!(prove(&asked, BEGIN + 61), Ok(()));
    assert_eq!(prove(&asked, BEGIN - 59), Ok(()));
    for stale in [BEGIN + 62, BEGIN - 60] {
        assert_eq!(prove(&asked, stale), Err(ProofRefused::Stale));
    }
    assert_eq!(prove(&context(&other), BEGIN + 1), refused);
    let mut another = asked;
    another.digest[31] ^= 1;
    assert_eq!(prove(&another, BEGIN + 1), refused);
    let longer = open(3);
    let proven = verdict(&longer).unwrap().prove(&shown, &asked, now());
    assert_eq!(proven.map(drop), refused);
    let proven = verdict(&sealed(2)).unwrap().prove(&shown, &asked, now());
    assert_eq!(proven.map(drop), Err(ProofRefused::Sealed));
}
