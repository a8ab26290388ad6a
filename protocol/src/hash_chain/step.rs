//! The digest of one step (§2.2): a DER list of digests, hashed.

use crate::digest::{Digest, DigestAlgorithm};

/// H(DER of `DigestList`) over `values`, H = `algorithm`.
pub(super) fn digest(algorithm: DigestAlgorithm, values: &[Digest]) -> Digest {
    algorithm.digest(&digest_list(values))
}

/// ```text
/// DigestList ::= SEQUENCE OF SEQUENCE { OCTET STRING, UTF8String (digest method URI), SEQUENCE {} }
/// ```
fn digest_list(values: &[Digest]) -> Vec<u8> {
    let single = |digest: &Digest| {
        let uri = digest.algorithm().uri().as_bytes();
        element(digest.bytes().len()) + element(uri.len()) + 2
    };
    let content: usize = values.iter().map(|digest| element(single(digest))).sum();
    let mut der = Vec::with_capacity(element(content));
    header(&mut der, 0x30, content);
    for digest in values {
        let uri = digest.algorithm().uri().as_bytes();
        header(&mut der, 0x30, single(digest));
        header(&mut der, 0x04, digest.bytes().len());
        der.extend_from_slice(digest.bytes());
        header(&mut der, 0x0c, uri.len());
        der.extend_from_slice(uri);
        der.extend_from_slice(&[0x30, 0x00]);
    }
    der
}

/// Octets of an element with `content` octets of content. Lists are far below 2^24 octets.
fn element(content: usize) -> usize {
    let length_octets = match content {
        0..0x80 => 1,
        0x80..0x100 => 2,
        0x100..0x1_0000 => 3,
        _ => 4,
    };
    1 + length_octets + content
}

fn header(der: &mut Vec<u8>, tag: u8, content: usize) {
    der.push(tag);
    let octets = u32::try_from(content).unwrap_or(u32::MAX).to_be_bytes();
    match content {
        0..0x80 => der.push(octets[3]),
        0x80..0x100 => der.extend_from_slice(&[0x81, octets[3]]),
        0x100..0x1_0000 => der.extend_from_slice(&[0x82, octets[2], octets[3]]),
        _ => der.extend_from_slice(&[0x83, octets[1], octets[2], octets[3]]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_the_lengths_of_the_specification() {
        let value = DigestAlgorithm::Sha512.digest(b"x");
        assert!(digest_list(&[value, value]).starts_with(&[0x30, 0x81, 0xde, 0x30, 0x6d, 0x04, 0x40]));
        assert_eq!(digest_list(&[value, value]).len(), 225);
        let three = digest_list(&[value; 3]);
        assert!(three.starts_with(&[0x30, 0x82, 0x01, 0x4d]));
        assert_eq!(three.len(), 337);
        let many = vec![value; 1000];
        assert_eq!(digest_list(&many).len(), 1000 * 111 + 5);
    }
}
