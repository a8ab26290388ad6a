//! Building chains for the members of a batch (§2.3).

use bytes::Bytes;

use super::step;
use super::{ATTACHMENT, MESSAGE, NAMESPACE, SIGNATURE_CHAIN, SIGNATURES, TIMESTAMP_CHAIN};
use crate::digest::{Digest, DigestAlgorithm};

/// Documents of one batch.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The chain result, common to all inputs. Its octets are what is signed or time-stamped.
    pub result: Bytes,
    /// The chain of each input, in the order of the inputs.
    pub chains: Vec<Bytes>,
}

/// The chains of messages that are signed together.
///
/// `messages[i]` holds the digests of `/message.xml`, `/attachment1`, `/attachment2` and so on of
/// message i, all made with one algorithm, that of the first digest. A single message without
/// attachments needs no chain (§1.6); asked for one, this gives a chain of one step.
pub fn signature_batch(messages: &[&[Digest]]) -> Batch {
    build(messages, SIGNATURE_CHAIN, |part| match part {
        0 => MESSAGE.to_owned(),
        n => format!("{ATTACHMENT}{n}"),
    })
}

/// The chains of signature documents that are time-stamped together.
///
/// Leaves are the digests of the documents as signed, without a time-stamp inside (§3.1).
pub fn timestamp_batch(leaves: &[Digest]) -> Batch {
    let inputs: Vec<&[Digest]> = leaves.iter().map(std::slice::from_ref).collect();
    build(&inputs, TIMESTAMP_CHAIN, |_| SIGNATURES.to_owned())
}

/// The chain result of [`timestamp_batch`] alone, when the chains are made later, one at a time.
pub fn timestamp_result(leaves: &[Digest]) -> Bytes {
    let inputs: Vec<&[Digest]> = leaves.iter().map(std::slice::from_ref).collect();
    let (algorithm, _, tree) = grow(&inputs);
    Bytes::from(
        Writer { algorithm, part_name: &|_| SIGNATURES.to_owned() }.result(TIMESTAMP_CHAIN, &tree.root()),
    )
}

/// The chain of one leaf of [`timestamp_batch`]; none if there is no such leaf.
pub fn timestamp_chain(leaves: &[Digest], position: usize) -> Option<Bytes> {
    let inputs: Vec<&[Digest]> = leaves.iter().map(std::slice::from_ref).collect();
    let (algorithm, grown, tree) = grow(&inputs);
    let writer = Writer { algorithm, part_name: &|_| SIGNATURES.to_owned() };
    (position < grown.len()).then(|| Bytes::from(writer.chain(&tree, grown.get(position), position)))
}

/// The chains of [`timestamp_batch`], made when they are asked for from one tree.
#[derive(Debug)]
pub struct TimestampChains {
    algorithm: DigestAlgorithm,
    leaves: Vec<Digest>,
    tree: Tree,
}

impl TimestampChains {
    /// Grows the tree over these leaves.
    pub fn over(leaves: Vec<Digest>) -> Self {
        let inputs: Vec<&[Digest]> = leaves.iter().map(std::slice::from_ref).collect();
        let (algorithm, _, tree) = grow(&inputs);
        Self { algorithm, leaves, tree }
    }

    /// The chain of one leaf; none if there is no such leaf.
    pub fn chain(&self, position: usize) -> Option<Bytes> {
        if self.leaves.len() == 1 {
            return timestamp_chain(&self.leaves, position);
        }
        let digest = *self.leaves.get(position)?;
        let leaf = Leaf { parts: &[digest], digest, has_step: false };
        let writer = Writer { algorithm: self.algorithm, part_name: &|_| SIGNATURES.to_owned() };
        Some(Bytes::from(writer.chain(&self.tree, Some(&leaf), position)))
    }
}

fn build(inputs: &[&[Digest]], chain_name: &str, part_name: impl Fn(usize) -> String) -> Batch {
    let (algorithm, leaves, tree) = grow(inputs);
    let writer = Writer { algorithm, part_name: &part_name };
    let documents =
        (0..leaves.len()).map(|leaf| Bytes::from(writer.chain(&tree, leaves.get(leaf), leaf))).collect();
    Batch { result: Bytes::from(writer.result(chain_name, &tree.root())), chains: documents }
}

/// The digest algorithm of a batch, its leaves and the tree over them.
fn grow<'a>(inputs: &[&'a [Digest]]) -> (DigestAlgorithm, Vec<Leaf<'a>>, Tree) {
    let algorithm =
        inputs.iter().copied().flatten().next().map_or(DigestAlgorithm::Sha512, Digest::algorithm);
    // A tree of one leaf has no inner step that could hold the leaf, so the leaf becomes one.
    let lone = inputs.len() == 1;
    let leaves: Vec<Leaf<'a>> = inputs
        .iter()
        .map(|parts| match parts {
            [part] if !lone => Leaf { parts, digest: *part, has_step: false },
            parts => Leaf { parts, digest: step::digest(algorithm, parts), has_step: true },
        })
        .collect();
    let tree = Tree::over(algorithm, &leaves);
    (algorithm, leaves, tree)
}

struct Leaf<'a> {
    parts: &'a [Digest],
    digest: Digest,
    has_step: bool,
}

/// Levels of a tree, leaves first. A node without a right sibling is carried up unhashed, which gives
/// the same shape as splitting at the largest power of two below n.
#[derive(Debug)]
struct Tree {
    levels: Vec<Vec<Digest>>,
}

impl Tree {
    fn over(algorithm: DigestAlgorithm, leaves: &[Leaf<'_>]) -> Self {
        let mut level: Vec<Digest> = leaves.iter().map(|leaf| leaf.digest).collect();
        let mut levels = Vec::new();
        while level.len() > 1 {
            let next = level
                .chunks(2)
                .map(|pair| match pair {
                    [lone] => *lone,
                    pair => step::digest(algorithm, pair),
                })
                .collect();
            levels.push(std::mem::replace(&mut level, next));
        }
        levels.push(level);
        Self { levels }
    }

    fn root(&self) -> Digest {
        let root = self.levels.last().and_then(|level| level.first()).copied();
        root.unwrap_or_else(|| step::digest(DigestAlgorithm::Sha512, &[]))
    }

    /// Siblings of a leaf on the way from the root down: whether each stands left, and its digest.
    fn siblings(&self, leaf: usize) -> Vec<(bool, Digest)> {
        let mut siblings: Vec<_> = self
            .levels
            .iter()
            .enumerate()
            .filter_map(|(height, level)| {
                let position = leaf >> height;
                let is_right = position & 1 == 1;
                level.get(position ^ 1).map(|sibling| (is_right, *sibling))
            })
            .collect();
        siblings.reverse();
        siblings
    }
}

struct Writer<'a> {
    algorithm: DigestAlgorithm,
    part_name: &'a dyn Fn(usize) -> String,
}

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
const XMLDSIG: &str = "http://www.w3.org/2000/09/xmldsig#";

impl Writer<'_> {
    fn result(&self, chain_name: &str, root: &Digest) -> String {
        format!(
            "{DECLARATION}<ns2:HashChainResult URI=\"{chain_name}#STEP0\" xmlns=\"{XMLDSIG}\" xmlns:ns2=\"{NAMESPACE}\">\n    \
             <DigestMethod Algorithm=\"{}\"/>\n    <DigestValue>{}</DigestValue>\n</ns2:HashChainResult>\n",
            self.algorithm.uri(),
            root.to_base64(),
        )
    }

    fn chain(&self, tree: &Tree, leaf: Option<&Leaf<'_>>, position: usize) -> String {
        let siblings = tree.siblings(position);
        let has_step = leaf.is_none_or(|leaf| leaf.has_step);
        let mut text = String::with_capacity(512 + 512 * siblings.len());
        text.push_str(DECLARATION);
        text.push_str(&format!(
            "<ns2:HashChain xmlns=\"{XMLDSIG}\" xmlns:ns2=\"{NAMESPACE}\">\n    \
             <ns2:DefaultDigestMethod Algorithm=\"{}\"/>\n",
            self.algorithm.uri()
        ));
        for (number, (sibling_is_left, sibling)) in siblings.iter().enumerate() {
            text.push_str(&format!("    <ns2:HashStep id=\"STEP{number}\">\n"));
            if *sibling_is_left {
                self.value(&mut text, "HashValue", None, sibling);
            }
            match leaf {
                Some(leaf) if !has_step && number + 1 == siblings.len() => {
                    self.value(&mut text, "DataRef", Some((self.part_name)(0)), &leaf.digest);
                }
                _ => text.push_str(&format!("        <ns2:StepRef URI=\"#STEP{}\"/>\n", number + 1)),
            }
            if !*sibling_is_left {
                self.value(&mut text, "HashValue", None, sibling);
            }
            text.push_str("    </ns2:HashStep>\n");
        }
        if let Some(leaf) = leaf.filter(|_| has_step) {
            text.push_str(&format!("    <ns2:HashStep id=\"STEP{}\">\n", siblings.len()));
            for (number, part) in leaf.parts.iter().enumerate() {
                self.value(&mut text, "DataRef", Some((self.part_name)(number)), part);
            }
            text.push_str("    </ns2:HashStep>\n");
        }
        text.push_str("</ns2:HashChain>\n");
        text
    }

    fn value(&self, text: &mut String, element: &str, uri: Option<String>, digest: &Digest) {
        let uri = uri.map_or_else(String::new, |uri| format!(" URI=\"{uri}\""));
        // Only a digest of another algorithm than the batch names its own.
        let method = if digest.algorithm() == self.algorithm {
            String::new()
        } else {
            format!("            <DigestMethod Algorithm=\"{}\"/>\n", digest.algorithm().uri())
        };
        text.push_str(&format!(
            "        <ns2:{element}{uri}>\n{method}            <DigestValue>{}</DigestValue>\n        </ns2:{element}>\n",
            digest.to_base64()
        ));
    }
}
