//! The Merkle tree over all records, hashed as RFC 6962 §2.1 with SHA-256.
//!
//! Leaf number and record sequence are the same number, so a record's place in the tree needs no table.
//! Nothing here does IO: whoever makes a proof gives the hashes of complete subtrees.

use ring::digest::{Context, SHA256};

/// A node of the tree.
pub type Hash = [u8; 32];

/// Hash of a leaf: `SHA-256(0x00 ‖ data)`.
pub fn leaf_hash(data: &[u8]) -> Hash {
    digest(&[&[0], data])
}

/// Hash of an inner node: `SHA-256(0x01 ‖ left ‖ right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    digest(&[&[1], left, right])
}

/// SHA-256 over the parts, one after the other.
pub(super) fn digest(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    hash
}

/// The roots of the complete subtrees of a tree, largest first: all that is needed to grow it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Hash>,
}

impl Frontier {
    /// The frontier of a tree of `size` leaves, unless the number of hashes does not fit the size.
    pub fn new(size: u64, hashes: Vec<Hash>) -> Option<Self> {
        (hashes.len() == size.count_ones() as usize).then_some(Self { size, hashes })
    }

    /// Leaves in the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The subtree roots, largest first.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Adds a leaf. `complete` is told every subtree this completes: its height and root, from 0 up.
    pub fn push(&mut self, leaf: Hash, mut complete: impl FnMut(u32, Hash)) {
        let mut hash = leaf;
        complete(0, hash);
        for height in 1..=self.size.trailing_ones() {
            if let Some(left) = self.hashes.pop() {
                hash = node_hash(&left, &hash);
                complete(height, hash);
            }
        }
        self.hashes.push(hash);
        self.size = self.size.saturating_add(1);
    }

    /// The root: of an empty tree, the digest of nothing.
    pub fn root(&self) -> Hash {
        let mut hashes = self.hashes.iter().rev();
        let Some(last) = hashes.next() else { return digest(&[]) };
        hashes.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// Gives the roots of complete subtrees.
pub trait Subtrees {
    /// Why a hash cannot be had.
    type Error;

    /// Root of the subtree over the leaves `index << height` and up, `1 << height` of them.
    fn subtree(&self, height: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// Root over the leaves `from..to`, where `from` is a multiple of the largest power of two that is not
/// more than `to - from`.
fn range_root<S: Subtrees>(tree: &S, from: u64, to: u64) -> Result<Hash, S::Error> {
    let count = to.saturating_sub(from);
    if count == 0 {
        return Ok(digest(&[]));
    }
    if count.is_power_of_two() {
        return tree.subtree(count.trailing_zeros(), from >> count.trailing_zeros());
    }
    let middle = from + split(count);
    Ok(node_hash(&range_root(tree, from, middle)?, &range_root(tree, middle, to)?))
}

/// The largest power of two smaller than `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << count.saturating_sub(1).checked_ilog2().unwrap_or(0)
}

/// Root of the tree over its first `size` leaves.
///
/// # Errors
/// Those of the source of hashes.
pub fn root<S: Subtrees>(tree: &S, size: u64) -> Result<Hash, S::Error> {
    range_root(tree, 0, size)
}

/// The path that proves that leaf `index` is in the tree of `size` leaves (RFC 6962 §2.1.1). Empty if
/// it is not.
///
/// # Errors
/// Those of the source of hashes.
pub fn inclusion_proof<S: Subtrees>(tree: &S, index: u64, size: u64) -> Result<Vec<Hash>, S::Error> {
    let (mut from, mut to) = (0, size);
    let mut proof = Vec::new();
    if index >= size {
        return Ok(proof);
    }
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            proof.push(range_root(tree, middle, to)?);
            to = middle;
        } else {
            proof.push(range_root(tree, from, middle)?);
            from = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of `new` leaves continues the tree of `old` leaves (RFC 6962 §2.1.2).
///
/// # Errors
/// Those of the source of hashes.
pub fn consistency_proof<S: Subtrees>(tree: &S, old: u64, new: u64) -> Result<Vec<Hash>, S::Error> {
    let (mut from, mut to) = (0, new);
    let mut proof = Vec::new();
    if old == 0 || old >= new {
        return Ok(proof);
    }
    let mut whole = true; // the old tree is exactly the part we are in, counted from its left end
    while old < to {
        let middle = from + split(to - from);
        if old <= middle {
            proof.push(range_root(tree, middle, to)?);
            to = middle;
        } else {
            proof.push(range_root(tree, from, middle)?);
            from = middle;
            whole = false;
        }
    }
    if !whole {
        proof.push(range_root(tree, from, to)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Whether `proof` shows `leaf` at `index` in the tree of `size` leaves with this root
/// (RFC 9162 §2.1.3.2).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree of `new` leaves begins with the tree of `old` leaves
/// (RFC 9162 §2.1.4.2).
pub fn verify_consistency(old: u64, old_root: &Hash, new: u64, new_root: &Hash, proof: &[Hash]) -> bool {
    if old > new {
        return false;
    }
    if old == new {
        return proof.is_empty() && old_root == new_root;
    }
    if old == 0 {
        return proof.is_empty() && *old_root == digest(&[]);
    }
    let mut proof = proof.iter();
    let first = if old.is_power_of_two() { Some(old_root) } else { proof.next() };
    let Some(first) = first else { return false };
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    struct Leaves(Vec<Hash>);

    impl Subtrees for Leaves {
        type Error = Infallible;

        fn subtree(&self, height: u32, index: u64) -> Result<Hash, Infallible> {
            if height == 0 {
                return Ok(self.0[index as usize]);
            }
            let left = self.subtree(height - 1, index * 2)?;
            Ok(node_hash(&left, &self.subtree(height - 1, index * 2 + 1)?))
        }
    }

    fn leaves(count: u64) -> Leaves {
        Leaves((0..count).map(|number| leaf_hash(&number.to_be_bytes())).collect())
    }

    /// MTH as RFC 6962 writes it, to compare with.
    fn plain_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => digest(&[]),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                node_hash(&plain_root(left), &plain_root(right))
            }
        }
    }

    #[test]
    fn known_hashes() {
        // The test vectors of RFC 6962 implementations: empty tree and empty leaf.
        assert_eq!(
            protocol::digest::hex(&Frontier::default().root()),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            protocol::digest::hex(&leaf_hash(b"")),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
    }

    #[test]
    fn every_small_tree_proves_itself() {
        let all = leaves(40);
        let mut frontier = Frontier::default();
        let mut roots = vec![frontier.root()];
        for size in 1..=40_u64 {
            frontier.push(all.0[size as usize - 1], |_, _| ());
            let Ok(root) = root(&all, size);
            assert_eq!(root, plain_root(&all.0[..size as usize]));
            assert_eq!(root, frontier.root());
            assert_eq!(Frontier::new(size, frontier.hashes().to_vec()), Some(frontier.clone()));
            roots.push(root);
            for index in 0..size {
                let Ok(mut proof) = inclusion_proof(&all, index, size);
                let leaf = &all.0[index as usize];
                assert!(verify_inclusion(leaf, index, size, &proof, &root), "{index} of {size}");
                assert!(!verify_inclusion(leaf, index + 1, size, &proof, &root));
                assert!(!verify_inclusion(&[0; 32], index, size, &proof, &root));
                proof.push([0; 32]);
                assert!(!verify_inclusion(leaf, index, size, &proof, &root));
            }
            for old in 0..=size {
                let Ok(mut proof) = consistency_proof(&all, old, size);
                let old_root = roots[old as usize];
                assert!(verify_consistency(old, &old_root, size, &root, &proof), "{old} to {size}");
                assert!(!verify_consistency(old, &[9; 32], size, &root, &proof), "{old} to {size}");
                proof.push([0; 32]);
                assert!(!verify_consistency(old, &old_root, size, &root, &proof), "{old} to {size}");
            }
        }
    }

    #[test]
    fn subtrees_are_told_when_complete() {
        let all = leaves(8);
        let mut frontier = Frontier::default();
        let mut told = Vec::new();
        for leaf in &all.0 {
            frontier.push(*leaf, |height, hash| {
                if height == 2 {
                    told.push(hash);
                }
            });
        }
        assert_eq!(told, [plain_root(&all.0[..4]), plain_root(&all.0[4..])]);
        assert_eq!(Frontier::new(3, vec![[0; 32]]), None);
    }
}
