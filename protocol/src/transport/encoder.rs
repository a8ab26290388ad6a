//! Writes the multipart body of a message (§4.4.2).

use super::PartKind;

/// Makes the framing around parts; the parts themselves pass by, never copied.
///
/// What goes out is the text of [`part`](Self::part), then the part's bytes, and so on for every part,
/// then the text of [`end`](Self::end).
#[derive(Clone, Debug)]
pub struct Encoder {
    boundary: String,
    begun: bool,
}

impl Encoder {
    /// For this boundary, which must not occur in any part; see [`boundary_from`].
    pub fn new(boundary: &str) -> Self {
        Self { boundary: boundary.to_owned(), begun: false }
    }

    /// The value of `Content-Type` for the whole body.
    pub fn content_type(&self) -> String {
        format!("multipart/mixed; charset=UTF-8; boundary={}", self.boundary)
    }

    /// What stands before the bytes of a part of this kind.
    pub fn part(&mut self, kind: PartKind) -> Vec<u8> {
        self.part_of_type(kind.content_type())
    }

    /// The same with a content type of the caller's, which holds no line break: SOAP parts keep theirs.
    pub fn part_of_type(&mut self, content_type: &str) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.boundary.len() + content_type.len() + 24);
        if std::mem::replace(&mut self.begun, true) {
            text.extend_from_slice(b"\r\n");
        }
        for piece in ["--", &self.boundary, "\r\ncontent-type: ", content_type, "\r\n\r\n"] {
            text.extend_from_slice(piece.as_bytes());
        }
        text
    }

    /// What stands after the bytes of the last part.
    pub fn end(self) -> Vec<u8> {
        format!("\r\n--{}--\r\n", self.boundary).into_bytes()
    }
}

/// A boundary of the form that peers write, `xtop` and 30 letters, from 30 random bytes.
pub fn boundary_from(random: &[u8; 30]) -> String {
    const LETTERS: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let letter = |byte: &u8| LETTERS.get(usize::from(*byte) % LETTERS.len()).copied().map_or('x', char::from);
    "xtop".chars().chain(random.iter().map(letter)).collect()
}
