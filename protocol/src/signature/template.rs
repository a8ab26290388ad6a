//! Reading a document by its likeness to one that was read before.
//!
//! The documents of one signer differ in the time, in digests and in the signature value, and in nothing
//! else until its OCSP response is renewed. Where that is so, octet by octet, everything else that was
//! learnt about the first document holds for the second, and no XML needs to be parsed again.
//!
//! What may differ are texts of elements, known by their place in the octets; there, digits
//! of a time and signs of base64 may differ and nothing else may, so neither markup nor length nor canonical form can change.

use std::ops::Range;

use bytes::Bytes;

use super::document::{LIMITS, SignatureDocument, ds, find_signature, qualifying_properties, xades};
use super::references::References;
use crate::digest::Digest;
use crate::time::UtcTime;
use crate::xml::{
    Canonicalization, CanonicalizationMethod, Document, Element, XADES_NAMESPACE, XMLDSIG_NAMESPACE,
    decode_base64,
};

/// A document as a pattern for others of its signer.
#[derive(Clone, Debug)]
pub struct Template {
    document: SignatureDocument,
    /// In the order of the octets.
    places: Vec<Place>,
    /// The canonical signed properties, and where the signing time stands in them.
    properties: Vec<u8>,
    time_in_properties: Range<usize>,
    /// Where the digest of each reference stands in the canonical `ds:SignedInfo`.
    digests_in_info: Vec<Range<usize>>,
}

/// A text that differs from document to document.
#[derive(Clone, Debug)]
struct Place {
    range: Range<usize>,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// Digest of a reference.
    Digest(usize),
    Value,
    Time,
}

impl Template {
    /// The pattern of a document that was read by the rules of the message path. `None` if it is of a form
    /// for which this way of reading is not made; that is no fault of the document.
    pub fn of(read: &SignatureDocument) -> Option<Self> {
        let octets = read.octets();
        let document = Document::parse(octets, &LIMITS).ok()?;
        let signature = find_signature(&document).ok()?;
        let info = ds(&signature, "SignedInfo").ok()?;
        let canonicalization = Canonicalization::from_element(&ds(&info, "CanonicalizationMethod").ok()?)?;
        let properties = qualifying_properties(&signature)?.child(XADES_NAMESPACE, "SignedProperties")?;
        let time = signing_time(&properties)?;
        read.timestamp().is_none().then_some(())?;

        let mut places = vec![
            Place { range: text_of(&ds(&signature, "SignatureValue").ok()?, octets)?, what: What::Value },
            Place { range: text_of(&time, octets)?, what: What::Time },
        ];
        for (number, value) in digest_values(&info).enumerate() {
            places.push(Place { range: text_of(&value?, octets)?, what: What::Digest(number) });
        }
        places.sort_by_key(|place| place.range.start);

        let canonical_info = info.canonicalize(&canonicalization);
        let parsed = Document::parse(&canonical_info, &LIMITS).ok()?;
        let digests_in_info: Vec<_> = digest_values(&parsed.root())
            .map(|value| text_of(&value?, &canonical_info))
            .collect::<Option<_>>()?;
        let canonical_properties = properties.canonicalize(&read.references().properties_transform()?);
        let parsed = Document::parse(&canonical_properties, &LIMITS).ok()?;
        let time_in_properties = text_of(&signing_time(&parsed.root())?, &canonical_properties)?;

        let template = Self {
            document: read.clone(),
            places,
            properties: canonical_properties,
            time_in_properties,
            digests_in_info,
        };
        // It must give back what it was made of; this also shows that canonical texts are the same texts.
        template.read(octets).is_some_and(|again| again == *read).then_some(template)
    }

    /// Reads a document that is like this one; `None` if it is not.
    pub fn read(&self, octets: &Bytes) -> Option<SignatureDocument> {
        let known: &[u8] = self.document.octets();
        if octets.len() != known.len() {
            return None;
        }
        let mut info = self.document.signed_info_octets().to_vec();
        let mut properties = self.properties.clone();
        let mut digests = vec![None; self.digests_in_info.len()];
        let (mut value, mut time) = (None, None);
        let mut from = 0;
        for Place { range, what } in &self.places {
            if octets.get(from..range.start)? != known.get(from..range.start)? {
                return None;
            }
            from = range.end;
            let (new, old) = (octets.get(range.clone())?, known.get(range.clone())?);
            let may_differ: fn(&u8) -> bool = match what {
                What::Time => u8::is_ascii_digit,
                What::Value | What::Digest(_) => is_base64,
            };
            if !new.iter().zip(old).all(|(new, old)| new == old || may_differ(new) && may_differ(old)) {
                return None;
            }
            let text = std::str::from_utf8(new).ok()?;
            match what {
                What::Value => value = Some(decode_base64(text)?),
                What::Time => {
                    time = Some(text.parse::<UtcTime>().ok()?);
                    put(&mut properties, &self.time_in_properties, new)?;
                }
                What::Digest(number) => {
                    put(&mut info, self.digests_in_info.get(*number)?, new)?;
                    *digests.get_mut(*number)? = Some(decode_base64(text)?);
                }
            }
        }
        if octets.get(from..)? != known.get(from..)? {
            return None;
        }
        let references = self.document.references().with_digests(&digests, &properties)?;
        self.document.like(octets.clone(), value?, info, references, time)
    }
}

impl References {
    /// How the signed properties are made canonical; none if there is more to the references than that.
    fn properties_transform(&self) -> Option<Canonicalization> {
        let mut found = None;
        for reference in &self.references {
            match (reference.is_properties(), reference.is_inside(), &reference.transforms[..]) {
                (true, _, []) if found.is_none() => found = Some(CanonicalizationMethod::Inclusive.into()),
                (true, _, [only]) if found.is_none() => found = Some(only.clone()),
                (false, false, []) => {}
                _ => return None,
            }
        }
        found
    }

    /// The same references with other digests; `properties` are the canonical signed properties.
    fn with_digests(&self, digests: &[Option<Vec<u8>>], properties: &[u8]) -> Option<Self> {
        let mut new = self.clone();
        for (reference, digest) in new.references.iter_mut().zip(digests) {
            reference.set_digest(Digest::new(reference.algorithm(), digest.as_deref()?)?, properties);
        }
        Some(new)
    }
}

/// `DigestValue` of each reference.
fn digest_values<'d>(info: &Element<'d>) -> impl Iterator<Item = Option<Element<'d>>> {
    info.elements()
        .filter(|found| found.is(XMLDSIG_NAMESPACE, "Reference"))
        .map(|reference| ds(&reference, "DigestValue").ok())
}

fn signing_time<'d>(properties: &Element<'d>) -> Option<Element<'d>> {
    xades(&xades(properties, "SignedSignatureProperties")?, "SigningTime")
}

/// Where the text of an element stands, if it is all that the element has and stands there as it is meant.
fn text_of(element: &Element<'_>, octets: &[u8]) -> Option<Range<usize>> {
    let start = element.tag().end;
    let text = element.text();
    let end = start.checked_add(text.len())?;
    let is_plain = octets.get(start..end)? == text.as_bytes()
        && octets.get(end..)?.starts_with(b"</")
        && !text.contains(['&', '\r', '<', '>']);
    is_plain.then_some(start..end)
}

fn is_base64(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

fn put(canonical: &mut [u8], range: &Range<usize>, text: &[u8]) -> Option<()> {
    let place = canonical.get_mut(range.clone()).filter(|place| place.len() == text.len())?;
    place.copy_from_slice(text);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::DigestAlgorithm;
    use crate::hash_chain::Rules;
    use crate::signature::{SignatureAlgorithm, SignatureScheme, SignedReference, SigningEvidence, prepare};

    fn document(seed: u8, over_chain: bool) -> Bytes {
        let evidence = SigningEvidence {
            certificate: Bytes::from_static(b"a certificate"),
            issuer_name: "CN=Test &amp; CA".to_owned(),
            serial: "1234567890".to_owned(),
            intermediates: Vec::new(),
            ocsp_responses: vec![Bytes::from_static(b"first")],
        };
        let digest = DigestAlgorithm::Sha512.digest(&[seed]);
        let reference = match over_chain {
            true => SignedReference::HashChainResult(digest),
            false => SignedReference::Message(digest),
        };
        let algorithm = SignatureAlgorithm::new(SignatureScheme::Ecdsa, DigestAlgorithm::Sha256);
        let time = UtcTime::from_millis(1_795_279_797_000 + i64::from(seed) * 1_003);
        prepare(&evidence, reference, algorithm, time).finish(&[seed; 64])
    }

    fn parse(octets: &Bytes) -> SignatureDocument {
        SignatureDocument::parse(octets.clone(), Rules::Message).unwrap()
    }

    #[test]
    fn documents_of_one_signer_are_read_as_they_are_parsed() {
        for over_chain in [true, false] {
            let template = Template::of(&parse(&document(1, over_chain))).unwrap();
            for seed in 0..50 {
                let other = document(seed, over_chain);
                assert_eq!(template.read(&other), Some(parse(&other)));
            }
            assert_eq!(template.read(&document(1, !over_chain)), None);
        }
    }

    #[test]
    fn never_differs_from_parsing() {
        let template = Template::of(&parse(&document(1, true))).unwrap();
        let other = document(2, true);
        let (mut read, mut refused) = (0, 0);
        for place in 0..other.len() {
            for byte in *b" \n<>&\"=#+/A0Z9:\0\xff" {
                let mut changed = other.to_vec();
                changed[place] = byte;
                let changed = Bytes::from(changed);
                match template.read(&changed) {
                    Some(document) => {
                        read += 1;
                        assert_eq!(document, parse(&changed), "{byte:#x} at {place}");
                    }
                    None => refused += 1,
                }
            }
        }
        assert!(read > 1000 && refused > read, "{read} read, {refused} refused");
    }

    #[test]
    fn signed_properties_that_were_changed_do_not_hold() {
        let template = Template::of(&parse(&document(1, true))).unwrap();
        let text = String::from_utf8(document(2, true).to_vec()).unwrap();
        let at = text.find("SigningTime>").unwrap() + "SigningTime>".len();
        let changed = format!("{}1999{}", &text[..at], &text[at + 4..]);
        let read = template.read(&Bytes::from(changed.clone())).unwrap();
        assert_eq!(read, parse(&Bytes::from(changed)));
        let parts = crate::signature::Parts::default();
        let fault = read.references().check_digests(&|name| parts.part(name)).unwrap_err();
        assert!(fault.text.contains("properties") || fault.text.contains("hash"), "{}", fault.text);
    }

    #[test]
    fn other_forms_make_no_template() {
        let text = String::from_utf8(document(1, true).to_vec()).unwrap();
        let at = text.find("<ds:DigestValue>").unwrap() + "<ds:DigestValue>".len();
        let commented = format!("{}<!-- -->{}", &text[..at], &text[at..]);
        assert!(Template::of(&parse(&Bytes::from(commented))).is_none());
        let letter = text.as_bytes()[at];
        let referred = format!("{}&#{letter};{}", &text[..at], &text[at + 1..]);
        assert!(Template::of(&parse(&Bytes::from(referred))).is_none());
    }
}
