use super::*;
use crate::{
    cast::{all_caveats, first, full, holder, issued, open, sealed, terms},
    right::Action,
    token::Token,
};

#[test]
fn every_field_survives() {
    let mut third = terms(&["send acme/one"], None);
    third.subject = "node".parse().ok();
    let open = open(2).attenuate(&holder(12), third, [3; 16]).unwrap();
    for token in [full(), open] {
        assert_eq!(Token::from_bytes(&token.to_bytes()), Ok(token));
    }
}

#[test]
fn actions_are_numbered_from_one_in_their_order() {
    for (nth, action) in (1..).zip(Action::ALL) {
        let grant = crate::grant::Grant::new(action, crate::grant::Pattern::Everything);
        assert_eq!(grant_bytes(&grant), [nth, 0]);
    }
}

#[test]
fn a_token_that_is_cut_anywhere_or_continued_is_refused() {
    let bytes = full().to_bytes();
    for length in 0..bytes.len() {
        let refused = decode(&bytes[..length]).map(drop);
        assert_eq!(refused, Err(WireError::Short), "{length}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(decode(&longer).map(drop), Err(WireError::Trailing(1)));
}

#[test]
fn more_bytes_than_a_token_has_are_refused_unread() {
    let bytes = vec![0xff; TOKEN_BYTES_MAX + 1];
    assert_eq!(decode(&bytes).map(drop), Err(WireError::Long));
}

fn check(change: impl FnOnce(&mut Vec<u8>), expected: WireError) {
    let mut bytes = sealed(2).to_bytes();
    change(&mut bytes);
    assert_eq!(decode(&bytes).map(drop), Err(expected));
}

/// Where things lie in the first block of `sealed(2)`: magic 4, count 1, length 2, then the body.
const BODY: usize = 7;
/// Kind 1, issuer 32, trust domain 1 + 12, nonce 16.
const FIELDS: usize = BODY + 1 + 32 + 13 + 16;

#[test]
fn other_versions_counts_kinds_and_fields_are_refused() {
    check(|bytes| bytes[3] = 2, WireError::Magic);
    check(|bytes| bytes[4] = 0, WireError::Blocks(0));
    check(|bytes| bytes[4] = 9, WireError::Blocks(9));
    check(|bytes| bytes[BODY] = 1, WireError::Kind { block: 0 });
    let fields = WireError::Fields { block: 0 };
    check(|bytes| bytes[FIELDS] |= 4, fields);
    check(|bytes| bytes[FIELDS + 1] &= !4, fields);
    check(|bytes| bytes[FIELDS + 1] &= !8, fields);
}

#[test]
fn a_second_first_block_is_refused() {
    let mut blocks = open(2).signed().to_vec();
    blocks[1].block.origin = blocks[0].block.origin.clone();
    assert_eq!(
        decode(&encode(&blocks)).map(drop),
        Err(WireError::Kind { block: 1 })
    );
}

#[test]
fn values_outside_their_grammar_are_refused() {
    let value = |field| WireError::Value { block: 0, field };
    let time = FIELDS + 2 + 32;
    check(|bytes| bytes[time] = 1, value("time"));
    check(|bytes| bytes[BODY + 34] = b'A', value("trust domain"));
    check(|bytes| bytes[FIELDS + 2..time].fill(0), value("holder"));
    let rights = time + 16;
    check(|bytes| bytes[rights] = 0, value("rights"));
    check(|bytes| bytes[rights] = 33, value("rights"));
    check(|bytes| bytes[rights + 1] = 0, value("action"));
    check(|bytes| bytes[rights + 1] = 10, value("action"));
    check(|bytes| bytes[rights + 2] = 8, value("pattern"));
    check(|bytes| bytes[rights + 4] = 0xff, value("pattern"));
}

#[test]
fn entries_out_of_order_or_twice_are_refused() {
    for texts in [["read node", "send node"], ["send node", "send node"]] {
        let mut body = body(&issued(first(&["send node"], None)).signed()[0].block);
        body.truncate(body.len() - 3);
        body.push(2);
        for text in texts {
            body.extend(grant_bytes(&text.parse().unwrap()));
        }
        let refused = WireError::Order {
            block: 0,
            field: "rights",
        };
        assert_eq!(decode(&framed(&body)).map(drop), Err(refused));
    }
    for names in [["node-b", "node-a"], ["node-a", "node-a"]] {
        let mut one = first(&["send node"], None);
        one.caveats = all_caveats();
        let mut body = body(&issued(one).signed()[0].block);
        let found = body.windows(6).position(|part| part == b"node-a").unwrap();
        body[found..found + 6].copy_from_slice(names[0].as_bytes());
        body[found + 7..found + 13].copy_from_slice(names[1].as_bytes());
        let refused = WireError::Order {
            block: 0,
            field: "audience",
        };
        assert_eq!(decode(&framed(&body)).map(drop), Err(refused));
    }
}

#[test]
fn caveats_outside_their_bounds_are_refused() {
    let mut one = first(&["send node"], None);
    one.caveats = all_caveats();
    let whole = body(&issued(one).signed()[0].block);
    let audience = whole.windows(6).position(|part| part == b"node-a").unwrap();
    let rate = whole
        .windows(8)
        .position(|part| part == [0, 0, 0, 10, 0, 0, 0, 60]);
    let rate = rate.unwrap();
    for (place, byte, field) in [
        (audience - 2, 0, "audience"),
        (audience - 2, 17, "audience"),
        (audience, b'A', "audience"),
        (rate + 3, 0, "rate"),
        (rate + 4, 1, "rate"),
        (rate + 16, 0xff, "performatives"),
    ] {
        let mut body = whole.clone();
        body[place] = byte;
        let refused = WireError::Value { block: 0, field };
        assert_eq!(decode(&framed(&body)).map(drop), Err(refused), "{field}");
    }
}

/// One block with signatures of nothing.
fn framed(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    let signatures = [0; CLASSICAL_BYTES + QUANTUM_BYTES];
    [MAGIC.as_slice(), &[1], &length, body, &signatures].concat()
}
