//! The Merkle tree of RFC 6962, section 2.1, over SHA-256: hashes, the right edge that grows, proofs.
//!
//! A log of `n` leaves has `2n - popcount(n)` complete nodes. They are numbered in the order in which they
//! become complete: a leaf, then each parent that it completes. So a file of them is only ever appended to,
//! and any proof is `O(log n)` reads of it. What is read from such a file is believed by nobody: roots
//! and proofs are checked against a signed checkpoint.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A node of the tree, or its root. Shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash(pub [u8; HASH_BYTES]);

/// Length of a hash.
pub const HASH_BYTES: usize = 32;

/// Hashes of the longest proof that there can be: two for each bit of a size, generously.
pub const PROOF_HASHES_MAX: usize = 128;

/// The text is not a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 lower-case hexadecimal digits")]
pub struct ParseHashError;

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Ok(byte - b'0'),
            b'a'..=b'f' => Ok(byte - b'a' + 10),
            _ => Err(ParseHashError),
        };
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let mut hash = [0; HASH_BYTES];
        if !rest.is_empty() || pairs.len() != HASH_BYTES {
            return Err(ParseHashError);
        }
        for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
            *byte = digit(*high)? << 4 | digit(*low)?;
        }
        Ok(Self(hash))
    }
}

impl TryFrom<String> for Hash {
    type Error = ParseHashError;

    fn try_from(text: String) -> Result<Self, ParseHashError> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

/// The hash of a leaf: SHA-256(0x00 || line).
#[must_use]
pub fn leaf_hash(line: &[u8]) -> Hash {
    Hash(
        Sha256::new_with_prefix([0])
            .chain_update(line)
            .finalize()
            .into(),
    )
}

/// The hash of an inner node: SHA-256(0x01 || left || right).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Hash(
        Sha256::new_with_prefix([1])
            .chain_update(left.0)
            .chain_update(right.0)
            .finalize()
            .into(),
    )
}

/// The root of the tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Hash(Sha256::digest([]).into())
}

/// How many nodes a tree of `size` leaves has stored.
#[must_use]
pub fn stored_count(size: u64) -> u64 {
    (2 * size).saturating_sub(u64::from(size.count_ones()))
}

/// Where the `index`th node of `level` is stored; leaves have level 0.
#[must_use]
pub fn stored_index(level: u32, index: u64) -> u64 {
    // The last leaf below the node is complete just before the node and its lower ancestors are.
    let leaf = ((index + 1) << level) - 1;
    stored_count(leaf) + u64::from(level)
}

/// The right edge of a growing tree: the roots of its complete subtrees, largest first. That is all that is
/// needed to append and to know the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The edge of a tree of `size` leaves, whose peaks are read from where nodes are stored.
    ///
    /// # Errors
    /// What `read` says.
    pub fn load<E>(size: u64, mut read: impl FnMut(u64) -> Result<Hash, E>) -> Result<Self, E> {
        let mut peaks = Vec::new();
        let mut start = 0_u64;
        for level in (0..u64::BITS - 1)
            .rev()
            .filter(|level| size >> level & 1 == 1)
        {
            peaks.push(read(stored_index(level, start >> level))?);
            start += 1 << level;
        }
        Ok(Self { size, peaks })
    }

    /// How many leaves there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf; `store` is given each node that becomes complete, in the order of [`stored_index`].
    pub fn push(&mut self, leaf: Hash, mut store: impl FnMut(Hash)) {
        store(leaf);
        let mut node = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
                store(node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let last = peaks.next().copied();
        last.map_or_else(empty_root, |last| {
            peaks.fold(last, |right, left| node_hash(left, &right))
        })
    }
}

/// Proofs, made from stored nodes.
pub struct Prover<F>(pub F);

impl<F> fmt::Debug for Prover<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prover(..)")
    }
}

/// The largest power of two below `width`, which is at least 2.
fn split(width: u64) -> u64 {
    1 << (width - 1).ilog2()
}

impl<E, F: FnMut(u64) -> Result<Hash, E>> Prover<F> {
    /// MTH(D[start:end]) of RFC 6962 for a range that its recursion meets.
    fn subtree(&mut self, start: u64, end: u64) -> Result<Hash, E> {
        let width = end - start;
        if width.is_power_of_two() {
            let level = width.trailing_zeros();
            return (self.0)(stored_index(level, start >> level));
        }
        let middle = start + split(width);
        let left = self.subtree(start, middle)?;
        let right = self.subtree(middle, end)?;
        Ok(node_hash(&left, &right))
    }

    /// The root of the first `size` leaves.
    ///
    /// # Errors
    /// What reading a node says.
    pub fn root(&mut self, size: u64) -> Result<Hash, E> {
        if size == 0 {
            Ok(empty_root())
        } else {
            self.subtree(0, size)
        }
    }

    /// PATH(index, D[size]): that a leaf is in a tree. Empty when there is no such leaf.
    ///
    /// # Errors
    /// What reading a node says.
    pub fn inclusion(&mut self, index: u64, size: u64) -> Result<Vec<Hash>, E> {
        let (mut start, mut end, mut path) = (0, size, Vec::new());
        if index >= size {
            return Ok(path);
        }
        while end - start > 1 {
            let middle = start + split(end - start);
            if index < middle {
                path.push(self.subtree(middle, end)?);
                end = middle;
            } else {
                path.push(self.subtree(start, middle)?);
                start = middle;
            }
        }
        path.reverse();
        Ok(path)
    }

    /// PROOF(old, D[new]): that a tree is the beginning of another. Empty when `old` is nothing or all of it.
    ///
    /// # Errors
    /// What reading a node says.
    pub fn consistency(&mut self, old: u64, new: u64) -> Result<Vec<Hash>, E> {
        let (mut start, mut end, mut path) = (0, new, Vec::new());
        if old == 0 || old >= new {
            return Ok(path);
        }
        while old != end {
            let middle = start + split(end - start);
            if old <= middle {
                path.push(self.subtree(middle, end)?);
                end = middle;
            } else {
                path.push(self.subtree(start, middle)?);
                start = middle;
            }
        }
        if start != 0 {
            path.push(self.subtree(start, end)?); // Otherwise it is the old root, which the verifier has.
        }
        path.reverse();
        Ok(path)
    }
}

/// Whether `leaf` is the `index`th of the tree with this size and root: RFC 9162, section 2.1.3.2.
#[must_use]
pub fn is_included(leaf: &Hash, index: u64, size: u64, root: &Hash, proof: &[Hash]) -> bool {
    if index >= size || proof.len() > PROOF_HASHES_MAX {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for step in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(step, &hash);
            let skip = if node & 1 == 1 {
                0
            } else {
                node.trailing_zeros().min(u64::BITS - 1)
            };
            node >>= skip;
            last >>= skip;
        } else {
            hash = node_hash(&hash, step);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether the tree `(old, old_root)` is the beginning of `(new, new_root)`: RFC 9162, section 2.1.4.2.
#[must_use]
pub fn is_consistent(old: u64, old_root: &Hash, new: u64, new_root: &Hash, proof: &[Hash]) -> bool {
    if old > new || proof.len() > PROOF_HASHES_MAX {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root && (old != 0 || *old_root == empty_root());
    }
    if old == 0 {
        return proof.is_empty() && *old_root == empty_root();
    }
    let skip = (old - 1).trailing_ones();
    let (mut node, mut last) = ((old - 1) >> skip, (new - 1) >> skip);
    let mut steps = proof.iter();
    let first = if old.is_power_of_two() {
        Some(old_root)
    } else {
        steps.next()
    };
    let Some(mut from_old) = first.copied() else {
        return false;
    };
    let mut from_new = from_old;
    for step in steps {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            from_old = node_hash(step, &from_old);
            from_new = node_hash(step, &from_new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            from_new = node_hash(&from_new, step);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && from_old == *old_root && from_new == *new_root
}

#[cfg(test)]
mod tests;
