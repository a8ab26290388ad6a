//! Responses: made for a request, and checked against it.

use std::ops::Range;

use bytes::Bytes;

use super::header::RequestHash;
use super::text::{Text, declaration_length};
use super::{Places, SoapMessage};
use crate::digest::Digest;
use crate::fault::{Fault, code};
use crate::xml::next_attribute;

const DECLARATION: &[u8] = b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

impl SoapMessage {
    /// The response with the hash of its request in it (§2.6): right behind `id`, with the prefix and
    /// attributes of `id` and the indentation of the first header block. A hash that the provider wrote
    /// is taken out, with the white space before it. All other octets stay; only a message in another
    /// encoding becomes UTF-8, since that is what clients are told it is.
    pub fn with_request_hash(&self, request_hash: &Digest) -> Self {
        let text = &self.text.octets;
        let hash = RequestHash {
            algorithm: Some(request_hash.algorithm().uri().to_owned()),
            value: request_hash.to_base64(),
        };
        let element = self.request_hash_element(&hash);
        let mut edits = Vec::with_capacity(3);
        if self.text.is_converted {
            edits.push(Edit { range: 0..declaration_length(text), text: DECLARATION.to_vec() });
        }
        let inserted = self.places.id_end;
        edits.push(Edit { range: inserted..inserted, text: element });
        if let Some(old) = &self.places.request_hash {
            let before = text.get(..old.start).unwrap_or_default();
            let start = before.trim_ascii_end().len();
            edits.push(Edit { range: start..old.end, text: Vec::new() });
        }
        edits.sort_by_key(|edit| (edit.range.start, !edit.range.is_empty()));

        let mark = self.octets.get(..self.text.mark).unwrap_or_default();
        let mut octets = Vec::with_capacity(text.len() + 512);
        octets.extend_from_slice(mark);
        let mut from = 0;
        for edit in &edits {
            octets.extend_from_slice(text.get(from..edit.range.start).unwrap_or_default());
            octets.extend_from_slice(&edit.text);
            from = edit.range.end;
        }
        octets.extend_from_slice(text.get(from..).unwrap_or_default());
        let octets = Bytes::from(octets);

        let moved = |range: &Range<usize>| shift(&edits, range.start)..shift(&edits, range.end);
        let places = Places {
            id_tag: moved(&self.places.id_tag),
            id_end: shift(&edits, inserted),
            indentation: moved(&self.places.indentation),
            // Behind the white space that stands before it.
            request_hash: Some({
                let end = shift(&edits, inserted.saturating_add(1)).saturating_sub(1);
                shift(&edits, inserted).saturating_add(self.leading_space().len())..end
            }),
            header_end: shift(&edits, self.places.header_end),
            wrapper: moved(&self.places.wrapper),
        };
        let mut header = self.header.clone();
        header.request_hash = Some(hash);
        Self {
            text: Text { octets: octets.slice(mark.len()..), mark: mark.len(), is_converted: false },
            octets,
            header,
            places,
            wrapper_namespace: self.wrapper_namespace.clone(),
            wrapper: self.wrapper.clone(),
            is_rpc: self.is_rpc,
        }
    }

    /// A response of this server's own to this request (§6.2): the envelope of the request with `element`
    /// in its body, which declares its own namespaces.
    ///
    /// # Errors
    /// As [`Envelope::parse`](super::Envelope::parse), when `element` is not what may stand there.
    pub fn answer(&self, element: &str) -> Result<Self, Fault> {
        let text = &self.text.octets;
        let (declaration, skipped) = match self.text.is_converted {
            true => (DECLARATION, declaration_length(text)),
            false => (&b""[..], 0),
        };
        let Range { start, end } = self.places.wrapper;
        let before = text.get(skipped..start).unwrap_or_default();
        let behind = text.get(end..).unwrap_or_default();
        Self::parse([declaration, before, element.as_bytes(), behind].concat().into())
    }

    /// Checks that this answers `request` (§2.7, §2.6). `request_hash` is the consumer's own computation
    /// over the request.
    ///
    /// # Errors
    /// Those of [`check_header`](Self::check_header); `inconsistent_response` when the hash is missing or
    /// another one.
    pub fn check_answers(&self, request: &Self, request_hash: &Digest) -> Result<(), Fault> {
        self.check_header(request)?;
        let stated = self.header.request_hash.as_ref().and_then(RequestHash::octets);
        if stated.as_deref() != Some(request_hash.bytes()) {
            return Err(inconsistent("requestHash"));
        }
        Ok(())
    }

    /// Checks that the header blocks are those of `request` (§2.7), for answers that carry no hash.
    ///
    /// # Errors
    /// `service_failed.inconsistent_response`, its text naming the header block that differs.
    pub fn check_header(&self, request: &Self) -> Result<(), Fault> {
        let (ours, theirs) = (&request.header, &self.header);
        let differs = [
            ("client", ours.client != theirs.client),
            ("service", ours.service != theirs.service),
            ("userId", ours.user_id != theirs.user_id),
            ("representedParty", ours.represented_party != theirs.represented_party),
            ("issue", ours.issue != theirs.issue),
            ("id", ours.id != theirs.id),
        ];
        match differs.iter().find(|(_, differs)| *differs) {
            Some((name, _)) => Err(inconsistent(name).within(code::SERVICE_FAILED)),
            None => Ok(()),
        }
    }

    /// White space before the first header block, up to anything else.
    fn leading_space(&self) -> &[u8] {
        let before = self.text.octets.get(self.places.indentation.clone()).unwrap_or_default();
        before.get(..before.len() - before.trim_ascii_start().len()).unwrap_or_default()
    }

    fn request_hash_element(&self, hash: &RequestHash) -> Vec<u8> {
        let tag = self.text.octets.get(self.places.id_tag.clone()).unwrap_or_default();
        let tag = String::from_utf8_lossy(tag);
        let inside = tag.trim_start_matches('<').trim_end_matches('>').trim_end_matches('/');
        let name_end = inside.find(|character: char| character.is_ascii_whitespace()).unwrap_or(inside.len());
        let (name, mut rest) = inside.split_at(name_end);
        let prefix = name.split_once(':').map_or(String::new(), |(prefix, _)| format!("{prefix}:"));
        let mut attributes = String::new();
        while let Ok(Some((name, value))) = next_attribute(&mut rest) {
            if name != "algorithmId" {
                attributes.push_str(&format!(" {name}=\"{}\"", value.replace('"', "&quot;")));
            }
        }
        let algorithm = hash.algorithm.as_deref().unwrap_or_default();
        let value = &hash.value;
        let element = format!(
            "<{prefix}requestHash{attributes} algorithmId=\"{algorithm}\">{value}</{prefix}requestHash>"
        );
        [self.leading_space(), element.as_bytes()].concat()
    }
}

fn inconsistent(what: &str) -> Fault {
    Fault::new(code::INCONSISTENT_RESPONSE, format!("response does not match the request: {what}"))
}

/// One change of a text.
struct Edit {
    range: Range<usize>,
    text: Vec<u8>,
}

/// Where a position is after the edits. What is inserted at a position stands behind it.
fn shift(edits: &[Edit], position: usize) -> usize {
    edits.iter().fold(position, |shifted, edit| {
        let is_behind =
            if edit.range.is_empty() { edit.range.start < position } else { edit.range.end <= position };
        match is_behind {
            true => shifted.saturating_add(edit.text.len()).saturating_sub(edit.range.len()),
            false => shifted,
        }
    })
}
