//! Old time-stamp tokens in BER: indefinite lengths and octet strings in pieces.
//!
//! X-Road's time-stamping libraries of the past wrote tokens so, and archives hold them. They are read by
//! writing the same elements with definite lengths. What is signed inside a token is DER anyway, and DER
//! comes out as it went in.

/// Elements inside each other; a token needs about a dozen.
const DEEPEST: usize = 32;

/// Whether the outermost element has an indefinite length.
pub(super) fn is_indefinite(octets: &[u8]) -> bool {
    matches!(octets, [_, 0x80, ..])
}

/// The same element with definite lengths everywhere. None for octets that are not BER, that have
/// something behind the element, or that nest too deep.
pub(super) fn definite(octets: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(octets.len());
    let rest = element(octets, DEEPEST, &mut out)?;
    rest.is_empty().then_some(out)
}

const OCTET_STRING: u8 = 0x04;
const CONSTRUCTED: u8 = 0x20;

/// Writes the first element of `octets` to `out`; gives what is behind it.
fn element<'a>(octets: &'a [u8], depth: usize, out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let depth = depth.checked_sub(1)?;
    let (tag, rest) = octets.split_first()?;
    let (first, rest) = rest.split_first()?;
    if tag & 0x1F == 0x1F {
        return None;
    }
    let is_constructed = tag & CONSTRUCTED != 0;
    let mut inside = Vec::new();
    let rest = if *first == 0x80 {
        if !is_constructed {
            return None;
        }
        let mut left = rest;
        loop {
            if let Some(rest) = left.strip_prefix(&[0, 0]) {
                break rest;
            }
            left = element(left, depth, &mut inside)?;
        }
    } else {
        let (content, rest) = split(*first, rest)?;
        if is_constructed {
            let mut left = content;
            while !left.is_empty() {
                left = element(left, depth, &mut inside)?;
            }
        } else {
            inside.extend_from_slice(content);
        }
        rest
    };
    if *tag == OCTET_STRING | CONSTRUCTED {
        write(out, OCTET_STRING, &pieces(&inside)?);
    } else {
        write(out, *tag, &inside);
    }
    Some(rest)
}

/// Content and rest behind a definite length.
fn split(first: u8, rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = match first {
        0..0x80 => (usize::from(first), rest),
        octets => {
            let (length, rest) = rest.split_at_checked(usize::from(octets & 0x7F))?;
            if length.len() > 4 {
                return None;
            }
            (length.iter().fold(0, |sum, octet| (sum << 8) | usize::from(*octet)), rest)
        }
    };
    rest.split_at_checked(length)
}

/// The octets of octet strings, which have definite lengths already, joined.
fn pieces(mut strings: &[u8]) -> Option<Vec<u8>> {
    let mut joined = Vec::new();
    while let Some((tag, rest)) = strings.split_first() {
        let (first, rest) = rest.split_first()?;
        let (content, rest) = split(*first, rest)?;
        if *tag != OCTET_STRING {
            return None;
        }
        joined.extend_from_slice(content);
        strings = rest;
    }
    Some(joined)
}

fn write(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    let skipped = length.iter().take_while(|octet| **octet == 0).count().min(3);
    let length = length.get(skipped..).unwrap_or_default();
    match length {
        [short @ 0..0x80] => out.push(*short),
        long => {
            out.push(0x80 | long.len() as u8);
            out.extend_from_slice(long);
        }
    }
    out.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(octets: &[u8], expected: Option<&[u8]>) {
        assert_eq!(definite(octets).as_deref(), expected, "{octets:02x?}");
    }

    #[test]
    fn lengths_become_definite() {
        check(&[0x30, 0x80, 0x02, 0x01, 0x07, 0, 0], Some(&[0x30, 0x03, 0x02, 0x01, 0x07]));
        check(&[0x24, 0x80, 0x04, 0x01, 1, 0x04, 0x02, 2, 3, 0, 0], Some(&[0x04, 0x03, 1, 2, 3]));
        check(&[0x30, 0x03, 0x02, 0x01, 0x07], Some(&[0x30, 0x03, 0x02, 0x01, 0x07]));
        check(&[0x30, 0x80, 0x02, 0x01, 0x07], None);
        check(&[0x04, 0x80, 0, 0], None);
        check(&[0x24, 0x80, 0x02, 0x01, 1, 0, 0], None);
        check(&[0x30, 0x80, 0, 0, 0], None);
        check(&[0x30, 0x80].repeat(100), None);
        check(&[0x30, 0x8f, 1], None);
        let long = [&[0x24, 0x80, 0x04, 0x82, 0x01, 0x00][..], &[9; 256], &[0, 0]].concat();
        check(&long, Some(&[&[0x04, 0x82, 0x01, 0x00][..], &[9; 256]].concat()));
    }
}
