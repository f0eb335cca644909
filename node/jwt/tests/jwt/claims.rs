//! What a token says of who, for whom and how long.

use caxton_jwt::{
    Algorithm, GROUPS_MAX, LEEWAY_SECONDS, LIFETIME_SECONDS_MAX, Part, Refused, verify,
};
use serde_json::{Value, json};

use crate::fixture::{AUDIENCE, ISSUER, NOW, Setting, claims, header, with, without};

#[test]
fn a_token_that_counts_says_who_for_whom_and_how_long() {
    for algorithm in Algorithm::ALL {
        let setting = Setting::new(algorithm);
        let said = setting.judge(&setting.signer.good(algorithm)).unwrap();
        assert_eq!(said.issuer, ISSUER);
        assert_eq!(said.subject, "ada");
        assert_eq!(said.audience, AUDIENCE);
        assert_eq!((said.issued_at, said.expires), (NOW - 60, NOW + 600));
        assert_eq!(said.id.as_deref(), Some("t-1"));
        assert_eq!(said.groups, ["operators", "on call"]);
    }
}

/// Claims with one changed, and what is said of them; `None` where they count.
#[track_caller]
fn check(setting: &Setting, claim: &str, cases: &[(Value, Option<Refused>)]) {
    for (value, expected) in cases {
        let judged = setting.of_claims(&with(claims(), claim, value.clone()));
        assert_eq!(judged.err(), *expected, "{claim}: {value}");
    }
}

#[test]
fn what_must_be_there_is_missed_and_the_rest_is_not() {
    let setting = Setting::new(Algorithm::EdDsa);
    for claim in ["iss", "sub", "aud", "exp", "iat"] {
        let judged = setting.of_claims(&without(claims(), claim));
        assert_eq!(judged, Err(Refused::Missing(claim)));
    }
    let mut least = claims();
    for claim in ["nbf", "jti", "groups"] {
        least = without(least, claim);
    }
    let said = setting.of_claims(&with(least, "azp", "console")).unwrap();
    assert_eq!((said.id, said.groups.len()), (None, 0));
}

#[test]
fn a_token_for_somebody_else_is_refused() {
    check(
        &Setting::new(Algorithm::EdDsa),
        "aud",
        &[
            (json!([AUDIENCE]), None),
            (json!(["other", "caxton.second"]), None),
            (json!("other"), Some(Refused::Audience)),
            (
                json!(["other", "caxton.example.attacker"]),
                Some(Refused::Audience),
            ),
            (json!("CAXTON.example"), Some(Refused::Audience)),
            (json!(""), Some(Refused::Audience)),
            (json!([]), Some(Refused::Audience)),
            (json!([AUDIENCE, 1]), Some(Refused::Malformed("aud"))),
            (json!([[AUDIENCE]]), Some(Refused::Malformed("aud"))),
            (json!({AUDIENCE: true}), Some(Refused::Malformed("aud"))),
            (json!(null), Some(Refused::Malformed("aud"))),
        ],
    );
}

#[test]
fn the_audience_that_is_told_is_one_of_ours() {
    let setting = Setting::new(Algorithm::EdDsa);
    let said = setting.of_claims(&with(
        claims(),
        "aud",
        json!(["other", "caxton.second", AUDIENCE]),
    ));
    assert_eq!(said.unwrap().audience, "caxton.second");
}

#[test]
fn a_token_counts_until_it_ends_with_the_leeway_and_no_second_more() {
    let setting = Setting::new(Algorithm::EdDsa);
    let token = setting.signer.good(Algorithm::EdDsa);
    let at = |now| verify(&token, &setting.trusted, now).err();
    let end = NOW + 600;
    assert_eq!(at(end + LEEWAY_SECONDS - 1), None);
    assert_eq!(at(end + LEEWAY_SECONDS), Some(Refused::Expired));
    assert_eq!(at(u64::MAX), Some(Refused::Expired));
    let begin = NOW - 60;
    assert_eq!(at(begin - LEEWAY_SECONDS), None);
    assert_eq!(at(begin - LEEWAY_SECONDS - 1), Some(Refused::NotYet));
    assert_eq!(at(0), Some(Refused::NotYet));
}

#[test]
fn times_that_lie_ahead_are_refused() {
    let setting = Setting::new(Algorithm::EdDsa);
    let ahead = NOW + LEEWAY_SECONDS;
    for claim in ["nbf", "iat"] {
        let cases = [
            (json!(ahead), None),
            (json!(ahead + 1), Some(Refused::NotYet)),
        ];
        check(&setting, claim, &cases);
    }
}

#[test]
fn a_life_that_is_too_long_or_ends_before_it_begins_is_refused() {
    let begin = NOW - 60;
    check(
        &Setting::new(Algorithm::EdDsa),
        "exp",
        &[
            (json!(begin + LIFETIME_SECONDS_MAX), None),
            (
                json!(begin + LIFETIME_SECONDS_MAX + 1),
                Some(Refused::LongLived),
            ),
            (json!(NOW * 1_000), Some(Refused::Malformed("exp"))),
        ],
    );
    // Not yet over, by the leeway, and yet issued after its end.
    let setting = Setting::new(Algorithm::EdDsa);
    for (issued_at, expires) in [(NOW, NOW - 5), (NOW, NOW)] {
        let claims = with(with(claims(), "iat", issued_at), "exp", expires);
        assert_eq!(setting.of_claims(&claims), Err(Refused::Malformed("exp")));
    }
}

#[test]
fn a_time_that_is_no_whole_number_of_seconds_is_refused() {
    let setting = Setting::new(Algorithm::EdDsa);
    for claim in ["exp", "iat", "nbf"] {
        for number in [
            "1790000000.5",
            "1790000000.0",
            "1.79e9",
            "-1",
            "-1790000000",
            "18446744073709551616",
            "1e300",
            "253402300800",
            "\"1790000000\"",
            "null",
            "true",
            "[1790000000]",
        ] {
            let texts = without(claims(), claim).to_string();
            let texts = texts.replacen('{', &format!("{{\"{claim}\":{number},"), 1);
            let judged = setting.of_texts(&header(Algorithm::EdDsa).to_string(), &texts);
            assert_eq!(judged, Err(Refused::Malformed(claim)), "{claim}: {number}");
        }
    }
}

#[test]
fn a_subject_is_a_short_text_without_control_characters() {
    let wrong = || Some(Refused::Malformed("sub"));
    check(
        &Setting::new(Algorithm::EdDsa),
        "sub",
        &[
            (json!("s".repeat(255)), None),
            (json!("s".repeat(256)), wrong()),
            (json!("é".repeat(128)), wrong()),
            (json!(""), wrong()),
            (json!("ada\n"), wrong()),
            (json!("ada\u{0}"), wrong()),
            (json!("\u{1b}[2J"), wrong()),
            (json!(7), wrong()),
            (json!(["ada"]), wrong()),
            (json!(null), wrong()),
        ],
    );
}

#[test]
fn groups_are_all_taken_or_the_token_is_refused() {
    let wrong = || Some(Refused::Malformed("groups"));
    let setting = Setting::new(Algorithm::EdDsa);
    check(
        &setting,
        "groups",
        &[
            (json!([]), None),
            (json!(vec!["g".repeat(20); GROUPS_MAX]), None),
            (json!(["g".repeat(128)]), None),
            (json!(["g".repeat(129)]), wrong()),
            (json!(vec!["g"; GROUPS_MAX + 1]), wrong()),
            (json!("operators"), wrong()),
            (json!(["operators", 1]), wrong()),
            (json!([""]), wrong()),
            (json!(["a\tb"]), wrong()),
            (json!(null), wrong()),
            (json!({"operators": true}), wrong()),
        ],
    );
    check(
        &setting,
        "_claim_names",
        &[
            (json!({"address": "src1"}), None),
            (json!({"groups": "src1"}), Some(Refused::GroupsElsewhere)),
            (json!("groups"), Some(Refused::GroupsElsewhere)),
        ],
    );
    check(
        &setting,
        "jti",
        &[
            (json!("i".repeat(255)), None),
            (json!("i".repeat(256)), Some(Refused::Malformed("jti"))),
            (json!(1), Some(Refused::Malformed("jti"))),
        ],
    );
}

#[test]
fn a_token_that_is_bound_to_a_key_is_refused() {
    check(
        &Setting::new(Algorithm::EdDsa),
        "cnf",
        &[
            (
                json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
                Some(Refused::Bound),
            ),
            (json!({}), Some(Refused::Bound)),
            (json!(null), Some(Refused::Bound)),
        ],
    );
}

#[test]
fn a_claim_that_stands_twice_is_refused_whichever_of_them_is_right() {
    let setting = Setting::new(Algorithm::EdDsa);
    let header = header(Algorithm::EdDsa).to_string();
    for (claim, value) in [
        ("exp", json!(NOW + 500)),
        ("sub", json!("root")),
        ("x", json!(1)),
    ] {
        let claims = with(claims(), "x", 1).to_string();
        let first = claims.replacen('{', &format!("{{\"{claim}\":{value},"), 1);
        let last = format!("{},\"{claim}\":{value}}}", &claims[..claims.len() - 1]);
        for twice in [first, last] {
            let judged = setting.of_texts(&header, &twice);
            assert_eq!(judged, Err(Refused::Twice(Part::Claims)), "{twice}");
        }
    }
}

#[test]
fn a_name_of_a_claim_in_other_letters_is_another_claim() {
    let setting = Setting::new(Algorithm::EdDsa);
    let shouted = with(without(claims(), "exp"), "EXP", NOW + 600);
    assert_eq!(setting.of_claims(&shouted), Err(Refused::Missing("exp")));
}
