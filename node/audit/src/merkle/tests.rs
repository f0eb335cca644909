//! The tree against the vectors of Certificate Transparency, and against `ct-merkle`.

use std::convert::Infallible;

use ct_merkle::{ConsistencyProof, InclusionProof, RootHash, mem_backed_tree::MemoryBackedTree};
use proptest::prelude::*;
use sha2::Sha256;

use super::*;

/// The eight leaves of the test vectors of Certificate Transparency, and the roots of their first n.
const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn bytes(hex: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(pair).collect()
}

fn grown(leaves: &[Vec<u8>]) -> (Frontier, Vec<Hash>) {
    let (mut frontier, mut stored) = (Frontier::default(), Vec::new());
    for leaf in leaves {
        frontier.push(leaf_hash(leaf), |node| stored.push(node));
    }
    (frontier, stored)
}

fn read(stored: &[Hash]) -> impl FnMut(u64) -> Result<Hash, Infallible> {
    |at| Ok(stored[usize::try_from(at).unwrap()])
}

fn many(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|n| n.to_string().into_bytes()).collect()
}

#[test]
fn the_roots_of_the_known_trees_are_the_known_roots() {
    let leaves: Vec<Vec<u8>> = LEAVES.iter().map(|leaf| bytes(leaf)).collect();
    for size in 0..=8 {
        let (frontier, stored) = grown(&leaves[..size]);
        assert_eq!(frontier.root().to_string(), ROOTS[size]);
        assert_eq!(
            Prover(read(&stored)).root(size as u64).unwrap(),
            frontier.root()
        );
    }
}

#[test]
fn the_proofs_of_the_known_tree_are_the_known_proofs() {
    let leaves: Vec<Vec<u8>> = LEAVES.iter().map(|leaf| bytes(leaf)).collect();
    let (_, stored) = grown(&leaves);
    let hex = |proof: Vec<Hash>| {
        proof
            .iter()
            .map(|hash| hash.to_string())
            .collect::<Vec<_>>()
    };
    let mut prover = Prover(read(&stored));
    assert_eq!(
        hex(prover.inclusion(0, 8).unwrap()),
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
    );
    assert_eq!(hex(prover.inclusion(2, 3).unwrap()), [ROOTS[2]]);
    assert_eq!(
        hex(prover.consistency(1, 8).unwrap()),
        hex(prover.inclusion(0, 8).unwrap())
    );
    assert_eq!(
        hex(prover.consistency(6, 8).unwrap()),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            ROOTS[4],
        ]
    );
}

#[test]
fn nodes_are_stored_in_the_order_of_their_numbers() {
    let (_, stored) = grown(&many(200));
    assert_eq!(stored.len() as u64, stored_count(200));
    for size in 0..=200 {
        let (frontier, nodes) = grown(&many(size));
        assert_eq!(nodes.len() as u64, stored_count(size as u64));
        assert_eq!(
            Frontier::load(size as u64, read(&stored)).unwrap(),
            frontier
        );
    }
}

proptest! {
    #[test]
    fn roots_and_proofs_are_those_of_another_implementation(
        size in 1..300_usize, index in any::<prop::sample::Index>(), old in any::<prop::sample::Index>(),
    ) {
        let (index, old) = (index.index(size), old.index(size) + 1);
        let leaves = many(size);
        let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        leaves.iter().for_each(|leaf| theirs.push(leaf.clone()));
        let (frontier, stored) = grown(&leaves);
        let root = frontier.root();
        let their_root = theirs.root();
        prop_assert_eq!(their_root.as_bytes().as_slice(), &root.0);
        let mut prover = Prover(read(&stored));
        let path = prover.inclusion(index as u64, size as u64).unwrap();
        let flat = |proof: &[Hash]| proof.iter().flat_map(|hash| hash.0).collect::<Vec<u8>>();
        let their_path = theirs.prove_inclusion(index);
        prop_assert_eq!(&flat(&path), their_path.as_bytes());
        prop_assert!(is_included(&leaf_hash(&leaves[index]), index as u64, size as u64, &root, &path));
        let old_root = prover.root(old as u64).unwrap();
        let path = prover.consistency(old as u64, size as u64).unwrap();
        prop_assert!(is_consistent(old as u64, &old_root, size as u64, &root, &path));
        if old < size {
            let their_path = theirs.prove_consistency(size - old);
            prop_assert_eq!(&flat(&path), their_path.as_bytes());
        }
    }

    #[test]
    fn no_other_proof_is_believed(
        size in 2..200_usize, index in any::<prop::sample::Index>(), old in any::<prop::sample::Index>(),
        which in any::<prop::sample::Index>(), bit in 0..256_usize, how in 0..5,
    ) {
        let (index, old) = (index.index(size), old.index(size - 1) as u64 + 1);
        let leaves = many(size);
        let (frontier, stored) = grown(&leaves);
        let (root, leaf) = (frontier.root(), leaf_hash(&leaves[index]));
        let (index, size) = (index as u64, size as u64);
        let mut prover = Prover(read(&stored));
        let old_root = prover.root(old).unwrap();
        let spoil = |mut proof: Vec<Hash>| {
            let at = which.index(proof.len());
            match how {
                0 => proof[at].0[bit / 8] ^= 1 << (bit % 8),
                1 => drop(proof.remove(at)),
                2 => proof.insert(at, proof[at]),
                3 => proof.push(root),
                _ => { proof.reverse(); proof.insert(0, root); }
            }
            proof
        };
        let path = spoil(prover.inclusion(index, size).unwrap());
        prop_assert!(!is_included(&leaf, index, size, &root, &path));
        let path = prover.inclusion(index, size).unwrap();
        prop_assert!(!is_included(&leaf_hash(b"other"), index, size, &root, &path));
        prop_assert!(!is_included(&leaf, size, size, &root, &path));
        let path = prover.consistency(old, size).unwrap();
        prop_assert!(!is_consistent(old, &root, size, &old_root, &path));
        if !path.is_empty() {
            prop_assert!(!is_consistent(old, &old_root, size, &root, &spoil(path)));
        }
    }
}

#[test]
fn a_proof_is_believed_for_its_own_sizes_and_roots_alone() {
    let leaves = many(8);
    let (_, stored) = grown(&leaves);
    let mut prover = Prover(read(&stored));
    let (four, path) = (prover.root(4).unwrap(), prover.inclusion(0, 4).unwrap());
    let leaf = leaf_hash(&leaves[0]);
    assert!(is_included(&leaf, 0, 4, &four, &path));
    assert!(!is_included(&leaf, 0, 8, &four, &path), "of a larger tree");
    let (six, eight) = (prover.root(6).unwrap(), prover.root(8).unwrap());
    let path = prover.consistency(6, 8).unwrap();
    assert!(is_consistent(6, &six, 8, &eight, &path));
    assert!(
        !is_consistent(6, &four, 8, &eight, &path),
        "another beginning"
    );
    assert!(!is_consistent(6, &six, 8, &four, &path), "another end");
    assert!(
        !is_consistent(0, &six, 8, &eight, &[]),
        "nothing has one root"
    );
    assert!(!is_consistent(0, &six, 0, &six, &[]));
}

#[test]
fn their_verifier_believes_our_proofs() {
    let leaves = many(77);
    let (frontier, stored) = grown(&leaves);
    let digest = |hash: Hash| ct_merkle::digest::Output::<Sha256>::from(hash.0);
    let root = RootHash::<Sha256>::new(digest(frontier.root()), 77);
    let mut prover = Prover(read(&stored));
    for (index, leaf) in (0..).zip(&leaves) {
        let path: Vec<u8> = prover
            .inclusion(index, 77)
            .unwrap()
            .iter()
            .flat_map(|hash| hash.0)
            .collect();
        let proof = InclusionProof::<Sha256>::from_bytes(path);
        root.verify_inclusion(leaf, index, &proof).unwrap();
    }
    for old in 1..77 {
        let old_root = RootHash::new(digest(prover.root(old).unwrap()), old);
        let path: Vec<u8> = prover
            .consistency(old, 77)
            .unwrap()
            .iter()
            .flat_map(|hash| hash.0)
            .collect();
        let proof = ConsistencyProof::<Sha256>::try_from_bytes(path).unwrap();
        root.verify_consistency(&old_root, &proof).unwrap();
    }
}
