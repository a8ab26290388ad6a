//! The two written forms of an ECDSA signature, and the integer that is signed.

use aws_lc_rs::digest;

use super::KeyKind;

/// The field size of the largest curve in octets.
const LARGEST_FIELD: usize = 66;

/// A digest as aws-lc takes it for a curve.
///
/// ECDSA signs an integer: the leftmost bits of the digest, as many as the curve's order has. So any
/// digest can be given as one of the curve's own length, cut on the right or filled with zeros on the
/// left, whatever pairs the library offers. P-521 is wider than every digest and takes it in 64 octets.
pub(super) fn integer(kind: KeyKind, octets: &[u8]) -> Option<digest::Digest> {
    let algorithm = match kind {
        KeyKind::P256 => &digest::SHA256,
        KeyKind::P384 => &digest::SHA384,
        KeyKind::P521 => &digest::SHA512,
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => return None,
    };
    let length = algorithm.output_len();
    let padded = pad(octets.get(..length).unwrap_or(octets), length)?;
    digest::Digest::import_less_safe(padded.get(..length)?, algorithm).ok()
}

/// Field size of a curve in octets.
pub(super) fn field_size(kind: KeyKind) -> Option<usize> {
    match kind {
        KeyKind::P256 => Some(32),
        KeyKind::P384 => Some(48),
        KeyKind::P521 => Some(66),
        KeyKind::Rsa2048 | KeyKind::Rsa3072 | KeyKind::Rsa4096 => None,
    }
}

/// Brings a raw signature to its full length. X-Road leaves leading zeros out when both halves have
/// them, so the octets are split in the middle (signatures and evidence §1.4.7); an odd number of
/// octets, none, or a half that is too long is no signature.
pub(super) fn full_raw(signature: &[u8], field: usize) -> Option<([u8; 2 * LARGEST_FIELD], usize)> {
    if signature.is_empty() || !signature.len().is_multiple_of(2) {
        return None;
    }
    let (r, s) = signature.split_at(signature.len() / 2);
    let (r, s) = (pad(strip(r), field)?, pad(strip(s), field)?);
    let mut full = [0; 2 * LARGEST_FIELD];
    full.get_mut(..field)?.copy_from_slice(r.get(..field)?);
    full.get_mut(field..2 * field)?.copy_from_slice(s.get(..field)?);
    Some((full, 2 * field))
}

/// A raw signature as `SEQUENCE { r, s }`.
pub(super) fn raw_to_der(signature: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(signature.len() / 2)?;
    let mut content = Vec::with_capacity(signature.len() + 8);
    for half in [r, s] {
        let half = strip(half);
        let sign = usize::from(half.first().is_none_or(|first| *first >= 0x80));
        content.extend([0x02, u8::try_from(half.len() + sign).ok()?]);
        content.extend(std::iter::repeat_n(0, sign));
        content.extend(half);
    }
    let length = u8::try_from(content.len()).ok()?;
    let head: &[u8] = if length < 0x80 { &[0x30, length] } else { &[0x30, 0x81, length] };
    Some([head, &content].concat())
}

fn strip(integer: &[u8]) -> &[u8] {
    let zeros = integer.iter().take_while(|octet| **octet == 0).count();
    integer.get(zeros..).unwrap_or_default()
}

/// `octets` at the right end of the first `length` octets of a field, or none if they do not fit.
fn pad(octets: &[u8], length: usize) -> Option<[u8; LARGEST_FIELD]> {
    let mut padded = [0; LARGEST_FIELD];
    padded.get_mut(length.checked_sub(octets.len())?..length)?.copy_from_slice(octets);
    Some(padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(signature: &[u8], expected: Option<&[u8]>) {
        let full = full_raw(signature, 4);
        assert_eq!(full.as_ref().map(|(octets, length)| &octets[..*length]), expected, "{signature:?}");
    }

    #[test]
    fn raw_forms_are_filled_up() {
        check(&[1, 2, 3, 4, 5, 6, 7, 8], Some(&[1, 2, 3, 4, 5, 6, 7, 8]));
        check(&[2, 3, 4, 0, 7, 8], Some(&[0, 2, 3, 4, 0, 0, 7, 8]));
        check(&[0, 1, 2, 3, 4, 0, 5, 6, 7, 8], Some(&[1, 2, 3, 4, 5, 6, 7, 8]));
        check(&[9, 1, 2, 3, 4, 0, 5, 6, 7, 8], None);
        check(&[1, 2, 3], None);
        check(&[], None);
    }

    #[test]
    fn der_has_the_shortest_integers() {
        assert_eq!(raw_to_der(&[0, 1, 0x80, 2]), Some(vec![0x30, 8, 2, 1, 1, 2, 3, 0, 0x80, 2]));
        assert_eq!(raw_to_der(&[0, 0]), Some(vec![0x30, 6, 2, 1, 0, 2, 1, 0]));
        assert_eq!(raw_to_der(&[0x7f; 132]).map(|der| der[..5].to_vec()), Some(vec![0x30, 0x81, 136, 2, 66]));
    }
}
