//! Verifying a chain (§2.4).

use std::collections::HashSet;

use bytes::Bytes;

use super::document::{Chain, ChainResult, ValueKind};
use super::step;
use crate::digest::{Digest, DigestAlgorithm};
use crate::fault::{Fault, code};
use crate::signature::PartDigests;

/// What may stand in a chain, or in a signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rules {
    /// On the message path: no SHA-1, no transforms in a chain, nothing but what the format needs.
    Message,
    /// For evidence, which may be old: all that the format has.
    Evidence,
}

/// What is behind a name that a chain refers to.
#[derive(Clone, Debug)]
pub enum Source {
    /// These octets.
    Octets(Bytes),
    /// Nothing that can be had, and the caller takes the chain's word for its digest.
    Unresolved,
    /// Nothing.
    Absent,
}

/// A part that a chain must cover.
#[derive(Clone, Copy, Debug)]
pub struct RequiredInput<'a> {
    /// Its name, such as `/message.xml`.
    pub name: &'a str,
    /// The part itself. If it is given, the digest that the chain claims is not looked at.
    pub part: Option<&'a PartDigests>,
}

/// A part that a verified chain covers.
#[derive(Clone, Debug)]
pub struct CoveredPart {
    /// Its name.
    pub name: String,
    /// Its digest according to the chain.
    pub digest: Digest,
    /// Whether the digest was compared with the part; false for [`Source::Unresolved`].
    pub is_verified: bool,
    /// Where it stands below the result: on each level, the number of the value that leads to it. The
    /// digests fix it: a chain to the same result that has the part elsewhere would be a collision.
    pub place: Vec<u32>,
}

/// Steps that are visited at most; a batch of 2^40 messages needs no more than 41.
const MOST_STEPS: usize = 64;

/// Parts that a chain covers at most, each of them once.
const MOST_PARTS: usize = 1000;

/// Verifies that a chain leads from its inputs to `result`.
///
/// `source` resolves names of chain documents and of parts that are not given in `required`.
///
/// # Errors
/// `malformed_hash_chain`, `invalid_reference`, `invalid_hash_chain_ref`, `invalid_hash_chain` and
/// `hashchain_unused_inputs` as in §2.4, without a prefix.
pub fn verify(
    result: &[u8],
    source: &dyn Fn(&str) -> Source,
    required: &[RequiredInput<'_>],
    rules: Rules,
) -> Result<Vec<CoveredPart>, Fault> {
    let result = ChainResult::parse(result)?;
    let mut walk = Walk {
        source,
        required,
        rules,
        files: Vec::new(),
        visited: HashSet::new(),
        covered: Vec::new(),
        place: Vec::new(),
    };
    walk.admit(result.digest.algorithm())?;
    let reached = walk.step(None, &result.uri, result.digest.algorithm())?;
    if reached != result.digest {
        return Err(Fault::new(code::INVALID_HASH_CHAIN, "the hash chain does not lead to its result"));
    }
    for input in required {
        if !walk.covered.iter().any(|covered| covered.name == input.name) {
            let text = format!("the hash chain does not cover {}", input.name);
            return Err(Fault::new(code::HASHCHAIN_UNUSED_INPUTS, text));
        }
    }
    Ok(walk.covered)
}

struct Walk<'a> {
    source: &'a dyn Fn(&str) -> Source,
    required: &'a [RequiredInput<'a>],
    rules: Rules,
    /// Chain documents read so far.
    files: Vec<(String, std::rc::Rc<Chain>)>,
    /// File and position of steps seen so far.
    visited: HashSet<(usize, usize)>,
    covered: Vec<CoveredPart>,
    /// Numbers of the values that lead to the one that is looked at.
    place: Vec<u32>,
}

impl Walk<'_> {
    /// The digest of the step that `uri`, written in file `from`, names.
    fn step(&mut self, from: Option<usize>, uri: &str, method: DigestAlgorithm) -> Result<Digest, Fault> {
        let malformed = |text: String| Fault::new(code::MALFORMED_HASH_CHAIN, text);
        let (base, fragment) = uri
            .split_once('#')
            .filter(|(_, fragment)| !fragment.is_empty())
            .ok_or_else(|| malformed(format!("'{uri}' names no hash step")))?;
        let file = match from {
            Some(file) if base.is_empty() => file,
            _ => self.file(base)?,
        };
        let chain = self.files.get(file).map(|(_, chain)| chain.clone());
        let chain = chain.ok_or_else(|| malformed("the hash chain is lost".to_owned()))?;
        let position = chain
            .steps
            .iter()
            .position(|step| step.id == fragment)
            .ok_or_else(|| malformed(format!("there is no hash step '{uri}'")))?;
        // A step twice is a cycle, or work without end; a batch never needs it.
        if !self.visited.insert((file, position)) || self.visited.len() > MOST_STEPS {
            return Err(malformed("the hash chain visits too many steps".to_owned()));
        }
        let values = chain.steps.get(position).map(|step| step.values.as_slice()).unwrap_or_default();
        let mut digests = Vec::with_capacity(values.len());
        for (number, value) in (0..).zip(values) {
            self.admit(value.method)?;
            self.place.push(number);
            digests.push(match &value.kind {
                ValueKind::Hash(digest) => *digest,
                ValueKind::Step(uri) => self.step(Some(file), uri, value.method)?,
                ValueKind::Data { uri, transforms, digest } => self.part(uri, transforms, digest)?,
            });
            self.place.pop();
        }
        Ok(step::digest(method, &digests))
    }

    /// The position of a chain document, read once.
    fn file(&mut self, name: &str) -> Result<usize, Fault> {
        if let Some(position) = self.files.iter().position(|(known, _)| known == name) {
            return Ok(position);
        }
        let Source::Octets(octets) = (self.source)(name) else {
            return Err(Fault::new(code::INVALID_REFERENCE, format!("there is no hash chain '{name}'")));
        };
        let chain = Chain::parse(&octets)?;
        self.admit(chain.default_method)?;
        self.files.push((name.to_owned(), std::rc::Rc::new(chain)));
        Ok(self.files.len() - 1)
    }

    fn part(
        &mut self,
        name: &str,
        transforms: &[crate::xml::Canonicalization],
        claimed: &Digest,
    ) -> Result<Digest, Fault> {
        if self.rules == Rules::Message && !transforms.is_empty() {
            return Err(Fault::new(code::MALFORMED_HASH_CHAIN, "a hash chain of a message has transforms"));
        }
        // Each part costs a look at its octets, so a chain may not name one again and again.
        if self.covered.len() == MOST_PARTS || self.covered.iter().any(|covered| covered.name == name) {
            return Err(Fault::new(code::MALFORMED_HASH_CHAIN, "the hash chain refers to a part twice"));
        }
        let given = self
            .required
            .iter()
            .find(|input| input.name == name)
            .and_then(|input| input.part)
            .and_then(|part| part.digest(claimed.algorithm()));
        let (digest, is_verified) = match given {
            Some(digest) => (digest, true),
            None => match (self.source)(name) {
                Source::Unresolved => (*claimed, false),
                Source::Octets(octets) => {
                    let found = PartDigests::of(octets).transformed(transforms, claimed.algorithm());
                    if found.as_ref() != Some(claimed) {
                        let text = format!("the digest of {name} differs from the hash chain");
                        return Err(Fault::new(code::INVALID_HASH_CHAIN_REF, text));
                    }
                    (*claimed, true)
                }
                Source::Absent => {
                    let text = format!("the hash chain refers to {name}, which is not there");
                    return Err(Fault::new(code::INVALID_REFERENCE, text));
                }
            },
        };
        self.covered.push(CoveredPart {
            name: name.to_owned(),
            digest,
            is_verified,
            place: self.place.clone(),
        });
        Ok(digest)
    }

    fn admit(&self, algorithm: DigestAlgorithm) -> Result<(), Fault> {
        if self.rules == Rules::Message && algorithm == DigestAlgorithm::Sha1 {
            return Err(Fault::new(code::MALFORMED_HASH_CHAIN, "a hash chain of a message uses SHA-1"));
        }
        Ok(())
    }
}
