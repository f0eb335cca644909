use super::*;
use axum::response::IntoResponse as _;

const MS: u64 = 1_000_000;

fn limits(
    operator_per_minute: Option<u32>,
    unknown_per_minute: Option<u32>,
    unknown_in_all_per_minute: Option<u32>,
    new_agents_per_hour: Option<u32>,
) -> Limits {
    Limits::new(&ApiLimits {
        operator_per_minute,
        unknown_per_minute,
        unknown_in_all_per_minute,
        new_agents_per_hour,
    })
}

/// As on a production node.
fn production() -> Limits {
    limits(Some(100), Some(10), Some(1_000), Some(10))
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn from(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn fields(standings: &[Standing]) -> (String, String) {
    let mut headers = HeaderMap::new();
    set_headers(&mut headers, standings);
    let text = |name| {
        let value = headers.get(name);
        value.map_or_else(String::new, |value: &HeaderValue| {
            value.to_str().unwrap().to_owned()
        })
    };
    (text(RATELIMIT_POLICY), text(RATELIMIT))
}

#[test]
fn an_operator_has_a_hundred_requests_a_minute_and_no_other_pays_for_them() {
    let limits = production();
    let (ann, bob) = (name("ann"), name("bob"));
    for _ in 0..100 {
        limits.operator(&ann, 0).unwrap();
    }
    assert!(limits.operator(&ann, 0).is_err());
    limits.operator(&bob, 0).unwrap();
    assert!(limits.operator(&ann, 599 * MS).is_err());
    limits.operator(&ann, 600 * MS).unwrap();
    assert!(limits.operator(&ann, 600 * MS).is_err());
}

#[test]
fn an_address_that_proves_nobody_has_ten_a_minute_and_operators_none_the_less() {
    let limits = production();
    for _ in 0..10 {
        limits.stranger(from("192.0.2.1"), 0).unwrap();
    }
    let soon = limits.stranger(from("192.0.2.1"), 0).unwrap_err();
    assert_eq!(soon.retry_s, 6);
    assert!(limits.stranger(from("::ffff:192.0.2.1"), 0).is_err());
    limits.stranger(from("192.0.2.2"), 0).unwrap();
    limits.operator(&name("ann"), 0).unwrap();
    assert_eq!(
        limits.of_operator(&name("ann"), false, 0)[0].left.requests,
        99
    );
}

#[test]
fn addresses_of_one_ipv6_network_of_64_bits_count_as_one() {
    let limits = production();
    for host in 0..10 {
        limits
            .stranger(from(&format!("2001:db8:0:1::{host}")), 0)
            .unwrap();
    }
    assert!(limits.stranger(from("2001:db8:0:1:ffff::1"), 0).is_err());
    limits.stranger(from("2001:db8:0:2::1"), 0).unwrap();
}

#[test]
fn who_comes_from_nowhere_counts_as_one_address() {
    let limits = production();
    for _ in 0..10 {
        limits.stranger(None, 0).unwrap();
    }
    assert!(limits.stranger(None, 0).is_err());
}

#[test]
fn strangers_from_everywhere_have_a_thousand_a_minute_together() {
    let limits = production();
    let address = |nth: u32| Some(IpAddr::V4(Ipv4Addr::from_bits(nth)));
    for nth in 0..1_000 {
        limits.stranger(address(nth), 0).unwrap();
    }
    let soon = limits.stranger(address(5_000), 0).unwrap_err();
    assert_eq!(soon.standing().name, "unknown-in-all");
    limits.operator(&name("ann"), 0).unwrap();
    // What an address is refused for itself is not taken from all.
    let limits = self::limits(None, Some(1), Some(3), None);
    for _ in 0..50 {
        let _refused = limits.stranger(address(1), 0);
    }
    limits.stranger(address(2), 0).unwrap();
    limits.stranger(address(3), 0).unwrap();
    assert!(limits.stranger(address(4), 0).is_err());
}

#[test]
fn a_full_table_refuses_strangers_and_lets_operators_pass() {
    let quota = (Some(5), 60);
    let strangers = Limit::new(("unknown", "too many"), quota, 2).unwrap();
    let known = Limit::new(("operator", "too many"), quota, 2).unwrap();
    for key in 0..2 {
        strangers.stranger(key, 0).unwrap();
        known.known(key, 0).unwrap();
    }
    let soon = strangers.stranger(2, 0).unwrap_err();
    assert_eq!(soon.retry_s, FULL_RETRY_S);
    known.known(2, 0).unwrap();
    strangers.stranger(1, 0).unwrap();
}

#[test]
fn an_operator_makes_ten_agents_an_hour() {
    let limits = production();
    let ann = name("ann");
    for _ in 0..10 {
        limits.new_agent(&ann, 0).unwrap();
    }
    assert_eq!(limits.new_agent(&ann, 0).unwrap_err().retry_s, 360);
    limits.operator(&ann, 0).unwrap();
    limits.new_agent(&ann, 360_000 * MS).unwrap();
    assert!(limits.new_agent(&ann, 360_000 * MS).is_err());
}

#[test]
fn without_limits_nothing_is_refused_and_nothing_is_said() {
    let limits = limits(None, None, None, None);
    let ann = name("ann");
    for _ in 0..5_000 {
        limits.operator(&ann, 0).unwrap();
        limits.new_agent(&ann, 0).unwrap();
        assert!(limits.stranger(None, 0).unwrap().is_empty());
    }
    assert!(limits.of_operator(&ann, true, 0).is_empty());
    assert_eq!(fields(&[]), (String::new(), String::new()));
}

#[test]
fn an_answer_names_its_limits_and_what_is_left() {
    let limits = production();
    let ann = name("ann");
    limits.operator(&ann, 0).unwrap();
    limits.new_agent(&ann, 0).unwrap();
    assert_eq!(
        fields(&limits.of_operator(&ann, false, 0)),
        (
            "\"operator\";q=100;w=60".into(),
            "\"operator\";r=99;t=1".into()
        )
    );
    assert_eq!(
        fields(&limits.of_operator(&ann, true, 0)),
        (
            "\"operator\";q=100;w=60, \"new-agents\";q=10;w=3600".into(),
            "\"operator\";r=99;t=1, \"new-agents\";r=9;t=360".into()
        )
    );
    assert_eq!(
        fields(&limits.stranger(None, 0).unwrap()).1,
        "\"unknown\";r=9;t=6, \"unknown-in-all\";r=999;t=1"
    );
    assert_eq!(
        fields(&limits.of_operator(&name("bob"), false, 0)).1,
        "\"operator\";r=100"
    );
}

#[test]
fn who_asks_too_often_is_told_so_and_when_to_come_again() {
    let limits = limits(Some(1), None, None, None);
    limits.operator(&name("ann"), 0).unwrap();
    let soon = limits.operator(&name("ann"), 0).unwrap_err();
    assert_eq!(fields(&[soon.standing()]).1, "\"operator\";r=0;t=60");
    let failure = Failure::from(soon);
    assert_eq!(failure.code(), codes::BUSY);
    assert_eq!(failure.into_response().status(), 429);
}
