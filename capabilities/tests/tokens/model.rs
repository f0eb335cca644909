//! What a grant gives, by its text alone: written apart from `src/grant.rs`, and slow.

/// Whether `grant`, such as `send acme/*`, gives `right`, such as `send acme/one`.
pub(crate) fn gives(grant: &str, right: &str) -> bool {
    let (Some((action, over)), Some((asked, resource))) =
        (grant.split_once(' '), right.split_once(' '))
    else {
        return false;
    };
    if action != asked {
        return false;
    }
    if over == "*" || over == resource {
        return true;
    }
    match over.strip_suffix("/*") {
        // All of a tenant: its agents behind the slash, its things behind the hash.
        Some(tenant) => {
            resource.starts_with(&format!("{tenant}/"))
                || resource.starts_with(&format!("{tenant}#"))
        }
        None if over.contains('#') => {
            let prefix = over.strip_suffix('*');
            prefix.is_some_and(|prefix| resource.starts_with(prefix))
        }
        None => false,
    }
}

/// Whether all of these blocks' rights give it.
pub(crate) fn all_give(blocks: &[Vec<String>], right: &str) -> bool {
    let mut blocks = blocks.iter();
    blocks.all(|rights| rights.iter().any(|grant| gives(grant, right)))
}

/// Each right of a small world: every action that is used in it, on every kind of resource.
pub(crate) fn world() -> Vec<String> {
    let mut all = Vec::new();
    for action in ["send", "kv", "read"] {
        for resource in ["node", "cluster", "operator:ann"] {
            all.push(format!("{action} {resource}"));
        }
        for tenant in ["acme", "acme-2"] {
            for rest in ["/*", "/one", "/two", "#a", "#a/1", "#ab", "#b"] {
                all.push(format!("{action} {tenant}{rest}"));
            }
        }
    }
    all
}

/// Each grant of that world.
pub(crate) fn grants() -> Vec<String> {
    let mut all = world();
    for action in ["send", "kv", "read"] {
        all.push(format!("{action} *"));
        for tenant in ["acme", "acme-2"] {
            for prefix in ["", "a", "a/"] {
                all.push(format!("{action} {tenant}#{prefix}*"));
            }
        }
    }
    all
}

/// Whether each of these rights is given in full by a single one of `before`, as far as the world shows.
pub(crate) fn is_narrower(rights: &[String], before: &[String]) -> bool {
    let world = world();
    let all_of = |mine: &str, other: &str| {
        let mut asked = world.iter().filter(|right| gives(mine, right));
        asked.all(|right| gives(other, right))
    };
    let given = |mine: &String| before.iter().any(|other| all_of(mine, other));
    rights.iter().all(given)
}
