//! What a signature refers to, and whether that is what was received (§1.7, §5.2).

use super::document::{digest, malformed};
use super::parts::{PartDigests, Parts, attachment_number};
use crate::digest::{Digest, DigestAlgorithm};
use crate::fault::{Fault, code};
use crate::hash_chain::{self, RequiredInput, Rules, Source};
use crate::xml::{Canonicalization, CanonicalizationMethod, Document, Element, XMLDSIG_NAMESPACE};

/// Bounds of X-Road's XML security library in secure mode.
const MOST_REFERENCES: usize = 30;
const MOST_TRANSFORMS: usize = 5;

/// The references of a signature. Those into the document itself were checked when it was parsed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct References {
    pub(super) references: Vec<Reference>,
    has_properties: bool,
    rules: Rules,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Reference {
    target: Target,
    pub(super) transforms: Vec<Canonicalization>,
    digest: Digest,
}

impl Reference {
    pub(super) fn is_properties(&self) -> bool {
        matches!(self.target, Target::Properties(_))
    }

    pub(super) fn is_inside(&self) -> bool {
        matches!(self.target, Target::Inside(_))
    }

    pub(super) fn algorithm(&self) -> DigestAlgorithm {
        self.digest.algorithm()
    }

    /// Gives it another digest. `properties` are the canonical signed properties, in case it is about them.
    pub(super) fn set_digest(&mut self, digest: Digest, properties: &[u8]) {
        if let Target::Properties(is_right) = &mut self.target {
            *is_right = digest.algorithm().digest(properties) == digest;
        }
        self.digest = digest;
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Target {
    Message,
    HashChainResult,
    Attachment(usize),
    /// `SignedProperties` of the document, and whether its digest holds.
    Properties(bool),
    /// Another element of the document, and whether its digest holds.
    Inside(bool),
    /// Anything else; cannot be resolved.
    Unknown,
}

impl References {
    pub(super) fn read(
        document: &Document<'_>,
        signed_info: &Element<'_>,
        properties: Option<&Element<'_>>,
        rules: Rules,
    ) -> Result<Self, Fault> {
        let mut references = Vec::new();
        for element in signed_info.elements().filter(|found| found.is(XMLDSIG_NAMESPACE, "Reference")) {
            if references.len() == MOST_REFERENCES {
                return Err(malformed("the signature has too many references"));
            }
            let uri = element.attribute("URI").ok_or_else(|| malformed("a reference has no URI"))?;
            let transforms = transforms(&element)?;
            let digest = digest(&element)?;
            if rules == Rules::Message && digest.algorithm() == DigestAlgorithm::Sha1 {
                return Err(malformed("references with SHA-1 are not accepted"));
            }
            // Each reference into the document costs a canonicalisation before anything is verified.
            let is_inside =
                |reference: &Reference| matches!(reference.target, Target::Properties(_) | Target::Inside(_));
            if rules == Rules::Message && uri.starts_with('#') && references.iter().any(is_inside) {
                return Err(malformed("the signature refers to itself more than once"));
            }
            let target = match (uri.strip_prefix('#'), uri) {
                (Some(id), _) => inside(document, id, &transforms, &digest, properties),
                (None, hash_chain::MESSAGE) => Target::Message,
                (None, hash_chain::SIGNATURE_CHAIN_RESULT) => Target::HashChainResult,
                (None, name) => attachment_number(name).map_or(Target::Unknown, Target::Attachment),
            };
            references.push(Reference { target, transforms, digest });
        }
        Ok(Self { references, has_properties: properties.is_some(), rules })
    }

    fn count(&self, is_it: impl Fn(&Target) -> bool) -> usize {
        self.references.iter().filter(|reference| is_it(&reference.target)).count()
    }

    /// Whether the signature is over a hash chain.
    pub fn is_over_hash_chain(&self) -> bool {
        self.count(|target| *target == Target::HashChainResult) > 0
    }

    /// Whether the signature refers to the message directly.
    pub fn is_over_message(&self) -> bool {
        self.count(|target| *target == Target::Message) > 0
    }

    /// Whether the signature refers to `/attachmentN` directly.
    pub fn is_over_attachment(&self, number: usize) -> bool {
        self.count(|target| *target == Target::Attachment(number)) > 0
    }

    /// Checks what a signature of the message path refers to (§1.7): exactly one of message and chain
    /// result, its signed properties, without a chain every attachment, and nothing else.
    ///
    /// # Errors
    /// `malformed_signature`.
    pub fn check_coverage(&self, parts: &Parts) -> Result<(), Fault> {
        let messages = self.count(|target| *target == Target::Message);
        let chains = self.count(|target| *target == Target::HashChainResult);
        if messages + chains != 1 {
            return Err(malformed("the signature must refer to the message or to a hash chain, and once"));
        }
        let properties = self.count(|target| matches!(target, Target::Properties(_)));
        if properties != usize::from(self.has_properties) {
            return Err(malformed("the signature must refer to its signed properties, and once"));
        }
        let attachments = if chains == 1 { 0 } else { parts.attachments.len() };
        if self.references.len() != 1 + properties + attachments {
            return Err(malformed("the signature refers to more or less than what was received"));
        }
        for number in 1..=attachments {
            if self.count(|target| *target == Target::Attachment(number)) != 1 {
                return Err(malformed(format!("the signature does not cover attachment {number}")));
            }
        }
        match (&parts.hash_chain_result, &parts.hash_chain, chains) {
            (Some(_), Some(_), 1) | (None, None, 0) => Ok(()),
            (_, _, 1) => Err(malformed("the hash chain of the signature is missing")),
            _ => Err(malformed("the signature does not refer to the hash chain that came with it")),
        }
    }

    /// Follows the hash chain, if the signature is over one, from every part to the chain result. Gives
    /// the [place](hash_chain::CoveredPart::place) of the message below it, which is empty without a chain.
    ///
    /// # Errors
    /// `malformed_signature` with the code of the chain (§2.4) behind it.
    pub fn check_hash_chain(&self, parts: &Parts) -> Result<Vec<u32>, Fault> {
        let (true, Some(result)) = (self.is_over_hash_chain(), &parts.hash_chain_result) else {
            return Ok(Vec::new());
        };
        let names: Vec<String> = (1..=parts.attachments.len())
            .map(|number| format!("{}{number}", hash_chain::ATTACHMENT))
            .collect();
        let mut required = vec![RequiredInput { name: hash_chain::MESSAGE, part: Some(&parts.message) }];
        required.extend(
            names.iter().zip(&parts.attachments).map(|(name, part)| RequiredInput { name, part: Some(part) }),
        );
        let source = |name: &str| match &parts.hash_chain {
            Some(chain) if name == hash_chain::SIGNATURE_CHAIN => Source::Octets(chain.clone()),
            _ => Source::Absent,
        };
        let covered = hash_chain::verify(result, &source, &required, self.rules)
            .map_err(|fault| fault.within(code::MALFORMED_SIGNATURE))?;
        if !covered.iter().all(|part| part.is_verified) {
            return Err(malformed("the hash chain is incomplete"));
        }
        let message = covered.into_iter().find(|part| part.name == hash_chain::MESSAGE);
        Ok(message.map(|part| part.place).unwrap_or_default())
    }

    /// Compares the digest of every reference. `part` gives what is behind a name.
    ///
    /// # Errors
    /// `invalid_signature_value`, naming the reference.
    pub fn check_digests(&self, part: &dyn Fn(&str) -> Option<PartDigests>) -> Result<(), Fault> {
        for reference in &self.references {
            let named = |name: &str| {
                let found = part(name)?.transformed(&reference.transforms, reference.digest.algorithm())?;
                Some(found == reference.digest)
            };
            let (name, is_right) = match &reference.target {
                Target::Message => (hash_chain::MESSAGE.to_owned(), named(hash_chain::MESSAGE)),
                Target::HashChainResult => {
                    let name = hash_chain::SIGNATURE_CHAIN_RESULT;
                    (name.to_owned(), named(name))
                }
                Target::Attachment(number) => {
                    let name = format!("{}{number}", hash_chain::ATTACHMENT);
                    let is_right = named(&name);
                    (name, is_right)
                }
                Target::Properties(is_right) => ("the signed properties".to_owned(), Some(*is_right)),
                Target::Inside(is_right) => ("an element of the signature".to_owned(), Some(*is_right)),
                Target::Unknown => ("something unknown".to_owned(), None),
            };
            let text = match is_right {
                Some(true) => continue,
                Some(false) => format!("the digest of {name} differs from the signature"),
                None => format!("the signature refers to {name}, which is not there"),
            };
            return Err(Fault::new(code::INVALID_SIGNATURE_VALUE, text));
        }
        Ok(())
    }

    /// All checks of the message path: [`Self::check_coverage`], [`Self::check_hash_chain`],
    /// [`Self::check_digests`]. Gives the place of the message as [`Self::check_hash_chain`] does.
    ///
    /// # Errors
    /// As those.
    pub fn check(&self, parts: &Parts) -> Result<Vec<u32>, Fault> {
        self.check_coverage(parts)?;
        let place = self.check_hash_chain(parts)?;
        self.check_digests(&|name| parts.part(name))?;
        Ok(place)
    }
}

fn transforms(reference: &Element<'_>) -> Result<Vec<Canonicalization>, Fault> {
    let Some(element) = reference.child(XMLDSIG_NAMESPACE, "Transforms") else { return Ok(Vec::new()) };
    if element.elements().count() > MOST_TRANSFORMS {
        return Err(malformed("a reference has too many transforms"));
    }
    element
        .elements()
        .map(|transform| {
            let is_transform = transform.is(XMLDSIG_NAMESPACE, "Transform");
            Canonicalization::from_element(&transform)
                .filter(|_| is_transform)
                .ok_or_else(|| malformed("unknown transform"))
        })
        .collect()
}

/// Checks a reference into the document now, while the tree is there.
fn inside(
    document: &Document<'_>,
    id: &str,
    transforms: &[Canonicalization],
    digest: &Digest,
    properties: Option<&Element<'_>>,
) -> Target {
    let Some(element) = document.element_with_id(id).filter(|_| !id.is_empty()) else {
        return Target::Unknown;
    };
    // Without a transform the default is inclusive; a second one works on octets again.
    let inclusive = Canonicalization::from(CanonicalizationMethod::Inclusive);
    let (first, rest) = transforms.split_first().unwrap_or((&inclusive, &[]));
    let octets = element.canonicalize(first);
    let found = PartDigests::of(octets.into()).transformed(rest, digest.algorithm());
    let is_right = found.as_ref() == Some(digest);
    if properties == Some(&element) { Target::Properties(is_right) } else { Target::Inside(is_right) }
}
