use super::*;
use crate::{
    cast::{BEGIN, END, all_caveats, at, audience, first, holder, issued, terms},
    caveat::{Audiences, Caveats, Performatives, Rate},
    token::{MakeError, Token},
};

/// A later block with these caveats after one with a caveat of each kind.
fn after_all(change: impl FnOnce(&mut Caveats)) -> Result<Token, MakeError> {
    let mut one = first(&["send acme/*"], Some(&holder(11)));
    one.caveats = all_caveats();
    let mut two = terms(&["send acme/one"], None);
    change(&mut two.caveats);
    issued(one).attenuate(&holder(11), two, [2; 16])
}

fn check_wider(what: Widening, change: impl FnOnce(&mut Caveats)) {
    let expected = MakeError::Chain(ChainError::Widened { block: 1, what });
    assert_eq!(after_all(change).unwrap_err(), expected);
}

#[test]
fn a_later_block_may_leave_out_repeat_or_tighten_each_caveat() {
    assert!(after_all(|_| {}).is_ok());
    assert!(after_all(|caveats| *caveats = all_caveats()).is_ok());
    let tighter = after_all(|caveats| {
        caveats.not_before = Some(at(BEGIN + 1));
        caveats.expires = Some(at(END - 1));
        caveats.audience = Audiences::try_new([audience("node-a")]).ok();
        caveats.bytes_max = Some(4_095);
        caveats.performatives = Performatives::try_new(["query".parse().unwrap()]).ok();
    });
    assert!(tighter.is_ok());
}

#[test]
fn a_later_block_that_loosens_a_caveat_is_not_made() {
    check_wider(Widening::NotBefore, |caveats| {
        caveats.not_before = Some(at(BEGIN - 1));
    });
    check_wider(Widening::Expires, |caveats| {
        caveats.expires = Some(at(END + 1));
    });
    check_wider(Widening::Audience, |caveats| {
        let more = [audience("node-a"), audience("node-c")];
        caveats.audience = Audiences::try_new(more).ok();
    });
    check_wider(Widening::Tenant, |caveats| {
        caveats.tenant = "other".parse().ok();
    });
    check_wider(Widening::Bytes, |caveats| caveats.bytes_max = Some(4_097));
    check_wider(Widening::Performatives, |caveats| {
        caveats.performatives = Performatives::try_new(["cancel".parse().unwrap()]).ok();
    });
    check_wider(Widening::Conversation, |caveats| {
        caveats.conversation = "cnv_01h455vb4pex5vsknk084sn02r".parse().ok();
    });
}

#[test]
fn a_caveat_that_was_left_out_in_between_still_stands() {
    let open = |end: Option<u64>, holder_seed: u8| {
        let mut terms = terms(&["send acme/*"], Some(&holder(holder_seed)));
        terms.caveats.expires = end.map(at);
        terms
    };
    let token = issued(first(&["send acme/*"], Some(&holder(11))));
    let token = token.attenuate(&holder(11), open(Some(END - 60), 12), [2; 16]);
    let token = token
        .unwrap()
        .attenuate(&holder(12), open(None, 13), [3; 16]);
    let wider = token
        .unwrap()
        .attenuate(&holder(13), open(Some(END - 59), 14), [4; 16]);
    let (block, what) = (3, Widening::Expires);
    let expected = MakeError::Chain(ChainError::Widened { block, what });
    assert_eq!(wider.unwrap_err(), expected);
}

#[test]
fn a_right_that_the_block_before_gave_up_does_not_come_back() {
    let token = issued(first(&["send acme/*", "read acme/*"], Some(&holder(11))));
    let fewer = terms(&["send acme/*"], Some(&holder(12)));
    let token = token.attenuate(&holder(11), fewer, [2; 16]).unwrap();
    let again = terms(&["read acme/one"], None);
    let (block, what) = (2, Widening::Right);
    let expected = MakeError::Chain(ChainError::Widened { block, what });
    let made = token.attenuate(&holder(12), again, [3; 16]);
    assert_eq!(made.unwrap_err(), expected);
}

#[test]
fn rates_stand_side_by_side() {
    let faster = after_all(|caveats| caveats.rate = Rate::try_new(1_000, 1).ok());
    assert!(faster.is_ok(), "the first block's is counted as well");
}

#[test]
fn a_token_lives_for_a_year_at_most_and_ends_after_it_begins() {
    let living = |seconds: u64| {
        let mut terms = first(&["read node"], None);
        terms.caveats.expires = Some(at(BEGIN + seconds));
        Token::issue(
            &crate::cast::issuer(1),
            crate::cast::domain(),
            terms,
            [1; 16],
        )
    };
    assert!(living(1).is_ok());
    assert!(living(LIFETIME_SECONDS_MAX).is_ok());
    for seconds in [0, LIFETIME_SECONDS_MAX + 1] {
        let expected = MakeError::Chain(ChainError::Lifetime);
        assert_eq!(living(seconds).unwrap_err(), expected, "{seconds}");
    }
}
