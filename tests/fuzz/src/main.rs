//! One program with a fuzz target for each parser of foreign bytes; the environment names the target.
//!
//! A target must not panic, must not run long, and where a format has one form only, what was read and
//! written again must be the same bytes.

#![no_main]

use std::sync::OnceLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use protocol::configuration::anchor::Anchor;
use protocol::digest::DigestAlgorithm;
use protocol::id::{ClientId, SecurityServerId, ServiceId};
use protocol::message::path::{PathGlob, normalised_service_path};
use protocol::message::{RestRequest, RestResponse};
use protocol::signature::SignatureDocument;
use protocol::transport::{Decoder, Direction, Limits};

type Target = fn(&[u8]);

static TARGET: OnceLock<Target> = OnceLock::new();

fuzz_target!(init: {
    let name = std::env::var("CAUSEWAY_FUZZ_TARGET").expect("CAUSEWAY_FUZZ_TARGET names the target");
    TARGET.set(target(&name)).expect("init runs once");
}, |data: &[u8]| {
    (TARGET.get().expect("init ran"))(data);
});

fn target(name: &str) -> Target {
    match name {
        "identifiers" => |data| {
            let text = String::from_utf8_lossy(data);
            if let Ok(id) = ClientId::parse_encoded(&text) {
                assert_eq!(ClientId::parse_encoded(&id.encoded()), Ok(id));
            }
            let _ = (ServiceId::parse_encoded(&text), SecurityServerId::parse_encoded(&text));
        },
        "rest_request" => |data| {
            if let Ok(request) = RestRequest::parse(Bytes::copy_from_slice(data)) {
                assert_eq!(request.blob(), data);
                let _ = (request.query(), request.id(), normalised_service_path(request.service_path()));
            }
        },
        "rest_response" => |data| {
            if let Ok(response) = RestResponse::parse(Bytes::copy_from_slice(data)) {
                assert_eq!(response.blob(), data);
                let _ = (response.service(), response.client());
            }
        },
        "path_globs" => |data| {
            let text = String::from_utf8_lossy(data);
            let (pattern, path) = text.split_once('\n').unwrap_or((&text, ""));
            let _ = PathGlob::new(pattern).matches(path);
        },
        "transport_request" => |data| transport(data, Direction::Request),
        "transport_response" => |data| transport(data, Direction::Response),
        "signature_document" => |data| {
            let _ = SignatureDocument::parse(Bytes::copy_from_slice(data));
        },
        "canonical_xml" => |data| {
            let _ = protocol::xml::Document::parse(data);
        },
        "certificate" => |data| {
            let _ = certs::certificate::Certificate::from_pem_or_der(data);
        },
        "ocsp_response" => |data| {
            let _ = certs::ocsp::OcspResponse::parse(Bytes::copy_from_slice(data));
        },
        "ocsp_request" => |data| {
            let _ = certs::ocsp::Request::parse(data);
        },
        "timestamp_token" => |data| {
            let _ = certs::timestamp::TimestampToken::parse(Bytes::copy_from_slice(data));
        },
        "timestamp_response" => |data| {
            let imprint = DigestAlgorithm::Sha512.digest(b"x");
            let _ = certs::timestamp::TimestampToken::from_response(data, &imprint);
        },
        "timestamp_request" => |data| {
            let _ = certs::timestamp::Request::parse(data);
        },
        "anchor" => |data| {
            let _ = Anchor::parse(data);
        },
        other => panic!("there is no target {other}"),
    }
}

/// The first bytes cut the rest into pieces, as a network would.
fn transport(data: &[u8], direction: Direction) {
    let (cuts, rest) = data.split_at(data.len().min(4));
    let content_type = "multipart/mixed; charset=UTF-8; boundary=xtop1357783211hcn1yiro";
    let mut decoder = Decoder::new(content_type, direction, Limits::default()).expect("a good content type");
    let mut rest = rest;
    for cut in cuts.iter().map(|cut| usize::from(*cut)).chain([usize::MAX]) {
        let (piece, more) = rest.split_at(cut.min(rest.len()));
        rest = more;
        decoder.push(Bytes::copy_from_slice(piece));
        loop {
            match decoder.next() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    let _ = decoder.finish();
}
