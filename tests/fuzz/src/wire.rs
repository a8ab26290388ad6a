//! What peers and clients send: identifiers, REST messages, the transport, XML, signatures, containers.

use bytes::Bytes;
use protocol::container::{Container, ContainerLimits, Parties};
use protocol::hash_chain::{self, RequiredInput, Source};
use protocol::id::{ClientId, MemberId, SecurityServerId, ServiceId};
use protocol::management::{self, ManagementRequest, Received};
use protocol::message::path::{PathGlob, normalised_service_path};
use protocol::message::{RestRequest, RestResponse};
use protocol::signature::{PartDigests, Parts, Rules, SignatureDocument, insert_timestamp};
use protocol::soap::{self, Envelope, RelatedEncoder, Sender, SoapDecoder, SoapMessage};
use protocol::time::UtcTime;
use protocol::transport::{
    ContentType, Decoder, Direction, Event, Limits, ProxyVersion, RequestHead, ResponseHead, write_fault,
};
use protocol::xml::{Canonicalization, CanonicalizationMethod, Document, Limits as XmlLimits};

use crate::Target;

/// Targets of this module.
pub const TARGETS: &[(&str, Target)] = &[
    ("identifiers", identifiers),
    ("times", times),
    ("rest_request", rest_request),
    ("rest_from_client", rest_from_client),
    ("rest_response", rest_response),
    ("path_globs", path_globs),
    ("transport_request", |data| transport(data, Direction::Request)),
    ("transport_response", |data| transport(data, Direction::Response)),
    ("transport_heads", heads),
    ("soap_message", soap_message),
    ("soap_multipart", soap_multipart),
    ("management_request", management_request),
    ("faults", faults),
    ("content_type", content_type),
    ("proxy_version", proxy_version),
    ("canonical_xml", canonical_xml),
    ("signature_document", signature_document),
    ("signature_parts", signature_parts),
    ("hash_chain", chain),
    ("container", container),
    ("parties", parties),
];

fn identifiers(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(id) = ClientId::parse_encoded(&text) {
        assert_eq!(ClientId::parse_encoded(&id.encoded()), Ok(id));
    }
    if let Ok(id) = ServiceId::parse_encoded(&text) {
        assert_eq!(ServiceId::parse_encoded(&id.encoded()), Ok(id));
    }
    if let Ok(id) = SecurityServerId::parse_encoded(&text) {
        assert_eq!(SecurityServerId::parse_encoded(&id.encoded()), Ok(id));
    }
    let mut parts = text.split('/');
    let mut next = || parts.next().unwrap_or_default();
    let _ = MemberId::new(next(), next(), next());
}

fn times(data: &[u8]) {
    if let Ok(time) = String::from_utf8_lossy(data).parse::<UtcTime>() {
        assert_eq!(time.to_string().parse(), Ok(time));
        let _ = (time.to_compact_text(), time.to_http_text(), time.to_millis_text());
    }
}

fn rest_request(data: &[u8]) {
    if let Ok(request) = RestRequest::parse(Bytes::copy_from_slice(data)) {
        assert_eq!(request.blob(), data);
        let _ = (request.query(), request.id(), normalised_service_path(request.service_path()));
        assert!(request.headers().count() <= data.len());
    }
}

/// The head as a client sends it becomes a blob that the other side reads as the same.
fn rest_from_client(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let first = lines.next().unwrap_or_default();
    let (method, target) = first.split_once(' ').unwrap_or((first, ""));
    let headers =
        lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name, value.trim().as_bytes()));
    let Ok(request) = RestRequest::from_client(method, target, headers, "an-id", || "an-id".to_owned())
    else {
        return;
    };
    let read = RestRequest::parse(request.blob().clone()).expect("we read what we wrote");
    assert_eq!(read.client(), request.client());
    assert_eq!(read.service(), request.service());
    assert_eq!(read.service_path(), request.service_path());
}

fn rest_response(data: &[u8]) {
    if let Ok(response) = RestResponse::parse(Bytes::copy_from_slice(data)) {
        assert_eq!(response.blob(), data);
        let _ = (response.service(), response.client());
    }
}

fn path_globs(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (pattern, path) = text.split_once('\n').unwrap_or((&text, ""));
    let _ = PathGlob::new(pattern).matches(path);
    if let Ok(normalised) = normalised_service_path(path) {
        assert!(!normalised.split('/').any(|segment| segment == ".."));
    }
}

/// The body of a message without the HTTP head of a recording, and its boundary.
fn recorded_body(data: &[u8]) -> (&[u8], String) {
    let is_recording = [&b"POST "[..], b"HTTP/"].iter().any(|start| data.starts_with(start));
    let head = data.windows(4).position(|window| window == b"\r\n\r\n").filter(|_| is_recording);
    let body = &data[head.map_or(0, |head| head + 4)..];
    let start = body.windows(2).position(|window| window == b"--").map_or(0, |at| at + 2);
    let boundary: String = body[start..]
        .iter()
        .take(70)
        .take_while(|octet| **octet > b' ')
        .map(|octet| char::from(*octet))
        .collect();
    (body, boundary)
}

/// The same events must come whether the bytes come at once or in pieces, as a network cuts them. The
/// last bytes say where.
fn transport(data: &[u8], direction: Direction) {
    let (body, boundary) = recorded_body(data);
    let content_type = format!("multipart/mixed; charset=UTF-8; boundary={boundary}");
    let Some(whole) = decoded(&content_type, direction, [body].into_iter()) else { return };
    let cuts = data.iter().rev().take(8).map(|cut| usize::from(*cut));
    let mut rest = body;
    let pieces: Vec<&[u8]> = cuts
        .chain([usize::MAX])
        .map(|cut| {
            let (piece, more) = rest.split_at(cut.min(rest.len()));
            rest = more;
            piece
        })
        .collect();
    assert_eq!(Some(&whole), decoded(&content_type, direction, pieces.into_iter()).as_ref());
    if body.len() < 4096 {
        assert_eq!(Some(whole), decoded(&content_type, direction, body.chunks(1)));
    }
    for content_type in ["text/xml", "application/soap+xml"] {
        let _ = decoded(content_type, direction, [body].into_iter());
    }
}

/// The events with pieces of the body put together, and how it ended. None for an unusable boundary.
fn decoded<'a>(
    content_type: &str,
    direction: Direction,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> Option<(Vec<Event>, Vec<u8>, Option<String>)> {
    let mut decoder = Decoder::new(content_type, direction, Limits::default()).ok()?;
    let (mut events, mut body) = (Vec::new(), Vec::new());
    let mut take = |event| match event {
        Event::Body(piece) => body.extend_from_slice(&piece),
        event => events.push(event),
    };
    let mut failed = None;
    'pieces: for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece));
        loop {
            match decoder.next() {
                Ok(Some(event)) => take(event),
                Ok(None) => break,
                Err(fault) => {
                    failed = Some(fault.code);
                    break 'pieces;
                }
            }
        }
    }
    if failed.is_none() {
        match decoder.finish() {
            Ok(event) => event.into_iter().for_each(take),
            Err(fault) => failed = Some(fault.code),
        }
    }
    // How much of a body came out before it broke depends on the pieces.
    if failed.is_some() {
        body.clear();
    }
    Some((events, body, failed.map(|code| code.to_string())))
}

fn heads(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let lines: Vec<_> = text.lines().filter_map(|line| line.split_once(':')).collect();
    let header = |name: &str| {
        lines.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let _ = (RequestHead::read("POST", header), ResponseHead::read(200, header));
}

fn faults(data: &[u8]) {
    if let Ok(Envelope::Fault(read)) = Envelope::parse(Bytes::copy_from_slice(data)) {
        let again = Envelope::parse(write_fault(&read.fault).into()).expect("we read what we wrote");
        let Envelope::Fault(again) = again else { panic!("a fault became a message") };
        assert_eq!(again.fault.code, read.fault.code);
    }
}

/// A message that was read gets a hash and is read again as the same; nothing in it moves.
fn soap_message(data: &[u8]) {
    let Ok(message) = SoapMessage::parse(Bytes::copy_from_slice(data)) else { return };
    assert_eq!(&message.octets()[..], data);
    let hash = message.digest();
    let answer = message.with_request_hash(&hash);
    assert_eq!(SoapMessage::parse(answer.octets().clone()).as_ref(), Ok(&answer));
    assert_eq!(answer.check_answers(&message, &hash), Ok(()));
    assert_eq!(answer.wrapper(), message.wrapper());
    let _ = (message.check_client_type(), message.answer("<a/>"));
}

/// A multipart message comes out alike whatever the pieces, and what is written of it is read as the same.
/// A request that is understood is the same when it is written by us, and can be answered. Its parts are
/// the same when they are written again.
fn management_request(data: &[u8]) {
    let (body, boundary) = recorded_body(data);
    for content_type in [management::content_type(&boundary), "text/xml".to_owned()] {
        let Ok(received) = Received::read(&content_type, Bytes::copy_from_slice(body)) else { continue };
        let message = received.message();
        let again = |written: Result<Bytes, _>| {
            written.ok().map(|body| Received::read(&content_type, body).expect("we read what we wrote"))
        };
        if let Ok(parts) = received.registration()
            && let Some(again) = again(parts.write(message, &boundary))
        {
            assert_eq!(again.registration().as_ref(), Ok(&parts));
        }
        if let Ok(parts) = received.signed()
            && let Some(again) = again(parts.write(message, &boundary))
        {
            assert_eq!(again.signed().as_ref(), Ok(&parts));
        }
        let Ok(request) = ManagementRequest::of(message) else { continue };
        let ours = request.to_soap(message.service().provider(), "an-id").expect("what was XML is XML");
        assert_eq!(ManagementRequest::of(&ours).as_ref(), Ok(&request));
        let answer = management::accept(message, 7).expect("what was read can be answered");
        assert_eq!(management::check_answer(message, &answer), Ok(Some(7)));
    }
}

fn soap_multipart(data: &[u8]) {
    let boundary = "b0";
    let content_type = format!("multipart/related; boundary={boundary}");
    let read = |data: &[u8], size: usize| {
        let limits = soap::Limits::default();
        let mut decoder =
            SoapDecoder::new(Some(&content_type), Sender::Provider, limits).expect("a boundary");
        let (mut events, mut body) = (Vec::new(), Vec::new());
        let mut pieces = data.chunks(size);
        loop {
            match pieces.next() {
                Some(piece) => decoder.push(Bytes::copy_from_slice(piece)),
                None => decoder.finish().ok()?,
            }
            while let Some(event) = decoder.next().ok()? {
                match event {
                    soap::Event::Body(piece) => body.extend_from_slice(&piece),
                    soap::Event::BodyEnd => {
                        events.push(soap::Event::Body(std::mem::take(&mut body).into()));
                    }
                    soap::Event::End | soap::Event::Fault(_) => {
                        events.push(event);
                        return Some(events);
                    }
                    event => events.push(event),
                }
            }
        }
    };
    let events = read(data, usize::MAX);
    assert_eq!(read(data, 3), events, "pieces matter");
    let Some(events) = events else { return };
    let mut encoder = RelatedEncoder::new(boundary);
    let mut written = Vec::new();
    for event in &events {
        match event {
            soap::Event::Message { headers, message } => {
                written.extend(encoder.part(headers));
                if encoder.check(message.octets()).is_err() {
                    return;
                }
                written.extend_from_slice(message.octets());
            }
            soap::Event::Attachment(headers) => written.extend(encoder.part(headers)),
            soap::Event::Body(body) => {
                if encoder.check(body).is_err() {
                    return;
                }
                written.extend_from_slice(body);
            }
            soap::Event::BodyEnd | soap::Event::End => {}
            soap::Event::Fault(_) => return,
        }
    }
    written.extend(encoder.end());
    assert_eq!(read(&written, 7).as_ref(), Some(&events), "written otherwise than read");
}

fn content_type(data: &[u8]) {
    if let Ok(content_type) = ContentType::parse(&String::from_utf8_lossy(data)) {
        let _ = (content_type.essence(), content_type.boundary());
    }
}

fn proxy_version(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (one, other) = text.split_once('\n').unwrap_or((&text, "7.8.0"));
    let (Ok(one), Ok(other)) = (one.parse::<ProxyVersion>(), other.parse::<ProxyVersion>()) else { return };
    assert_eq!(one.cmp(&other), other.cmp(&one).reverse());
}

/// A canonical form is its own canonical form, of the whole and of every subtree.
fn canonical_xml(data: &[u8]) {
    let Ok(document) = Document::parse(data, &XmlLimits::default()) else { return };
    for method in CanonicalizationMethod::ALL {
        for prefixes in [&[][..], &["a", "ds", "#default"]] {
            let canonicalization = Canonicalization {
                method,
                inclusive_prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
            };
            let octets = document.canonicalize(&canonicalization);
            idempotent(&octets, &canonicalization);
            if let Some(inner) = document.root().descendants().nth(data.len() % 7) {
                idempotent(&inner.canonicalize(&canonicalization), &canonicalization);
            }
        }
    }
}

fn idempotent(octets: &[u8], canonicalization: &Canonicalization) {
    // Depth and nodes stay; octets may grow beyond the limit, attributes with the declarations in force.
    let limits = XmlLimits { octets: usize::MAX, attributes: usize::MAX, ..XmlLimits::default() };
    let again = Document::parse(octets, &limits).expect("a canonical form is XML");
    assert_eq!(again.canonicalize(canonicalization), octets);
}

fn signature_document(data: &[u8]) {
    for rules in [Rules::Message, Rules::Evidence] {
        let Ok(document) = SignatureDocument::parse(Bytes::copy_from_slice(data), rules) else { continue };
        let _ = (document.certificate(), document.algorithm(), document.signing_time());
        if document.timestamp().is_none() {
            let stamped = insert_timestamp(data, b"token");
            if let Ok(stamped) = stamped {
                let read = SignatureDocument::parse(stamped, rules).expect("we read what we wrote");
                assert_eq!(read.timestamp(), Some(&b"token"[..]));
            }
        }
    }
}

/// A container, or its parts with NUL between them: signature, message, attachment, chain result, chain.
fn signature_parts(data: &[u8]) {
    let (signature, parts) = if data.starts_with(b"PK") {
        let Ok(container) = Container::read_within(data, SMALL) else { return };
        let attachment = |attachment| container.attachment_octets(attachment).ok().map(PartDigests::of);
        let (result, chain) = container.hash_chain().cloned().unzip();
        let parts = Parts {
            message: PartDigests::of(container.message().clone()),
            attachments: container.attachments().iter().filter_map(attachment).collect(),
            hash_chain_result: result,
            hash_chain: chain,
        };
        (container.signature().clone(), parts)
    } else {
        let mut pieces = data.split(|octet| *octet == 0).map(Bytes::copy_from_slice);
        let signature = pieces.next().unwrap_or_default();
        let Ok(signature) = SignatureDocument::parse(signature, Rules::Message) else { return };
        let parts = Parts {
            message: PartDigests::of(pieces.next().unwrap_or_default()),
            attachments: pieces.next().into_iter().map(PartDigests::of).collect(),
            hash_chain_result: pieces.next(),
            hash_chain: pieces.next(),
        };
        (signature, parts)
    };
    let references = signature.references();
    let _ = (references.check(&parts), references.check_digests(&|name| parts.part(name)));
    let _ = references.check_hash_chain(&parts);
}

/// The result, chain documents and parts with NUL between them; names count on.
fn chain(data: &[u8]) {
    let pieces: Vec<Bytes> = data.split(|octet| *octet == 0).map(Bytes::copy_from_slice).collect();
    let Some((result, others)) = pieces.split_first() else { return };
    let source = |name: &str| {
        let index = name.bytes().rfind(u8::is_ascii_digit).map_or(0, |digit| usize::from(digit - b'0'));
        match others.get(index) {
            Some(octets) => Source::Octets(octets.clone()),
            None if index % 2 == 0 => Source::Unresolved,
            None => Source::Absent,
        }
    };
    let message = PartDigests::of(others.last().cloned().unwrap_or_default());
    let required = [RequiredInput { name: hash_chain::MESSAGE, part: Some(&message) }];
    for rules in [Rules::Message, Rules::Evidence] {
        let _ = hash_chain::verify(result, &source, &required, rules);
        let _ = hash_chain::verify(result, &source, &[], rules);
    }
}

/// Small enough that a compressed input cannot take long.
const SMALL: ContainerLimits = ContainerLimits { entries: 1000, entry: 1 << 20, attachments: 16 << 20 };

fn container(data: &[u8]) {
    let Ok(container) = Container::read_within(data, SMALL) else { return };
    let _ = (container.stamped(), container.timestamp(), container.others().len());
    for attachment in container.attachments() {
        let _ = container.attachment_octets(attachment);
        let _ = container.attachment_digest(attachment, protocol::digest::DigestAlgorithm::Sha256);
    }
    let _ = Parties::read(container.message());
    let _ = container.signature().references().check_digests(&|name| container.part(name));
}

fn parties(data: &[u8]) {
    let _ = Parties::read(data);
}
