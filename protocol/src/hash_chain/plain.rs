//! Reading chain documents of the usual form without an XML parser.
//!
//! Every message of a batch brings a chain of its own, so this is on the path of every message. Documents
//! as [`super::build`] and X-Road write them are read here, token by token; at anything else, however
//! harmless, the reader gives up and [`super::document`] decides. What is read here would be read there
//! in the same way.

use std::str;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::document::{Chain, ChainResult, Step, Value, ValueKind};
use crate::digest::{Digest, DigestAlgorithm};

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>";

/// Octets of a document that is read here.
const LONGEST: usize = 64 * 1024;

/// Steps of a chain that is read here.
const MOST_STEPS: usize = 64;

/// Longest base64 text of a digest.
const LONGEST_VALUE: usize = 88;

pub(super) fn chain_result(octets: &[u8]) -> Option<ChainResult> {
    let mut text = Text::of(octets)?;
    text.token("<ns2:HashChainResult URI=\"")?;
    let uri = text.attribute()?;
    text.exact(" xmlns=\"http://www.w3.org/2000/09/xmldsig#\" xmlns:ns2=\"http://cyber.ee/hashchain\">")?;
    let method = text.method()?;
    let digest = text.digest(method)?;
    text.token("</ns2:HashChainResult>")?;
    text.end()?;
    Some(ChainResult { uri: uri.to_owned(), digest })
}

pub(super) fn chain(octets: &[u8]) -> Option<Chain> {
    let mut text = Text::of(octets)?;
    text.token(
        "<ns2:HashChain xmlns=\"http://www.w3.org/2000/09/xmldsig#\" xmlns:ns2=\"http://cyber.ee/hashchain\">",
    )?;
    text.token("<ns2:DefaultDigestMethod Algorithm=\"")?;
    let default_method = DigestAlgorithm::from_uri(text.attribute()?)?;
    text.token("/>")?;
    let mut steps: Vec<Step> = Vec::with_capacity(8);
    while text.skip("<ns2:HashStep id=\"") {
        let id = text.attribute()?;
        text.token(">")?;
        if id.is_empty() || steps.len() == MOST_STEPS || steps.iter().any(|step| step.id == id) {
            return None;
        }
        let mut values = Vec::with_capacity(2);
        while !text.skip("</ns2:HashStep>") {
            values.push(text.value(default_method)?);
        }
        steps.push(Step { id: id.to_owned(), values });
    }
    text.token("</ns2:HashChain>")?;
    text.end()?;
    Some(Chain { default_method, steps })
}

/// What is left to read.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// Passes white space and then exactly this, or nothing at all.
    fn skip(&mut self, token: &str) -> bool {
        let space = self.0.iter().take_while(|byte| is_space(**byte)).count();
        let rest = self.0.get(space..).and_then(|rest| rest.strip_prefix(token.as_bytes()));
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// The text behind the declaration, which may only come first.
    fn of(octets: &'a [u8]) -> Option<Self> {
        let text = octets.strip_prefix(DECLARATION.as_bytes()).unwrap_or(octets);
        (text.len() <= LONGEST).then_some(Self(text))
    }

    /// Passes exactly this, with no white space before it.
    fn exact(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(token.as_bytes())?;
        Some(())
    }

    fn token(&mut self, token: &str) -> Option<()> {
        self.skip(token).then_some(())
    }

    fn end(&self) -> Option<()> {
        self.0.iter().all(|byte| is_space(*byte)).then_some(())
    }

    /// Up to `end` and past it: printable ASCII that needs no reading between the lines.
    fn until(&mut self, end: u8, longest: usize) -> Option<&'a str> {
        let at = self.0.iter().take(longest + 1).position(|byte| *byte == end)?;
        let (value, rest) = self.0.split_at_checked(at)?;
        if value.iter().any(|byte| !byte.is_ascii_graphic() || matches!(byte, b'&' | b'<' | b'"')) {
            return None;
        }
        self.0 = rest.get(1..)?;
        str::from_utf8(value).ok()
    }

    fn attribute(&mut self) -> Option<&'a str> {
        self.until(b'"', 256)
    }

    fn method(&mut self) -> Option<DigestAlgorithm> {
        self.token("<DigestMethod Algorithm=\"")?;
        let method = DigestAlgorithm::from_uri(self.attribute()?)?;
        self.token("/>")?;
        Some(method)
    }

    fn digest(&mut self, method: DigestAlgorithm) -> Option<Digest> {
        self.token("<DigestValue>")?;
        let value = self.until_tag()?;
        self.token("</DigestValue>")?;
        let mut octets = [0; LONGEST_VALUE];
        let length = STANDARD.decode_slice(value, &mut octets).ok()?;
        Digest::new(method, octets.get(..length)?)
    }

    /// The text before the next tag.
    fn until_tag(&mut self) -> Option<&'a [u8]> {
        let at = self.0.iter().take(LONGEST_VALUE + 1).position(|byte| *byte == b'<')?;
        let (value, rest) = self.0.split_at_checked(at)?;
        self.0 = rest;
        Some(value)
    }

    fn value(&mut self, default_method: DigestAlgorithm) -> Option<Value> {
        if self.skip("<ns2:StepRef URI=\"") {
            let uri = self.attribute()?.to_owned();
            self.token("/>")?;
            return Some(Value { kind: ValueKind::Step(uri), method: default_method });
        }
        let uri = if self.skip("<ns2:HashValue>") {
            None
        } else {
            self.token("<ns2:DataRef URI=\"")?;
            let uri = self.attribute()?;
            self.token(">")?;
            Some(uri)
        };
        let method = self.method().unwrap_or(default_method);
        let digest = self.digest(method)?;
        let kind = match uri {
            None => {
                self.token("</ns2:HashValue>")?;
                ValueKind::Hash(digest)
            }
            Some(uri) => {
                self.token("</ns2:DataRef>")?;
                ValueKind::Data { uri: uri.to_owned(), transforms: Vec::new(), digest }
            }
        };
        Some(Value { kind, method })
    }
}

/// White space of XML.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash_chain::signature_batch;

    fn digest(n: usize) -> Digest {
        DigestAlgorithm::Sha512.digest(&n.to_le_bytes())
    }

    #[test]
    fn reads_what_is_written_as_the_xml_parser_does() {
        for count in [1, 2, 3, 5, 8, 33] {
            let parts: Vec<Vec<Digest>> =
                (0..count).map(|n| (0..=n % 3).map(|part| digest(8 * n + part)).collect()).collect();
            let messages: Vec<&[Digest]> = parts.iter().map(Vec::as_slice).collect();
            let batch = signature_batch(&messages);
            assert_eq!(chain_result(&batch.result), ChainResult::parse_any(&batch.result).ok());
            assert!(chain_result(&batch.result).is_some());
            for document in &batch.chains {
                assert_eq!(chain(document), Chain::parse_any(document).ok());
                assert!(chain(document).is_some());
            }
        }
    }

    #[test]
    fn mixed_digests_are_read() {
        let mixed = [digest(0), DigestAlgorithm::Sha256.digest(b"x")];
        let batch = signature_batch(&[&mixed, &mixed]);
        let document = batch.chains.first().unwrap();
        assert_eq!(chain(document), Chain::parse_any(document).ok());
        assert!(chain(document).is_some());
    }

    #[test]
    fn never_differs_from_the_xml_parser() {
        let parts = [[digest(0), digest(1)], [digest(2), digest(3)], [digest(4), digest(5)]];
        let messages: Vec<&[Digest]> = parts.iter().map(<[Digest; 2]>::as_slice).collect();
        let batch = signature_batch(&messages);
        let document = batch.chains.first().unwrap();
        let mut read = 0;
        for place in 0..document.len() {
            for byte in *b" \t\x0c<>&\"'/=#A0z\0\xff" {
                for is_inserted in [false, true] {
                    let mut changed = document.to_vec();
                    if is_inserted {
                        changed.insert(place, byte);
                    } else {
                        changed[place] = byte;
                    }
                    if let Some(chain) = chain(&changed) {
                        read += 1;
                        assert_eq!(Some(chain), Chain::parse_any(&changed).ok(), "{byte:#x} at {place}");
                    }
                }
            }
            let cut = document.get(..place).unwrap();
            assert!(chain(cut).is_none() || Chain::parse_any(cut).is_ok(), "cut at {place}");
        }
        assert!(read > 1000, "{read} of the changed documents were read");
    }
}
