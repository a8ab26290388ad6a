//! The text form of DER: base64 between two lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The blocks of a PEM text as label and body. Text between blocks is passed over; after a block whose
/// end is missing nothing more is looked at.
pub(crate) fn blocks(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once("-----BEGIN ")?;
        let (label, body) = after.split_once("-----")?;
        let (body, _) = body.split_once(&format!("-----END {label}-----"))?;
        rest = after.get(label.len() + "-----".len() + body.len()..)?;
        Some((label, body))
    })
}

/// The bytes of a body, white space ignored.
pub(crate) fn decode(body: &str) -> Option<Vec<u8>> {
    let compact: String = body.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    STANDARD.decode(compact).ok()
}

/// The bytes of the first block with this label.
pub(crate) fn first(text: &str, label: &str) -> Option<Vec<u8>> {
    blocks(text).find(|(found, _)| *found == label).and_then(|(_, body)| decode(body))
}

/// A block in lines of 64 characters.
pub fn encode(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = STANDARD.encode(der);
    while !rest.is_empty() {
        let tail = rest.split_off(rest.len().min(64));
        text.push_str(&rest);
        text.push('\n');
        rest = tail;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_between_other_text() {
        let text = format!("Bag\n{}x\n{}-----BEGIN A-----", encode("A", &[7; 100]), encode("B C", b"8"));
        let found: Vec<_> = blocks(&text).map(|(label, body)| (label, decode(body))).collect();
        assert_eq!(found, [("A", Some(vec![7; 100])), ("B C", Some(b"8".to_vec()))]);
        assert_eq!(first(&text, "B C"), Some(b"8".to_vec()));
        assert!(text.lines().all(|line| line.len() <= 64));
    }
}
