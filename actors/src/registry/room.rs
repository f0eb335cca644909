//! Whether a tenant's quota has room for what is to be deployed, beside what it has and what is on its way to it.

use caxton_capabilities::{Quota, TenantId};

/// A tenant's quota has no place for it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("tenant `{tenant}` may have {most} {what}: caxton tenant quota {tenant}")]
pub struct OverQuota {
    /// Whose quota.
    pub tenant: TenantId,
    /// How many at most.
    pub most: u64,
    /// Of what.
    pub what: &'static str,
}

/// Whether `agents`, of each its memory limit in bytes, are within the quota.
pub(super) fn room(
    tenant: &TenantId,
    quota: Quota,
    agents: impl Iterator<Item = u64>,
) -> Result<(), OverQuota> {
    let (count, bytes) = agents.fold((0_u64, 0_u64), |(count, bytes), memory| {
        (count + 1, bytes.saturating_add(memory))
    });
    let of = [
        (quota.agents, count, "agents"),
        (quota.memory_bytes, bytes, "bytes of memory limits"),
    ];
    let over = |(most, has, what): (Option<u64>, u64, &'static str)| {
        let most = most.filter(|most| has > *most)?;
        let tenant = tenant.clone();
        Some(OverQuota { tenant, most, what })
    };
    of.into_iter().find_map(over).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(quota: Quota, agents: &[u64], over: Option<&str>) {
        let found = room(&"acme".parse().unwrap(), quota, agents.iter().copied());
        assert_eq!(found.err().map(|over| over.what), over, "{agents:?}");
    }

    #[test]
    fn a_tenant_has_room_up_to_its_quota_and_not_beyond() {
        let agents = Quota {
            agents: Some(2),
            ..Quota::default()
        };
        check(agents, &[1, 1], None);
        check(agents, &[1, 1, 1], Some("agents"));
        let memory = Quota {
            memory_bytes: Some(10),
            ..Quota::default()
        };
        check(memory, &[4, 6], None);
        check(memory, &[4, 7], Some("bytes of memory limits"));
        check(
            memory,
            &[u64::MAX, u64::MAX],
            Some("bytes of memory limits"),
        );
        check(Quota::default(), &[u64::MAX; 9], None);
    }
}
