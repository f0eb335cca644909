//! Whose request it is behind proxies: `Forwarded` (RFC 7239) and `X-Forwarded-For`, believed only of proxies that the
//! configuration names. Pure.
//!
//! Each proxy appends the address that it was asked from, so the list is read from its end: what stands left of the first
//! address that is not a trusted proxy's was written by a stranger.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header};

use crate::config::Networks;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Proxies between a client and the node.
const HOPS_MAX: usize = 16;

/// The address of the client; none where a trusted proxy does not say it in a way that can be read.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &Networks) -> Option<IpAddr> {
    let peer = peer.to_canonical();
    if !trusted.contains(peer) {
        return Some(peer);
    }
    let standard = nearest(headers, &header::FORWARDED, trusted, standard_hop);
    let customary = nearest(headers, &X_FORWARDED_FOR, trusted, address);
    match (standard, customary) {
        (None, None) => Some(peer),
        (Some(one), None) | (None, Some(one)) => one,
        // SECURITY: a proxy that appends to one of them hands on the other as a stranger wrote it.
        (Some(one), Some(other)) => one.filter(|_| one == other),
    }
}

/// What one header field says, where it is there: the last address that no trusted proxy has, or the first of all.
fn nearest(
    headers: &HeaderMap,
    name: &HeaderName,
    trusted: &Networks,
    read: fn(&str) -> Option<IpAddr>,
) -> Option<Option<IpAddr>> {
    let mut values = headers.get_all(name).iter().rev().peekable();
    values.peek()?;
    let mut farthest = None;
    let mut hops = 0;
    for value in values {
        let Some(elements) = value.to_str().ok().and_then(|text| split(text, b',')) else {
            return Some(None);
        };
        for element in elements.into_iter().rev() {
            hops += 1;
            let Some(address) = read(element.trim()).filter(|_| hops <= HOPS_MAX) else {
                return Some(None);
            };
            if !trusted.contains(address) {
                return Some(Some(address));
            }
            farthest = Some(address);
        }
    }
    Some(farthest)
}

/// Parts between separators that stand in no quoted string; none where a quotation does not end.
fn split(text: &str, separator: u8) -> Option<Vec<&str>> {
    let (mut parts, mut begin) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ if byte == separator && !is_quoted => {
                parts.push(text.get(begin..at)?);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(begin..)?);
    (!is_quoted).then_some(parts)
}

/// The address in the one `for` of an element of `Forwarded` (RFC 7239, section 4).
fn standard_hop(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in split(element, b';')? {
        let (name, value) = pair.split_once('=')?;
        if name.trim().eq_ignore_ascii_case("for") && found.replace(value.trim()).is_some() {
            return None;
        }
    }
    let value = found?;
    match value.strip_prefix('"') {
        Some(rest) => address(rest.strip_suffix('"')?),
        None => address(value),
    }
}

/// An address, with or without a port. IPv6 may stand in brackets (RFC 7239, section 6).
fn address(text: &str) -> Option<IpAddr> {
    let whole = text.parse::<IpAddr>().ok();
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || Some(text.parse::<SocketAddr>().ok()?.ip());
    let found = whole.or_else(bracketed).or_else(with_port)?;
    Some(found.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    const TRUSTED: &str = "10.0.0.0/8, fd00::/8";

    fn of(peer: &str, fields: &[(&str, &str)]) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        let found = client(peer.parse().unwrap(), &headers, &TRUSTED.parse().unwrap());
        found.map_or_else(|| "nobody".to_owned(), |address| address.to_string())
    }

    fn check(fields: &[(&str, &str)], expected: &str) {
        assert_eq!(of("10.0.0.1", fields), expected, "{fields:?}");
    }

    #[test]
    fn nobody_but_a_trusted_proxy_is_believed() {
        for field in [
            ("forwarded", "for=192.0.2.1"),
            ("x-forwarded-for", "192.0.2.1"),
        ] {
            assert_eq!(of("198.51.100.7", &[field]), "198.51.100.7");
            assert_eq!(of("10.0.0.1", &[field]), "192.0.2.1");
            assert_eq!(of("::ffff:10.0.0.1", &[field]), "192.0.2.1");
        }
        check(&[], "10.0.0.1");
    }

    #[test]
    fn the_last_address_that_is_no_proxys_is_the_clients() {
        let lie = "127.0.0.1, 192.0.2.1";
        check(&[("x-forwarded-for", lie)], "192.0.2.1");
        check(
            &[("x-forwarded-for", "127.0.0.1, 192.0.2.1, 10.0.0.9, fd00::1")],
            "192.0.2.1",
        );
        check(
            &[
                ("x-forwarded-for", "127.0.0.1"),
                ("x-forwarded-for", "192.0.2.1"),
            ],
            "192.0.2.1",
        );
        check(
            &[("forwarded", "for=127.0.0.1, for=192.0.2.1;proto=https")],
            "192.0.2.1",
        );
        check(&[("x-forwarded-for", "10.0.0.7, 10.0.0.8")], "10.0.0.7");
    }

    #[test]
    fn addresses_are_read_in_each_of_their_forms() {
        for text in [
            "for=\"[2001:db8::1]:4711\"",
            "For=\"[2001:db8::1]\";by=10.0.0.1",
            "proto=http;for=\"[2001:db8::1]\";host=\"a,b;c\"",
        ] {
            check(&[("forwarded", text)], "2001:db8::1");
        }
        check(&[("forwarded", "for=192.0.2.1:80")], "192.0.2.1");
        check(&[("x-forwarded-for", "::ffff:192.0.2.1")], "192.0.2.1");
        check(&[("x-forwarded-for", "[2001:db8::1]:80")], "2001:db8::1");
    }

    #[test]
    fn what_cannot_be_read_is_nobodys_address_and_not_the_proxys() {
        for text in [
            "for=unknown",
            "for=_hidden",
            "for=192.0.2.1;for=192.0.2.2",
            "proto=https",
            "for=\"192.0.2.1",
            "for=192.0.2.1;host=\"x",
            "for=\"192.0.2.1\\\"\"",
            "",
            "for=192.0.2.1,",
            "for=192.0.2.1, x",
        ] {
            check(&[("forwarded", text)], "nobody");
        }
        for text in ["unknown", "", "192.0.2.1,", "192.0.2.256", "fe80::1%eth0"] {
            check(&[("x-forwarded-for", text)], "nobody");
        }
        let many = ["10.0.0.2"; HOPS_MAX + 1].join(",");
        check(&[("x-forwarded-for", &many)], "nobody");
    }

    #[test]
    fn two_fields_count_only_where_they_say_the_same() {
        let customary = ("x-forwarded-for", "192.0.2.1");
        check(&[("forwarded", "for=192.0.2.1"), customary], "192.0.2.1");
        check(&[("forwarded", "for=192.0.2.9"), customary], "nobody");
        check(&[("forwarded", "for=unknown"), customary], "nobody");
    }

    #[test]
    fn a_quotation_hides_separators() {
        let lie = "for=192.0.2.9;host=\"x, for=10.0.0.3\"";
        check(&[("forwarded", lie)], "192.0.2.9");
    }
}
