//! Finds the parts of a multipart body in bytes that arrive in pieces (RFC 2046 §5.1).
//!
//! Line ends may be CRLF or LF. The preamble and the epilogue are ignored, header lines are bounded, and
//! part bodies come out as slices of what came in.

use std::collections::VecDeque;

use bytes::Bytes;
use memchr::memmem::Finder;

use super::headers::PartHeaders;
use crate::fault::{Fault, code};

/// Most bytes of the header lines of one part.
const HEADER_LIMIT: usize = 8 * 1024;
/// Most bytes before the first boundary.
const PREAMBLE_LIMIT: usize = 64 * 1024;

/// What was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// A part begins.
    Part(PartHeaders),
    /// More of its body.
    Piece(Bytes),
    /// The part is complete.
    PartEnd,
    /// The closing boundary was read.
    Closed,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// Before the first boundary.
    Preamble,
    /// Behind the text of a boundary.
    Boundary,
    /// In the header lines of a part.
    Header,
    /// At the first byte of a body.
    BodyStart,
    /// In a body.
    Body,
    /// Behind the closing boundary.
    Closed,
}

/// The reader.
#[derive(Debug)]
pub(crate) struct Multipart {
    state: State,
    /// Bytes not looked at yet.
    chunks: VecDeque<Bytes>,
    /// `\n--boundary`
    delimiter: Finder<'static>,
    /// The unfinished line in `Boundary` and `Header`.
    line: Vec<u8>,
    header_bytes: usize,
    headers: PartHeaders,
    /// Name of the last header, which a folded line continues.
    last_header: String,
    preamble_bytes: usize,
    /// No more bytes will come, and a missing closing boundary is forgiven.
    ended: bool,
}

fn broken(why: &str) -> Fault {
    Fault::new(code::MIME_PARSING_FAILED, why)
}

impl Multipart {
    pub(crate) fn new(boundary: &str) -> Self {
        Self {
            state: State::Preamble,
            // As if a line end stood before the first byte: it may begin with a boundary.
            chunks: VecDeque::from([Bytes::from_static(b"\n")]),
            delimiter: Finder::new(&format!("\n--{boundary}")).into_owned(),
            line: Vec::new(),
            header_bytes: 0,
            headers: PartHeaders::default(),
            last_header: String::new(),
            preamble_bytes: 0,
            ended: false,
        }
    }

    pub(crate) fn push(&mut self, chunk: Bytes) {
        // Behind the closing boundary everything is ignored.
        if self.state != State::Closed && !chunk.is_empty() {
            self.chunks.push_back(chunk);
        }
    }

    /// Says that no more bytes will come, and that they may end without a closing boundary. What is left
    /// comes out of [`next`](Self::next).
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    pub(crate) fn next(&mut self) -> Result<Option<Found>, Fault> {
        let found = self.advance()?;
        if found.is_none() && self.ended && self.state != State::Closed {
            return self.rest().map(Some);
        }
        Ok(found)
    }

    /// What an unclosed body ends with.
    fn rest(&mut self) -> Result<Found, Fault> {
        match self.state {
            State::Boundary | State::Header => Err(broken("the body ends within a part's headers")),
            State::BodyStart => {
                self.state = State::Body;
                self.rest()
            }
            State::Body => match self.chunks.pop_front() {
                Some(chunk) => Ok(Found::Piece(chunk)),
                None => {
                    // As if a closing boundary had been read: no part is open any more.
                    self.state = State::Preamble;
                    Ok(Found::PartEnd)
                }
            },
            State::Preamble | State::Closed => {
                self.state = State::Closed;
                self.chunks.clear();
                Ok(Found::Closed)
            }
        }
    }

    fn advance(&mut self) -> Result<Option<Found>, Fault> {
        loop {
            match self.state {
                State::Preamble => match self.body() {
                    Some(Body::Piece(piece)) => {
                        self.preamble_bytes = self.preamble_bytes.saturating_add(piece.len());
                        if self.preamble_bytes > PREAMBLE_LIMIT {
                            return Err(broken("no boundary within reach"));
                        }
                    }
                    Some(Body::Delimiter) => self.at_boundary(),
                    None => return Ok(None),
                },
                State::Boundary => {
                    // `--` closes at once: some senders end without a line end.
                    if self.at_close() {
                        self.state = State::Closed;
                        self.chunks.clear();
                        return Ok(Some(Found::Closed));
                    }
                    let Some(line) = self.take_line()? else { return Ok(None) };
                    if line.iter().any(|byte| !matches!(byte, b' ' | b'\t')) {
                        return Err(broken("text behind a boundary"));
                    }
                    self.last_header.clear();
                    self.state = State::Header;
                }
                State::Header => {
                    let Some(line) = self.take_line()? else { return Ok(None) };
                    if line.is_empty() {
                        self.state = State::BodyStart;
                        return Ok(Some(Found::Part(std::mem::take(&mut self.headers))));
                    }
                    self.header(&line)?;
                }
                State::BodyStart => {
                    // A part without a body may share its empty line with the boundary.
                    match self.starts_with_boundary() {
                        None => return Ok(None),
                        Some(true) => {
                            self.skip(self.delimiter.needle().len().saturating_sub(1));
                            self.at_boundary();
                            return Ok(Some(Found::PartEnd));
                        }
                        Some(false) => self.state = State::Body,
                    }
                }
                State::Body => {
                    return Ok(match self.body() {
                        Some(Body::Piece(piece)) => Some(Found::Piece(piece)),
                        Some(Body::Delimiter) => {
                            self.at_boundary();
                            Some(Found::PartEnd)
                        }
                        None => None,
                    });
                }
                State::Closed => return Ok(None),
            }
        }
    }

    fn at_boundary(&mut self) {
        self.state = State::Boundary;
        self.header_bytes = 0;
    }

    fn header(&mut self, line: &[u8]) -> Result<(), Fault> {
        let text: String = line.iter().map(|byte| char::from(*byte)).collect(); // ISO-8859-1
        if text.starts_with([' ', '\t']) {
            if self.last_header.is_empty() {
                return Err(broken("part headers begin with a folded line"));
            }
            return self.headers.fold(&self.last_header, text.trim_matches([' ', '\t']));
        }
        let (name, value) = text.split_once(':').ok_or_else(|| broken("part header without a colon"))?;
        let name = name.trim_end_matches([' ', '\t']);
        self.headers.add(name, value.trim_matches([' ', '\t']))?;
        name.clone_into(&mut self.last_header);
        Ok(())
    }

    /// A line without its end, when all of it is there.
    fn take_line(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        while let Some(chunk) = self.chunks.front_mut() {
            let end = memchr::memchr(b'\n', chunk);
            let taken = chunk.split_to(end.map_or(chunk.len(), |at| at + 1));
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
            self.header_bytes = self.header_bytes.saturating_add(taken.len());
            if self.header_bytes > HEADER_LIMIT {
                return Err(broken("part headers are too long"));
            }
            self.line.extend_from_slice(&taken);
            if end.is_some() {
                let mut line = std::mem::take(&mut self.line);
                line.pop();
                line.pop_if(|last| *last == b'\r');
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    /// Whether the next two bytes are dashes. `line` is empty unless a dash or space was seen before.
    fn at_close(&self) -> bool {
        let mut ahead = self.line.iter().copied().chain(self.ahead());
        ahead.next() == Some(b'-') && ahead.next() == Some(b'-')
    }

    fn starts_with_boundary(&self) -> Option<bool> {
        let mut ahead = self.ahead();
        for expected in self.delimiter.needle().iter().skip(1) {
            match ahead.next() {
                None => return None,
                Some(byte) if byte != *expected => return Some(false),
                Some(_) => {}
            }
        }
        Some(true)
    }

    fn ahead(&self) -> impl Iterator<Item = u8> {
        self.chunks.iter().flat_map(|chunk| chunk.iter().copied())
    }

    fn skip(&mut self, mut count: usize) {
        while let Some(chunk) = self.chunks.front_mut() {
            let now = count.min(chunk.len());
            drop(chunk.split_to(now));
            count -= now;
            if !chunk.is_empty() {
                return;
            }
            self.chunks.pop_front();
        }
    }

    /// The next slice of a body, or the boundary that ends it, which is taken with its line end.
    fn body(&mut self) -> Option<Body> {
        loop {
            let chunk = self.chunks.front_mut()?;
            if chunk.is_empty() {
                // Given out to its end. Left there it would cut what follows into crumbs.
                self.chunks.pop_front();
                continue;
            }
            if let Some(at) = self.delimiter.find(chunk) {
                let line_end = at.saturating_sub(usize::from(at > 0 && chunk.get(at - 1) == Some(&b'\r')));
                if line_end > 0 {
                    return Some(Body::Piece(chunk.split_to(line_end)));
                }
                self.skip(at + self.delimiter.needle().len());
                return Some(Body::Delimiter);
            }
            // What may be the beginning of a boundary waits for more.
            let held = held(chunk, self.delimiter.needle());
            if held < chunk.len() {
                return Some(Body::Piece(chunk.split_to(chunk.len() - held)));
            }
            // The chunk is nothing but such a beginning. Only these few bytes are ever copied.
            let first = self.chunks.pop_front()?;
            let Some(second) = self.chunks.front_mut() else {
                self.chunks.push_front(first);
                return None;
            };
            let wanted = self.delimiter.needle().len() + 1;
            let more = second.split_to(wanted.min(second.len()));
            if second.is_empty() {
                self.chunks.pop_front();
            }
            self.chunks.push_front([first, more].concat().into());
        }
    }
}

enum Body {
    Piece(Bytes),
    Delimiter,
}

/// How many of the last bytes of `chunk` may be the beginning of a line end and boundary.
fn held(chunk: &[u8], delimiter: &[u8]) -> usize {
    let window = chunk.len().saturating_sub(delimiter.len());
    let tail = chunk.get(window..).unwrap_or_default();
    memchr::memchr2_iter(b'\r', b'\n', tail)
        .find(|at| {
            let rest = tail.get(*at..).unwrap_or_default();
            let rest = rest.strip_prefix(b"\r").unwrap_or(rest);
            delimiter.starts_with(rest)
        })
        .map_or(0, |at| tail.len() - at)
}
