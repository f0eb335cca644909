//! Checks of this machine: what a node that runs here needs of it.

use std::{fs, path::Path};

use caxton_api::types::Node;
use rustix::process::{Resource, getrlimit};

use super::Check;
use crate::values::bytes;

/// A connection, a file of the store and a log each take one.
const OPEN_FILES_GOOD: u64 = 65_536;
/// What Linux gives where nobody raised it, and fewer.
const OPEN_FILES_POOR: u64 = 1_024;
/// Enough for 10,000 agents and the node itself.
const MAPPINGS_GOOD: u64 = 65_530;
/// With less the store soon takes no more writes.
const DISK_WARN_BYTES: u64 = 1 << 30;
/// With less it is about to.
const DISK_FAIL_BYTES: u64 = 100 << 20;

/// The checks; the disk is looked at where the node runs here and says where its data is.
pub(super) fn checks(node: Option<&Node>) -> Vec<Check> {
    vec![
        open_files(getrlimit(Resource::Nofile).current),
        mappings(
            fs::read_to_string("/proc/sys/vm/max_map_count")
                .ok()
                .as_deref(),
        ),
        disk(node),
    ]
}

fn open_files(limit: Option<u64>) -> Check {
    let advice = "raise it: ulimit -n 65536, or LimitNOFILE=65536 in the unit";
    match limit {
        None => Check::pass("open files", "no limit"),
        Some(limit) if limit >= OPEN_FILES_GOOD => Check::pass("open files", limit.to_string()),
        Some(limit) if limit >= OPEN_FILES_POOR => {
            Check::warn("open files", format!("{limit} in this shell"), advice)
        }
        Some(limit) => Check::fail("open files", format!("{limit} in this shell"), advice),
    }
}

fn mappings(text: Option<&str>) -> Check {
    let Some(limit) = text.and_then(|text| text.trim().parse::<u64>().ok()) else {
        return Check::skip("mappings", "vm.max_map_count cannot be read");
    };
    let found = format!(
        "vm.max_map_count {limit}: about {} agents at once",
        crate::node::agents_at_once(limit)
    );
    if limit >= MAPPINGS_GOOD {
        Check::pass("mappings", found)
    } else {
        Check::warn("mappings", found, "sysctl vm.max_map_count=1048576")
    }
}

fn disk(node: Option<&Node>) -> Check {
    let Some(node) = node else {
        return Check::skip("disk", "no node of this machine is known");
    };
    let path = Path::new(&node.data);
    match rustix::fs::statvfs(path) {
        Ok(seen) => free(seen.f_bavail.saturating_mul(seen.f_frsize), &node.data),
        Err(error) => Check::skip("disk", format!("{}: {error}", node.data)),
    }
}

fn free(left: u64, data: &str) -> Check {
    let found = format!("{} free for {data}", bytes(left));
    let advice = "free space on that disk, or move the data with --data";
    match left {
        DISK_WARN_BYTES.. => Check::pass("disk", found),
        DISK_FAIL_BYTES.. => Check::warn("disk", found, advice),
        _ => Check::fail("disk", found, advice),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Verdict, *};

    #[test]
    fn what_is_scarce_is_noticed() {
        let results =
            |checks: &[Check]| checks.iter().map(|check| check.result).collect::<Vec<_>>();
        assert_eq!(
            results(&[None, Some(65_536), Some(1_024), Some(256)].map(open_files)),
            [Verdict::Pass, Verdict::Pass, Verdict::Warn, Verdict::Fail]
        );
        assert_eq!(
            results(&[Some("65530\n"), Some("10000\n"), Some("?"), None].map(mappings)),
            [Verdict::Pass, Verdict::Warn, Verdict::Skip, Verdict::Skip]
        );
        assert_eq!(
            results(&[5 << 30, 500 << 20, 1 << 20].map(|left| free(left, "/d"))),
            [Verdict::Pass, Verdict::Warn, Verdict::Fail]
        );
        assert_eq!(disk(None).result, Verdict::Skip);
    }
}
