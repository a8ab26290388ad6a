//! Writes the multipart body of a message (§4.4.2).

use super::PartKind;
use crate::mime::PartHeaders;

/// Makes the framing around parts; the parts themselves pass by, never copied.
///
/// What goes out is the text of [`part`](Self::part), then the part's bytes, and so on for every part,
/// then the text of [`end`](Self::end).
#[derive(Clone, Debug)]
pub struct Encoder {
    boundary: String,
    begun: bool,
    /// Whether the multipart of the attachments is open.
    has_attachments: bool,
}

impl Encoder {
    /// For this boundary, which must not occur in any part; see [`boundary_from`].
    pub fn new(boundary: &str) -> Self {
        Self { boundary: boundary.to_owned(), begun: false, has_attachments: false }
    }

    /// The value of `Content-Type` for the whole body.
    pub fn content_type(&self) -> String {
        format!("multipart/mixed; charset=UTF-8; boundary={}", self.boundary)
    }

    /// What stands before the bytes of a part of this kind.
    pub fn part(&mut self, kind: PartKind) -> Vec<u8> {
        let mut text = self.open();
        text.extend_from_slice(b"content-type: ");
        text.extend_from_slice(kind.content_type().as_bytes());
        text.extend_from_slice(b"\r\n\r\n");
        text
    }

    /// What stands before the bytes of a SOAP message, which keeps the headers of its part.
    pub fn soap(&mut self, headers: &PartHeaders) -> Vec<u8> {
        let mut text = self.open();
        headers.write(": ", &mut text);
        text
    }

    /// What stands before the bytes of the next attachment. It follows the SOAP message or another
    /// attachment.
    pub fn attachment(&mut self, headers: &PartHeaders) -> Vec<u8> {
        let nested = self.nested();
        let mut text = Vec::with_capacity(256);
        if !self.has_attachments {
            text = self.open();
            let content_type =
                format!("content-type: multipart/mixed; charset=UTF-8; boundary={nested}\r\n\r\n");
            text.extend_from_slice(content_type.as_bytes());
            self.has_attachments = true;
        }
        text.extend_from_slice(format!("\r\n--{nested}\r\n").as_bytes());
        headers.write(": ", &mut text);
        text
    }

    /// What stands after the bytes of the last part.
    pub fn end(mut self) -> Vec<u8> {
        let mut text = Vec::new();
        self.close_attachments(&mut text);
        text.extend_from_slice(format!("\r\n--{}--\r\n", self.boundary).as_bytes());
        text
    }

    /// The boundary before a part, and what closes the part before.
    fn open(&mut self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.boundary.len() + 64);
        self.close_attachments(&mut text);
        if std::mem::replace(&mut self.begun, true) {
            text.extend_from_slice(b"\r\n");
        }
        for piece in ["--", &self.boundary, "\r\n"] {
            text.extend_from_slice(piece.as_bytes());
        }
        text
    }

    fn close_attachments(&mut self, text: &mut Vec<u8>) {
        if std::mem::take(&mut self.has_attachments) {
            text.extend_from_slice(format!("\r\n--{}--\r\n", self.nested()).as_bytes());
        }
    }

    /// The boundary between attachments: that of the whole with other letters in front, as peers have it.
    fn nested(&self) -> String {
        format!("xatt{}", self.boundary.strip_prefix("xtop").unwrap_or(&self.boundary))
    }
}

/// A boundary of the form that peers write, `xtop` and 30 letters, from 30 random bytes.
pub fn boundary_from(random: &[u8; 30]) -> String {
    const LETTERS: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let letter = |byte: &u8| LETTERS.get(usize::from(*byte) % LETTERS.len()).copied().map_or('x', char::from);
    "xtop".chars().chain(random.iter().map(letter)).collect()
}
