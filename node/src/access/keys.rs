//! Whose key it is that somebody shows, and what it opens.

use std::{collections::BTreeMap, net::IpAddr, str::FromStr, sync::Arc};

use caxton_capabilities::{Name, Scopes};

use super::book::{Access, KeyRow};

/// A network: an address, and how many of its first bits count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address lies in it. An IPv4 address that is written as IPv6 is an IPv4 address.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let same = |one: u128, other: u128, width: u32| {
            let shift = width - u32::from(self.bits);
            one.checked_shr(shift).unwrap_or(0) == other.checked_shr(shift).unwrap_or(0)
        };
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => same(
                u128::from(own.to_bits()),
                u128::from(other.to_bits()),
                u32::BITS,
            ),
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                same(own.to_bits(), other.to_bits(), u128::BITS)
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a network is written `192.0.2.0/24` or `2001:db8::/32`".to_owned();
        let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_none| wrong())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.parse().ok().filter(|bits| *bits <= most);
        let network = Self {
            address: address.to_canonical(),
            bits: bits.ok_or_else(wrong)?,
        };
        // `::ffff:192.0.2.0/120` would have 24 bits of an IPv4 network.
        if network.address.is_ipv4() == address.is_ipv4() {
            Ok(network)
        } else {
            Err(wrong())
        }
    }
}

/// What is known of one key.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) operator: Name,
    /// None: all of the operator's authority.
    pub(crate) scopes: Arc<Scopes>,
    networks: Vec<Network>,
    /// Unix milliseconds from which on it is dead.
    expires_ms: u64,
    revoked: bool,
}

impl Known {
    /// The key that the node was founded with: all of the owner's authority, from everywhere.
    pub(crate) fn founding(operator: Name) -> Self {
        Self {
            operator,
            scopes: Arc::default(),
            networks: Vec::new(),
            expires_ms: u64::MAX,
            revoked: false,
        }
    }

    /// What another proof than a key opens: all of an operator's authority, from everywhere.
    pub(crate) fn whole(operator: Name) -> Self {
        Self::founding(operator)
    }

    /// SECURITY: a row that does not say what it should opens nothing.
    fn of(row: &KeyRow) -> Option<Self> {
        let networks = row.networks.iter().map(|text| text.parse());
        Some(Self {
            operator: row.operator.clone(),
            scopes: Arc::new(Scopes::parse(row.scopes.iter().map(String::as_str)).ok()?),
            networks: networks.collect::<Result<_, _>>().ok()?,
            expires_ms: row.expires_ms,
            revoked: row.revoked.is_some(),
        })
    }

    fn opens(&self, now_ms: u64, from: Option<IpAddr>) -> Result<(), &'static str> {
        if self.revoked {
            return Err("the API key was revoked");
        }
        if now_ms >= self.expires_ms {
            return Err("the API key has expired");
        }
        let is_within = |from: IpAddr| self.networks.iter().any(|one| one.contains(from));
        if !self.networks.is_empty() && !from.is_some_and(is_within) {
            return Err("the API key is not taken from this address");
        }
        Ok(())
    }
}

/// All keys, by the SHA-256 of each. Published; read for each request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys(Arc<BTreeMap<[u8; 32], Arc<Known>>>);

impl Keys {
    /// Those of the document, and the one that the node was founded with.
    pub(crate) fn of(access: &Access, founding: ([u8; 32], &Name)) -> Self {
        let rows = access.keys.iter();
        let known = rows.filter_map(|(_, row)| Some((row.hash, Known::of(row)?)));
        let founding = (founding.0, Known::founding(founding.1.clone()));
        let all = known.chain([founding]);
        Self(Arc::new(
            all.map(|(hash, known)| (hash, Arc::new(known))).collect(),
        ))
    }

    /// Whose key it is whose SHA-256 is `digest`, where it opens anything now and from there.
    ///
    /// The look-up is by digest: how long it takes tells nothing of the key, which has 256 random bits.
    ///
    /// # Errors
    /// Why not. Whoever has the key may hear that.
    pub(crate) fn authenticate(
        &self,
        digest: &[u8; 32],
        now_ms: u64,
        from: Option<IpAddr>,
    ) -> Result<Arc<Known>, &'static str> {
        let known = self.0.get(digest);
        let known = known.ok_or("this node does not know the API key")?;
        known.opens(now_ms, from).map(|()| Arc::clone(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::book::Deed;

    fn row(scopes: &[&str], networks: &[&str]) -> KeyRow {
        let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
        KeyRow {
            hash: [1; 32],
            operator: "ann".parse().unwrap(),
            scopes: texts(scopes),
            networks: texts(networks),
            made: Deed {
                by: "operator:admin".into(),
                at_ms: 0,
                reason: String::new(),
            },
            expires_ms: 100,
            revoked: None,
        }
    }

    fn shown(row: KeyRow, now_ms: u64, from: &str) -> Result<String, &'static str> {
        let mut access = Access::default();
        access.keys.insert("first".parse().unwrap(), row);
        let keys = Keys::of(&access, ([9; 32], &"admin".parse().unwrap()));
        let known = keys.authenticate(&[1; 32], now_ms, from.parse().ok());
        known.map(|known| known.operator.to_string())
    }

    #[test]
    fn a_dead_revoked_or_unknown_key_is_nobodys() {
        assert_eq!(shown(row(&[], &[]), 99, "").unwrap(), "ann");
        assert!(
            shown(row(&[], &[]), 100, "")
                .unwrap_err()
                .contains("expired")
        );
        let mut revoked = row(&[], &[]);
        revoked.revoked = Some(revoked.made.clone());
        assert!(shown(revoked, 0, "").unwrap_err().contains("revoked"));
        let keys = Keys::of(&Access::default(), ([9; 32], &"admin".parse().unwrap()));
        assert!(keys.authenticate(&[1; 32], 0, None).is_err());
        assert!(keys.authenticate(&[9; 32], u64::MAX - 1, None).is_ok());
    }

    #[test]
    fn a_key_of_a_network_opens_nothing_from_elsewhere_or_from_nowhere() {
        let bound = || row(&[], &["192.0.2.0/24", "2001:db8::/32"]);
        for from in ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1"] {
            assert!(shown(bound(), 0, from).is_ok(), "{from}");
        }
        for from in ["192.0.3.7", "2001:db9::1", ""] {
            assert!(shown(bound(), 0, from).is_err(), "{from}");
        }
    }

    #[test]
    fn a_row_that_does_not_say_what_it_should_opens_nothing() {
        assert!(shown(row(&["nonsense"], &[]), 0, "").is_err());
        assert!(shown(row(&[], &["nonsense"]), 0, "192.0.2.7").is_err());
    }

    #[test]
    fn networks_are_addresses_with_a_number_of_bits() {
        for text in ["0.0.0.0/0", "192.0.2.1/32", "::/0", "2001:db8::/128"] {
            let network: Network = text.parse().unwrap();
            assert!(network.contains(network.address), "{text}");
        }
        for text in [
            "",
            "192.0.2.0",
            "192.0.2.0/33",
            "::/129",
            "x/1",
            "192.0.2.0/-1",
            "::ffff:192.0.2.0/120",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.9".parse().unwrap()));
        assert!(!all.contains("::1".parse().unwrap()));
    }
}
