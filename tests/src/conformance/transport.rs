//! Decodes and encodes transport bodies, for the areas that have some.

use bytes::Bytes;
use protocol::fault::Fault;
use protocol::transport::{ContentType, Decoder, Direction, Encoder, Event, Limits, PartKind};

/// Everything in a body. It is given in pieces of different sizes, as sockets do.
pub fn decode(body: &[u8], content_type: &str, direction: Direction) -> Result<Vec<Event>, Fault> {
    let mut decoder = Decoder::new(content_type, direction, Limits::default())?;
    let mut events = Vec::new();
    let mut rest = body;
    for size in [1, 7, 100, 1500, 16 * 1024].into_iter().cycle() {
        let (piece, after) = rest.split_at(size.min(rest.len()));
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(event) = decoder.next()? {
            events.push(event);
        }
        rest = after;
        if rest.is_empty() {
            break;
        }
    }
    events.extend(decoder.finish()?);
    Ok(events)
}

/// The body that these events were read from, when it was written in the framing of peers. None for a
/// fault, whose text is not kept as it came.
pub fn encode(events: &[Event], content_type: &str, direction: Direction) -> Option<Vec<u8>> {
    let mut encoder = Encoder::new(ContentType::parse(content_type).ok()?.boundary().ok()?);
    let mut body = Vec::new();
    let mut streaming = false;
    for event in events {
        let (kind, bytes) = match event {
            Event::Ocsp(bytes) => (PartKind::Ocsp, bytes),
            Event::Rest(bytes) if direction == Direction::Request => (PartKind::RestRequest, bytes),
            Event::Rest(bytes) => (PartKind::RestResponse, bytes),
            Event::Soap { headers, message } => {
                body.extend(encoder.soap(headers));
                body.extend_from_slice(message.octets());
                continue;
            }
            Event::Attachment(headers) => {
                body.extend(encoder.attachment(headers));
                streaming = true;
                continue;
            }
            Event::Body(bytes) => {
                if !std::mem::replace(&mut streaming, true) {
                    body.extend(encoder.part(PartKind::RestBody));
                }
                body.extend_from_slice(bytes);
                continue;
            }
            Event::BodyEnd => {
                if !std::mem::replace(&mut streaming, false) {
                    body.extend(encoder.part(PartKind::RestBody));
                }
                continue;
            }
            Event::HashChainResult(bytes) => (PartKind::HashChainResult, bytes),
            Event::HashChain(bytes) => (PartKind::HashChain, bytes),
            Event::Signature(bytes) => (PartKind::Signature, bytes),
            Event::Fault(_) => return None,
            Event::End => continue,
        };
        body.extend(encoder.part(kind));
        body.extend_from_slice(bytes);
    }
    body.extend(encoder.end());
    Some(body)
}

/// The REST head among the events.
pub fn rest_head(events: &[Event]) -> Option<&Bytes> {
    events.iter().find_map(|event| match event {
        Event::Rest(bytes) => Some(bytes),
        _ => None,
    })
}

/// The body among the events; none when there is no body part.
pub fn rest_body(events: &[Event]) -> Option<Vec<u8>> {
    events.contains(&Event::BodyEnd).then(|| {
        let pieces = events.iter().map(|event| match event {
            Event::Body(bytes) => &bytes[..],
            _ => &[],
        });
        pieces.collect::<Vec<_>>().concat()
    })
}

/// What was found, in a word a part.
pub fn outline(result: &Result<Vec<Event>, Fault>) -> String {
    let events = match result {
        Ok(events) => events,
        Err(fault) => return fault.code.to_string(),
    };
    let mut words: Vec<String> = Vec::new();
    for event in events {
        if *event == Event::BodyEnd && words.last().is_some_and(|word| word == "attachment") {
            continue;
        }
        words.push(match event {
            Event::Ocsp(_) => "ocsp".to_owned(),
            Event::Rest(_) => "rest".to_owned(),
            Event::Soap { .. } => "soap".to_owned(),
            Event::Attachment(_) => "attachment".to_owned(),
            Event::Body(_) | Event::End => continue,
            Event::BodyEnd => "body".to_owned(),
            Event::HashChainResult(_) => "hash-chain-result".to_owned(),
            Event::HashChain(_) => "hash-chain".to_owned(),
            Event::Signature(_) => "signature".to_owned(),
            Event::Fault(fault) => format!("fault {}", fault.fault.code),
        });
    }
    words.join(", ")
}
