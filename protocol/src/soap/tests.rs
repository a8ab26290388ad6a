use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::mime::PartHeaders;

const REQUEST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:x="http://x-road.eu/xsd/xroad.xsd" xmlns:i="http://x-road.eu/xsd/identifiers">
  <s:Header>
    <x:client i:objectType="SUBSYSTEM"><i:xRoadInstance>CW</i:xRoadInstance><i:memberClass>GOV</i:memberClass><i:memberCode>1001</i:memberCode><i:subsystemCode>permits</i:subsystemCode></x:client>
    <x:service i:objectType="SERVICE"><i:xRoadInstance>CW</i:xRoadInstance><i:memberClass>COM</i:memberClass><i:memberCode>2002</i:memberCode><i:serviceCode>findOwner</i:serviceCode><i:serviceVersion>v1</i:serviceVersion></x:service>
    <x:userId>CW30001010004</x:userId>
    <x:id>id-1</x:id>
    <x:protocolVersion>4.0</x:protocolVersion>
  </s:Header>
  <s:Body><p:findOwner xmlns:p="urn:example:registry"><p:plate a='1'/></p:findOwner></s:Body>
</s:Envelope>
"#;

fn parse(text: &str) -> Result<SoapMessage, Fault> {
    SoapMessage::parse(Bytes::copy_from_slice(text.as_bytes()))
}

/// The request with a change, which must change something.
fn with(from: &str, to: &str) -> String {
    let changed = REQUEST.replacen(from, to, 1);
    assert_ne!(changed, REQUEST, "{from}");
    changed
}

#[track_caller]
fn refused(text: &str, code: &str) {
    let got = parse(text).map(|message| message.id().to_owned()).map_err(|fault| fault.code.into_owned());
    assert_eq!(got, Err(code.to_owned()), "{text}");
}

#[test]
fn header_blocks_are_read() {
    let message = parse(REQUEST).unwrap();
    assert_eq!(message.client().to_string(), "CW/GOV/1001/permits");
    assert_eq!(message.service().to_string(), "CW/COM/2002/findOwner/v1");
    assert_eq!((message.id(), message.user_id(), message.issue()), ("id-1", Some("CW30001010004"), None));
    assert_eq!(message.wrapper(), ("urn:example:registry", "findOwner"));
    assert!(
        message.wrapper_octets().starts_with(b"<p:findOwner ")
            && message.wrapper_octets().ends_with(b"</p:findOwner>")
    );
    assert!(!message.is_rpc() && !message.is_response() && message.security_server().is_none());
    assert_eq!(message.octets(), REQUEST);

    let rich = with(
        "<x:protocolVersion>4.0",
        "<r:representedParty xmlns:r='http://x-road.eu/xsd/representation.xsd'><r:partyClass>A</r:partyClass>\
         <r:partyCode>B</r:partyCode></r:representedParty><x:issue/><x:other>o</x:other>\
         <x:securityServer i:objectType='SERVER'><i:serverCode>ss</i:serverCode><i:memberCode>1</i:memberCode>\
         <i:memberClass>C</i:memberClass><i:xRoadInstance>CW</i:xRoadInstance></x:securityServer>\
         <t:securityToken xmlns:t='http://x-road.eu/xsd/security-token.xsd' tokenType='x'>e</t:securityToken>\
         <x:protocolVersion>4.7",
    )
    .replace("<s:Envelope", "<s:Envelope s:encodingStyle='http://schemas.xmlsoap.org/soap/encoding/'")
    .replace("id-1", "a&amp;<![CDATA[<b>]]><!-- c -->\r\nd&#13;");
    let message = parse(&rich).unwrap();
    let party = RepresentedParty { class: Some("A".into()), code: Some("B".into()) };
    assert_eq!(message.represented_party(), Some(&party));
    assert_eq!(message.security_server().map(ToString::to_string).as_deref(), Some("CW/C/1/ss"));
    assert_eq!((message.issue(), message.protocol_version()), (Some(""), "4.7"));
    assert_eq!(message.id(), "a&<b>\nd\r");
    assert!(message.is_rpc());
}

#[test]
fn each_rule_has_its_code() {
    for (from, to, code) in [
        ("<x:id>", "<x:id>2</x:id><x:id>", "duplicate_header_field"),
        ("<i:memberCode>1001", "<i:memberCode>1</i:memberCode><i:memberCode>1001", "duplicate_header_field"),
        ("4.0", "3.1", "invalid_protocol_version"),
        ("4.0", "40", "invalid_protocol_version"),
        ("4.0", "", "invalid_protocol_version"),
        (" i:objectType=\"SUBSYSTEM\"", "", "invalid_xml"),
        ("i:objectType=\"SUBSYSTEM\"", "objectType=\"SUBSYSTEM\"", "invalid_xml"),
        ("\"SUBSYSTEM\"", "\"SERVICE\"", "invalid_xml"),
        ("\"SERVICE\"", "\"MEMBER\"", "invalid_xml"),
        ("<i:memberCode>1001</i:memberCode>", "", "invalid_xml"),
        ("1001", "  ", "invalid_xml"),
        ("permits", "", "invalid_xml"),
        ("<i:serviceCode>findOwner</i:serviceCode>", "", "invalid_xml"),
        ("<x:protocolVersion>4.0</x:protocolVersion>", "", "missing_header_field"),
        ("<x:id>id-1</x:id>", "", "missing_header_field"),
        ("<x:id>id-1</x:id>", "<id>id-1</id>", "missing_header_field"),
        ("x:service i", "x:centralService i", "invalid_soap"),
        ("<p:findOwner ", "<p:findOwne ", "invalid_soap"),
        ("</s:Body>", "<p/></s:Body>", "invalid_body"),
        ("<s:Envelope", "<!DOCTYPE s [<!ENTITY a 'b'>]><s:Envelope", "invalid_soap"),
        ("id-1", "&a;", "invalid_soap"),
        ("id-1", "\u{1}", "invalid_soap"),
        ("id-1", "&#1;", "invalid_soap"),
        ("<x:id>", "<y:id>", "invalid_soap"),
        ("<p:plate", "<q:plate", "invalid_soap"),
        ("a='1'", "a='1' a='2'", "invalid_soap"),
        ("a='1'", "q:a='1'", "invalid_soap"),
        ("a='1'", "a='<'", "invalid_soap"),
        ("</s:Envelope>", "", "invalid_soap"),
        ("</s:Envelope>", "</s:Envelope><a/>", "invalid_soap"),
        ("</s:Envelope>", "</s:Envelope>a", "invalid_soap"),
        ("<s:Header>", "<s:Header></s:Header><s:Header>", "invalid_soap"),
        ("<s:Body>", "<s:Body></s:Body><s:Body>", "invalid_soap"),
        ("soap/envelope/", "soap/envelope", "invalid_soap"),
        ("UTF-8", "UTF-16", "invalid_soap"),
        ("UTF-8", "none-such", "invalid_soap"),
        ("version=\"1.0\"", "version=\"1.1\"", "invalid_soap"),
    ] {
        refused(&with(from, to), code);
    }
    let start = REQUEST.find("<s:Header>").unwrap();
    let end = REQUEST.find("</s:Header>").unwrap() + "</s:Header>".len();
    refused(&[&REQUEST[..start], &REQUEST[end..]].concat(), "missing_header");
    let (start, end) = (REQUEST.find("<s:Body>").unwrap(), REQUEST.find("</s:Envelope>").unwrap());
    refused(&[&REQUEST[..start], &REQUEST[end..]].concat(), "missing_body");
    refused(
        &with("<p:findOwner xmlns:p=\"urn:example:registry\"><p:plate a='1'/></p:findOwner>", ""),
        "invalid_body",
    );
    refused(&REQUEST.replace("p:findOwner", "p:find"), "inconsistent_headers");
    refused("", "invalid_soap");
    refused(&"<a>".repeat(100_000), "invalid_soap");
    refused(&format!("<a{}/>", " b='c'".repeat(100_000)), "invalid_soap");
    assert!(parse(&REQUEST.replace("p:findOwner", "p:findOwnerResponse")).unwrap().is_response());
}

#[test]
fn a_client_is_what_its_type_says() {
    let check = |text: &str, expected: bool| {
        let fits = parse(text).unwrap().check_client_type();
        assert_eq!(
            fits.map_err(|fault| fault.code),
            expected.then_some(()).ok_or_else(|| "invalid_client_identifier".into())
        );
    };
    check(REQUEST, true);
    check(&with("\"SUBSYSTEM\"", "\"MEMBER\""), false);
    check(&with("<i:subsystemCode>permits</i:subsystemCode>", ""), false);
    check(
        &with("<i:subsystemCode>permits</i:subsystemCode>", "").replace("\"SUBSYSTEM\"", "\"MEMBER\""),
        true,
    );
}

#[test]
fn encodings_are_those_of_the_document() {
    let check = |octets: Vec<u8>, expected: Option<&str>| {
        let got = SoapMessage::parse(octets.clone().into());
        assert_eq!(got.as_ref().ok().map(SoapMessage::id), expected, "{octets:x?}");
        let Ok(message) = got else { return };
        let hash = message.digest();
        let answer = message.with_request_hash(&hash);
        let again = SoapMessage::parse(answer.octets().clone()).unwrap();
        assert_eq!(again, answer);
        again.check_answers(&message, &hash).unwrap();
        assert_eq!(message.octets(), &octets, "what was signed never changes");
    };
    let text = REQUEST.replace("id-1", "pär");
    let latin: Vec<u8> = text
        .replace("UTF-8", "ISO-8859-1")
        .chars()
        .map(|character| u8::try_from(character).unwrap())
        .collect();
    check(text.clone().into(), Some("pär"));
    check([b"\xEF\xBB\xBF", text.as_bytes()].concat(), Some("pär"));
    check([b"\xEF\xBB\xBF", &latin[..]].concat(), None);
    check(latin.clone(), Some("pär"));
    check(text.replace("UTF-8", "windows-1252").into(), Some("pÃ¤r"));
    check(text.replace("UTF-8", "US-ASCII").into(), None);
    check(REQUEST.replace("UTF-8", "US-ASCII").into(), Some("id-1"));
    check([&latin[..], b"\xff"].concat(), None);
    let utf16 = text.replace("UTF-8", "UTF-16");
    let units = || "\u{feff}".encode_utf16().chain(utf16.encode_utf16());
    check(units().flat_map(u16::to_be_bytes).collect(), Some("pär"));
    check(units().flat_map(u16::to_le_bytes).collect(), Some("pär"));
    check(units().skip(1).flat_map(u16::to_le_bytes).collect(), Some("pär"));
    check(text.encode_utf16().flat_map(u16::to_le_bytes).collect(), None);
    check(units().flat_map(u16::to_be_bytes).chain([0xd8, 0]).collect(), None);
}

#[test]
fn the_request_hash_goes_behind_the_id() {
    let hash = DigestAlgorithm::Sha512.digest(b"request");
    let check = |from: &str, to: &str, around: (&str, &str)| {
        let text = if from.is_empty() { REQUEST.to_owned() } else { with(from, to) };
        let answer = parse(&text).unwrap().with_request_hash(&hash);
        let (before, after) = around;
        let element =
            format!("{before} algorithmId=\"{}\">{}{after}", hash.algorithm().uri(), hash.to_base64());
        let got = std::str::from_utf8(answer.octets()).unwrap();
        assert!(got.contains(&element), "{element}\n{got}");
        assert_eq!(SoapMessage::parse(answer.octets().clone()).unwrap(), answer);
        // All else stays as it is.
        let inserted =
            element.strip_prefix(around.0.split("<x:requestHash").next().unwrap()).unwrap_or(&element);
        (got.replace(inserted, ""), text)
    };
    let closed = "</x:requestHash>";
    check("", "", ("<x:id>id-1</x:id>\n    <x:requestHash", closed));
    let (rest, text) = check("", "", ("\n    <x:requestHash", closed));
    assert_eq!(rest.replace("</x:id>\n    \n", "</x:id>\n"), text);
    check("<x:id>", "<x:id b='\"' algorithmId='q'>", ("</x:id>\n    <x:requestHash b=\"&quot;\"", closed));
    check(
        "<x:id>id-1</x:id>",
        "<id xmlns='http://x-road.eu/xsd/xroad.xsd'>id-1</id>",
        ("</id>\n    <requestHash xmlns=\"http://x-road.eu/xsd/xroad.xsd\"", "</requestHash>"),
    );
    check("<x:id>id-1</x:id>", "<x:id/>", ("<x:id/>\n    <x:requestHash", closed));
    check("<s:Header>\n    ", "<s:Header>", ("</x:id><x:requestHash", closed));
    check("<s:Header>\n    ", "<s:Header>\n <!-- c -->\n", ("</x:id>\n <x:requestHash", closed));
    // A hash of the provider's own goes, wherever it stands.
    let plain = parse(REQUEST).unwrap().with_request_hash(&hash);
    for place in ["<x:userId>", "<x:protocolVersion>"] {
        let text = with(place, &format!("<x:requestHash a='b'>x</x:requestHash>\n    {place}"));
        assert_eq!(parse(&text).unwrap().with_request_hash(&hash), plain);
    }
    assert_eq!(plain.with_request_hash(&hash), plain);
}

#[test]
fn answers_must_fit() {
    let request = parse(REQUEST).unwrap();
    let hash = request.digest();
    let check = |text: &str, code: Option<&str>| {
        let answer = parse(text).unwrap().with_request_hash(&hash);
        let got = answer.check_answers(&request, &hash).err().map(|fault| fault.code.into_owned());
        assert_eq!(got.as_deref(), code, "{text}");
    };
    check(REQUEST, None);
    check(&with("4.0", "4.1"), None);
    let group = Some("service_failed.inconsistent_response");
    check(&with("1001", "1002"), group);
    check(&with("v1", ""), group);
    check(&with("id-1", "id-1 "), group);
    check(&with("<x:userId>CW30001010004</x:userId>", ""), group);
    check(&with("<x:id>", "<x:issue/><x:id>"), group);
    let got = |message: &SoapMessage| {
        message.check_answers(&request, &hash).map_err(|fault| fault.code.into_owned())
    };
    assert_eq!(got(&request), Err("inconsistent_response".into()));
    let other = request.with_request_hash(&DigestAlgorithm::Sha512.digest(b""));
    assert_eq!(got(&other), Err("inconsistent_response".into()));
    let spaced =
        parse(&with("<x:id>", &format!("<x:requestHash>\n {}\n</x:requestHash><x:id>", hash.to_base64())));
    assert_eq!(got(&spaced.unwrap()), Ok(()));
    let own = request.answer("<a:findOwnerResponse xmlns:a='urn:a'/>").unwrap();
    assert_eq!(own.wrapper(), ("urn:a", "findOwnerResponse"));
    assert_eq!(got(&own.with_request_hash(&hash)), Ok(()));
    assert!(request.answer("<findOwner/><findOwner/>").is_err());
}

/// Reads in pieces of `size`; the pieces of a body are joined.
fn decode(content_type: &str, body: &[u8], sender: Sender, size: usize) -> Result<Vec<Event>, Fault> {
    let mut decoder = SoapDecoder::new(Some(content_type), sender, Limits::default())?;
    let mut events: Vec<Event> = Vec::new();
    let mut pieces = body.chunks(size);
    loop {
        match pieces.next() {
            Some(piece) => decoder.push(Bytes::copy_from_slice(piece)),
            None => decoder.finish()?,
        }
        while let Some(event) = decoder.next()? {
            match (events.last_mut(), event) {
                (Some(Event::Body(so_far)), Event::Body(more)) => {
                    *so_far = [&so_far[..], &more[..]].concat().into()
                }
                (_, event) => events.push(event),
            }
            if matches!(events.last(), Some(Event::End | Event::Fault(_))) {
                return Ok(events);
            }
        }
    }
}

#[test]
fn multipart_messages_pass_through() {
    let content_type = "Multipart/Related; type=\"text/xml\"; boundary=\"b 1\"; start=\"<x>\"";
    let body = format!(
        "preamble\r\n--b 1\r\nContent-Type: text/xml\r\nContent-ID: <root>\r\n\r\n{REQUEST}\r\n--b 1\r\n\
         CONTENT-TYPE: multipart/mixed; boundary=c\r\nX-Long: a\r\n b\r\nX-Long: c\r\n\r\n--c\r\n\r\n\r\n--c--\r\n--b 1\n\
         content-type: text/plain\n\n\n--b 1--\r\nepilogue"
    );
    let expected = decode(content_type, body.as_bytes(), Sender::Client, usize::MAX).unwrap();
    for size in [1, 2, 7, 100] {
        assert_eq!(
            decode(content_type, body.as_bytes(), Sender::Provider, size).as_ref(),
            Ok(&expected),
            "{size}"
        );
    }
    let Carriage::Related { boundary } = Carriage::of(content_type).unwrap() else { panic!("plain") };
    let mut encoder = RelatedEncoder::new(&boundary);
    let mut written = Vec::new();
    for event in &expected {
        match event {
            Event::Message { headers, message } => {
                written.extend(encoder.part(headers));
                encoder.check(message.octets()).unwrap();
                written.extend_from_slice(message.octets());
            }
            Event::Attachment(headers) => written.extend(encoder.part(headers)),
            Event::Body(piece) => {
                encoder.check(piece).unwrap();
                written.extend_from_slice(piece);
            }
            Event::BodyEnd | Event::End => {}
            Event::Fault(_) => panic!("a fault"),
        }
    }
    written.extend(encoder.end());
    let written = String::from_utf8(written).unwrap();
    assert_eq!(
        written,
        format!(
            "--b 1\r\ncontent-type:text/xml\r\nContent-ID: <root>\r\n\r\n{REQUEST}\r\n--b 1\r\n\
             content-type:multipart/mixed; boundary=c\r\nX-Long: c\r\n\r\n--c\r\n\r\n\r\n--c--\r\n--b 1\r\n\
             content-type:text/plain\r\n\r\n\r\n--b 1--\r\n"
        )
    );
    // An end without the closing boundary is forgiven: HTTP says where the message ends.
    let unclosed = body.split("\n--b 1--").next().unwrap();
    for size in [1, 100] {
        assert_eq!(decode(content_type, unclosed.as_bytes(), Sender::Client, size).as_ref(), Ok(&expected));
    }
    let refused = |body: &str, code: &str| {
        let got = decode(content_type, body.as_bytes(), Sender::Client, 50).map(drop);
        assert_eq!(got.map_err(|fault| fault.code), Err(code.to_owned().into()), "{body}");
    };
    refused("", "missing_soap");
    refused("--b 2--", "missing_soap");
    refused("--b 1\r\n\r\n", "invalid_content_type");
    refused("--b 1\r\ncontent-type: text/plain\r\n\r\n", "invalid_content_type");
    refused("--b 1\r\ncontent-type: text/xml\r\n\r\n", "invalid_soap");
    refused("--b 1\r\ncontent-type: text/xml\r\n", "mime_parsing_failed");
    refused(&body.replace("content-type: text/plain", "a: b"), "invalid_content_type");
    let fault = crate::transport::write_fault(&Fault::new("CODE", "text"));
    let got = decode(content_type, body.replace(REQUEST, &fault).as_bytes(), Sender::Provider, 50).unwrap();
    let [Event::Fault(read)] = &got[..] else { panic!("{got:?}") };
    assert_eq!((&read.octets[..], &*read.clone().refused().code), (fault.as_bytes(), "code"));
}

#[test]
fn plain_messages() {
    for content_type in ["text/xml", "TEXT/XML ; charset", "application/xop+xml;a=b"] {
        let events = decode(content_type, REQUEST.as_bytes(), Sender::Client, 100).unwrap();
        let [Event::Message { headers, message }, Event::End] = &events[..] else { panic!("{events:?}") };
        assert_eq!((headers.content_type(), &message.octets()[..]), (Some(content_type), REQUEST.as_bytes()));
    }
    for content_type in ["blah", "text/plain", "multipart/mixed; boundary=b", "multipart/related"] {
        let got = decode(content_type, REQUEST.as_bytes(), Sender::Client, 100).map(drop);
        assert_eq!(got.map_err(|fault| fault.code), Err("invalid_content_type".into()), "{content_type}");
    }
    let none =
        |sender| SoapDecoder::new(None, sender, Limits::default()).map(drop).map_err(|fault| fault.code);
    assert_eq!(none(Sender::Client), Err("invalid_request".into()));
    assert_eq!(none(Sender::Provider), Err("invalid_content_type".into()));
    let large = REQUEST.replace("id-1", &"i".repeat(11 << 20));
    let got = decode("text/xml", large.as_bytes(), Sender::Client, 1 << 20).map(drop);
    assert_eq!(got.map_err(|fault| fault.code), Err("invalid_message".into()));
}

#[test]
fn a_boundary_inside_of_a_part_is_found() {
    let check = |pieces: &[&str], expected: bool| {
        let mut encoder = RelatedEncoder::new("b0");
        encoder.part(&PartHeaders::new("a/b").unwrap());
        let found = pieces.iter().any(|piece| encoder.check(piece.as_bytes()).is_err());
        assert_eq!(found, expected, "{pieces:?}");
    };
    check(&["--b0"], true);
    check(&["-", "-b", "0"], true);
    check(&["a\n--b0"], true);
    check(&["a\r--b0"], true);
    check(&["a\r", "\n", "--", "b0--"], true);
    check(&["aaaaaaaaaaaaaaaaaaaaaaaaa\n-", "-b0"], true);
    check(&["a--b0", "-b0\n-b0"], false);
    check(&["\n", "--", "b1", "\n--", "", "B0"], false);
}

#[test]
fn actions_are_uris_in_quotes() {
    for good in ["", "\"\"", "\"urn:a:b\"", "\"http://a.b/c?d=%20#e\"", "\"a/b\"", "\"#x\""] {
        assert_eq!(check_action(Some(good)), Ok(()), "{good}");
    }
    assert_eq!(check_action(None), Ok(()));
    for bad in ["\"", "a", "urn:a", "\"a b\"", "\"urn:\"", "\"1:a\"", "\"%2\"", "\"a#b#c\"", "\"ä\"", "'a'"]
    {
        assert_eq!(
            check_action(Some(bad)).map_err(|fault| fault.code),
            Err("invalid_soap_action".into()),
            "{bad}"
        );
    }
}

#[test]
fn content_types_of_the_other_side() {
    let related = "multipart/related; boundary=b";
    assert_eq!(provider_content_type("text/xml; charset=iso-8859-1").as_deref(), Ok(PLAIN_CONTENT_TYPE));
    assert_eq!(provider_content_type(related).as_deref(), Ok(related));
    assert_eq!(client_content_type("text/xml").as_deref(), Ok(PLAIN_CONTENT_TYPE));
    assert_eq!(client_content_type(related).as_deref(), Ok("multipart/related; boundary=b;charset=utf-8"));
    let named = "multipart/related; boundary=b; Charset=x";
    assert_eq!(client_content_type(named).as_deref(), Ok(named));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..500), size in 1usize..50) {
        let _ = Envelope::parse(bytes.clone().into());
        let _ = decode("multipart/related; boundary=b", &bytes, Sender::Client, size);
    }

    #[test]
    fn spoiled_messages_never_panic(at in 0..REQUEST.len(), length in 0usize..20, text in "[<>/&;:= a-z\"'!?\\[\\]-]{0,8}") {
        let mut octets = REQUEST.as_bytes().to_vec();
        octets.splice(at..(at + length).min(REQUEST.len()), text.bytes());
        if let Ok(message) = SoapMessage::parse(octets.into()) {
            let hash = message.digest();
            let answer = message.with_request_hash(&hash);
            prop_assert_eq!(SoapMessage::parse(answer.octets().clone()), Ok(answer));
        }
    }
}
