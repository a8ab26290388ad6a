//! DER, as far as OCSP, time-stamps and the pilot CA need it: a bounded reader and a few writers.
//!
//! The reader hands out slices of its input, so signed octets are hashed as they came and never as
//! somebody would encode them again. It takes definite lengths only and never looks behind the end
//! of the element it is in. Certificates themselves are read in `certificate`.

use const_oid::ObjectIdentifier;
use protocol::digest::DigestAlgorithm;
use protocol::signature::{SignatureAlgorithm, SignatureScheme};
use protocol::time::UtcTime;

use crate::key;

/// The octets are not the DER that was expected.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("malformed DER: {0}")]
pub struct Malformed(pub(crate) &'static str);

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: &[u8] = &[0x05, 0x00];
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const ENUMERATED: u8 = 0x0A;
pub(crate) const UTF8_STRING: u8 = 0x0C;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;

/// Tag of a context-specific element that holds others.
pub(crate) const fn context(number: u8) -> u8 {
    0xA0 | number
}

/// Tag of a context-specific element that holds a value.
pub(crate) const fn context_value(number: u8) -> u8 {
    0x80 | number
}

/// One element: its tag, its content, and all its octets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) raw: &'a [u8],
}

impl<'a> Element<'a> {
    /// A reader over the content.
    pub(crate) const fn inside(&self) -> Reader<'a> {
        Reader(self.content)
    }
}

/// Reads the elements of a sequence one after another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    #[cfg(test)]
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The only element of `bytes`, which has this tag.
    pub(crate) fn whole(bytes: &'a [u8], tag: u8) -> Result<Self, Malformed> {
        let mut reader = Self(bytes);
        let element = reader.expect(tag)?;
        reader.end()?;
        Ok(element.inside())
    }

    /// Whether nothing is left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nothing may be left.
    pub(crate) const fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("octets after the end")) }
    }

    /// The next element.
    pub(crate) fn next(&mut self) -> Result<Element<'a>, Malformed> {
        let short = Malformed("cut short");
        let (tag, rest) = self.0.split_first().ok_or(short)?;
        if tag & 0x1F == 0x1F {
            return Err(Malformed("tag number above 30"));
        }
        let (first, rest) = rest.split_first().ok_or(short)?;
        let (length, rest) = match *first {
            length @ 0..0x80 => (usize::from(length), rest),
            0x80 => return Err(Malformed("indefinite length")),
            octets => {
                let octets = usize::from(octets & 0x7F);
                if octets > 4 {
                    return Err(Malformed("length of more than four octets"));
                }
                let (length, rest) = rest.split_at_checked(octets).ok_or(short)?;
                (length.iter().fold(0, |sum, octet| (sum << 8) | usize::from(*octet)), rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length).ok_or(short)?;
        let raw = self.0.get(..self.0.len().saturating_sub(rest.len())).ok_or(short)?;
        self.0 = rest;
        Ok(Element { tag: *tag, content, raw })
    }

    /// The next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Element<'a>, Malformed> {
        let element = self.next()?;
        if element.tag == tag { Ok(element) } else { Err(Malformed("unexpected tag")) }
    }

    /// The next element if it has this tag; otherwise nothing is read.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Malformed> {
        if self.0.first() == Some(&tag) { self.next().map(Some) } else { Ok(None) }
    }

    /// A reader over the next element, a sequence.
    pub(crate) fn sequence(&mut self) -> Result<Self, Malformed> {
        Ok(self.expect(SEQUENCE)?.inside())
    }

    /// An object identifier.
    pub(crate) fn oid(&mut self) -> Result<ObjectIdentifier, Malformed> {
        ObjectIdentifier::from_bytes(self.expect(OBJECT_IDENTIFIER)?.content)
            .map_err(|_| Malformed("object identifier"))
    }

    /// A bit string of whole octets.
    pub(crate) fn bits(&mut self) -> Result<&'a [u8], Malformed> {
        match self.expect(BIT_STRING)?.content.split_first() {
            Some((0, octets)) => Ok(octets),
            _ => Err(Malformed("bit string that is not of whole octets")),
        }
    }

    /// An integer that fits.
    pub(crate) fn small_integer(&mut self) -> Result<u64, Malformed> {
        let content = self.expect(INTEGER)?.content;
        match content.first() {
            Some(first) if *first < 0x80 && content.len() <= 8 => {
                Ok(content.iter().fold(0, |sum, octet| (sum << 8) | u64::from(*octet)))
            }
            _ => Err(Malformed("integer out of range")),
        }
    }

    /// A GeneralizedTime.
    pub(crate) fn generalized_time(&mut self) -> Result<UtcTime, Malformed> {
        time(&self.expect(GENERALIZED_TIME)?)
    }
}

/// The value of a UTCTime or GeneralizedTime, always with `Z`.
pub(crate) fn time(element: &Element<'_>) -> Result<UtcTime, Malformed> {
    let malformed = Malformed("time");
    let text = std::str::from_utf8(element.content).map_err(|_| malformed)?;
    let text = text.strip_suffix('Z').ok_or(malformed)?;
    let (year, rest) = match element.tag {
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4).ok_or(malformed)?;
            (year.to_owned(), rest)
        }
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2).ok_or(malformed)?;
            // RFC 5280 §4.1.2.5.1: years 50 to 99 lie in the twentieth century.
            (format!("{}{year}", if year < "50" { "20" } else { "19" }), rest)
        }
        _ => return Err(malformed),
    };
    let (date, fraction) = rest.split_once('.').unwrap_or((rest, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    if date.len() != 10 || !digits(date) || !digits(&year) || !digits(fraction) || fraction.len() > 9 {
        return Err(malformed);
    }
    let two = |at: usize| date.get(at..at + 2).unwrap_or_default();
    format!("{year}-{}-{}T{}:{}:{}.{fraction}Z", two(0), two(2), two(4), two(6), two(8))
        .parse()
        .map_err(|_| malformed)
}

/// An element from its tag and the pieces of its content.
pub(crate) fn tlv(tag: u8, pieces: &[&[u8]]) -> Vec<u8> {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    let octets = length.to_be_bytes();
    let used = octets.iter().position(|octet| *octet != 0).map_or(&[0][..], |first| &octets[first..]);
    match used {
        [short @ 0..0x80] => out.push(*short),
        long => {
            out.push(0x80 | long.len() as u8);
            out.extend_from_slice(long);
        }
    }
    for piece in pieces {
        out.extend_from_slice(piece);
    }
    out
}

/// A sequence.
pub(crate) fn sequence(pieces: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, pieces)
}

/// A set in DER order: its elements sorted by their octets.
pub(crate) fn set_of(mut elements: Vec<Vec<u8>>) -> Vec<u8> {
    elements.sort();
    let pieces: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
    tlv(SET, &pieces)
}

/// An object identifier.
pub(crate) fn oid(oid: ObjectIdentifier) -> Vec<u8> {
    tlv(OBJECT_IDENTIFIER, &[oid.as_bytes()])
}

/// A non-negative integer from its octets, most significant first.
pub(crate) fn unsigned(octets: &[u8]) -> Vec<u8> {
    let start = octets.iter().position(|octet| *octet != 0).unwrap_or(octets.len());
    match octets.get(start..).unwrap_or_default() {
        [] => tlv(INTEGER, &[&[0]]),
        value @ [0x80..=0xFF, ..] => tlv(INTEGER, &[&[0], value]),
        value => tlv(INTEGER, &[value]),
    }
}

/// A bit string of whole octets.
pub(crate) fn bit_string(octets: &[u8]) -> Vec<u8> {
    tlv(BIT_STRING, &[&[0], octets])
}

/// A GeneralizedTime of whole seconds.
pub(crate) fn generalized_time(at: UtcTime) -> Vec<u8> {
    tlv(GENERALIZED_TIME, &[at.to_compact_text().as_bytes(), b"Z"])
}

/// A time as certificates and CMS write it: UTCTime before 2050.
pub(crate) fn short_time(at: UtcTime) -> Vec<u8> {
    let text = at.to_compact_text();
    match text.split_at_checked(2) {
        Some(("19", rest)) if rest >= "5" => tlv(UTC_TIME, &[rest.as_bytes(), b"Z"]),
        Some(("20", rest)) if rest < "5" => tlv(UTC_TIME, &[rest.as_bytes(), b"Z"]),
        _ => generalized_time(at),
    }
}

/// An extension of a certificate, request or response.
pub(crate) fn extension(id: ObjectIdentifier, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[BOOLEAN, 1, 0xFF] } else { &[] };
    sequence(&[&oid(id), critical, &tlv(OCTET_STRING, &[value])])
}

/// Reads the AlgorithmIdentifier of a digest.
pub(crate) fn read_digest(reader: &mut Reader<'_>) -> Result<DigestAlgorithm, Malformed> {
    key::digest_of_identifier(reader.expect(SEQUENCE)?.raw).ok_or(Malformed("unknown digest algorithm"))
}

/// Reads the AlgorithmIdentifier of a signature. CMS may name only the kind of the key, and then the
/// digest is that of the signer. `Ok(None)` is an algorithm that we do not verify.
pub(crate) fn read_signature(
    reader: &mut Reader<'_>,
    digest: Option<DigestAlgorithm>,
) -> Result<Option<SignatureAlgorithm>, Malformed> {
    let identifier = reader.expect(SEQUENCE)?;
    let scheme = match identifier.inside().oid()? {
        key::oid::RSA => SignatureScheme::RsaPkcs1,
        key::oid::EC => SignatureScheme::Ecdsa,
        _ => return Ok(key::algorithm_of_identifier(identifier.raw)),
    };
    Ok(digest.map(|digest| SignatureAlgorithm::new(scheme, digest)))
}

/// The AlgorithmIdentifier of a digest without parameters, as time-stamp requests have it.
pub(crate) fn bare_digest_identifier(algorithm: DigestAlgorithm) -> Vec<u8> {
    let with_null = key::digest_identifier(algorithm);
    with_null
        .strip_suffix(NULL)
        .map_or_else(|| with_null.clone(), |start| sequence(&[start.get(2..).unwrap_or_default()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_lead_back() {
        for length in [0, 1, 127, 128, 255, 256, 65535, 65536] {
            let content = vec![7; length];
            let written = tlv(OCTET_STRING, &[&content]);
            let mut reader = Reader::new(&written);
            let element = reader.expect(OCTET_STRING).expect("an element");
            assert_eq!((element.content, element.raw), (&content[..], &written[..]));
            assert!(reader.is_empty());
        }
    }

    #[test]
    fn refused() {
        for bytes in [
            &b""[..],
            b"\x30",
            b"\x30\x01",
            b"\x30\x80\x00\x00",
            b"\x30\x85\0\0\0\0\x01\0",
            b"\x1F\x81\x01\0",
        ] {
            assert!(Reader::new(bytes).next().is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn times() {
        #[track_caller]
        fn check(tag: u8, text: &str, expected: Option<&str>) {
            let written = tlv(tag, &[text.as_bytes()]);
            let element = Reader::new(&written).next().expect("an element");
            assert_eq!(time(&element).ok().map(|at| at.to_string()).as_deref(), expected, "{text}");
        }
        check(GENERALIZED_TIME, "20261124024632Z", Some("2026-11-24T02:46:32Z"));
        check(GENERALIZED_TIME, "20261124024632.25Z", Some("2026-11-24T02:46:32.250Z"));
        check(UTC_TIME, "261124024632Z", Some("2026-11-24T02:46:32Z"));
        check(UTC_TIME, "991124024632Z", Some("1999-11-24T02:46:32Z"));
        check(GENERALIZED_TIME, "20261324024632Z", None);
        check(GENERALIZED_TIME, "20261124024632", None);
        check(GENERALIZED_TIME, "202611240246Z", None);
        check(GENERALIZED_TIME, "2026112402463é", None);
        check(UTC_TIME, "é1124024632Z", None);
        check(SET, "20261124024632Z", None);
        for at in ["2049-12-31T23:59:59Z", "2050-01-01T00:00:00Z", "1999-01-01T00:00:00Z"] {
            let written = short_time(at.parse().expect("a time"));
            let element = Reader::new(&written).next().expect("an element");
            assert_eq!(time(&element).expect("a time").to_string(), at);
        }
    }

    #[test]
    fn digests_without_parameters() {
        for digest in DigestAlgorithm::ALL {
            let bare = bare_digest_identifier(digest);
            assert_eq!(read_digest(&mut Reader::new(&bare)), Ok(digest));
            assert!(!bare.ends_with(NULL));
        }
    }

    #[test]
    fn integers() {
        assert_eq!(unsigned(&[0, 0]), [2, 1, 0]);
        assert_eq!(unsigned(&[0, 0x7F]), [2, 1, 0x7F]);
        assert_eq!(unsigned(&[0x80]), [2, 2, 0, 0x80]);
    }
}
