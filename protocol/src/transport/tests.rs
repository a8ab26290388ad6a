use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::fault::Fault;
use crate::soap::{Envelope, SoapFault};

const CONTENT: &str = "multipart/mixed; charset=UTF-8; boundary=b0";

/// Encodes parts, with the exact framing of peers.
fn encode(parts: &[(PartKind, &[u8])]) -> Vec<u8> {
    let mut encoder = Encoder::new("b0");
    let mut out = Vec::new();
    for (kind, bytes) in parts {
        out.extend(encoder.part(*kind));
        out.extend_from_slice(bytes);
    }
    out.extend(encoder.end());
    out
}

/// Decodes in pieces of `size` bytes; body pieces are joined.
fn decode_in(bytes: &[u8], content: &str, direction: Direction, size: usize) -> Result<Vec<Event>, Fault> {
    let mut decoder = Decoder::new(content, direction, Limits::default())?;
    let mut events: Vec<Event> = Vec::new();
    for piece in bytes.chunks(size) {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(event) = decoder.next()? {
            match (events.last_mut(), &event) {
                (Some(Event::Body(so_far)), Event::Body(more)) => {
                    *so_far = [&so_far[..], &more[..]].concat().into();
                }
                _ => events.push(event),
            }
        }
    }
    events.extend(decoder.finish()?);
    Ok(events)
}

fn decode(bytes: &[u8], direction: Direction) -> Result<Vec<Event>, Fault> {
    let whole = decode_in(bytes, CONTENT, direction, usize::MAX);
    for size in [1, 2, 3, 7, 13] {
        assert_eq!(decode_in(bytes, CONTENT, direction, size), whole, "pieces of {size}");
    }
    whole
}

#[track_caller]
fn check_request(text: &str, expected: Result<Vec<Event>, &str>) {
    let got = decode(text.as_bytes(), Direction::Request).map_err(|fault| fault.code);
    assert_eq!(got, expected.map_err(Into::into), "{text}");
}

/// A SOAP request with nothing in it that could be left out.
const MESSAGE: &str = "<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Header \
    xmlns='http://x-road.eu/xsd/xroad.xsd' xmlns:i='http://x-road.eu/xsd/identifiers'>\
    <client i:objectType='MEMBER'><i:xRoadInstance>CW</i:xRoadInstance><i:memberClass>COM</i:memberClass>\
    <i:memberCode>1</i:memberCode></client><service i:objectType='SERVICE'>\
    <i:xRoadInstance>CW</i:xRoadInstance><i:memberClass>COM</i:memberClass><i:memberCode>2</i:memberCode>\
    <i:serviceCode>ask</i:serviceCode></service><id>1</id><protocolVersion>4.0</protocolVersion></e:Header>\
    <e:Body><ask/></e:Body></e:Envelope>";

const OCSP: &[u8] = b"0\x03\x0a\x01\x00";

/// Bytes of a body come out in slices as large as they came in: whoever writes them to a file or a
/// socket pays for every slice.
#[test]
fn large_bodies_do_not_crumble() {
    let body = vec![b'x'; 1024 * 1024];
    let message = encode(&[
        (PartKind::RestRequest, b"GET\r\n/r1\r\n"),
        (PartKind::RestBody, &body),
        (PartKind::Signature, b"s"),
    ]);
    let mut decoder = Decoder::new(CONTENT, Direction::Request, Limits::default()).unwrap();
    let mut slices = 0;
    for piece in message.chunks(16 * 1024) {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(event) = decoder.next().unwrap() {
            slices += usize::from(matches!(event, Event::Body(_)));
        }
    }
    assert!(slices <= 2 * 64 + 2, "{slices} slices");
}

#[test]
fn whole_messages_come_back() {
    let request = encode(&[
        (PartKind::Ocsp, OCSP),
        (PartKind::Ocsp, OCSP),
        (PartKind::RestRequest, b"GET\r\n/r1\r\n"),
        (PartKind::RestBody, b"a\r\n--b\r\n-\r\n\r\n"),
        (PartKind::HashChainResult, b"r"),
        (PartKind::HashChain, b"c\n"),
        (PartKind::Signature, b"s"),
    ]);
    assert_eq!(
        decode(&request, Direction::Request),
        Ok(vec![
            Event::Ocsp(OCSP.into()),
            Event::Ocsp(OCSP.into()),
            Event::Rest("GET\r\n/r1\r\n".into()),
            Event::Body("a\r\n--b\r\n-\r\n\r\n".into()),
            Event::BodyEnd,
            Event::HashChainResult("r".into()),
            Event::HashChain("c\n".into()),
            Event::Signature("s".into()),
            Event::End,
        ])
    );
    let response = encode(&[(PartKind::RestResponse, b"200\r\n"), (PartKind::Signature, b"s")]);
    assert_eq!(
        decode(&response, Direction::Response),
        Ok(vec![Event::Rest("200\r\n".into()), Event::Signature("s".into()), Event::End])
    );
}

#[test]
fn framing_is_read_with_tolerance() {
    let rest = |body: &[Event]| {
        let mut events = vec![Event::Rest("x".into())];
        events.extend_from_slice(body);
        events.extend([Event::Signature("s".into()), Event::End]);
        Ok(events)
    };
    let blob = "Content-TYPE:application/X-Road-rest-request ; a=b";
    let sig = "content-type: signature/bdoc-1.0/ts";
    // Bare line feeds, preamble and epilogue, padding behind a boundary, other headers, folded lines.
    check_request(&format!("--b0\n{blob}\n\nx\n--b0\n{sig}\n\ns\n--b0--"), rest(&[]));
    check_request(
        &format!("hello\r\n--b0 \t\r\n{blob}\r\n\r\nx\r\n--b0\r\n{sig}\r\n\r\ns\r\n--b0--\r\nbye --b0"),
        rest(&[]),
    );
    check_request(
        &format!("\r\n--b0\r\nX: y\r\n{blob};\r\n c=d\r\n\r\nx\r\n--b0\r\n{sig}\r\n\r\ns\r\n--b0--"),
        rest(&[]),
    );
    // An empty body part is a body; it may share its empty line with the boundary.
    let body = "content-type: application/x-road-rest-body";
    for empty in ["\r\n\r\n\r\n", "\n\n\n", "\r\n\r\n", "\n\n"] {
        let text =
            format!("--b0\r\n{blob}\r\n\r\nx\r\n--b0\r\n{body}{empty}--b0\r\n{sig}\r\n\r\ns\r\n--b0--");
        check_request(&text, rest(&[Event::BodyEnd]));
    }
}

#[test]
fn broken_messages_are_refused() {
    let part = |kind: &str, body: &str| format!("--b0\r\ncontent-type: {kind}\r\n\r\n{body}\r\n");
    let (ocsp, blob) =
        (part("application/ocsp-response", "0\0"), part("application/x-road-rest-request", "x"));
    let response = part("application/x-road-rest-response", "x");
    let (body, sig) = (part("application/x-road-rest-body", "y"), part("signature/bdoc-1.0/ts", "s"));
    let (result, chain) = (part("application/hash-chain-result", "r"), part("application/hash-chain", "c"));
    let end = "--b0--\r\n";
    for (text, code) in [
        (String::new(), "missing_rest"),
        (end.to_owned(), "missing_rest"),
        (format!("{ocsp}{end}"), "missing_rest"),
        (format!("{blob}{end}"), "missing_signature"),
        (format!("{blob}{result}{chain}{end}"), "missing_signature"),
        (format!("{blob}{sig}"), "missing_signature"), // the signature itself is not complete
        (format!("{blob}{sig}--b0"), "service_failed.mime_parsing_failed"),
        (format!("{blob}{sig}--b0-"), "service_failed.mime_parsing_failed"),
        (format!("{blob}{sig}{ocsp}{end}"), "service_failed.invalid_message"),
        (format!("{blob}{ocsp}{sig}{end}"), "service_failed.invalid_content_type"),
        (format!("{blob}{blob}{sig}{end}"), "service_failed.invalid_content_type"),
        (format!("{blob}{body}{body}{sig}{end}"), "service_failed.invalid_content_type"),
        (format!("{blob}{result}{sig}{end}"), "service_failed.invalid_content_type"),
        (format!("{blob}{chain}{sig}{end}"), "service_failed.invalid_content_type"),
        (format!("{blob}{chain}{result}{sig}{end}"), "service_failed.invalid_content_type"),
        (format!("{blob}{result}{body}{sig}{end}"), "service_failed.invalid_content_type"),
        (format!("{response}{sig}{end}"), "service_failed.invalid_content_type"),
        (format!("{sig}{end}"), "service_failed.invalid_content_type"),
        (format!("{}{end}", part("text/plain", "t")), "service_failed.invalid_content_type"),
        ("--b0\r\n\r\nx\r\n--b0--".to_owned(), "service_failed.invalid_content_type"),
        ("--b0x\r\n\r\nx\r\n--b0--".to_owned(), "service_failed.mime_parsing_failed"),
        ("--b0\r\nno colon\r\n\r\nx\r\n--b0--".to_owned(), "service_failed.mime_parsing_failed"),
        (
            "--b0\r\ncontent-type: a/b\r\nContent-Type: c/d\r\n\r\n".to_owned(),
            "service_failed.mime_parsing_failed",
        ),
        (format!("{}{end}", part("application/ocsp-response", "dummy")), "service_failed.io_error"),
        (format!("{}{sig}{end}", part("text/xml", "")), "service_failed.invalid_soap"),
    ] {
        check_request(&text, Err(code));
    }
}

#[test]
fn limits_hold() {
    let check = |parts: &[(PartKind, &[u8])]| {
        let got = decode_in(&encode(parts), CONTENT, Direction::Request, 5000);
        assert_eq!(got.map_err(|fault| fault.code), Err("service_failed.invalid_message".into()));
    };
    let big = vec![b'x'; 1024 * 1024 + 1];
    check(&[(PartKind::Ocsp, &big[..70_000])]);
    check(&[(PartKind::Ocsp, OCSP); 17]);
    check(&[(PartKind::RestRequest, &big)]);
    check(&[(PartKind::RestRequest, b"x"), (PartKind::Signature, &big)]);
    check(&[(PartKind::RestRequest, b"x"), (PartKind::HashChainResult, &big)]);
    let headers = format!("--b0\r\n{}\r\n", "x: y\r\n".repeat(2000));
    let got = decode_in(headers.as_bytes(), CONTENT, Direction::Request, 100);
    assert_eq!(got.map_err(|fault| fault.code), Err("service_failed.mime_parsing_failed".into()));
}

#[test]
fn faults_of_each_shape() {
    let fault =
        Fault::new("server.serverproxy.access_denied", "no <access> & \"more\"").with_detail(|| "id".into());
    let body = write_fault(&fault);
    let expected = Event::Fault(SoapFault { fault, octets: body.clone().into() });
    // A
    let alone = decode_in(body.as_bytes(), "text/xml;charset=utf-8", Direction::Response, 10);
    assert_eq!(alone, Ok(vec![expected.clone()]));
    // B
    let only = encode(&[(PartKind::Fault, body.as_bytes())]);
    assert_eq!(decode(&only, Direction::Response), Ok(vec![expected.clone(), Event::End]));
    // C
    let late = encode(&[
        (PartKind::RestResponse, b"200\r\n"),
        (PartKind::RestBody, b"part"),
        (PartKind::Fault, body.as_bytes()),
    ]);
    let events = decode(&late, Direction::Response).expect("a fault");
    assert_eq!(events[events.len() - 2..], [expected, Event::End]);
    // A message is no fault, and a request is no fault at all.
    let message = MESSAGE.as_bytes();
    let got = decode_in(message, "text/xml", Direction::Response, 10).map_err(|fault| fault.code);
    assert_eq!(got, Err("service_failed.invalid_message".into()));
    let got = decode_in(message, "text/xml", Direction::Request, 10).map_err(|fault| fault.code);
    assert_eq!(got, Err("service_failed.invalid_content_type".into()));
}

#[test]
fn envelopes_that_are_not_well_formed_are_no_faults() {
    let check = |before: &str, code: &str, after: &str, expected: Option<&str>| {
        let body = format!(
            "{before}<e:Envelope xmlns:e='http://schemas.xmlsoap.org/soap/envelope/'><e:Body><e:Fault>\
             <faultcode>{code}</faultcode><faultstring>text</faultstring></e:Fault></e:Body></e:Envelope>{after}"
        );
        let got = Envelope::parse(body.clone().into()).map(|envelope| match envelope {
            Envelope::Fault(fault) => fault.fault.code,
            Envelope::Message(_) => panic!("a message"),
        });
        let expected = expected.map(|code| code.to_owned().into()).ok_or_else(|| "invalid_soap".into());
        assert_eq!(got.map_err(|fault| fault.code), expected, "{before:?} {code:?} {after:?}");
    };
    check("\u{feff}\n", "a.b&amp;&#x63;", "\n<!-- c -->", Some("a.b&c"));
    check("", &"ä".repeat(500), "", Some(&"ä".repeat(250)));
    check("HTTP/1.1 200 OK\n\n", "a", "", None);
    check("", "a", "more", None);
    check("", "a", "&amp;", None);
    check("", "a", "<![CDATA[x]]>", None);
    check("", "a\0b", "", None);
    check("", "a&#1;b", "", None);
    // Many small pieces are read in a time that does not grow with their square.
    check("", &"&#97;".repeat(200_000), "", Some(&"a".repeat(500)));
}

#[test]
fn content_types() {
    let check = |text: &str, expected: Option<&str>| {
        let got = ContentType::parse(text).and_then(|parsed| parsed.boundary().map(str::to_owned)).ok();
        assert_eq!(got.as_deref(), expected, "{text}");
    };
    check("multipart/mixed; charset=UTF-8; boundary=xtop", Some("xtop"));
    check("Multipart/Mixed;BOUNDARY=\"a b\\\"\"", None);
    check("multipart/mixed; boundary=\"a:b\" ; charset=UTF-8", Some("a:b"));
    check("multipart/mixed; boundary = a ; charset=\"x;y\"", Some("a"));
    for text in [
        "multipart/mixed",
        "multipart/mixed; boundary=",
        "multipart/mixed; boundary=a; boundary=b",
        "multipart/mixed; boundary=\"a",
        "multipart/mixed; boundary=\"a \"",
        "multipart; boundary=a",
    ] {
        check(text, None);
    }
    check(&format!("multipart/mixed; boundary={}", "x".repeat(71)), None);
}

#[test]
fn heads() {
    let good = [
        ("x-hash-algorithm", "SHA-512"),
        ("x-road-message-type", "REST"),
        ("content-type", CONTENT),
        ("x-road-request-id", "id"),
    ];
    let read = |method: &str, without: &str, with: (&'static str, &'static str)| {
        let headers: Vec<_> = good.iter().filter(|(name, _)| *name != without).chain([&with]).collect();
        RequestHead::read(method, |name| {
            headers.iter().rev().find(|(header, _)| *header == name).map(|(_, value)| *value)
        })
        .map(|head| head.message_type)
        .map_err(|fault| fault.code.into_owned())
    };
    let none = ("", "");
    assert_eq!(read("POST", "", none), Ok(MessageType::Rest));
    assert_eq!(read("POST", "", ("x-road-message-type", "rest")), Ok(MessageType::Soap));
    assert_eq!(read("POST", "", ("x-hash-algorithm", "sha-256")), Ok(MessageType::Rest));
    for (method, without, with, code) in [
        ("GET", "", none, "invalid_http_method"),
        ("POST", "x-hash-algorithm", none, "internal_error"),
        ("POST", "", ("x-hash-algorithm", "SHA-1"), "internal_error"),
        ("POST", "x-road-request-id", none, "internal_error"),
        ("POST", "content-type", none, "service_failed.invalid_content_type"),
    ] {
        assert_eq!(read(method, without, with), Err(code.to_owned()), "{without} {with:?}");
    }
    let response = |status, content: Option<&'static str>| {
        let header = move |name: &str| match name {
            "content-type" => content,
            "x-hash-algorithm" => Some("SHA-512"),
            _ => None,
        };
        ResponseHead::read(status, header).map(drop).map_err(|fault| fault.code.into_owned())
    };
    assert_eq!(response(200, Some(CONTENT)), Ok(()));
    assert_eq!(response(500, Some("text/xml")), Ok(()));
    assert_eq!(response(404, Some(CONTENT)), Err("http_error".into()));
    assert_eq!(response(200, None), Err("service_failed.invalid_content_type".into()));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000), size in 1usize..50) {
        let _ = decode_in(&bytes, CONTENT, Direction::Response, size);
        let _ = Envelope::parse(bytes.clone().into());
        let _ = ContentType::parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn alike_texts_never_panic(text in "(--b0|\r|\n|-|content-type: |application/x-road-rest-(request|body)|signature/bdoc-1.0/ts|text/xml|x){0,60}", size in 1usize..20) {
        let whole = decode_in(text.as_bytes(), CONTENT, Direction::Request, usize::MAX);
        prop_assert_eq!(decode_in(text.as_bytes(), CONTENT, Direction::Request, size), whole);
    }

    #[test]
    fn bodies_come_back(body in proptest::collection::vec(any::<u8>(), 0..500), size in 1usize..50) {
        let parts = [(PartKind::RestRequest, &b"x"[..]), (PartKind::RestBody, &body), (PartKind::Signature, b"s")];
        let events = decode_in(&encode(&parts), CONTENT, Direction::Request, size).expect("a message");
        let got: Vec<u8> = events.iter().flat_map(|event| match event { Event::Body(piece) => piece.to_vec(), _ => Vec::new() }).collect();
        prop_assert_eq!(got, body);
    }
}

#[test]
fn attachments_come_one_by_one() {
    let soap = PartHeaders::new("text/xml; charset=UTF-8").unwrap().with("Content-ID", "<root>").unwrap();
    let one = PartHeaders::new("text/plain").unwrap().with("Content-ID", "<one>").unwrap();
    let two = PartHeaders::new("application/octet-stream").unwrap();
    let mut encoder = Encoder::new("xtopQw");
    let mut body = encoder.part(PartKind::Ocsp);
    body.extend_from_slice(OCSP);
    body.extend(encoder.soap(&soap));
    body.extend_from_slice(MESSAGE.as_bytes());
    body.extend(encoder.attachment(&one));
    body.extend_from_slice(b"hello\r\n--xtop");
    body.extend(encoder.attachment(&two));
    body.extend(encoder.part(PartKind::Signature));
    body.extend_from_slice(b"s");
    body.extend(encoder.end());
    let framing = String::from_utf8(body.clone()).unwrap();
    for expected in [
        "--xtopQw\r\ncontent-type: text/xml; charset=UTF-8\r\nContent-ID: <root>\r\n\r\n<e:",
        "Envelope>\r\n--xtopQw\r\ncontent-type: multipart/mixed; charset=UTF-8; boundary=xattQw\r\n\r\n\r\n\
         --xattQw\r\ncontent-type: text/plain\r\nContent-ID: <one>\r\n\r\nhello",
        "\r\n--xattQw--\r\n\r\n--xtopQw\r\ncontent-type: signature/bdoc-1.0/ts\r\n\r\ns\r\n--xtopQw--\r\n",
    ] {
        assert!(framing.contains(expected), "{expected}");
    }
    let content = "multipart/mixed; boundary=xtopQw";
    let read = |body: &[u8], size| decode_in(body, content, Direction::Request, size);
    for size in [1, 2, 3, 50, 5000] {
        let events = read(&body, size).unwrap();
        let Some(Event::Soap { headers, message }) = events.get(1) else { panic!("{events:?}") };
        assert_eq!((headers, &message.octets()[..]), (&soap, MESSAGE.as_bytes()));
        assert_eq!(
            events[2..],
            [
                Event::Attachment(one.clone()),
                Event::Body("hello\r\n--xtop".into()),
                Event::BodyEnd,
                Event::Attachment(two.clone()),
                Event::BodyEnd,
                Event::Signature("s".into()),
                Event::End,
            ],
            "pieces of {size}"
        );
    }
    let refused = |from: &str, to: &str| {
        let spoiled = framing.replace(from, to);
        assert_ne!(spoiled, framing);
        read(spoiled.as_bytes(), 50).map(drop).map_err(|fault| fault.code.into_owned())
    };
    for (from, to, code) in [
        ("--xattQw--", "", "service_failed.mime_parsing_failed"),
        ("content-type: text/plain\r\n", "", "service_failed.invalid_content_type"),
        ("boundary=xattQw", "boundary=", "service_failed.invalid_content_type"),
        ("; boundary=xattQw", "", "service_failed.invalid_content_type"),
        ("<id>1</id>", "", "service_failed.missing_header_field"),
        ("Content-ID: <one>", "Content-ID <one>", "service_failed.mime_parsing_failed"),
        ("Content-ID: <one>", "Content-ID: \u{1}", "service_failed.mime_parsing_failed"),
        ("Content-ID: <one>", "--xatt: 1", "service_failed.mime_parsing_failed"),
    ] {
        assert_eq!(refused(from, to), Err(code.to_owned()), "{from} to {to}");
    }
    let many = "--xattQw\r\ncontent-type: a/b\r\n\r\n".repeat(1001);
    assert_eq!(
        refused("--xattQw--", &format!("{many}--xattQw--")),
        Err("service_failed.invalid_message".into())
    );
}
